"""A graph becomes an engine: compiled, tried, sealed.

Types keep the stages in order: INT8 takes a `QdqModel`, which only calibration makes. A bundle is a folder:
`manifest.json`, `signature`, `model.onnx` (the FP32 reference), `qdq.onnx` when INT8 or `fp16.onnx` when FP16, the
compiled file where the compiler writes one, `gate.json` and `probes.npz` when it was judged, and `familiarity.json`
when its training photographs were at hand as well.
"""

import shutil
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from engines.build_progress import Progress
from engines.compile import GRAPH_NAMES, compile_graph
from engines.compiled import QUIET, Compiled, CompilerOptions
from engines.familiarity import Training, fit_familiarity, summary
from engines.gate import GATE_NAME, Gate, GateReport, run_gate
from engines.probes import write_probes
from engines.smoke import smoke
from sall_edge.artifacts import (
    MANIFEST_NAME,
    Engine,
    EngineManifest,
    OnnxModel,
    QdqModel,
    open_engine,
    seal,
    sha256_of_file,
)
from sall_edge.errors import ArtefactChanged, ArtefactMissing, BuildError, GateRefused, OutputError
from sall_edge.fundus.golden import golden_square
from sall_edge.runtime.familiar_retinas import FAMILIARITY_NAME
from sall_edge.runtime.machine import describe
from sall_edge.spec import ImageSpec, Precision, TargetSpec
from sall_edge.writing import file_being_written, folder_being_written

__all__ = ["build_float", "build_int8"]


def build_float(
    model: OnnxModel,
    target: TargetSpec,
    path: Path,
    *,
    precision: Precision = Precision.FP32,
    gate: Gate | None = None,
    training: Training | None = None,
    options: CompilerOptions = QUIET,
) -> Engine:
    """An FP32 or FP16 engine of the graph, in the folder `path`, which it replaces in one step.

    Photographs of the training beside a gate let it know a retina unlike them, see `engines.familiarity`.

    Raises:
        GateRefused: The engine changes more verdicts than the gate allows; there is no engine then, and
            `NAME.gate.json` beside its place holds the report.
        ValueError: The precision is INT8, which takes a quantized graph.
        BuildError: The target lacks the precision, cannot be built on this machine, or its compiler refuses the graph.
        BackendMissing: The compiler, or the driver that it needs, is not on this machine.
        ParityError: The compiled engine does not compute what the graph says.
        OutputError: The place cannot be written, or holds something else.
    """
    if precision.is_quantized:
        raise ValueError(f"precision is {precision.value}, which takes a quantized graph: call build_int8")
    plan = _Plan(model=model, graph=model, precision=precision, target=target, options=options)
    return _bundle(plan, path, gate, training)


def build_int8(
    model: OnnxModel,
    qdq: QdqModel,
    target: TargetSpec,
    path: Path,
    *,
    precision: Precision = Precision.INT8,
    gate: Gate | None = None,
    training: Training | None = None,
    options: CompilerOptions = QUIET,
) -> Engine:
    """An INT8 engine of the quantized graph, beside the FP32 graph that it is measured against.

    Raises:
        ValueError: The precision is not one of a quantized graph.
        BuildError: `qdq` was made from another graph than `model`; else see `build_float`.
        BackendMissing, ParityError, GateRefused, OutputError: See `build_float`.
    """
    if qdq.manifest.parent_sha256 != model.sha256:
        parent = (qdq.manifest.parent_sha256 or "nothing")[:16]
        why = f"it was made from {parent}…, and {model.path} is {model.sha256[:16]}…"
        raise BuildError(f"{qdq.path} is not the quantized {model.path.name}", why, "calibrate this graph again")
    if not precision.is_quantized:
        raise ValueError(f"precision is {precision.value}, which takes the FP32 graph: call build_float")
    plan = _Plan(model=model, graph=qdq, precision=precision, target=target, options=options)
    return _bundle(plan, path, gate, training)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Plan:
    model: OnnxModel
    graph: OnnxModel | QdqModel
    precision: Precision
    target: TargetSpec
    options: CompilerOptions

    @property
    def image(self) -> ImageSpec:
        return self.graph.manifest.image

    @property
    def graph_name(self) -> str:
        return GRAPH_NAMES[self.precision]


def _bundle(plan: _Plan, path: Path, gate: Gate | None, training: Training | None) -> Engine:
    _check_precision(plan)
    _check_place(path)
    with folder_being_written(path) as folder:
        _write_graphs(plan, folder)
        start = time.perf_counter()
        compiled = compile_graph(
            folder, target=plan.target, image=plan.image, precision=plan.precision, options=plan.options
        )
        build_s = time.perf_counter() - start
        manifest = _manifest(plan, compiled)
        unsealed = Engine(path=folder, manifest=manifest, sha256="")
        tried = compiled.not_run_because or smoke(unsealed)
        judged = "not judged" if gate is None else _judged(unsealed, gate, compiled, path)
        provenance = {
            "graph": plan.graph.manifest.provenance,
            "machine": describe(),
            "build_s": round(build_s, 3),
            "kernels": compiled.kernels.as_json(),
            **({"dla": {"left_to_gpu": list(compiled.left_to_gpu)}} if plan.target.dla_core is not None else {}),
            "smoke": tried if isinstance(tried, dict) else f"compiled, not run: {tried}",
            "gate": judged,
            "familiarity": _familiar(unsealed, gate, training, compiled, plan.options.progress),
        }
        seal(folder, manifest.model_copy(update={"provenance": provenance}))
    return open_engine(path)


