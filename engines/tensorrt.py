"""One builder for TensorRT 10.3 to 11.4 and TensorRT-RTX 1.x.

All of them build strongly typed networks: precision stands in the graph (INT8 as Q/DQ), never in flags or calibrators,
so the calls are the same and the module is a parameter (`trt`). TensorRT builds for the GPU that it runs on;
TensorRT-RTX compiles on the CPU for any list of cards, and its verbose log says what each kernel reads.
"""

import re
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from engines.compiled import Compiled, KernelReport, words
from sall_edge.errors import BackendMissing, BuildError
from sall_edge.runtime.cuda import compute_capability, require_driver
from sall_edge.runtime.tensorrt import library, shared_logger
from sall_edge.spec import Backend, ImageSpec, Precision, TargetSpec

__all__ = ["build_plan", "compile_graph", "kernels_from_log"]

PLAN_NAME = "engine.plan"
_LEAST_CAPABILITY = 7.5
"""Turing. Xavier (7.2) ends at JetPack 5 and TensorRT 8.5, where precision would be the builder's choice."""

_DTYPES = {"Int8": "int8", "Half": "fp16", "Float": "fp32"}
_LAYER = re.compile(r"Name: (\S+), LayerType: (?:correlation|gemm), Inputs: \[ \{[^}]*?Datatype: (\w+)")
_COMPILER_SUFFIX = re.compile(r"_myl\d+_\d+$")


def compile_graph(graph: Path, folder: Path, *, target: TargetSpec, image: ImageSpec, precision: Precision) -> Compiled:
    """The plan of a graph, written into `folder`.

    Raises:
        BackendMissing: TensorRT, or the driver that it builds with, is not on this machine.
        BuildError: This machine's GPU is another one, or TensorRT refuses the graph.
    """
    _check_target(target)
    here = _device(target)
    trt = library(target.backend)
    plan, kernels = build_plan(trt, graph, target=target, image=image)
    if precision is Precision.INT8 and kernels.kernels and not kernels.int8:
        fix = "calibrate the graph again with `sall-edge calibrate`"
        raise BuildError(f"no convolution of {graph.name} became INT8", str(kernels), fix)
    (folder / PLAN_NAME).write_bytes(plan)
    runs_here = here in target.compute_capabilities
    cards = " or ".join(target.compute_capabilities)
    return Compiled(
        blob=PLAN_NAME,
        backend_version=str(trt.__version__),
        kernels=kernels,
        not_run_because="" if runs_here else f"no GPU of compute capability {cards} on the machine that built it",
    )


def build_plan(trt: Any, graph: Path, *, target: TargetSpec, image: ImageSpec) -> tuple[bytes, KernelReport]:
    """The plan's bytes and what its kernels read; plans of equal graphs are not equal byte by byte.

    Args:
        trt: The module `tensorrt` or `tensorrt_rtx`.
        graph: The ONNX file; input `image`, (N, side, side, 3) uint8.

    Raises:
        BuildError: The parser or the builder refuses the graph, with the names of the nodes.
    """
    log = shared_logger(trt)
    log.lines.clear()
    builder = trt.Builder(log)
    network = builder.create_network(1 << int(trt.NetworkDefinitionCreationFlag.STRONGLY_TYPED))
    parser = trt.OnnxParser(network, log)
    if not parser.parse_from_file(str(graph)):
        problems = [parser.get_error(index) for index in range(parser.num_errors)]
        texts = [f"{problem.node_name() or 'graph'}: {_first_line(problem.desc())}" for problem in problems]
        raise _refusal(trt, graph, texts)
    config = _config(trt, builder, target=target, image=image)
    plan = builder.build_serialized_network(network, config)
    if plan is None:
        raise _refusal(trt, graph, [_first_line(text) for text in log.errors()])
    return bytes(plan), kernels_from_log([text for _, text in log.lines])


def kernels_from_log(lines: list[str]) -> KernelReport:
    """The kernels that TensorRT-RTX names in its verbose log; empty for TensorRT, which writes another log."""
    dump = next((text for text in lines if text.startswith("Layers:")), "")
    matches = (_LAYER.match(line) for line in dump.splitlines())
    return words(((_COMPILER_SUFFIX.sub("", match[1]), match[2]) for match in matches if match), _DTYPES)


