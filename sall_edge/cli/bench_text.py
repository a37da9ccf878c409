"""What `sall-edge bench` says of photographs, for people: accuracy, each group, engines side by side."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from sall_edge.cli.evaluate import accuracy_table
from sall_edge.spec import Role

if TYPE_CHECKING:
    from sall_edge.artifacts import Engine
    from sall_edge.bench.accuracy.columns import Group, Imageability
    from sall_edge.bench.measure import BenchReport

__all__ = ["accuracy_lines", "aligned", "group_lines", "imageability_lines", "side_by_side"]

_METRICS = {
    "referable_auc": "AUC",
    "quadratic_weighted_kappa": "kappa",
    "sensitivity": "sensitivity",
    "specificity": "specificity",
    "ece": "ECE",
}
_GROUP_METRICS = {name: _METRICS[name] for name in ("referable_auc", "sensitivity", "specificity")}
_LONGEST_VALUE = 40


def accuracy_lines(report: "BenchReport") -> list[str]:
    """Who was graded and how well, next to FP32; then who was not graded, and why."""
    lines = imageability_lines(report.imageability) if report.imageability else []
    if report.reference:
        agreement = ", ".join(f"{name} {100 * share:.2f} %" for name, share in report.reference.agreement.items())
        lines += [
            accuracy_table(report.accuracy, report.tasks),
            *_quality_lines(report),
            f"same grade as FP32 on {report.photographs} photographs: {agreement}",
            f"referrals that differ from FP32: {len(report.flips)}",
            *(f"  {flip.image}  {flip.task}: {flip.before} -> {flip.after}" for flip in report.flips),
        ]
    lines += group_lines(report)
    lines += [f"retake: {path}: {', '.join(reasons)}" for path, reasons in report.retakes.items()]
    return [*lines, *(f"left out: {path}: {what}" for path, what in report.failures.items())]


def _quality_lines(report: "BenchReport") -> list[str]:
    return [
        f"{task.title} is of the {len(report.answers)} photographs that the engine was asked about, all else of the "
        f"{report.photographs} that it then graded"
        for task in report.tasks
        if task.role is Role.QUALITY and task.name in report.accuracy
    ]


def imageability_lines(imageability: "Imageability") -> list[str]:
    """How many photographs could be graded, and why the others could not."""
    low, high = imageability.interval
    lines = [
        f"gradable {imageability.gradable} of {imageability.n} photographs: {100 * imageability.share:.1f} %"
        f"  [{100 * low:.1f}, {100 * high:.1f}]; accuracy below is of these, as screen grades no other"
        " (evaluate grades all that can be prepared)"
    ]
    if imageability.reasons:
        lines.append("  stopped: " + ", ".join(f"{reason} {count}" for reason, count in imageability.reasons.items()))
    return lines


def group_lines(report: "BenchReport") -> list[str]:
    """A table for each column of the labels, a line for each value and task; none without groups."""
    lines = []
    for column in dict.fromkeys(group.column for group in report.groups):
        rows = [[f"by {column}", "gradable", "task", "n", *_GROUP_METRICS.values(), "flips"]]
        for group in (group for group in report.groups if group.column == column):
            head = [f"  {_short(group.value)}", f"{group.imageability.gradable}/{group.imageability.n}"]
            for task in report.tasks:
                if task.name in group.accuracy or group.flips.get(task.name):
                    rows.append([*head, task.name, *_cells(group, task.name)])
                    head = ["", ""]
            if any(head):  # nobody of the group is labelled
                rows.append([*head, *[""] * (len(rows[0]) - 2)])
        lines += aligned(rows)
    return lines


def side_by_side(reports: "Sequence[BenchReport]", engines: "Sequence[Engine]") -> str:
    """One table, an engine a column; below it whatever makes columns hard to compare."""
    names = [report.engine for report in reports]
    short = [engine.path.name for engine in engines]
    rows = [["", *(short if len(set(short)) == len(short) else names)]]

    def row(title: str, cell: "Callable[[BenchReport], str]") -> None:
        rows.append([title, *(cell(report) for report in reports)])

    row("target", lambda r: r.target)
    row("precision", lambda r: r.precision)
    row("latency p50, ms", lambda r: f"{r.latency.p50_ms:.2f}")
    row("latency p90, ms", lambda r: _number(r.latency.p90_ms, 2, "too few runs"))
    row("latency p99, ms", lambda r: _number(r.latency.p99_ms, 2, "too few runs"))
    row("images/s", lambda r: f"{r.throughput.images_per_s:.0f}")
    if any(report.imageability for report in reports):
        row("gradable", lambda r: f"{r.imageability.gradable}/{r.imageability.n}" if r.imageability else "")
    for task in {task.name: task for report in reports for task in report.tasks}.values():
        rows += _task_rows(task.name, reports)
    shown = [rows[0], *(cells for cells in rows[1:] if any(cells[1:]))]
    return "\n".join([*aligned(shown), *_cautions(reports, engines)])


def _task_rows(task: str, reports: "Sequence[BenchReport]") -> list[list[str]]:
    rows = []
    for metric, title in _METRICS.items():
        cells = []
        for report in reports:
            accuracy = report.accuracy.get(task)
            cells.append(_number(getattr(accuracy, metric), 3, "undefined") if accuracy else "")
        rows.append([f"{task} {title}", *cells])
    agreements = [report.reference.agreement.get(task) if report.reference else None for report in reports]
    rows.append([f"{task} same grade as FP32, %", *("" if a is None else f"{100 * a:.2f}" for a in agreements)])
    for title, after in (("lost", "not referable"), ("new", "referable")):
        counts = [sum(flip.task == task and flip.after == after for flip in report.flips) for report in reports]
        known = [any(own.name == task for own in report.tasks) for report in reports]
        rows.append(
            [
                f"{task} referrals {title} against FP32",
                *(str(n) if has else "" for n, has in zip(counts, known, strict=True)),
            ]
        )
    return rows


def _cautions(reports: "Sequence[BenchReport]", engines: "Sequence[Engine]") -> list[str]:
    lines = []
    sides = [engine.manifest.image.side_px for engine in engines]
    if len({engine.manifest.image.sha256 for engine in engines}) > 1:
        sizes = ", ".join(f"{side} px" for side in sides)
        lines.append(
            f"the engines see other squares ({sizes}): photographs were prepared, and judged gradable, for each"
        )
    if len({tuple(task.name for task in engine.manifest.tasks) for engine in engines}) > 1:
        lines.append("the engines have other tasks: an empty cell is a task that the engine does not have")
    if len({engine.manifest.files[engine.reference_path.name] for engine in engines}) > 1 and reports[0].reference:
        lines.append("the engines come from different FP32 graphs: each is held against its own")
    lines.append("the engines were timed one after the other in one process")
    return lines


def _short(value: str) -> str:
    """The end of a long value: that is where paths and versions differ."""
    return f"...{value[-_LONGEST_VALUE:]}" if len(value) > _LONGEST_VALUE else value or "(empty)"


def _cells(group: "Group", task: str) -> list[str]:
    accuracy = group.accuracy.get(task)
    cells = [str(accuracy.n) if accuracy else "0"]
    for name in _GROUP_METRICS:
        value = getattr(accuracy, name, None)
        low_high = accuracy.interval.get(name) if accuracy else None
        interval = "  [{:.2f}, {:.2f}]".format(*low_high) if low_high else ""
        cells.append("undefined" if value is None else f"{value:.3f}{interval}")
    return [*cells, str(group.flips.get(task, 0))]


def _number(value: float | None, decimals: int, otherwise: str) -> str:
    return otherwise if value is None else f"{value:.{decimals}f}"


def aligned(rows: Sequence[Sequence[str]]) -> list[str]:
    """Rows of equally many cells as lines, the first column to the left, the others in line."""
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
