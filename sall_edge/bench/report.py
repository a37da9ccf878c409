"""A bench as one HTML file that needs no network: numbers, reliability diagrams, heat maps."""

import base64
import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import jinja2
import numpy as np
import numpy.typing as npt
from matplotlib.figure import Figure

from sall_edge.bench.accuracy import ReliabilityBin
from sall_edge.bench.measure import BenchReport
from sall_edge.spec import Task
from sall_edge.writing import file_being_written

__all__ = ["Picture", "write_html"]

U8 = npt.NDArray[np.uint8]


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
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent), autoescape=True, undefined=jinja2.StrictUndefined
    )
    page = environment.get_template("report.html").render(
        title=title,
        reports=reports,
        tasks={task.name: task for task in tasks},
        facts=facts,
        diagrams=[{name: _reliability_svg(bins) for name, bins in r.reliability.items()} for r in reports],
        pictures=[{"source": _data_url(p.pixels), "caption": p.caption} for p in pictures],
    )
    with file_being_written(path) as temporary:
        temporary.write_text(page, encoding="utf-8")


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
    buffer = io.StringIO()
    figure.savefig(buffer, format="svg", metadata={"Date": None})
    text = buffer.getvalue()
    return text[text.index("<svg") :]


def _data_url(pixels: U8) -> str:
    ok, data = cv2.imencode(".jpg", np.ascontiguousarray(pixels[..., ::-1]), [cv2.IMWRITE_JPEG_QUALITY, 85])
    if not ok:
        raise ValueError(f"cannot encode a picture of shape {pixels.shape}: expected (H, W, 3) uint8")
    return "data:image/jpeg;base64," + base64.b64encode(data.tobytes()).decode()
