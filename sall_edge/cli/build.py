"""`sall-edge build`."""

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from sall_edge.artifacts import open_checkpoint
from sall_edge.cli.arguments import Output
from sall_edge.cli.calibrate import quantize_model
from sall_edge.errors import ArtefactForeign, BuildError
from sall_edge.spec import Precision, RangeMethod

if TYPE_CHECKING:
    from sall_edge.artifacts import OnnxModel, QdqModel

__all__ = ["build"]


def build(
    source: Annotated[Path, typer.Argument(metavar="SOURCE", help="Checkpoint folder, model.onnx or qdq.onnx.")],
    output: Output,
    target: Annotated[str, typer.Option(help="A target's name, or a TOML of your own.")] = "openvino-cpu",
    precision: Annotated[Precision, typer.Option(help="Arithmetic of the convolutions.")] = Precision.INT8,
    calibration: Annotated[
        list[Path] | None, typer.Option("--calibration", help="Labels CSV to calibrate INT8 on. May be given again.")
    ] = None,
    model: Annotated[
        Path | None, typer.Option(help="For a qdq.onnx: its FP32 graph; default model.onnx beside it.")
    ] = None,
    count: Annotated[int, typer.Option(min=8, help="Calibration photographs.")] = 512,
    method: Annotated[RangeMethod, typer.Option(help="How a range is read from a histogram.")] = RangeMethod.MSE,
    seed: Annotated[int, typer.Option(min=0, help="Chooses the calibration photographs.")] = 0,
) -> None:
    """Compiles an engine for a target: a bundle folder with graphs, hashes and the compiled blob."""
    from engines.build import build_float, build_int8
    from engines.targets import load_target

    device = load_target(target)
    if precision is Precision.INT8 and source.is_dir():
        _required(calibration)  # before the minute that an export takes
    with tempfile.TemporaryDirectory(prefix="sall-edge-") as folder:
        graph, quantized = _graphs(source, model, Path(folder))
        if precision is not Precision.INT8:
            engine = build_float(graph, device, output, precision=precision)
        else:
            if quantized is None:
                quantized = quantize_model(
                    graph,
                    _required(calibration),
                    Path(folder) / "qdq.onnx",
                    split="train",
                    count=count,
                    method=method,
                    seed=seed,
                )
            engine = build_int8(graph, quantized, device, output)
    typer.echo(f"{engine.path}  sha256 {engine.sha256}")


def _graphs(source: Path, model: Path | None, folder: Path) -> "tuple[OnnxModel, QdqModel | None]":
    from calibration.graphs import open_onnx_model, open_qdq_model

    if source.is_dir():
        from engines.export import export

        return export(open_checkpoint(source), folder / "model.onnx"), None
    try:
        return open_onnx_model(source), None
    except ArtefactForeign:
        quantized = open_qdq_model(source)
    return open_onnx_model(model or source.with_name("model.onnx")), quantized


def _required(calibration: list[Path] | None) -> list[Path]:
    if not calibration:
        raise BuildError(
            "INT8 needs calibration photographs",
            "ranges are measured on photographs from the training split",
            "add --calibration labels.csv, or give a qdq.onnx, or choose --precision fp32",
        )
    return calibration
