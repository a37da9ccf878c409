"""A comparison as Markdown and as a picture."""

from collections.abc import Sequence
from pathlib import Path

from sall_edge.spec import Task
from sall_edge.writing import file_being_written
from trainer.comparison import METRICS, Comparison, Row

__all__ = ["draw_comparison", "markdown"]

_TITLES = {
    "referable_auc": "referable AUC",
    "quadratic_weighted_kappa": "quadratic weighted kappa",
    "accuracy": "accuracy",
    "ece": "ECE",
}


def markdown(comparison: Comparison, tasks: Sequence[Task]) -> str:
    """One table per task and data set: mean ± s.d. over seeds, then differences with their intervals."""
    parts = [f"Seeds: {', '.join(map(str, comparison.seeds))}. Mean ± s.d. over seeds; differences are of means over"]
    parts[0] += " seeds, with the 95 % interval of a paired bootstrap of patients (**bold** where it leaves out 0).\n"
    for task in tasks:
        sources = dict.fromkeys(row.source for row in comparison.rows if row.task == task.name)
        for source in sources:
            rows = [row for row in comparison.rows if row.task == task.name and row.source == source]
            parts += _table(task, source, rows)
    return "\n".join(parts)


def _table(task: Task, source: str, rows: Sequence[Row]) -> list[str]:
    rivals = list(dict.fromkeys(rival for row in rows for rival in row.against))
    first = rows[0]
    header = ["method", *(_TITLES[name] for name in METRICS)]
    shown = ("referable_auc", "quadratic_weighted_kappa")
    header += [f"{_TITLES[name]} less {rival}" for rival in rivals for name in shown]
    lines = [f"### {task.title}, {source}: {first.n} photographs, {first.referable} referable", ""]
    lines += ["| " + " | ".join(header) + " |", "|" + "---|" * len(header)]
    for row in rows:
        cells = [f"`{row.method}`", *(_value(row, name) for name in METRICS)]
        cells += [_difference(row, rival, name) for rival in rivals for name in shown]
        lines.append("| " + " | ".join(cells) + " |")
    return [*lines, ""]


def _value(row: Row, name: str) -> str:
    if name not in row.mean:
        return "undefined"
    spread = f" ± {row.sd[name]:.3f}" if name in row.sd else ""
    return f"{row.mean[name]:.3f}{spread}"


def _difference(row: Row, rival: str, name: str) -> str:
    found = row.against.get(rival, {}).get(name)
    if found is None:
        return ""
    text = f"{found.value:+.3f} [{found.low:+.3f}, {found.high:+.3f}]"
    return f"**{text}**" if found.low > 0 or found.high < 0 else text


def draw_comparison(comparison: Comparison, tasks: Sequence[Task], path: Path) -> None:
    """Every seed as a dot and the mean as a line, a row of panels per task; a PNG.

    Raises:
        OutputError: The picture cannot be written.
    """
    from matplotlib.figure import Figure  # without pyplot: no global state, no display

    names = METRICS[:3]
    figure = Figure(figsize=(4 * len(names), 2.6 * len(tasks)), layout="constrained")
    axes = figure.subplots(len(tasks), len(names), squeeze=False)
    for line, task in zip(axes, tasks, strict=True):
        rows = [row for row in comparison.rows if row.task == task.name and row.source == "all"]
        for panel, name in zip(line, names, strict=True):
            labels = [row.method for row in rows]
            for height, row in enumerate(rows):
                values = row.values.get(name, ())
                panel.plot(values, [height] * len(values), "o", color="tab:blue", alpha=0.6)
                if name in row.mean:
                    panel.plot([row.mean[name]] * 2, [height - 0.3, height + 0.3], color="black")
            panel.set_yticks(range(len(labels)), labels if name == names[0] else [""] * len(labels))
            panel.invert_yaxis()
            panel.grid(axis="x", alpha=0.3)
            panel.set_title(f"{task.title}: {_TITLES[name]}", fontsize=9)
    with file_being_written(path) as temporary:
        figure.savefig(temporary, format="png", dpi=120)
