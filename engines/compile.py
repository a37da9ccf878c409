"""A graph in a bundle's folder is handed to the compiler of its target: the one place that chooses between them.

No onnx and no torch: a device that builds its own plan has neither.
"""

from pathlib import Path

from engines.compiled import QUIET, Compiled, CompilerOptions
from sall_edge.errors import BackendMissing
from sall_edge.runtime.tensorrt_library import library
from sall_edge.spec import Backend, ImageSpec, Precision, TargetSpec

__all__ = ["GRAPH_NAMES", "check_compiler", "compile_graph", "compiler_version"]

GRAPH_NAMES = {
    Precision.INT8: "qdq.onnx",
    Precision.INT8_FP16: "qdq-fp16.onnx",
    Precision.FP16: "fp16.onnx",
    Precision.FP32: "model.onnx",
}
"""The file of a bundle that its compiler reads."""


def compile_graph(
    folder: Path, *, target: TargetSpec, image: ImageSpec, precision: Precision, options: CompilerOptions = QUIET
) -> Compiled:
    """What the target's compiler makes of the graph of that precision, written into `folder` beside it.

    Raises:
        BackendMissing: The compiler, or the driver that it needs, is not on this machine.
        BuildError: The target cannot be built on this machine, or the compiler refuses the graph.
    """
    graph = folder / GRAPH_NAMES[precision]
    match target.backend:
        case Backend.OPENVINO:
            from engines import openvino

            return openvino.compile_graph(graph)
        case Backend.ONNXRUNTIME:
            from engines import onnxruntime

            return onnxruntime.compile_graph(graph)
        case Backend.TENSORRT | Backend.TENSORRT_RTX:
            from engines import tensorrt

            return tensorrt.compile_graph(
                graph, folder, target=target, image=image, precision=precision, options=options
            )


def check_compiler(target: TargetSpec) -> None:
    """Checks that the target can be built on this machine, before anything long is begun for it.

    Raises:
        BackendMissing, BuildError: See `compile_graph`.
    """
    if target.backend in (Backend.TENSORRT, Backend.TENSORRT_RTX):
        from engines.tensorrt_device import check_target

        check_target(target)


def compiler_version(backend: Backend) -> str:
    """The version of the compiler on this machine, as a manifest's `backend_version` has it.

    Raises:
        BackendMissing: It is not installed.
    """
    try:
        match backend:
            case Backend.OPENVINO:
                from sall_edge.runtime.openvino import library_version

                return library_version()
            case Backend.ONNXRUNTIME:
                import onnxruntime

                return str(onnxruntime.__version__)
            case Backend.TENSORRT | Backend.TENSORRT_RTX:
                return str(library(backend).__version__)
    except ImportError as cause:
        fix = "pip install 'sall-edge[build]'"
        raise BackendMissing(f"{backend.value} is not installed", str(cause), fix) from cause
