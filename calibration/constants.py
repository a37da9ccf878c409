"""Initializers of a graph that is being rewritten."""

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import numpy_helper

from calibration.placement import Topology

__all__ = ["drop_unread", "give_own_constant", "move_input", "move_output"]

Floats = NDArray[np.floating]


def give_own_constant(
    graph: onnx.GraphProto,
    connections: Topology,
    layer: onnx.NodeProto,
    index: int,
    name: str,
    value: NDArray[np.floating],
) -> None:
    """Makes a float32 constant of the layer's own its input `index`, since another layer may share the old one."""
    if layer.input[index] != name:
        graph.initializer.add()
        layer.input[index] = name
        connections.constants[name] = graph.initializer[-1]
    connections.constants[name].CopyFrom(numpy_helper.from_array(value.astype(np.float32), name))


def move_output(
    graph: onnx.GraphProto,
    connections: Topology,
    layer: onnx.NodeProto,
    adjective: str,
    centre: Floats,
    stretch: Floats,
) -> None:
    """Makes every channel of what a convolution writes (itself - its centre) * stretch, in weights of its own."""
    weight, bias = _weights_of(layer, connections)
    _give_own_weights(graph, connections, layer, adjective, weight * _rows(stretch, weight), (bias - centre) * stretch)


def move_input(
    graph: onnx.GraphProto,
    connections: Topology,
    layer: onnx.NodeProto,
    adjective: str,
    centre: Floats,
    stretch: Floats,
) -> None:
    """Takes back in a convolution that reads a map, dense or one filter a channel, what `move_output` did to it."""
    weight, bias = _weights_of(layer, connections)
    by_channel = weight.reshape(*weight.shape[:2], -1).sum(axis=2)
    if weight.shape[1] == len(stretch):
        shift, divisor = by_channel @ centre, stretch.reshape(1, -1, *[1] * (weight.ndim - 2))
    else:
        shift, divisor = by_channel[:, 0] * centre, _rows(stretch, weight)
    _give_own_weights(graph, connections, layer, adjective, weight / divisor, bias + shift)


def _rows(values: Floats, weight: Floats) -> Floats:
    return values.reshape(-1, *[1] * (weight.ndim - 1))


def _weights_of(layer: onnx.NodeProto, connections: Topology) -> tuple[Floats, Floats]:
    weight, bias = (numpy_helper.to_array(connections.constants[name]).astype(np.float64) for name in layer.input[1:3])
    return weight, bias


def _give_own_weights(
    graph: onnx.GraphProto, connections: Topology, layer: onnx.NodeProto, adjective: str, weight: Floats, bias: Floats
) -> None:
    give_own_constant(graph, connections, layer, 1, f"{layer.name}.{adjective}_weight", weight)
    give_own_constant(graph, connections, layer, 2, f"{layer.name}.{adjective}_bias", bias)


def drop_unread(graph: onnx.GraphProto) -> None:
    """Removes initializers that no node reads, which ONNX Runtime warns of one by one."""
    read = {name for node in graph.node for name in node.input}
    kept = [initializer for initializer in graph.initializer if initializer.name in read]
    del graph.initializer[:]
    graph.initializer.extend(kept)
