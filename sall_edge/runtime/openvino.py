"""OpenVINO on the CPU: the default runner.

Decided by measurement (EfficientNet-Lite0 at 224 px, two cores; docs/results has the figures): the engine's blob is the
ONNX graph itself. OpenVINO's exported blob opens in a fifth of the time, but OpenVINO refuses it on any CPU with other
instructions and in any other version, so it belongs to a machine (`compiled_cache`) and not to an engine; its IR opens
no faster than the ONNX. A network of static batch one is a tenth
faster than the same with a dynamic batch, so there are two compiled networks, and the second only when it is needed.
"""

import hashlib
import threading
from collections.abc import Mapping
from pathlib import Path
from time import perf_counter

import numpy as np
from numpy.typing import NDArray

from sall_edge.artifacts import EngineManifest
from sall_edge.errors import ArtefactForeign
from sall_edge.runtime.compiled_cache import CompiledCache, cache_key
from sall_edge.runtime.inference_times import InferenceTimes
from sall_edge.runtime.openvino_library import ov
from sall_edge.runtime.openvino_rewrites import REWRITE_VERSION, read_network

__all__ = ["OpenvinoRunner", "compile_properties", "library_version", "open_runner"]

U8 = NDArray[np.uint8]
F32 = NDArray[np.float32]

CPUINFO = Path("/proc/cpuinfo")


def library_version() -> str:
    """The version of OpenVINO without its build hash, such as "2026.4.1"."""
    return str(ov.get_version()).split("-", 1)[0]


def compile_properties(*, threads: int, streams: int = 1) -> dict[str, object]:
    """What OpenVINO is told when it compiles.

    Args:
        threads: 0 takes all.
        streams: How many squares are computed side by side.
    """
    properties: dict[str, object] = {
        "PERFORMANCE_HINT": "LATENCY",
        # Without this, CPUs with AVX512_BF16 or AMX compute in bfloat16: three digits are lost in silence.
        "INFERENCE_PRECISION_HINT": "f32",
    }
    if streams > 1:
        properties |= {"PERFORMANCE_HINT": "THROUGHPUT", "NUM_STREAMS": streams}
    if threads:
        properties["INFERENCE_NUM_THREADS"] = threads
    return properties


class OpenvinoRunner:
    """Two compiled networks on one graph; every thread that infers has buffers of its own, bound once."""

    def __init__(
        self, graph: Path, manifest: EngineManifest, *, threads: int, streams: int, cache: CompiledCache | None
    ) -> None:
        self.version = library_version()
        self.streams = streams
        self._graph = graph
        self._cache = cache
        self.times = InferenceTimes(0.0, 0.0, 0.0)
        self._properties = compile_properties(threads=threads, streams=streams)
        self._core = ov.Core()
        side = manifest.image.side_px
        self._shape = (1, side, side, 3)
        self._compiled = self._compile(batch=1)
        self._names = [output.any_name for output in self._compiled.outputs]
        self._bound = threading.local()
        self._many: ov.InferRequest | None = None

    def infer(self, squares: U8) -> Mapping[str, F32]:
        """Outputs by name, valid until the thread's next call; the first batch larger than one compiles for batches.

        Batches are for one thread at a time.
        """
        if len(squares) > 1:
            return self._infer_many(squares)
        if not hasattr(self._bound, "request"):
            self._bind()
        bound = self._bound
        began = perf_counter()
        np.copyto(bound.square, squares)
        copied = perf_counter()
        # start_async and wait instead of infer: infer builds a dictionary of copies that nobody reads.
        bound.request.start_async()
        bound.request.wait()
        self.times = InferenceTimes(began, copied, perf_counter())
        outputs: dict[str, F32] = bound.outputs
        return outputs

    def close(self) -> None:
        """Drops the networks; OpenVINO frees them with the last reference."""
        del self._bound, self._many, self._compiled, self._core

    def _bind(self) -> None:
        """A request of the calling thread with its buffers."""
        bound, request = self._bound, self._compiled.create_infer_request()
        bound.square = np.zeros(self._shape, np.uint8)
        request.set_input_tensor(ov.Tensor(bound.square, shared_memory=True))
        bound.outputs = {
            name: np.zeros(tuple(output.shape), np.float32)
            for name, output in zip(self._names, self._compiled.outputs, strict=True)
        }
        for index, buffer in enumerate(bound.outputs.values()):
            request.set_output_tensor(index, ov.Tensor(buffer, shared_memory=True))
        bound.request = request

    def _infer_many(self, squares: U8) -> Mapping[str, F32]:
        if self._many is None:
            self._many = self._compile(batch=-1).create_infer_request()
        began = perf_counter()
        images = np.ascontiguousarray(squares)  # named: a shared tensor does not keep its array alive
        copied = perf_counter()
        self._many.set_input_tensor(ov.Tensor(images, shared_memory=True))
        self._many.start_async()
        self._many.wait()
        self.times = InferenceTimes(began, copied, perf_counter())
        return {name: self._many.get_output_tensor(index).data for index, name in enumerate(self._names)}

    def _compile(self, *, batch: int) -> ov.CompiledModel:
        cache = self._cache
        if cache is None:
            return self._compiled_from_graph(batch)
        key = cache_key(
            hashlib.sha256(self._graph.read_bytes()).hexdigest(),
            REWRITE_VERSION,
            ov.get_version(),
            *_processor(self._core),
            sorted(self._properties.items()),
            (batch, *self._shape[1:]),
        )
        kept = cache.read(key)
        if kept is not None:
            try:
                return self._core.import_model(kept, "CPU", self._properties)
            except RuntimeError:  # OpenVINO refuses it: the graph is what counts
                pass
        compiled = self._compiled_from_graph(batch)
        cache.write(key, compiled.export_model().getvalue())
        return compiled

    def _compiled_from_graph(self, batch: int) -> ov.CompiledModel:
        try:
            model = read_network(self._core, self._graph, (batch, *self._shape[1:]))
            return self._core.compile_model(model, "CPU", self._properties)
        except RuntimeError as cause:
            raise ArtefactForeign(
                f"OpenVINO {self.version} cannot compile {self._graph}",
                str(cause).strip().splitlines()[-1],
                "install the OpenVINO that manifest.json names as backend_version, or build the engine again",
            ) from cause


def _processor(core: ov.Core) -> tuple[str, ...]:
    """What OpenVINO compiles for: the processor's name, its instruction sets, and how many cores there are."""
    try:
        lines = CPUINFO.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        lines = []
    instructions = next((line for line in lines if line.startswith(("flags", "Features"))), "")
    return (instructions, *(str(core.get_property("CPU", name)) for name in ("FULL_DEVICE_NAME", "RANGE_FOR_STREAMS")))


def open_runner(
    graph: Path, manifest: EngineManifest, *, threads: int, streams: int = 1, cache: CompiledCache | None = None
) -> OpenvinoRunner:
    """The graph compiled for this CPU.

    Args:
        graph: An ONNX file that keeps the project's contract of inputs and outputs.
        manifest: Of the engine that the graph belongs to.
        threads: 0 takes all.
        streams: Inferences at a time. One takes all threads for each; several share them out, so that each takes longer
            and all together take less.
        cache: Networks that were compiled before.

    Raises:
        ArtefactForeign: This version of OpenVINO cannot read the graph.
    """
    return OpenvinoRunner(graph, manifest, threads=threads, streams=streams, cache=cache)
