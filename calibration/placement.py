"""Where Q/DQ goes: on what convolutions read, and on the shortcut of residual additions.

TensorRT fuses a convolution, its bias, its activation and the addition of a quantized shortcut into one INT8 kernel
when only the kernel's inputs are quantized. Layers from which no other linear layer follows are heads (classifiers and
activation maps): they stay float, they cost nothing and their rounding would go straight into the probabilities.
"""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass

import onnx

from sall_edge.errors import CalibrationError

__all__ = ["LINEAR", "Placement", "is_head", "place", "topology"]

LINEAR = frozenset({"Conv", "Gemm", "MatMul"})
"""Operators that have INT8 kernels with weights."""


@dataclass(frozen=True, slots=True)
class Topology:
    """Who makes and who reads every tensor.

    Attributes:
        producer: Tensor to the node that makes it; inputs and constants have none.
        consumers: Tensor to the nodes that read it.
        constants: Initializers and outputs of Constant nodes, by tensor name.
        depth: Number of nodes on the longest way from a graph input, by tensor.
    """

    producer: dict[str, onnx.NodeProto]
    consumers: dict[str, list[onnx.NodeProto]]
    constants: dict[str, onnx.TensorProto]
    depth: dict[str, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Placement:
    """What is quantized.

    Attributes:
        layers: Names of the nodes that become INT8, in order.
        activations: Tensors that get a Q/DQ pair, in order.
        weights: Weight initializer to its layer's name.
    """

    layers: tuple[str, ...]
    activations: tuple[str, ...]
    weights: dict[str, str]


def topology(graph: onnx.GraphProto) -> Topology:
    """The graph's connections. Nodes are in topological order, as ONNX demands."""
    constants = {initializer.name: initializer for initializer in graph.initializer}
    producer: dict[str, onnx.NodeProto] = {}
    consumers: dict[str, list[onnx.NodeProto]] = defaultdict(list)
    depth: dict[str, int] = {}
    for node in graph.node:
        if node.op_type == "Constant":
            value = next((a.t for a in node.attribute if a.name == "value"), None)
            if value is not None:
                constants[node.output[0]] = value
                continue
        for name in node.input:
            consumers[name].append(node)
        level = 1 + max((depth.get(name, 0) for name in node.input), default=0)
        for name in node.output:
            producer[name] = node
            depth[name] = level
    return Topology(producer, consumers, constants, depth)


def is_head(layer: onnx.NodeProto, graph: Topology) -> bool:
    """Whether no other linear layer follows."""
    waiting = list(layer.output)
    seen: set[str] = set()
    while waiting:
        tensor = waiting.pop()
        for node in graph.consumers.get(tensor, ()):
            if node.op_type in LINEAR:
                return False
            new = [name for name in node.output if name not in seen]
            seen.update(new)
            waiting.extend(new)
    return True


def place(graph: onnx.GraphProto, *, keep_float: Iterable[str] = ()) -> Placement:
    """What to quantize in an FP32 graph.

    Args:
        graph: The FP32 graph.
        keep_float: Names of layers that must stay float.

    Raises:
        CalibrationError: `keep_float` names a layer that is not there, or nothing is left to quantize.
    """
    connections = topology(graph)
    kept = set(keep_float)
    linear = {node.name: node for node in graph.node if node.op_type in LINEAR}
    if unknown := sorted(kept - linear.keys()):
        close = ", ".join(list(linear)[:5])
        raise CalibrationError(f"no layer {', '.join(unknown)}", f"layers are {close}, …", "name a layer of the graph")
    layers = [node for name, node in linear.items() if name not in kept and not is_head(node, connections)]
    if not layers:
        raise CalibrationError("nothing to quantize", "the graph has no convolution before its heads", "use FP32")
    activations: dict[str, None] = {}
    weights: dict[str, str] = {}
    for node in layers:
        for name in node.input[:2]:
            if name in connections.constants:
                weights[name] = node.name
            else:
                activations[name] = None
    # In the order of computation, so that a ranges file reads like the network.
    for node in graph.node:
        shortcut = shortcut_of(node, connections) if node.op_type == "Add" else None
        if shortcut is not None and _follows_int8(node, connections, {layer.name for layer in layers}):
            activations[shortcut] = None
    ordered = sorted(activations, key=lambda name: connections.depth.get(name, 0))
    return Placement(layers=tuple(n.name for n in layers), activations=tuple(ordered), weights=weights)


def shortcut_of(add: onnx.NodeProto, graph: Topology) -> str | None:
    """The operand of a residual addition that must be quantized, or None when the addition is not residual.

    The other operand is the output of a convolution that nothing else reads: its kernel does the addition. When both
    are, the shallower one is the shortcut.
    """
    operands = [name for name in add.input if name not in graph.constants and graph.depth.get(name, 0) > 0]
    if len(operands) != 2 or operands[0] == operands[1]:
        return None
    branches = [name for name in operands if _is_bare_convolution(name, graph)]
    if not branches:
        return None
    branch = max(branches, key=lambda name: graph.depth[name])
    return str(operands[0] if branch == operands[1] else operands[1])


def _is_bare_convolution(tensor: str, graph: Topology) -> bool:
    node = graph.producer.get(tensor)
    return node is not None and node.op_type == "Conv" and len(graph.consumers[tensor]) == 1


def _follows_int8(add: onnx.NodeProto, graph: Topology, layers: set[str]) -> bool:
    producers = [graph.producer.get(name) for name in add.input]
    return any(node is not None and node.name in layers for node in producers)
