"""CUDA graphs through cuda-core: what an inference queues is recorded once and queued again with one call.

A small network is many short kernels, and queueing them one by one takes the CPU as long as the GPU takes to compute
them. PyCUDA has no graphs. cuda-core is optional: without it every kernel is queued by itself, with the same result.
"""

import importlib
from collections.abc import Callable
from typing import Any, Protocol

__all__ = ["CudaGraph", "CudaGraphs", "no_cuda_graphs", "open_cuda_graphs"]


class CudaGraph(Protocol):
    """A recording; closed before the memory that it reads and writes."""

    def launch(self) -> None:
        """Queues everything that was recorded."""

    def close(self) -> None:
        """Releases it."""


class CudaGraphs:
    """Records what is queued on one stream.

    Args:
        core: The module `cuda.core`.
        stream: Handle of PyCUDA's stream, whose context is current.
    """

    def __init__(self, core: Any, stream: int) -> None:
        self._stream = core.Stream.from_handle(stream)

    def record(self, queue: Callable[[], None]) -> CudaGraph:
        """A graph of what `queue` puts on the stream; nothing of it runs yet.

        Raises:
            Exception: What `queue` or the driver raised, also for what cannot be recorded; the stream is as it was.
        """
        builder = self._stream.create_graph_builder()
        try:
            builder.begin_building(mode="thread_local")
            try:
                queue()
            finally:
                builder.end_building()
            return _Recorded(builder.complete(), self._stream)
        finally:
            builder.close()


class _Recorded:
    def __init__(self, graph: Any, stream: Any) -> None:
        self._graph, self._stream = graph, stream

    def launch(self) -> None:
        self._graph.launch(self._stream)

    def close(self) -> None:
        self._graph.close()


def open_cuda_graphs(stream: int) -> CudaGraphs | None:
    """Graphs on a stream, whose context is current; None where cuda-core is not installed, or older than 1.0."""
    try:
        core = importlib.import_module("cuda.core")
    except ImportError:
        return None
    return CudaGraphs(core, stream) if hasattr(core, "Stream") else None


def no_cuda_graphs(stream: int) -> None:
    """For who wants none."""
