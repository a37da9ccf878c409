"""The same FP32 graph with a first ReLU6 map whose channels fill their range.

Symmetric INT8 gives the whole map one scale, from 0 to 6. On photographs some channels of it stay within a third of
that: brightness on a pedestal, which later layers amplify to find what is faint. Rounding them is most of what INT8
does to a verdict (docs/adr/0008). So every channel is shifted and stretched by the first convolution, and the layers
that read it take that back. It computes the same as long as a channel stays within its range on the calibration
squares and a margin, except that padding now means the lowest value of a channel, not zero: a network must be trained
further with it.
"""

from collections.abc import Sequence

import numpy as np
import onnx
from numpy.typing import NDArray

from calibration.constants import drop_unread, move_input, move_output
from calibration.placement import Topology, topology
from calibration.recentre import first_bounded_map
from calibration.sessions import open_inner_session

__all__ = ["MARGIN", "spread"]

MARGIN = 0.15
"""Of a channel's span, on either side: other photographs reach further."""

MOST_STRETCH = 8.0

Floats = NDArray[np.float64]


def spread(proto: onnx.ModelProto, squares: Sequence[NDArray[np.uint8]]) -> onnx.ModelProto:
    """A copy of an FP32 graph with the channels of its first ReLU6 map spread; the same graph if it has none.

    Args:
        proto: The FP32 graph.
        squares: Calibration squares, each (side, side, 3) uint8.
    """
    result = onnx.ModelProto()
    result.CopyFrom(proto)
    connections = topology(result.graph)
    found = first_bounded_map(result.graph, connections)
    if found is None or not all(_is_simple(reader, connections) for reader in found.readers):
        return result
    bottom, top = _ranges(*_extremes(proto, found.clip.output[0], squares), found.bounds[1])
    stretch = found.bounds[1] / (top - bottom)
    move_output(result.graph, connections, found.maker, "spread", bottom, stretch)
    for reader in found.readers:
        move_input(result.graph, connections, reader, "spread", bottom, stretch)
    drop_unread(result.graph)
    return result


def _extremes(proto: onnx.ModelProto, tensor: str, squares: Sequence[NDArray[np.uint8]]) -> tuple[Floats, Floats]:
    """(channels,) the lowest and the highest value of every channel."""
    session = open_inner_session(proto, [tensor])
    maps = (session.run([tensor], {"image": square[np.newaxis]})[0][0] for square in squares)
    found = [(values.min(axis=(1, 2)), values.max(axis=(1, 2))) for values in maps]
    return np.min([low for low, _ in found], axis=0), np.max([high for _, high in found], axis=0)


def _ranges(lowest: Floats, highest: Floats, bound: float) -> tuple[Floats, Floats]:
    """What every channel's range becomes; one that never moves keeps its own."""
    margin = MARGIN * (highest - lowest)
    top = np.clip(highest + margin, bound / MOST_STRETCH, bound)
    bottom = np.clip(lowest - margin, 0, top - bound / MOST_STRETCH)
    is_still = highest == lowest
    return np.where(is_still, 0.0, bottom).astype(np.float64), np.where(is_still, bound, top).astype(np.float64)


def _is_simple(reader: onnx.NodeProto, connections: Topology) -> bool:
    """Dense, or one filter for every channel."""
    channels, per_group = connections.constants[reader.input[1]].dims[:2]
    group = next((attribute.i for attribute in reader.attribute if attribute.name == "group"), 1)
    return bool(group == 1 or (per_group == 1 and group == channels))
