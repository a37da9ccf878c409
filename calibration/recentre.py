"""The same FP32 graph with ReLU6 maps that lie around zero, where symmetric INT8 has twice as many steps for them.

A ReLU6 map lies in 0..6, and symmetric INT8 spends half of its steps on values that never come. On smooth, bright
photographs the first map is a pedestal with faint structure on it, so the lost bit is the one that lesions are in.
Moving the map by -3 costs nothing: the layer before takes it into its bias, the bounds become -3..3, and the layers
after take it back in theirs. Only zero padding would no longer be zero; there the map is padded explicitly with -3,
which costs a copy and is done for the first map alone. On x86-64 OpenVINO does without the copy
(`sall_edge.runtime.openvino_rewrites`).
"""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import numpy_helper

from calibration.constants import drop_unread, give_own_constant
from calibration.placement import Topology, topology

__all__ = ["BoundedMap", "first_bounded_map", "recentred"]


class BoundedMap(NamedTuple):
    """A ReLU6 map between layers that take a shift in their biases.

    Attributes:
        maker: The convolution before it.
        clip: What bounds it.
        readers: The convolutions that read it.
        bounds: The lowest value, 0, and the highest.
    """

    maker: onnx.NodeProto
    clip: onnx.NodeProto
    readers: list[onnx.NodeProto]
    bounds: tuple[float, float]


def recentred(proto: onnx.ModelProto) -> onnx.ModelProto:
    """A copy of an FP32 graph that computes the same from maps around zero, wherever a ReLU6 stands between layers."""
    result = onnx.ModelProto()
    result.CopyFrom(proto)
    connections = topology(result.graph)
    for found in list(_bounded_maps(result.graph, connections)):
        _move(result.graph, connections, found)
    drop_unread(result.graph)
    return result


def first_bounded_map(graph: onnx.GraphProto, connections: Topology) -> BoundedMap | None:
    """The map of the first convolution, if it can be moved."""
    maps = (found for found in _bounded_maps(graph, connections) if _is_first(found.maker, connections))
    return next(maps, None)


def _bounded_maps(graph: onnx.GraphProto, connections: Topology) -> Iterator[BoundedMap]:
    outputs = {output.name for output in graph.output}
    for node in graph.node:
        if node.op_type != "Clip" or node.output[0] in outputs:
            continue
        maker = connections.producer.get(node.input[0])
        readers = connections.consumers[node.output[0]]
        bounds = _bounds(node, connections)
        if maker is not None and bounds is not None and _takes_shift(maker, node, readers, connections):
            yield BoundedMap(maker, node, readers, bounds)


def _bounds(clip: onnx.NodeProto, connections: Topology) -> tuple[float, float] | None:
    """The clip's bounds when it is a bounded ReLU."""
    if len(clip.input) < 3 or any(name not in connections.constants for name in clip.input[1:]):
        return None
    low, high = (float(numpy_helper.to_array(connections.constants[name])) for name in clip.input[1:])
    return (low, high) if low == 0 < high else None


def _takes_shift(
    maker: onnx.NodeProto, clip: onnx.NodeProto, readers: list[onnx.NodeProto], connections: Topology
) -> bool:
    layers = [maker, *readers]
    if any(n.op_type != "Conv" or len(n.input) < 3 or n.input[2] not in connections.constants for n in layers):
        return False
    if len(connections.consumers[clip.input[0]]) != 1 or not readers:
        return False
    return not any(_is_padded(node) for node in readers) or _is_first(maker, connections)


def _is_padded(layer: onnx.NodeProto) -> bool:
    return any(any(a.ints) for a in layer.attribute if a.name == "pads")


def _is_first(layer: onnx.NodeProto, connections: Topology) -> bool:
    """Whether no other convolution stands between the pixels and this one."""
    node: onnx.NodeProto | None = connections.producer.get(layer.input[0])
    while node is not None and node.op_type != "Conv":
        node = next((connections.producer[n] for n in node.input if n in connections.producer), None)
    return node is None


def _move(graph: onnx.GraphProto, connections: Topology, found: BoundedMap) -> None:
    maker, clip, readers, bounds = found
    middle = (bounds[0] + bounds[1]) / 2
    _shift_bias(graph, connections, maker, np.float32(-middle))
    for index, bound in enumerate(bounds, start=1):
        name = f"{clip.name}.bound{index}"
        graph.initializer.append(numpy_helper.from_array(np.array(bound - middle, np.float32), name))
        clip.input[index] = name
    for reader in readers:
        weight = numpy_helper.to_array(connections.constants[reader.input[1]])
        _shift_bias(graph, connections, reader, middle * weight.reshape(weight.shape[0], -1).sum(axis=1))
        if _is_padded(reader):
            _pad_explicitly(graph, reader, -middle)


def _shift_bias(
    graph: onnx.GraphProto, connections: Topology, layer: onnx.NodeProto, shift: "np.float32 | NDArray[np.float32]"
) -> None:
    bias = numpy_helper.to_array(connections.constants[layer.input[2]]) + shift
    give_own_constant(graph, connections, layer, 2, f"{layer.name}.moved_bias", bias)


def _pad_explicitly(graph: onnx.GraphProto, reader: onnx.NodeProto, value: float) -> None:
    pads = next(a for a in reader.attribute if a.name == "pads")
    top, left, bottom, right = pads.ints
    name = f"{reader.name}.padded"
    constants: dict[str, NDArray[np.generic]] = {
        f"{name}.pads": np.array([0, 0, top, left, 0, 0, bottom, right], np.int64),
        f"{name}.value": np.asarray(value, np.float32),
    }
    for constant, array in constants.items():
        graph.initializer.append(numpy_helper.from_array(array, constant))
    pad = onnx.helper.make_node("Pad", [reader.input[0], *constants], [name], name=name)
    graph.node.insert(list(graph.node).index(reader), pad)
    reader.input[0] = name
    pads.ints[:] = [0, 0, 0, 0]
