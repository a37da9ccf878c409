"""ONNX Runtime: the blob is the graph, opened here once to see that it opens."""

from pathlib import Path

import onnxruntime as ort

from engines.compiled import Compiled, KernelReport
from sall_edge.errors import BuildError

__all__ = ["compile_graph"]


def compile_graph(graph: Path) -> Compiled:
    """The graph as ONNX Runtime takes it; it computes Q/DQ as written, so there are no INT8 kernels to report.

    Raises:
        BuildError: ONNX Runtime refuses it.
    """
    options = ort.SessionOptions()
    options.log_severity_level = 3
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    try:
        ort.InferenceSession(str(graph), options, providers=["CPUExecutionProvider"])
    except Exception as cause:  # ONNX Runtime's errors share no other base
        why = str(cause).strip().splitlines()[-1]
        fix = "export the graph again; when it came from this project, report it with the graph"
        raise BuildError(f"ONNX Runtime {ort.__version__} refuses {graph.name}", why, fix) from cause
    return Compiled(blob=graph.name, backend_version=str(ort.__version__), kernels=KernelReport())
