"""`sall-edge calibrate`."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from sall_edge.cli.arguments import Labels, Output, Split
from sall_edge.spec import RangeMethod

if TYPE_CHECKING:
    from calibration.ranges import Ranges
    from sall_edge.artifacts import OnnxModel, QdqModel
    from sall_edge.bench.measure import PreparedSet
    from sall_edge.cli.progress import ProgressBar

__all__ = ["calibrate", "calibration_set", "measured_ranges", "quantize_model"]


def calibrate(
    model: Annotated[Path, typer.Argument(metavar="MODEL", help="FP32 graph that export wrote.")],
    labels: Labels,
    output: Output,
    split: Split = "train",
    count: Annotated[int, typer.Option(min=8, help="Photographs, chosen by grade and source.")] = 512,
    method: Annotated[RangeMethod, typer.Option(help="How a range is read from a histogram.")] = RangeMethod.MSE,
    seed: Annotated[int, typer.Option(min=0, help="Chooses the photographs.")] = 0,
) -> None:
    """Measures ranges on photographs and writes the INT8 (Q/DQ) graph that every target takes."""
    from calibration.graphs import open_onnx_model

    qdq = quantize_model(open_onnx_model(model), labels, output, split=split, count=count, method=method, seed=seed)
    typer.echo(f"{qdq.path}  sha256 {qdq.sha256}")


def quantize_model(
    model: "OnnxModel",
    labels: list[Path],
    output: Path,
    *,
    split: str,
    count: int,
    method: RangeMethod,
    seed: int,
    judges: "PreparedSet | None" = None,
) -> "QdqModel":
    """The Q/DQ graph of a model, ranges beside it; unreadable photographs are named and left out.

    Raises:
        CalibrationError: A photograph is also among those that will judge the engine, or see `calibration`.
    """
    from calibration.quantize import layer_count, quantize
    from sall_edge.cli.progress import ProgressBar

    with ProgressBar() as progress:
        prepared, ranges = measured_ranges(
            model,
            labels,
            output.with_suffix(".ranges.json"),
            split=split,
            count=count,
            method=method,
            seed=seed,
            judges=judges,
            progress=progress,
        )
        progress.stage("refining layers", layer_count(model))
        return quantize(model, ranges, output, squares=prepared.squares, advance=progress.advance)


def measured_ranges(
    model: "OnnxModel",
    labels: list[Path],
    output: Path,
    *,
    split: str,
    count: int,
    method: RangeMethod,
    seed: int,
    judges: "PreparedSet | None",
    progress: "ProgressBar",
) -> "tuple[PreparedSet, Ranges]":
    """Calibration photographs that do not judge the engine, and the ranges on them, written to `output`."""
    from calibration.audit import check_apart
    from calibration.ranges import measure_ranges, save_ranges

    prepared = calibration_set(model, labels, split=split, count=count, seed=seed, progress=progress)
    if judges is not None:
        check_apart(prepared, judges, names=("calibration", "the gate"))
    progress.stage("measuring ranges", len(prepared.squares))
    ranges = measure_ranges(model, prepared.squares, method=method, advance=progress.advance)
    save_ranges(ranges, output)
    return prepared, ranges


def calibration_set(
    model: "OnnxModel", labels: list[Path], *, split: str, count: int, seed: int, progress: "ProgressBar"
) -> "PreparedSet":
    """The photographs that a model is calibrated on; unreadable ones are named and left out."""
    import numpy as np

    from calibration.sample import choose
    from sall_edge.cli.preparing import prepare_shown
    from sall_edge.fundus.labels import in_split, read_labels
    from sall_edge.spec import TaskSet

    tasks = TaskSet(tasks=model.manifest.tasks)
    photographs = in_split(read_labels(labels, tasks), split)
    chosen = choose(photographs, tasks.tasks, count, rng=np.random.default_rng(seed))
    return prepare_shown(chosen, model.manifest.image, progress)
