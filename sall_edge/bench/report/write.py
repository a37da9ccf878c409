"""A bench that can be filed: a page that needs no network, with JSON and Markdown beside it. And an evaluation's."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from sall_edge.artifacts import EngineManifest
from sall_edge.bench.accuracy.metrics import TaskAccuracy, expected_calibration_error, reliability_bins
from sall_edge.bench.accuracy.reliability import risk_coverage, uncalibrated
from sall_edge.bench.measure import BenchReport
from sall_edge.bench.report.as_json import json_from_reports
from sall_edge.bench.report.conclusion import conclude, names_of
from sall_edge.bench.report.files import beside
from sall_edge.bench.report.markdown import markdown_from_reports
from sall_edge.bench.report.page import EnginePage, bench_page, rendered
from sall_edge.bench.report.pictures import FlippedPhotograph, Picture
from sall_edge.bench.report.plots import draw_reliability, draw_risk
from sall_edge.spec import Task
from sall_edge.writing import file_being_written

__all__ = ["Benched", "write_evaluation", "write_report"]

Ints = npt.NDArray[np.integer]
Floats = npt.NDArray[np.floating]


@dataclass(frozen=True, slots=True, kw_only=True)
class Benched:
    """An engine that was measured.

    Attributes:
        report: What was found.
        manifest: Of its bundle.
        flipped: Changed referrals with pictures, from `bench.pictures.picture_flips`.
    """

    report: BenchReport
    manifest: EngineManifest
    flipped: tuple[FlippedPhotograph, ...] = ()


def write_report(
    path: Path,
    benched: Sequence[Benched],
    *,
    title: str,
    facts: Mapping[str, str],
    pictures: Sequence[Picture] = (),
) -> None:
    """Writes the JSON, then the Markdown, then the page: should a later one fail, the measurement is kept.

    Args:
        path: Of the page; the other two have its name with `.json` and `.md`.
        benched: At least one engine.
        title: Heading.
        facts: What was run: command, data, date; shown as a table.
        pictures: At the end of the page.

    Raises:
        OutputError: The place cannot be written.
        ValueError: No engine.
    """
    if not benched:
        raise ValueError("got no engine: a report takes at least one")
    reports = [one.report for one in benched]
    conclusions = [
        conclude(one.report, one.manifest.tasks, name=name)
        for one, name in zip(benched, names_of(reports), strict=True)
    ]
    tasks = list({task.name: task for one in benched for task in one.manifest.tasks}.values())
    json_path, markdown_path = beside(path)
    _write(json_path, json_from_reports(reports) + "\n")
    _write(markdown_path, markdown_from_reports(reports, conclusions, tasks, title=title, facts=facts))
    engines = [
        EnginePage(report=one.report, manifest=one.manifest, conclusion=conclusion, flipped=one.flipped)
        for one, conclusion in zip(benched, conclusions, strict=True)
    ]
    _write(path, bench_page(engines, title=title, facts=facts, pictures=pictures, json_name=json_path.name))


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
    titles = {task.name: task.title for task in tasks}
    diagrams = {}
    for name, (grades, probs) in answers.items():
        caption = f"ECE {accuracies[name].ece:.3f}; perfectly calibrated, so few photographs would show"
        caption += " {:.3f}, up to {:.3f}".format(*accuracies[name].ece_if_calibrated)
        shown = [(draw_reliability(reliability_bins(grades, probs), titles[name]), caption)]
        if name in temperatures:
            before = uncalibrated(probs, temperatures[name])
            caption = f"before the temperature of {temperatures[name]:.2f}: ECE"
            caption += f" {expected_calibration_error(grades, before):.3f}"
            shown.insert(0, (draw_reliability(reliability_bins(grades, before), titles[name]), caption))
        curve = risk_coverage(grades, probs)
        shown.append((draw_risk(curve), f"wrong grades among the most confident; area {curve.area:.3f}"))
        diagrams[name] = shown
    by_name = {task.name: task for task in tasks}
    page = rendered(
        "evaluation.html", title=title, facts=facts, accuracies=accuracies, tasks=by_name, diagrams=diagrams
    )
    _write(path, page)


def _write(path: Path, text: str) -> None:
    with file_being_written(path) as temporary:
        temporary.write_text(text, encoding="utf-8")
