"""A bench in short, as Markdown for a repository: verdict, main numbers, what was run."""

import re
from collections.abc import Callable, Mapping, Sequence

from sall_edge.bench.accuracy.metrics import TaskAccuracy
from sall_edge.bench.measure import BenchReport
from sall_edge.bench.report.conclusion import Conclusion
from sall_edge.spec import Task

__all__ = ["markdown_from_reports"]

MOST_FLIPS = 20
METRICS = {
    "referable_auc": "referable AUC",
    "quadratic_weighted_kappa": "quadratic weighted kappa",
    "sensitivity": "sensitivity",
    "specificity": "specificity",
}

Cell = Callable[[BenchReport], str]


def markdown_from_reports(
    reports: Sequence[BenchReport],
    conclusions: Sequence[Conclusion],
    tasks: Sequence[Task],
    *,
    title: str,
    facts: Mapping[str, str],
) -> str:
    """The text.

    Args:
        reports: One per engine.
        conclusions: Theirs, in the same order.
        tasks: Of all engines.
        title: Heading.
        facts: What was run.
    """
    parts = [f"# {_plain(title)}", "Research use only; no clinical evaluation.", "## Verdict"]
    for conclusion in conclusions:
        parts.append(f"**{_plain(conclusion.name)}**: {_plain(conclusion.sentence)}")
        if conclusion.against_claims:
            reasons = [f"- {_plain(reason)}" for reason in conclusion.against_claims]
            parts.append("\n".join(["Speed is not for claims:", "", *reasons]))
    parts += ["## Engines", _table(_rows(reports, tasks), [conclusion.name for conclusion in conclusions])]
    for report, conclusion in zip(reports, conclusions, strict=True):
        if report.flips:
            parts += [f"## Changed referrals of {_plain(conclusion.name)}", _flips(report)]
    run = [f"- {_plain(name)}: {_code(fact)}" for name, fact in facts.items()]
    for report, conclusion in zip(reports, conclusions, strict=True):
        run.append(f"- {_plain(conclusion.name)}: engine sha256 {_code(report.engine_sha256)}")
    note = "Intervals are 95 % bootstrap intervals by patient. All numbers are in the JSON beside this file."
    return "\n\n".join([*parts, "## The run", "\n".join(run), note]) + "\n"


def _rows(reports: Sequence[BenchReport], tasks: Sequence[Task]) -> dict[str, list[str]]:
    """Label of a row, and a cell for each engine."""
    cells: dict[str, Cell] = {
        "precision": lambda r: r.precision.upper(),
        "target": lambda r: r.target,
        "latency p50, ms": lambda r: _milliseconds(r.latency.p50_ms),
        "latency p90, ms": lambda r: _milliseconds(r.latency.p90_ms),
        "latency p99, ms": lambda r: _milliseconds(r.latency.p99_ms),
        "images/s (batch)": lambda r: f"{r.throughput.images_per_s:.0f} ({r.throughput.batch})",
        "file to verdict p50, ms": lambda r: _milliseconds(r.stages.total.p50_ms) if r.stages else "not measured",
        "times its floor": lambda r: _over_floor(r),
        "peak memory, MB": lambda r: f"{r.memory['peak_rss_mb']:.0f}",
        "energy per photograph, mJ": lambda r: _energy(r),
        "timer holds": lambda r: ", ".join(r.latency.inside_timer),
        "measured by": lambda r: r.latency.estimator,
        "imageability": lambda r: f"{100 * r.imageability.share:.1f} %" if r.imageability else "not measured",
    }
    rows = {label: [cell(report) for report in reports] for label, cell in cells.items()}
    for task in tasks:
        for metric, label in METRICS.items():
            rows[f"{task.title}: {label}"] = [_value(r.accuracy.get(task.name), metric) for r in reports]
        rows[f"{task.title}: referrals lost / new against FP32"] = [_changes(r, task) for r in reports]
    return rows


def _table(rows: Mapping[str, Sequence[str]], names: Sequence[str]) -> str:
    lines = ["| | " + " | ".join(map(_plain, names)) + " |", "|---|" + "---|" * len(names)]
    lines += [f"| {_plain(label)} | " + " | ".join(map(_plain, cells)) + " |" for label, cells in rows.items()]
    return "\n".join(lines)


def _flips(report: BenchReport) -> str:
    lines = ["| photograph | task | FP32 | engine |", "|---|---|---|---|"]
    for flip in report.flips[:MOST_FLIPS]:
        before, after = (
            f"{flip.before} ({flip.probability_before:.3f})",
            f"{flip.after} ({flip.probability_after:.3f})",
        )
        lines.append(f"| {_plain(flip.image)} | {flip.task} | {before} | {after} |")
    if len(report.flips) > MOST_FLIPS:
        lines += ["", f"And {len(report.flips) - MOST_FLIPS} more."]
    return "\n".join(lines)


def _milliseconds(value: float | None) -> str:
    return "too few runs" if value is None else f"{value:.2f}"


def _over_floor(report: BenchReport) -> str:
    ratio = report.stages.total.over_floor if report.stages else None
    return "not measured" if ratio is None else f"{ratio:.2f}"


def _energy(report: BenchReport) -> str:
    energy = report.monitored.energy_mj_per_photograph if report.monitored else None
    return "not known" if energy is None else f"{energy:.1f}"


def _value(accuracy: TaskAccuracy | None, metric: str) -> str:
    if accuracy is None:
        return "no labels"
    value = getattr(accuracy, metric)
    interval = " [{:.3f}, {:.3f}]".format(*accuracy.interval[metric]) if metric in accuracy.interval else ""
    return "undefined" if value is None else f"{value:.3f}{interval}"


def _changes(report: BenchReport, task: Task) -> str:
    if report.reference is None:
        return "not compared"
    lost = [flip.after == "not referable" for flip in report.flips if flip.task == task.name]
    return f"{sum(lost)} / {len(lost) - sum(lost)}"


def _plain(text: str) -> str:
    """Text that no name of a file turns into markup, a link or another cell."""
    return re.sub(r"([\\`*\[\]<>|#&])", r"\\\1", " ".join(text.split()))


def _code(text: str) -> str:
    """Text as it is; fences are longer than any run of backticks inside."""
    text = " ".join(text.split())
    fence = "`" * (max(map(len, re.findall("`+", text)), default=0) + 1)
    pad = " " if "`" in text else ""
    return f"{fence}{pad}{text}{pad}{fence}"
