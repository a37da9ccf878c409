"""`sall-edge build`."""

import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from sall_edge.artifacts import open_checkpoint
from sall_edge.cli.arguments import Output
from sall_edge.cli.caches import timing_caches
from sall_edge.cli.calibrate import Calibration, calibration_set, measured_ranges, quantized_model
from sall_edge.cli.progress import ProgressBar
from sall_edge.errors import ArtefactForeign, BuildError
from sall_edge.spec import Precision, PrecisionChoice, RangeMethod

if TYPE_CHECKING:
    from collections.abc import Sequence

    from engines.compiled import CompilerOptions
    from engines.familiarity import Training
    from engines.gate import Gate, GateLimits
    from sall_edge.artifacts import Engine, OnnxModel, QdqModel
    from sall_edge.fundus.prepared_set import PreparedSet
    from sall_edge.spec import TargetSpec

__all__ = ["build"]

_SENSITIVITY_IMAGES = 128
"""Of the calibration photographs: the order of the layers does not need more."""


def build(
    source: Annotated[Path, typer.Argument(metavar="SOURCE", help="Checkpoint folder, model.onnx or qdq.onnx.")],
    output: Output,
    target: Annotated[str, typer.Option(help="A target's name, or a TOML of your own.")] = "openvino-cpu",
    precision: Annotated[
        PrecisionChoice, typer.Option(help="Arithmetic of the convolutions; auto: the fastest that passes the gate.")
    ] = PrecisionChoice.INT8,
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
    unfamiliar: Annotated[
        float, typer.Option(min=0.001, max=0.5, help="Share of ordinary photographs to call unlike the training's.")
    ] = 0.01,
    probes: Annotated[
        int,
        typer.Option(
            min=0, max=256, help="Photographs of the gate that the engine carries, to verify a rebuild; 0: none."
        ),
    ] = 32,
) -> None:
    """Compiles an engine for a target: a bundle folder with graphs, hashes and the compiled blob.

    With --gate it is judged against its FP32 graph, and there is no engine (exit 3) when it changes too many verdicts.
    It then carries a few of the gate's photographs, cut square: treat the folder as you treat photographs of patients.
    With --calibration and --gate it also knows which retinas are unlike those of its training: a person looks at them.
    """
    from engines.compile import check_compiler
    from engines.compiled import CompilerOptions
    from engines.gate import load_limits
    from engines.targets import load_target
    from sall_edge.allocation import keep_freed_memory

    keep_freed_memory()
    device, allowed = load_target(target), load_limits(limits)
    check_compiler(device)  # before the seconds that an export takes
    _check_photographs(source, precision, calibration, gate)  # before the minute that an export takes
    with tempfile.TemporaryDirectory(prefix="sall-edge-") as name, ProgressBar() as progress:
        folder = Path(name)
        graph, quantized = _graphs(source, model, folder)
        judge = _gate(gate, gate_split, graph, allowed, probes, progress) if gate else None
        prepared = judge.prepared if judge else None
        order = _Order(
            graph=graph,
            quantized=quantized,
            calibration=Calibration(
                labels=calibration or (), count=count, method=method, seed=seed, judges=prepared, place=output
            ),
            target=device,
            gate=judge,
            unfamiliar=unfamiliar,
            folder=folder,
            output=output,
            progress=progress,
            options=CompilerOptions(progress=progress, timing_caches=timing_caches()),
        )
        engine = _compiled(order, precision)
    typer.echo(f"{engine.path}  sha256 {engine.sha256}  gate: {engine.manifest.provenance['gate']}")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Order:
    """What was asked for.

    Attributes:
        graph, quantized: What the engine is made from; None where it has to be calibrated.
        calibration: On which photographs, and how.
        target, gate: For which device, and who judges.
        unfamiliar: Share of ordinary photographs to call unlike the training's.
        folder, output: For what is on the way, and for the engine.
        progress, options: Shown, and given to the compiler.
    """

    graph: "OnnxModel"
    quantized: "QdqModel | None"
    calibration: Calibration
    target: "TargetSpec"
    gate: "Gate | None"
    unfamiliar: float
    folder: Path
    output: Path
    progress: ProgressBar
    options: "CompilerOptions"

    def training(self, prepared: "PreparedSet | None" = None) -> "Training | None":
        """What the engine has to know again: the photographs that calibrated it, or would have."""
        from engines.familiarity import Training

        if self.gate is None or not self.calibration.labels:
            return None
        prepared = prepared or calibration_set(self.graph, self.calibration, self.progress)
        return Training(prepared=prepared, aim=self.unfamiliar)


def _compiled(order: _Order, precision: PrecisionChoice) -> "Engine":
    if precision is PrecisionChoice.AUTO and order.gate is not None:
        return _climbed(order, order.gate)
    chosen = Precision(precision.value)
    return _int8(order, chosen) if chosen.is_quantized else _float(order, chosen)


