"""Initializers of a graph that is being rewritten."""

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import numpy_helper

from calibration.placement import Topology

__all__ = ["drop_unread", "give_own_constant", "give_own_weights", "weights_of"]


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


def weights_of(layer: onnx.NodeProto, connections: Topology) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Weight and bias of a layer that has both as constants."""
    weight, bias = (numpy_helper.to_array(connections.constants[name]).astype(np.float64) for name in layer.input[1:3])
    return weight, bias


def give_own_weights(
    graph: onnx.GraphProto,
    connections: Topology,
    layer: onnx.NodeProto,
    adjective: str,
    weight: NDArray[np.floating],
    bias: NDArray[np.floating],
) -> None:
    """Makes weight and bias the layer's own, see `give_own_constant`; the adjective names them."""
    give_own_constant(graph, connections, layer, 1, f"{layer.name}.{adjective}_weight", weight)
    give_own_constant(graph, connections, layer, 2, f"{layer.name}.{adjective}_bias", bias)


def drop_unread(graph: onnx.GraphProto) -> None:
    """Removes initializers that no node reads, which ONNX Runtime warns of one by one."""
    read = {name for node in graph.node for name in node.input}
    kept = [initializer for initializer in graph.initializer if initializer.name in read]
    del graph.initializer[:]
    graph.initializer.extend(kept)
