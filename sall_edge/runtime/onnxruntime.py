"""ONNX Runtime on the CPU: the reference for what a graph means, slower than OpenVINO.

A Q/DQ graph runs without ONNX Runtime's fusion into integer kernels: each Q/DQ pair rounds, the arithmetic between is
float. That is what the operators are defined to do, and it is the same on every CPU; the fused kernels are no faster on
symmetric int8 activations (EfficientNet-Lite0 at 224 px: 86 against 82 ms) and saturate on CPUs without VNNI.
"""

from collections.abc import Mapping
from pathlib import Path
from time import perf_counter

import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray

from sall_edge.artifacts import EngineManifest
from sall_edge.errors import ArtefactForeign
from sall_edge.runtime.inference_times import InferenceTimes

__all__ = ["OnnxruntimeRunner", "open_runner"]

U8 = NDArray[np.uint8]
F32 = NDArray[np.float32]


class OnnxruntimeRunner:
    """One inference session; the batch is dynamic."""

    streams = 1

    def __init__(self, graph: Path, manifest: EngineManifest, *, threads: int) -> None:
        self.version = str(ort.__version__)
        self.times = InferenceTimes(0.0, 0.0, 0.0)
        options = ort.SessionOptions()
        options.intra_op_num_threads = threads
        options.log_severity_level = 3
        if manifest.precision.is_quantized:
            options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_ENABLE_BASIC
        try:
            self._session = ort.InferenceSession(str(graph), options, providers=["CPUExecutionProvider"])
        except Exception as cause:  # ONNX Runtime's errors share no other base
            raise ArtefactForeign(
                f"ONNX Runtime {self.version} cannot open {graph}",
                str(cause).strip().splitlines()[-1],
                "install the version that manifest.json names as backend_version, or build the engine again",
            ) from cause
        self._names = [output.name for output in self._session.get_outputs()]

    def infer(self, squares: U8) -> Mapping[str, F32]:
        """Outputs by name; new arrays at each call."""
        began = perf_counter()
        images = np.ascontiguousarray(squares)
        copied = perf_counter()
        outputs = self._session.run(self._names, {"image": images})
        self.times = InferenceTimes(began, copied, perf_counter())
        return dict(zip(self._names, outputs, strict=True))

    def close(self) -> None:
        """Drops the session; ONNX Runtime frees it with the last reference."""
        del self._session


def open_runner(graph: Path, manifest: EngineManifest, *, threads: int) -> OnnxruntimeRunner:
    """The graph opened on this CPU.

    Args:
        graph: An ONNX file that keeps the project's contract of inputs and outputs.
        manifest: Of the engine that the graph belongs to.
        threads: 0 takes all.

    Raises:
        ArtefactForeign: This version of ONNX Runtime cannot read the graph.
    """
    return OnnxruntimeRunner(graph, manifest, threads=threads)