def _float(order: _Order, precision: Precision) -> "Engine":
    from engines.build import build_float

    return build_float(
        order.graph,
        order.target,
        order.output,
        precision=precision,
        gate=order.gate,
        training=order.training(),
        options=order.options,
    )


def _int8(order: _Order, precision: Precision) -> "Engine":
    from engines.build import build_int8

    quantized, prepared = order.quantized, None
    if quantized is None:
        _required(order.calibration.labels)
        place = order.folder / "qdq.onnx"
        quantized, prepared = quantized_model(order.graph, order.calibration, place, order.progress)
    elif order.gate is not None:
        _check_judges(quantized, order.gate, order.progress)
    return build_int8(
        order.graph,
        quantized,
        order.target,
        order.output,
        precision=precision,
        gate=order.gate,
        training=order.training(prepared),
        options=order.options,
    )


def _climbed(order: _Order, judge: "Gate") -> "Engine":
    """The fastest engine that passes; every rung is told on stderr."""
    from calibration.quantize import quantize, refining_steps
    from calibration.sensitivity import measure_sensitivity, step_count
    from engines.ladder import Recipe, climb

    graph, folder, progress = order.graph, order.folder, order.progress
    prepared, ranges = measured_ranges(graph, order.calibration, folder / "ranges.json", progress)

    def quantized(kept: "Sequence[str]") -> "QdqModel":
        progress.stage("refining", refining_steps(graph, len(prepared.squares), keep_float=kept))
        path = folder / f"qdq-{len(kept)}.onnx"
        return quantize(graph, ranges, path, squares=prepared.squares, keep_float=kept, advance=progress.advance)

    def costly_layers() -> "list[str]":
        progress.stage("what each layer costs", step_count(graph))
        squares = prepared.squares[:_SENSITIVITY_IMAGES]
        found = measure_sensitivity(graph, ranges, squares, advance=progress.advance)
        return [cost.layer for cost in found.alone]

    recipe = Recipe(
        model=graph,
        target=order.target,
        gate=judge,
        quantized=quantized,
        costly_layers=costly_layers,
        training=order.training(prepared),
        options=order.options,
    )
    found = climb(recipe, order.output, note=progress.note)
    progress.note(f"{'fp32, for comparison':28s}  {found.fp32_ms:.2f} ms")
    if not found.is_worth_it:
        progress.note("less than 10 % faster than FP32: INT8 is not worth it here")
    return found.engine


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


def _check_judges(quantized: "QdqModel", judge: "Gate", progress: ProgressBar) -> None:
    """Refuses a gate on the photographs that a graph was calibrated on, as far as its list tells."""
    from calibration.audit import check_apart
    from calibration.listing import list_path, load_list

    photographs = load_list(quantized)
    if photographs is None:
        missing = list_path(quantized.path)
        progress.note(f"whether the gate's photographs also calibrated {quantized.path} is not known: no {missing}")
        return
    check_apart(photographs, judge.prepared, names=("calibration", "the gate"))
    progress.note("the gate and the calibration share no patient and no pixels; eyes stored again were not looked for")


def _gate(
    labels: list[Path], split: str, graph: "OnnxModel", limits: "GateLimits", probes: int, progress: ProgressBar
) -> "Gate":
    from engines.gate import Gate
    from sall_edge.cli.preparing import prepare_shown
    from sall_edge.fundus.labels import in_split, read_labels
    from sall_edge.spec import TaskSet

    photographs = in_split(read_labels(labels, TaskSet(tasks=graph.manifest.tasks)), split)
    prepared = prepare_shown(photographs, graph.manifest.image, progress)

    def tried(engine: "Engine") -> None:
        progress.stage("judging", 2 * len(prepared.squares))

    return Gate(prepared=prepared, limits=limits, advance=progress.advance, tried=tried, probes=probes)


def _check_photographs(
    source: Path,
    precision: PrecisionChoice,
    calibration: "Sequence[Path] | None",
    gate: "Sequence[Path] | None",
) -> None:
    """Refuses an order that lacks the photographs it needs."""
    is_auto = precision is PrecisionChoice.AUTO
    if is_auto or (source.is_dir() and Precision(precision.value).is_quantized):
        _required(calibration)
    if is_auto and not gate:
        raise typer.BadParameter("--precision auto needs --gate: photographs that say which rung keeps its verdicts")


def _required(calibration: "Sequence[Path] | None") -> None:
    if not calibration:
        raise BuildError(
            "INT8 needs calibration photographs",
            "ranges are measured on photographs from the training split",
            "add --calibration labels.csv, or give a qdq.onnx, or choose --precision fp32",
        )
