"""`sall-edge calibrate`."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from sall_edge.cli.arguments import Labels, Output, Split
from sall_edge.spec import RangeMethod

if TYPE_CHECKING:
    from collections.abc import Sequence

    from calibration.ranges import Ranges
    from sall_edge.artifacts import OnnxModel, QdqModel
    from sall_edge.cli.progress import ProgressBar
    from sall_edge.fundus.prepared_set import PreparedSet

__all__ = ["Calibration", "calibrate", "calibration_set", "measured_ranges", "quantized_model"]


def calibrate(
    model: Annotated[Path, typer.Argument(metavar="MODEL", help="FP32 graph that export wrote.")],
    labels: Labels,
    output: Output,
    split: Split = "train",
    count: Annotated[int, typer.Option(min=8, help="Photographs, chosen by grade and source.")] = 512,
    method: Annotated[RangeMethod, typer.Option(help="How a range is read from a histogram.")] = RangeMethod.MSE,
    seed: Annotated[int, typer.Option(min=0, help="Chooses the photographs.")] = 0,
    ranges: Annotated[
        Path | None, typer.Option(help="Take these, from an earlier run on the same graph; photographs refine only.")
    ] = None,
) -> None:
    """Measures ranges on photographs and writes the INT8 (Q/DQ) graph that every target takes.

    Beside it stand the ranges and the list of the photographs: NAME.ranges.json and NAME.calibration.csv.
    """
    from calibration.graphs import open_onnx_model
    from sall_edge.allocation import keep_freed_memory
    from sall_edge.cli.progress import ProgressBar

    keep_freed_memory()
    chosen = Calibration(labels=labels, split=split, count=count, method=method, seed=seed, place=output, ranges=ranges)
    with ProgressBar() as progress:
        qdq, _ = quantized_model(open_onnx_model(model), chosen, output, progress)
    typer.echo(f"{qdq.path}  sha256 {qdq.sha256}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Calibration:
    """Which photographs calibrate, and how.

    Attributes:
        labels: Their CSVs.
        split, count, seed: So many of this split, drawn with this seed.
        method: How a range is read from a histogram.
        judges: Photographs that will judge the engine; none of them may calibrate it.
        place: The graph or engine that the list of photographs stands beside; None keeps no list.
        ranges: Measured earlier; None measures them.
    """

    labels: "Sequence[Path]"
    split: str = "train"
    count: int
    method: RangeMethod
    seed: int
    judges: "PreparedSet | None" = None
    place: Path | None = None
    ranges: Path | None = None


def quantized_model(
    model: "OnnxModel", chosen: Calibration, output: Path, progress: "ProgressBar"
) -> "tuple[QdqModel, PreparedSet]":
    """The Q/DQ graph of a model, ranges beside it, and its photographs; unreadable ones are named and left out.

    Raises:
        CalibrationError: A photograph is also among the judges, or see `calibration`.
    """
    from calibration.quantize import quantize, refining_steps

    prepared, ranges = measured_ranges(model, chosen, output.with_suffix(".ranges.json"), progress)
    progress.stage("refining", refining_steps(model, len(prepared.squares)))
    return quantize(model, ranges, output, squares=prepared.squares, advance=progress.advance), prepared


def measured_ranges(
    model: "OnnxModel", chosen: Calibration, output: Path, progress: "ProgressBar"
) -> "tuple[PreparedSet, Ranges]":
    """The calibration photographs, and the ranges on them, which are also written to `output`.

    Raises:
        CalibrationError: See `quantized_model`.
    """
    from calibration.listing import LIST_KEY, list_path, listed, save_list
    from calibration.ranges import load_ranges, measure_ranges, save_ranges

    ranges = load_ranges(chosen.ranges, model) if chosen.ranges else None
    prepared = calibration_set(model, chosen, progress)
    if ranges is None:
        progress.stage("measuring ranges", len(prepared.squares))
        ranges = measure_ranges(model, prepared.squares, method=chosen.method, advance=progress.advance)
    for warning in ranges.provenance.get("warnings", ()):
        progress.note(warning)
    if chosen.place is not None:
        digest = save_list(listed(prepared), list_path(chosen.place))
        ranges = ranges.model_copy(update={"provenance": {**ranges.provenance, LIST_KEY: digest}})
    save_ranges(ranges, output)
    return prepared, ranges


def calibration_set(model: "OnnxModel", chosen: Calibration, progress: "ProgressBar") -> "PreparedSet":
    """The photographs that a model is calibrated on; unreadable ones and what the judges hold are named and left out.

    Raises:
        CalibrationError: See `quantized_model`.
    """
    import numpy as np

    from calibration.audit import set_apart
    from calibration.sample import choose
    from sall_edge.cli.preparing import prepare_shown
    from sall_edge.fundus.labels import in_split, read_labels
    from sall_edge.spec import TaskSet

    tasks = TaskSet(tasks=model.manifest.tasks)
    photographs = in_split(read_labels(chosen.labels, tasks), chosen.split)
    drawn = choose(photographs, tasks.tasks, chosen.count, rng=np.random.default_rng(chosen.seed))
    prepared = prepare_shown(drawn, model.manifest.image, progress)
    if chosen.judges is not None:
        prepared, again = set_apart(prepared, chosen.judges, names=("calibration", "the gate"))
        for overlap in again:
            progress.note(f"left out of the calibration: {overlap}")
    return prepared
