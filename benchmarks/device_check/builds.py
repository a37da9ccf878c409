"""Engines are built, built again, compared with FP32, and rebuilt."""

import shutil
import time
from collections import Counter
from pathlib import Path

import numpy as np
import numpy.typing as npt

from benchmarks.device_check.findings import Findings
from benchmarks.device_check.order import Arm, Order
from engines.compile import GRAPH_NAMES, compile_graph
from engines.compiled import Compiled, CompilerOptions
from engines.probes import PROBES, PROBES_NAME, choose_probes, write_probes
from engines.rebuild import rebuild
from engines.smoke import smoke
from engines.targets import load_target
from sall_edge.artifacts import Engine, EngineManifest, open_engine, seal
from sall_edge.bench.accuracy.grading import predict_all
from sall_edge.bench.accuracy.metrics import referable_probability
from sall_edge.errors import ArtefactMissing
from sall_edge.fundus.golden import golden_square
from sall_edge.runtime.session import open_reference, open_session
from sall_edge.spec import Backend, Precision

__all__ = ["build", "build_again", "compare", "rebuild_copy"]

F32 = npt.NDArray[np.float32]

MIB = 1 << 20


def build(order: Order, arm: Arm, precision: Precision, found: Findings) -> None:
    """The engine, with an empty timing cache."""
    folder = order.bundle(arm, precision)
    compiled = _built(order, arm, precision, folder, found)
    kernels = compiled.kernels
    found.note(
        compiler=f"{order.target_of(arm).backend.value} {compiled.backend_version}",
        plan_mib=round((folder / compiled.blob).stat().st_size / MIB, 2),
        kernels=str(kernels),
        convolutions_by_dtype=dict(Counter(kernel.dtype for kernel in kernels.kernels)),
    )
    if compiled.not_run_because:
        found.note(not_run_because=compiled.not_run_because)
    if arm is Arm.DLA:
        found.note(layers_left_to_gpu=list(compiled.left_to_gpu))


def build_again(order: Order, arm: Arm, precision: Precision, found: Findings) -> None:
    """The same with the timings of the first build, in a process that has loaded nothing yet either."""
    timings = _timings(order, arm, precision)
    sizes = {file.name: file.stat().st_size for file in timings.glob("*.timing")}
    found.note(timing_cache_kib={name: round(size / 1024, 1) for name, size in sizes.items()})
    folder = order.work / "again"
    shutil.rmtree(folder, ignore_errors=True)
    _built(order, arm, precision, folder, found)
    shutil.rmtree(folder)


def _built(order: Order, arm: Arm, precision: Precision, folder: Path, found: Findings) -> Compiled:
    target, subject = order.target_of(arm), order.subject
    graph = order.graphs / GRAPH_NAMES[precision]
    if not graph.is_file():
        why = f"there is no {graph.name}"
        raise ArtefactMissing(f"no {precision.value} engine can be built", why, "give a bundle that has it")
    folder.mkdir(parents=True)
    for name in {"model.onnx", graph.name}:
        shutil.copyfile(order.graphs / name, folder / name)
    options = CompilerOptions(timing_caches=_timings(order, arm, precision))
    start = time.perf_counter()
    compiled = compile_graph(folder, target=target, image=subject.image, precision=precision, options=options)
    found.note(build_s=round(time.perf_counter() - start, 2))
    manifest = EngineManifest(
        image=subject.image,
        tasks=subject.tasks,
        operating_points=subject.operating_points,
        target=target,
        precision=precision,
        backend_version=compiled.backend_version,
        blob=compiled.blob,
        golden_square=golden_square(subject.image),
    )
    seal(folder, manifest)
    return compiled


def _timings(order: Order, arm: Arm, precision: Precision) -> Path:
    return order.work / f"timings-{arm.value}-{precision.value}"


def compare(order: Order, arm: Arm, precision: Precision, found: Findings) -> None:
    """How far the engine is from its FP32 graph on the CPU: on the smoke squares, then on phantoms."""
    engine, squares = open_engine(order.bundle(arm, precision)), order.squares
    found.note(smoke=smoke(engine))
    with open_session(engine) as session, open_reference(engine) as reference:
        got, wanted = predict_all(session, squares), predict_all(reference, squares)
    tasks: dict[str, dict[str, float]] = {}
    for task in engine.manifest.tasks:
        point = engine.manifest.operating_points[task.name]
        after, before = (referable_probability(probs[task.name], task) >= point for probs in (got, wanted))
        tasks[task.name] = {
            **_difference(got[task.name], wanted[task.name]),
            "same_grade": float((got[task.name].argmax(axis=1) == wanted[task.name].argmax(axis=1)).mean()),
            "lost_referrals": int((before & ~after).sum()),
            "gained_referrals": int((~before & after).sum()),
            "referred_by_fp32": int(before.sum()),
        }
    found.note(phantoms=len(squares), tasks=tasks)
    if precision.is_quantized and arm is not Arm.CPU:
        with open_session(_on_openvino(engine)) as session:
            other = predict_all(session, squares)
        found.note(from_openvinos_int8={name: _difference(got[name], other[name]) for name in got})


def _difference(got: F32, wanted: F32) -> dict[str, float]:
    difference = np.abs(got - wanted)
    return {"largest_difference": float(difference.max()), "mean_difference": float(difference.mean())}


def _on_openvino(engine: Engine) -> Engine:
    """The same INT8 graph by the other compiler: what they differ by is arithmetic, not quantization."""
    changes = {"target": load_target("openvino-cpu"), "blob": GRAPH_NAMES[engine.manifest.precision]}
    return Engine(path=engine.path, manifest=engine.manifest.model_copy(update=changes), sha256="")


def rebuild_copy(order: Order, precision: Precision, found: Findings) -> None:
    """A copy of the bundle is compiled again, verified on probes, and swapped; the owner's stays as it is."""
    place = order.work / "rebuilt"
    shutil.copytree(order.engine or order.bundle(Arm.GPU, precision), place)
    if order.engine is None:
        _add_probes(order, place)
    old = open_engine(place)
    found.note(target=old.manifest.target.name, has_probes=PROBES_NAME in old.manifest.files)
    if old.manifest.target.backend not in (Backend.TENSORRT, Backend.TENSORRT_RTX):
        found.note(said="the bundle is for a CPU: this rebuild shows nothing about the GPU")
    start = time.perf_counter()
    new = rebuild(old, options=CompilerOptions(timing_caches=order.work / "timings-rebuild"))
    found.note(rebuild_s=round(time.perf_counter() - start, 2), rebuilt=new.manifest.provenance["rebuilt"])
    with open_session(new) as session:
        session.run(order.squares[0])


def _add_probes(order: Order, folder: Path) -> None:
    """Phantoms as probes, judged by this device's own engine: the rebuild then has something to be verified on."""
    engine, squares = open_engine(folder), order.squares
    manifest = engine.manifest
    with open_session(engine) as session, open_reference(engine) as reference:
        judged, fp32 = predict_all(session, squares), predict_all(reference, squares)
    probes = choose_probes(
        squares,
        fp32,
        judged,
        tasks=manifest.tasks,
        operating_points=manifest.operating_points,
        count=min(PROBES, len(squares)),
    )
    for name in ("manifest.json", "signature"):
        (folder / name).unlink()
    write_probes(probes, folder)
    seal(folder, manifest)
