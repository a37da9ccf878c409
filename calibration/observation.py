"""What the inner tensors of a graph hold, over many photographs: every core looks at one of its own."""

import os
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from queue import SimpleQueue

import numpy as np
import onnx
import onnxruntime
from numpy.typing import NDArray

from calibration.histograms import Histogram
from calibration.sessions import open_inner_session
from sall_edge.errors import CalibrationError

__all__ = ["observe"]

_MOST_THREADS = 8
"""Each holds all observed maps of one square: 27 MB of EfficientNet-Lite0 at 224 px."""


def observe(
    proto: onnx.ModelProto,
    tensors: Sequence[str],
    squares: Iterable[NDArray[np.uint8]],
    *,
    advance: Callable[[], None] = lambda: None,
) -> dict[str, Histogram]:
    """The histogram of each of these tensors over all squares, whatever the number of cores.

    Args:
        proto: The FP32 graph.
        tensors: Names of float tensors.
        squares: Each (side, side, 3) uint8; read once, and few are held at a time.
        advance: Called after every square.

    Raises:
        CalibrationError: A tensor is not finite on one of them.
    """
    threads = min(os.cpu_count() or 1, _MOST_THREADS)
    session = open_inner_session(proto, tensors, threads=1)
    watchers = [_Watcher(session, tensors) for _ in range(threads)]
    idle: SimpleQueue[_Watcher] = SimpleQueue()
    for watcher in watchers:
        idle.put(watcher)

    def watch(index: int, square: NDArray[np.uint8]) -> None:
        watcher = idle.get()
        try:
            watcher.look(index, square)
        finally:
            idle.put(watcher)

    pool = ThreadPoolExecutor(threads)
    pending: deque[Future[None]] = deque()
    try:
        for index, square in enumerate(squares):
            if len(pending) == 2 * threads:
                pending.popleft().result()
                advance()
            pending.append(pool.submit(watch, index, square))
        while pending:
            pending.popleft().result()
            advance()
    finally:
        pool.shutdown(cancel_futures=True)
    histograms = {tensor: Histogram() for tensor in tensors}
    for watcher in watchers:
        for tensor, histogram in watcher.histograms.items():
            histograms[tensor].merge(histogram)
    return histograms


class _Watcher:
    """Histograms of some of the squares. ONNX Runtime writes every map to the same place, so that none is copied."""

    def __init__(self, session: onnxruntime.InferenceSession, tensors: Sequence[str]) -> None:
        self.session = session
        self.maps: dict[str, NDArray[np.float32]] = {}
        self.histograms = {tensor: Histogram() for tensor in tensors}

    def look(self, index: int, square: NDArray[np.uint8]) -> None:
        """Adds the maps of a square; its place in the order of all decides which rows of large maps are counted."""
        image = np.ascontiguousarray(square)[np.newaxis]
        names = list(self.histograms)
        if self.maps:
            binding = self.session.io_binding()
            binding.bind_cpu_input("image", image)
            for name, values in self.maps.items():
                binding.bind_output(name, "cpu", 0, np.float32, values.shape, values.ctypes.data)
            self.session.run_with_iobinding(binding)
        else:
            self.maps = dict(zip(names, self.session.run(names, {"image": image}), strict=True))
        for name, values in self.maps.items():
            histogram = self.histograms[name]
            histogram.add(values, turn=index)
            if not np.isfinite(histogram.largest):
                what = f"activation {name} is not finite on calibration image {index}"
                raise CalibrationError(what, "the FP32 graph already fails there", "train and export the network again")
