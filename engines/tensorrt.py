"""One builder for TensorRT 10.3 to 11.4 and TensorRT-RTX 1.x.

All of them build strongly typed networks: precision stands in the graph (INT8 as Q/DQ), never in flags or calibrators,
so the calls are the same and the module is a parameter (`trt`). TensorRT builds for the GPU that it runs on;
TensorRT-RTX compiles on the CPU for any list of cards, and its verbose log says what each kernel reads.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from engines.build_progress import PARTS, Watch, interruptible, monitor
from engines.compiled import QUIET, Compiled, CompilerOptions, KernelReport
from engines.dla import layers_left_to_gpu, require_dla, use_dla
from engines.kernels import kernels_from_inspector, kernels_from_log, layers_from_log, linear_layers
from engines.tensorrt_device import check_target
from engines.timing_cache import cache_path, read_cache, write_cache
from sall_edge.errors import BuildError
from sall_edge.runtime.cuda import GpuFacts
from sall_edge.runtime.nvidia_errors import explain
from sall_edge.runtime.tensorrt_library import library, made, shared_logger
from sall_edge.spec import Backend, HardwareCompatibility, ImageSpec, Precision, TargetSpec

if TYPE_CHECKING:
    import tensorrt as trt  # in tests its signatures of 10.3 to 11.4 are what mypy checks these calls against

__all__ = ["Plan", "build_plan", "compile_graph"]

PLAN_NAME = "engine.plan"
LAYERS_NAMES = {Backend.TENSORRT: "layers.json", Backend.TENSORRT_RTX: "layers.txt"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What a builder made.

    Attributes:
        content: The plan; plans of equal graphs are not equal byte by byte.
        kernels: What its convolutions read.
        layers: The compiler's own list of layers, JSON or text; empty when it does not tell.
        left_to_gpu: Layers that the deep learning accelerator does not take; empty without one.
    """

    content: bytes
    kernels: KernelReport
    layers: str = ""
    left_to_gpu: tuple[str, ...] = ()


def compile_graph(
    graph: Path,
    folder: Path,
    *,
    target: TargetSpec,
    image: ImageSpec,
    precision: Precision,
    options: CompilerOptions = QUIET,
) -> Compiled:
    """The plan of a graph and the compiler's list of its layers, written into `folder`.

    Raises:
        BackendMissing: TensorRT, or the driver that it builds with, is not on this machine.
        BuildError: This machine's GPU is another one, or TensorRT refuses the graph.
        KeyboardInterrupt: The build was interrupted; nothing was written.
    """
    here = check_target(target)
    trt = library(target.backend)
    plan = build_plan(trt, graph, target=target, image=image, options=options, gpu=here)
    kernels = plan.kernels
    if precision.is_quantized and kernels.kernels and not kernels.int8:
        fix = "calibrate the graph again with `sall-edge calibrate`"
        raise BuildError(f"no convolution of {graph.name} became INT8", str(kernels), fix)
    (folder / PLAN_NAME).write_bytes(plan.content)
    if plan.layers:
        (folder / LAYERS_NAMES[target.backend]).write_text(plan.layers, encoding="utf-8")
    runs_here = here is not None and here.compute_capability in target.compute_capabilities
    cards = " or ".join(target.compute_capabilities)
    return Compiled(
        blob=PLAN_NAME,
        backend_version=str(trt.__version__),
        kernels=kernels,
        left_to_gpu=plan.left_to_gpu,
        not_run_because="" if runs_here else f"no GPU of compute capability {cards} on the machine that built it",
    )


def build_plan(
    trt: Any,
    graph: Path,
    *,
    target: TargetSpec,
    image: ImageSpec,
    options: CompilerOptions = QUIET,
    gpu: GpuFacts | None = None,
) -> Plan:
    """The plan of a graph, and what the compiler says of it.

    Args:
        trt: The module `tensorrt` or `tensorrt_rtx`.
        graph: The ONNX file; input `image`, (N, side, side, 3) uint8.
        target: Precisions do not matter here: they stand in the graph.
        image: Side of the square.
        options: Progress and timing caches.
        gpu: This machine's; None where TensorRT-RTX compiles without one.

    Raises:
        BuildError: The parser or the builder refuses the graph, with the names of the nodes.
        BackendMissing: TensorRT does not start.
        KeyboardInterrupt: The build was interrupted.
    """
    log = shared_logger(trt)
    log.clear()
    builder = made(trt, trt.Builder, log)
    network = builder.create_network(1 << int(trt.NetworkDefinitionCreationFlag.STRONGLY_TYPED))
    parser = trt.OnnxParser(network, log)
    if not parser.parse_from_file(str(graph)):
        problems = [parser.get_error(index) for index in range(parser.num_errors)]
        raise _refusal(trt, graph, map(_said, problems))
    config = _config(trt, builder, target=target, image=image)
    left_to_gpu = _placed_on_dla(trt, builder, network, config, target)
    watch = Watch(options.progress)
    observer = monitor(trt, watch)
    config.progress_monitor = observer
    place = _timing_cache(trt, config, options, gpu) if target.backend is Backend.TENSORRT else None
    options.progress.stage(f"{trt.__name__} compiles", PARTS)
    content = interruptible(partial(builder.build_serialized_network, network, config), watch)
    if content is None:
        raise _refusal(trt, graph, log.errors)
    watch.end()
    plan = bytes(content)
    if place is not None:
        write_cache(place, bytes(config.get_timing_cache().serialize()))
    layers, kernels = _inspected(trt, plan, target, linear_layers(trt, network))
    return Plan(content=plan, kernels=kernels, layers=layers, left_to_gpu=left_to_gpu)


