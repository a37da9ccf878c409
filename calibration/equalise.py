"""The same FP32 graph with residual streams whose channels fill one common range.

Symmetric INT8 gives a whole tensor one scale. In a stream of linear bottlenecks some channels are several times wider
than others, and many lie far from zero, so most of them use a fraction of the steps. Nothing non-linear stands on such
a stream: the layers that write it can shift and stretch every channel, and the layers that read it take that back in
their own weights and biases. The graph computes the same, at no cost (cross-layer equalisation, Nagel et al. 2019,
arXiv 1906.04721, here with shifts and through additions).
"""

from collections.abc import Mapping, Sequence

import numpy as np
import onnx
from numpy.typing import NDArray

from calibration.constants import drop_unread, move_input, move_output
from calibration.placement import Topology, place, topology
from calibration.sessions import open_inner_session
from sall_edge.spec import Spec

__all__ = ["ChannelRange", "channel_ranges", "equalised", "stream_tensors"]

MOST_STRETCH = 8.0
"""A channel that hardly moves is stretched no further: its steps would be finer than anybody needs."""

OUTLIERS = 0.001
"""Share of values on either side that do not decide a channel's range; they are not clipped by it."""

POSITIONS = 128
"""Places per map that a channel's range is read from."""

Floats = NDArray[np.floating]


class ChannelRange(Spec):
    """Where the channels of a tensor lie.

    Attributes:
        low, high: One value per channel, outliers aside.
    """

    low: tuple[float, ...]
    high: tuple[float, ...]


def stream_tensors(graph: onnx.GraphProto) -> list[str]:
    """Quantized tensors of the graph that can be equalised, in order."""
    quantized = set(place(graph).activations)
    return [tensor for stream in _streams(graph, topology(graph)) for tensor in stream if tensor in quantized]


