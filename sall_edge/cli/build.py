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
    from engines.gate import Gate, GateLimits
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
    gate: Annotated[
        list[Path] | None, typer.Option("--gate", help="Labels CSV to judge the engine on. May be given again.")
    ] = None,
    gate_split: Annotated[str, typer.Option(help="Which of its rows: the split column's value.")] = "val",
    limits: Annotated[str, typer.Option(help="What the engine may lose: a name, or a TOML of your own.")] = "clinical",
) -> None:
    """Compiles an engine for a target: a bundle folder with graphs, hashes and the compiled blob.

    With --gate it is judged against its FP32 graph, and there is no engine (exit 3) when it changes too many verdicts.
    """
    from engines.build import build_float, build_int8
    from engines.gate import load_limits
    from engines.targets import load_target

    device, allowed = load_target(target), load_limits(limits)
    if precision is Precision.INT8 and source.is_dir():
        _required(calibration)  # before the minute that an export takes
    with tempfile.TemporaryDirectory(prefix="sall-edge-") as folder:
        graph, quantized = _graphs(source, model, Path(folder))
        judge = _gate(gate, gate_split, graph, allowed) if gate else None
        if precision is not Precision.INT8:
            engine = build_float(graph, device, output, precision=precision, gate=judge)
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
                    judges=judge.prepared if judge else None,
                )
            engine = build_int8(graph, quantized, device, output, gate=judge)
    typer.echo(f"{engine.path}  sha256 {engine.sha256}  gate: {engine.manifest.provenance['gate']}")


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


def _gate(labels: list[Path], split: str, graph: "OnnxModel", limits: "GateLimits") -> "Gate":
    from engines.gate import Gate
    from sall_edge.cli.preparing import prepare_shown
    from sall_edge.cli.progress import ProgressBar
    from sall_edge.fundus.labels import in_split, read_labels
    from sall_edge.spec import TaskSet

    photographs = in_split(read_labels(labels, TaskSet(tasks=graph.manifest.tasks)), split)
    with ProgressBar() as progress:
        prepared = prepare_shown(photographs, graph.manifest.image, progress)
    return Gate(prepared=prepared, limits=limits)


def _required(calibration: list[Path] | None) -> list[Path]:
    if not calibration:
        raise BuildError(
            "INT8 needs calibration photographs",
            "ranges are measured on photographs from the training split",
            "add --calibration labels.csv, or give a qdq.onnx, or choose --precision fp32",
        )
    return calibration
