"""OpenVINO with nothing of ours around it: the least that an inference takes.

It runs the network that the product runs, with what `read_network` rewrites: a floor that is slower than it could be
would flatter the product.
"""

from pathlib import Path

import numpy as np
import numpy.typing as npt

from sall_edge.runtime.openvino import compile_properties
from sall_edge.runtime.openvino_library import ov
from sall_edge.runtime.openvino_rewrites import read_network

__all__ = ["BareRequest"]

U8 = npt.NDArray[np.uint8]


class BareRequest:
    """A compiled network, its static batch of one, and a square in its buffer.

    Args:
        graph: What an engine on OpenVINO has for a blob.
        square: (side, side, 3) uint8; it lies in the request's buffer from here on.
        threads: 0 takes all.
    """

    def __init__(self, graph: Path, square: U8, *, threads: int = 0) -> None:
        core = ov.Core()
        model = read_network(core, graph, (1, *square.shape))
        self.compiled = core.compile_model(model, "CPU", compile_properties(threads=threads))
        self._buffer = square[np.newaxis].copy()
        self._request = self.compiled.create_infer_request()
        self._request.set_input_tensor(ov.Tensor(self._buffer, shared_memory=True))

    def load(self, square: U8) -> None:
        """Another square; no part of what is timed."""
        np.copyto(self._buffer, square[np.newaxis])

    @property
    def own_ms(self) -> float:
        """What the last inference took by OpenVINO's own clock, which starts and stops in C++."""
        return float(self._request.latency)

    def infer(self) -> None:
        """One inference; the outputs stay where OpenVINO puts them."""
        self._request.start_async()
        self._request.wait()