def channel_ranges(
    proto: onnx.ModelProto, tensors: Sequence[str], squares: Sequence[NDArray[np.uint8]]
) -> dict[str, ChannelRange]:
    """The ranges of every channel of these tensors over calibration squares.

    Args:
        proto: The FP32 graph.
        tensors: Names of (N, C, h, w) tensors.
        squares: Prepared photographs, each (side, side, 3) uint8.
    """
    if not tensors:
        return {}
    session = open_inner_session(proto, tensors)
    seen: dict[str, list[NDArray[np.float32]]] = {name: [] for name in tensors}
    for square in squares:
        for name, values in zip(tensors, session.run(list(tensors), {"image": square[None]}), strict=True):
            flat = values[0].reshape(values.shape[1], -1)
            seen[name].append(flat[:, :: max(1, flat.shape[1] // POSITIONS)].copy())
    ranges = {}
    for name in tensors:
        low, high = np.quantile(np.concatenate(seen.pop(name), axis=1), (OUTLIERS, 1 - OUTLIERS), axis=1)
        ranges[name] = ChannelRange(low=_six_digits(low), high=_six_digits(high))
    return ranges


def equalised(proto: onnx.ModelProto, channels: Mapping[str, ChannelRange]) -> onnx.ModelProto:
    """A copy of an FP32 graph that computes the same through streams of even channels.

    Args:
        proto: The FP32 graph.
        channels: Measured on it; a stream that is not wholly among them stays as it is.
    """
    result = onnx.ModelProto()
    result.CopyFrom(proto)
    connections = topology(result.graph)
    quantized = set(place(result.graph).activations)
    for stream in _streams(result.graph, connections):
        wanted = [tensor for tensor in stream if tensor in quantized]
        if wanted and all(tensor in channels for tensor in wanted):
            _equalise(result.graph, connections, stream, {name: channels[name] for name in wanted})
    drop_unread(result.graph)
    return result


def _six_digits(values: Floats) -> tuple[float, ...]:
    return tuple(float(f"{value:.6g}") for value in values)


def _streams(graph: onnx.GraphProto, connections: Topology) -> list[list[str]]:
    """Groups of tensors that additions tie together and that only convolutions write and read, in order."""
    group: dict[str, list[str]] = {}
    for node in graph.node:
        if node.op_type not in ("Conv", "Add"):
            continue
        tied = [node.output[0]]
        if node.op_type == "Add":
            tied += [name for name in node.input if name not in connections.constants]
        members: dict[str, None] = {}
        for name in tied:
            members |= dict.fromkeys(group.get(name, [name]))
        merged = [*members]
        group |= dict.fromkeys(members, merged)
    outputs = {output.name for output in graph.output}
    streams = {id(members): members for members in group.values()}.values()
    order = {name: index for index, node in enumerate(graph.node) for name in node.output}
    return [
        sorted(stream, key=order.__getitem__)
        for stream in streams
        if all(name in order and name not in outputs and _is_linear(name, connections) for name in stream)
    ]


def _is_linear(tensor: str, connections: Topology) -> bool:
    """Whether every writer and reader can take a shift and a stretch of the channels."""
    maker = connections.producer[tensor]
    match maker.op_type:
        case "Conv":
            is_written = _has_bias(maker, connections)
        case "Add":
            is_written = len(set(maker.input) - connections.constants.keys()) == 2
        case _:
            is_written = False
    readers = connections.consumers.get(tensor, [])
    return is_written and bool(readers) and all(n.op_type == "Add" or _reads_plainly(n, connections) for n in readers)


def _has_bias(layer: onnx.NodeProto, connections: Topology) -> bool:
    return len(layer.input) == 3 and all(name in connections.constants for name in layer.input[1:])


def _reads_plainly(node: onnx.NodeProto, connections: Topology) -> bool:
    """A convolution over all channels without padding: padded zeros would not be zeros of the shifted map."""
    if node.op_type != "Conv" or not _has_bias(node, connections):
        return False
    attributes = {a.name: a for a in node.attribute}
    padded = "pads" in attributes and any(attributes["pads"].ints)
    automatic = "auto_pad" in attributes and attributes["auto_pad"].s not in (b"NOTSET", b"VALID")
    return not (padded or automatic) and ("group" not in attributes or attributes["group"].i == 1)


def _equalise(
    graph: onnx.GraphProto, connections: Topology, stream: list[str], channels: Mapping[str, ChannelRange]
) -> None:
    """Every tensor of the stream becomes (itself - its centre) * stretch, the stretch being common to the stream."""
    lows = {name: np.array(channel.low) for name, channel in channels.items()}
    highs = {name: np.array(channel.high) for name, channel in channels.items()}
    reach = np.max([(highs[name] - lows[name]) / 2 for name in channels], axis=0)
    if not reach.max() > 0:
        return
    stretch = reach.max() / np.maximum(reach, reach.max() / MOST_STRETCH)
    centres = _centres(stream, connections, {name: (highs[name] + lows[name]) / 2 for name in channels})
    for name in stream:
        maker = connections.producer[name]
        if maker.op_type == "Conv":
            move_output(graph, connections, maker, "equalised", centres[name], stretch)
        for reader in connections.consumers[name]:
            if reader.op_type == "Conv":
                move_input(graph, connections, reader, "equalised", centres[name], stretch)


def _centres(stream: list[str], connections: Topology, wanted: Mapping[str, Floats]) -> dict[str, Floats]:
    """A shift for every tensor of the stream; that of a sum is the sum of its parts'.

    A branch that nothing but an addition reads is shifted so that the sum lies around zero.
    """
    centres: dict[str, Floats] = {}
    zero = np.zeros_like(next(iter(wanted.values())))
    for name in stream:
        maker = connections.producer[name]
        if maker.op_type == "Conv":
            if name in wanted:
                centres[name] = wanted[name]
            continue
        free = [part for part in maker.input if part not in centres]
        for part in free:
            centres[part] = zero
        if free and name in wanted:
            other = sum((centres[part] for part in maker.input), start=zero)
            centres[free[0]] = wanted[name] - other
        centres[name] = sum((centres[part] for part in maker.input), start=zero)
    for name in stream:
        centres.setdefault(name, zero)
    return centres