def _config(trt: Any, builder: Any, *, target: TargetSpec, image: ImageSpec) -> Any:
    config = builder.create_builder_config()
    config.set_memory_pool_limit(trt.MemoryPoolType.WORKSPACE, target.workspace_mib << 20)
    config.profiling_verbosity = trt.ProfilingVerbosity.DETAILED
    if target.backend is Backend.TENSORRT_RTX:
        config.num_compute_capabilities = len(target.compute_capabilities)
        for index, capability in enumerate(target.compute_capabilities):
            config.set_compute_capability(_card(trt, capability), index)
    profile = builder.create_optimization_profile()
    square = (image.side_px, image.side_px, 3)
    profile.set_shape("image", (1, *square), (1, *square), (target.max_batch, *square))
    if config.add_optimization_profile(profile) < 0:
        raise BuildError(
            f"TensorRT refuses batches of 1 to {target.max_batch}", "the profile is invalid", "see the log"
        )
    return config


def _card(trt: Any, capability: str) -> Any:
    name = "SM" + capability.replace(".", "")
    if not hasattr(trt.ComputeCapability, name):
        known = [card for card in trt.ComputeCapability.__members__ if card.startswith("SM")]
        why = f"{trt.__name__} {trt.__version__} compiles for {', '.join(known)}"
        raise BuildError(
            f"there is no TensorRT-RTX for compute capability {capability}", why, "change the target's list"
        )
    return getattr(trt.ComputeCapability, name)


def _check_target(target: TargetSpec) -> None:
    if not target.compute_capabilities:
        fix = 'add compute_capabilities = ["8.7"] or what the device has'
        raise BuildError(f"target {target.name} names no compute capability", "TensorRT builds for one GPU", fix)
    old = [text for text in target.compute_capabilities if float(text) < _LEAST_CAPABILITY]
    if old:
        why = f"compute capability {old[0]} ends at TensorRT 8.5 (JetPack 5), this project needs 10.3"
        fix = "run the same graph on the device's CPU: --target openvino-cpu"
        raise BuildError(f"{target.title} cannot be built for", why, fix)


def _device(target: TargetSpec) -> str | None:
    """This machine's compute capability; None without a GPU, which only TensorRT-RTX can do without."""
    if target.backend is Backend.TENSORRT_RTX:
        try:
            return compute_capability()
        except BackendMissing:
            return None
    _require_device(target)
    here = compute_capability()
    if here not in target.compute_capabilities:
        why = f"TensorRT builds for the GPU that it runs on, and this one has compute capability {here}"
        fix = f"build on the device itself (compute capability {' or '.join(target.compute_capabilities)})"
        raise BuildError(f"target {target.name} cannot be built on this machine", why, fix)
    return here


def _require_device(target: TargetSpec) -> None:
    """Names everything that is missing at once, so that a user does not mend one thing to be told of the next."""
    answers = (_problem(require_driver), _problem(partial(library, target.backend)))
    if missing := [answer for answer in answers if answer]:
        what = f"target {target.name} cannot be built on this machine"
        why = "; ".join(problem.what for problem in missing)
        fixes = "; ".join(problem.fix for problem in missing)
        raise BackendMissing(what, why, f"build on the {target.title} itself; {fixes}")


def _problem(require: Callable[[], object]) -> BackendMissing | None:
    try:
        require()
    except BackendMissing as problem:
        return problem
    return None


def _refusal(trt: Any, graph: Path, texts: list[str]) -> BuildError:
    # Without a driver the log also holds CUDA errors that do not matter to a compiler.
    reasons = [text for text in texts if "cudaError" not in text] or ["it gave no reason"]
    fix = "export or calibrate the graph again; when it came from this project, report it with the graph"
    return BuildError(f"{trt.__name__} {trt.__version__} refuses {graph.name}", "; ".join(reasons), fix)


def _first_line(text: str) -> str:
    lines = [line for line in text.strip().splitlines() if "cudaError" not in line]
    return " ".join(lines[:2])