def _config(trt: Any, builder: "trt.Builder", *, target: TargetSpec, image: ImageSpec) -> "trt.IBuilderConfig":
    config = builder.create_builder_config()
    pools = trt.MemoryPoolType
    limits = (
        (pools.WORKSPACE, target.workspace_mib << 20),
        (pools.TACTIC_DRAM, (target.tactic_dram_mib or 0) << 20),
        (pools.DLA_MANAGED_SRAM, (target.dla_sram_kib or 0) << 10),
        (pools.DLA_LOCAL_DRAM, (target.dla_local_dram_mib or 0) << 20),
        (pools.DLA_GLOBAL_DRAM, (target.dla_global_dram_mib or 0) << 20),
    )
    for pool, limit in limits:
        if limit:
            config.set_memory_pool_limit(pool, limit)
    config.profiling_verbosity = trt.ProfilingVerbosity.DETAILED
    # On by default: ten bits of mantissa in FP32 convolutions, which would be FP16's precision under FP32's name.
    config.clear_flag(trt.BuilderFlag.TF32)
    if target.optimization_level is not None:
        config.builder_optimization_level = target.optimization_level
    if target.hardware_compatibility is not HardwareCompatibility.NONE:
        config.hardware_compatibility_level = _compatibility(trt, target.hardware_compatibility)
    if target.backend is Backend.TENSORRT_RTX:
        _compile_for_cards(trt, config, target.compute_capabilities)
    profile = builder.create_optimization_profile()
    square = (image.side_px, image.side_px, 3)
    profile.set_shape("image", (1, *square), (1, *square), (target.batch_limit, *square))
    if config.add_optimization_profile(profile) < 0:
        what, why = f"TensorRT refuses batches of 1 to {target.batch_limit}", "the optimization profile is invalid"
        raise BuildError(what, why, "lower max_batch in the target's TOML")
    return config


def _compatibility(trt: Any, level: HardwareCompatibility) -> Any:
    name = level.name
    known = trt.HardwareCompatibilityLevel.__members__
    if name not in known:
        why = f"{trt.__name__} {trt.__version__} has {', '.join(known)}"
        raise BuildError(f"there is no hardware compatibility {level.value}", why, "change the target's TOML")
    return known[name]


def _compile_for_cards(rtx: Any, config: Any, capabilities: tuple[str, ...]) -> None:
    """Only TensorRT-RTX has these calls; `rtx` is its module."""
    config.num_compute_capabilities = len(capabilities)
    for index, capability in enumerate(capabilities):
        name = "SM" + capability.replace(".", "")
        if name not in rtx.ComputeCapability.__members__:
            known = [card for card in rtx.ComputeCapability.__members__ if card.startswith("SM")]
            why = f"{rtx.__name__} {rtx.__version__} compiles for {', '.join(known)}"
            what = f"there is no TensorRT-RTX for compute capability {capability}"
            raise BuildError(what, why, "change the target's list")
        config.set_compute_capability(rtx.ComputeCapability.__members__[name], index)


def _placed_on_dla(
    trt: Any,
    builder: "trt.Builder",
    network: "trt.INetworkDefinition",
    config: "trt.IBuilderConfig",
    target: TargetSpec,
) -> tuple[str, ...]:
    if target.dla_core is None:
        return ()
    require_dla(str(trt.__version__), cores=builder.num_DLA_cores, target=target)
    use_dla(trt, config, core=target.dla_core)
    return layers_left_to_gpu(network, config)


def _timing_cache(
    trt: Any, config: "trt.IBuilderConfig", options: CompilerOptions, gpu: GpuFacts | None
) -> Path | None:
    """Gives the builder what earlier builds measured; the place to write it back to. TensorRT-RTX times nothing."""
    if options.timing_caches is None or gpu is None:
        return None
    place = cache_path(options.timing_caches, library=trt.__name__, version=trt.__version__, gpu=gpu)
    cache = config.create_timing_cache(read_cache(place))
    if not config.set_timing_cache(cache, ignore_mismatch=False):  # of another device, or damaged
        config.set_timing_cache(config.create_timing_cache(b""), ignore_mismatch=False)
    return place


def _inspected(trt: Any, plan: bytes, target: TargetSpec, linear: tuple[str, ...]) -> tuple[str, KernelReport]:
    """The compiler's list of layers, and the kernels of the linear ones."""
    log = shared_logger(trt)
    if target.backend is Backend.TENSORRT_RTX:
        return layers_from_log(log.lines), kernels_from_log(log.lines, linear)
    runtime = made(trt, trt.Runtime, log)
    if target.dla_core is not None:
        runtime.DLA_core = target.dla_core
    engine = runtime.deserialize_cuda_engine(plan)
    if engine is None:  # `compile_graph` opens the engine again, and says why it cannot
        return "", KernelReport()
    information = engine.create_engine_inspector().get_engine_information(trt.LayerInformationFormat.JSON)
    return information, kernels_from_inspector(information, linear)


def _said(problem: "trt.ParserError") -> str:
    """The parser's complaint, with the node and its operator."""
    node = f"{problem.node_name()} ({problem.node_operator()})" if problem.node_name() else "graph"
    return f"{node}: {problem.desc()}"


def _refusal(trt: Any, graph: Path, texts: Iterable[str]) -> BuildError:
    # Without a GPU the log of TensorRT-RTX also holds CUDA errors that do not matter to a compiler.
    texts = list(texts)
    reasons = [text for text in texts if "cudaError" not in text] or texts
    fix = "export or calibrate the graph again; when it came from this project, report it with the graph"
    explanation = explain(reasons, fix=fix)
    return BuildError(f"{trt.__name__} {trt.__version__} refuses {graph.name}", explanation.why, explanation.fix)
