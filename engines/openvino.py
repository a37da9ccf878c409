"""OpenVINO: the blob is the graph, compiled here once to see that it compiles and in which precision.

Why no exported blob: see `sall_edge.runtime.openvino`.
"""

from pathlib import Path

from engines.compiled import Compiled, KernelReport, words
from sall_edge.errors import BuildError
from sall_edge.runtime.openvino import library_version
from sall_edge.runtime.openvino_library import ov
from sall_edge.runtime.openvino_rewrites import rewrite

__all__ = ["compile_graph"]

_DTYPES = {"u8": "int8", "i8": "int8", "f16": "fp16", "f32": "fp32"}
_KINDS = ("Convolution", "FullyConnected", "MatMul")


def compile_graph(graph: Path) -> Compiled:
    """The graph as OpenVINO's CPU plugin compiles it.

    Raises:
        BuildError: OpenVINO refuses it.
    """
    version = library_version()
    try:
        core = ov.Core()
        model = core.read_model(graph)
        rewrite(model)  # what runs is listed, not what was exported
        compiled = core.compile_model(model, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    except RuntimeError as cause:
        why = str(cause).strip().splitlines()[-1]
        fix = "export the graph again; when it came from this project, report it with the graph"
        raise BuildError(f"OpenVINO {version} refuses {graph.name}", why, fix) from cause
    return Compiled(blob=graph.name, backend_version=version, kernels=_kernels(compiled))


def _kernels(compiled: ov.CompiledModel) -> KernelReport:
    kernels = []
    for node in compiled.get_runtime_model().get_ordered_ops():
        information = node.get_rt_info()
        if "layerType" in information and information["layerType"].astype(str) in _KINDS:
            name = node.get_friendly_name().removesuffix("/WithoutBiases")
            kernels.append((name, information["runtimePrecision"].astype(str)))
    return words(kernels, _DTYPES)