def _judged(engine: Engine, gate: Gate, compiled: Compiled, path: Path) -> str:
    """Writes `gate.json` and the probes into the unsealed bundle; a refusal is reported beside the place instead.

    Raises:
        BuildError: The engine cannot run on this machine.
        GateRefused: It changes more than the limits allow.
    """
    if compiled.not_run_because:
        fix = "build without --gate here, or with --gate where the engine runs"
        raise BuildError(
            f"the gate cannot judge an engine for {engine.manifest.target.name}", compiled.not_run_because, fix
        )
    gate.tried(engine)
    report, probes = run_gate(engine, gate)
    refused = path.with_name(f"{path.name}.gate.json")
    if report.refusals:
        with file_being_written(refused) as temporary:
            temporary.write_text(report.model_dump_json(indent=2), encoding="utf-8")
        raise _refused(report, engine, refused)
    refused.unlink(missing_ok=True)  # of an earlier build
    (engine.path / GATE_NAME).write_text(report.model_dump_json(indent=2), encoding="utf-8")
    if probes is not None:
        write_probes(probes, engine.path)
    return f"passed {report.limits.name} on {len(gate.prepared.photographs)} photographs"


def _familiar(
    engine: Engine, gate: Gate | None, training: Training | None, compiled: Compiled, progress: Progress
) -> dict[str, Any] | str:
    """Writes `familiarity.json` into the unsealed bundle; what the manifest says of it."""
    limiting = None if training is None else training.validation or (None if gate is None else gate.prepared)
    if training is None or limiting is None:
        return "none: it takes photographs of the training (--calibration) and of the validation (--gate)"
    if compiled.not_run_because:
        return f"none: compiled, not run: {compiled.not_run_because}"
    progress.stage("familiarity", len(training.prepared.squares) + len(limiting.squares))
    fitted = fit_familiarity(engine, training, limiting.squares, advance=progress.advance)
    if not isinstance(fitted, str):
        (engine.path / FAMILIARITY_NAME).write_text(fitted.model_dump_json(indent=2), encoding="utf-8")
    return summary(fitted)


def _refused(report: GateReport, engine: Engine, place: Path) -> GateRefused:
    what = f"the {engine.manifest.precision.value} engine is not shown to keep FP32's verdicts"
    remedy = "calibrate on more photographs, or choose --precision fp16 or fp32"
    if engine.manifest.precision.is_quantized:
        remedy = (
            "fine-tune the network (sall-edge train --finetune-int8 CHECKPOINT), or choose --precision auto or fp32"
        )
    if report.is_undecided:
        remedy = "add labelled photographs to the gate"
    fix = f"{remedy}; {place} names every changed verdict"
    why = "\n       ".join(report.refusals)
    return GateRefused(what, why, fix, reasons=report.refusals, is_undecided=report.is_undecided)


def _check_precision(plan: _Plan) -> None:
    if plan.precision not in plan.target.precisions:
        has = ", ".join(precision.value for precision in plan.target.precisions)
        what = f"target {plan.target.name} does not compute {plan.precision.value}"
        raise BuildError(what, f"its precisions are {has}", "take one of them, or another target")


def _check_place(path: Path) -> None:
    """Only an engine, or nothing, is ever replaced: a folder that holds something else is the user's."""
    if path.exists() and not (path.is_dir() and ((path / MANIFEST_NAME).is_file() or not any(path.iterdir()))):
        why = "it exists and is not an engine, and a build replaces what it finds"
        raise OutputError(f"cannot write the engine to {path}", why, "give a path that does not exist yet")


def _write_graphs(plan: _Plan, folder: Path) -> None:
    _copy(plan.model, folder / "model.onnx")
    match plan.precision:
        case Precision.INT8:
            _copy(plan.graph, folder / plan.graph_name)
        case Precision.INT8_FP16:
            from engines.half import write_mixed

            write_mixed(plan.graph.path, folder / plan.graph_name)
        case Precision.FP16:
            from engines.half import write_fp16

            write_fp16(folder / "model.onnx", folder / plan.graph_name)
        case Precision.FP32:
            pass


def _copy(graph: OnnxModel | QdqModel, place: Path) -> None:
    try:
        shutil.copyfile(graph.path, place)
    except FileNotFoundError as cause:
        raise ArtefactMissing(f"{graph.path} is missing", "it was there when it was opened", "make it again") from cause
    if sha256_of_file(place) != graph.sha256:
        what, why = f"{graph.path} changed", "its sha256 is not the one that it was opened with"
        raise ArtefactChanged(what, why, "open it again, and calibrate again what follows from it")


def _manifest(plan: _Plan, compiled: Compiled) -> EngineManifest:
    graph = plan.graph.manifest
    return EngineManifest(
        image=graph.image,
        tasks=graph.tasks,
        operating_points=graph.operating_points,
        parent_sha256=plan.graph.sha256,
        target=plan.target,
        precision=plan.precision,
        backend_version=compiled.backend_version,
        blob=compiled.blob,
        golden_square=golden_square(graph.image),
    )
