"""Initializers of a graph that is being rewritten."""

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import numpy_helper

from calibration.placement import Topology

__all__ = ["drop_unread", "give_own_constant"]


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


def drop_unread(graph: onnx.GraphProto) -> None:
    """Removes initializers that no node reads, which ONNX Runtime warns of one by one."""
    read = {name for node in graph.node for name in node.input}
    kept = [initializer for initializer in graph.initializer if initializer.name in read]
    del graph.initializer[:]
    graph.initializer.extend(kept)
