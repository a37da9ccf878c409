"""A bench or an evaluation as one HTML file that needs no network: numbers, diagrams, heat maps."""

import base64
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import jinja2
import numpy as np
import numpy.typing as npt
from matplotlib.figure import Figure

from sall_edge.bench.accuracy import ReliabilityBin, TaskAccuracy, expected_calibration_error, reliability_bins
from sall_edge.bench.measure import BenchReport
from sall_edge.bench.reliability import RiskCoverage, risk_coverage, uncalibrated
from sall_edge.spec import Task
from sall_edge.writing import file_being_written

__all__ = ["Picture", "write_evaluation", "write_html"]

U8 = npt.NDArray[np.uint8]
Ints = npt.NDArray[np.integer]
Floats = npt.NDArray[np.floating]


@dataclass(frozen=True, slots=True, kw_only=True)
class Picture:
    """A heat map for the page: RGB pixels and a line below."""

    pixels: U8
    caption: str


def write_html(
    path: Path,
    reports: Sequence[BenchReport],
    tasks: Sequence[Task],
    *,
    title: str,
    facts: dict[str, str],
    pictures: Sequence[Picture] = (),
) -> None:
    """Writes the page.

    Args:
        path: Where to.
        reports: One bench per engine.
        tasks: Their tasks, for titles.
        title: Heading of the page.
        facts: What was run: command, data, seeds, hashes; shown as a table.
        pictures: Heat maps.

    Raises:
        OutputError: The place cannot be written.
    """
    page = _template("report.html").render(
        title=title,
        reports=reports,
        tasks={task.name: task for task in tasks},
        facts=facts,
        diagrams=[{name: _reliability_svg(bins) for name, bins in r.reliability.items()} for r in reports],
        pictures=[{"source": _data_url(p.pixels), "caption": p.caption} for p in pictures],
    )
    with file_being_written(path) as temporary:
        temporary.write_text(page, encoding="utf-8")


def write_evaluation(
    path: Path,
    accuracies: Mapping[str, TaskAccuracy],
    answers: Mapping[str, tuple[Ints, Floats]],
    tasks: Sequence[Task],
    *,
    temperatures: Mapping[str, float],
    title: str,
    facts: Mapping[str, str],
) -> None:
    """Writes the page of an evaluation: numbers, reliability before and after the temperature, risk against coverage.

    Args:
        path: Where to.
        accuracies: By task.
        answers: Labels (n,) and calibrated probabilities (n, K) of the labelled photographs, by task.
        tasks: For titles.
        temperatures: By task, what divided the logits; empty where that is not known, such as of an engine.
        title: Heading of the page.
        facts: What was run.

    Raises:
        OutputError: The place cannot be written.
    """
    diagrams = {}
    for name, (grades, probs) in answers.items():
        caption = f"ECE {accuracies[name].ece:.3f}; perfectly calibrated, so few photographs would show"
        caption += " {:.3f}, up to {:.3f}".format(*accuracies[name].ece_if_calibrated)
        shown = [(_reliability_svg(reliability_bins(grades, probs)), caption)]
        if name in temperatures:
            before = uncalibrated(probs, temperatures[name])
            caption = f"before the temperature of {temperatures[name]:.2f}: ECE"
            caption += f" {expected_calibration_error(grades, before):.3f}"
            shown.insert(0, (_reliability_svg(reliability_bins(grades, before)), caption))
        curve = risk_coverage(grades, probs)
        shown.append((_risk_svg(curve), f"wrong grades among the most confident; area {curve.area:.3f}"))
        diagrams[name] = shown
    page = _template("evaluation.html").render(
        title=title, facts=facts, accuracies=accuracies, tasks={task.name: task for task in tasks}, diagrams=diagrams
    )
    with file_being_written(path) as temporary:
        temporary.write_text(page, encoding="utf-8")


def _template(name: str) -> jinja2.Template:
    loader = jinja2.FileSystemLoader(Path(__file__).parent)
    return jinja2.Environment(loader=loader, autoescape=True, undefined=jinja2.StrictUndefined).get_template(name)


def _risk_svg(curve: RiskCoverage) -> str:
    """Share of wrong grades when only so many photographs, the most confident ones, are graded."""
    figure = Figure(figsize=(3.4, 3.4), layout="constrained")
    axes = figure.add_subplot()
    axes.plot(curve.coverage, curve.risk, color="#2b6cb0")
    axes.set(xlabel="coverage", ylabel="risk", xlim=(0, 1), ylim=(0, 1.05))
    return _svg(figure)


def _reliability_svg(bins: Sequence[ReliabilityBin]) -> str:
    """Accuracy in each bin of confidence, against the diagonal of perfect calibration."""
    figure = Figure(figsize=(3.4, 3.4), layout="constrained")
    axes = figure.add_subplot()
    left = [b.low for b in bins]
    axes.bar(left, [b.accuracy for b in bins], width=0.1, align="edge", color="#2b6cb0", edgecolor="white")
    axes.plot([0, 1], [0, 1], color="#a0aec0", linestyle="--", linewidth=1)
    for b in bins:
        axes.annotate(f"{b.n}", (b.low + 0.05, b.accuracy), ha="center", va="bottom", fontsize=7)
    axes.set(xlabel="confidence", ylabel="accuracy", xlim=(0, 1), ylim=(0, 1.05))
    return _svg(figure)


def _svg(figure: Figure) -> str:
    buffer = io.StringIO()
    figure.savefig(buffer, format="svg", metadata={"Date": None})
    text = buffer.getvalue()
    return text[text.index("<svg") :]


def _data_url(pixels: U8) -> str:
    ok, data = cv2.imencode(".jpg", np.ascontiguousarray(pixels[..., ::-1]), [cv2.IMWRITE_JPEG_QUALITY, 85])
    if not ok:
        raise ValueError(f"cannot encode a picture of shape {pixels.shape}: expected (H, W, 3) uint8")
    return "data:image/jpeg;base64," + base64.b64encode(data.tobytes()).decode()
