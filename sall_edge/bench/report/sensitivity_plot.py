"""The cost of layers as a picture."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from sall_edge.writing import file_being_written

__all__ = ["draw_sensitivity"]


def draw_sensitivity(costs: Sequence[tuple[str, Mapping[str, float]]], path: Path) -> None:
    """A bar for every layer, in parts by task, on a common scale; a PNG.

    Args:
        costs: Name of the layer and its cost by task, in nats; drawn from the top.
        path: The picture.

    Raises:
        OutputError: The picture cannot be written.
    """
    from matplotlib.figure import Figure  # without pyplot: no global state, no display

    figure = Figure(figsize=(8, 1.2 + 0.19 * len(costs)), layout="constrained")
    axes = figure.subplots()
    left = [0.0] * len(costs)
    for task in costs[0][1]:
        values = [of_task[task] for _, of_task in costs]
        axes.barh(range(len(costs)), values, left=left, label=task)
        left = [start + value for start, value in zip(left, values, strict=True)]
    axes.set_yticks(range(len(costs)), [name for name, _ in costs], fontsize=7)
    axes.invert_yaxis()
    axes.set_xlabel("KL divergence from FP32 with this layer alone in INT8, nats")
    axes.grid(axis="x", alpha=0.3)
    axes.legend()
    with file_being_written(path) as temporary:
        figure.savefig(temporary, format="png", dpi=120)
