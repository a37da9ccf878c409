"""Graphs in FP16 arithmetic, for strongly typed compilers: precision stands in the graph.

Inputs stay uint8 and outputs float32. The softmax computes in float32: it costs nothing, and probabilities of ten bits
do not sum to one. What is below 6e-8, the smallest number of FP16, is rounded up to it.
"""

import warnings
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper
from onnxconverter_common import float16

from calibration.histograms import LEVELS
from calibration.placement import LINEAR, Topology, topology
from sall_edge.errors import BuildError

__all__ = ["layers_beyond_half", "write_fp16", "write_mixed"]

Floats = NDArray[np.floating]

_LARGEST = float(np.finfo(np.float16).max)
_STEP = float(np.finfo(np.float16).smallest_subnormal)
"""The distance of FP16 numbers below 6.1e-5; above, they are as close as their size divided by 1024."""
_FIX = "build with --precision int8 or fp32"


def write_fp16(graph: Path, place: Path) -> None:
    """Writes an FP32 graph in FP16; its weights take half the room.

    Args:
        graph: FP32 ONNX; input `image`, (N, side, side, 3) uint8.
        place: The file to write.

    Raises:
        BuildError: A constant is beyond FP16's 65504.
    """
    proto = onnx.load(graph)
    _refuse_large(proto, graph)
    onnx.save(_halved(proto), place)


def write_mixed(graph: Path, place: Path) -> None:
    """Writes a Q/DQ graph whose INT8 layers stay INT8 and whose other arithmetic is FP16.

    Heads, residual additions, activation functions and pooling take and give FP16. So do the Q/DQ pairs, whose scales
    are rounded to FP16 (opset 19), as NVIDIA's Model Optimizer writes them and TensorRT fuses them; the integers are
    untouched. Where FP16 is too coarse for a layer's scales (`layers_beyond_half`), the layer's DequantizeLinear nodes
    and itself stay float32 with the scales that they had, and a cast follows: it is an INT8 kernel all the same.

    ONNX Runtime reads the graph rightly without its optimiser `WeightBiasQuantization`, which multiplies FP16 scales in
    FP16 and gets zero (seen in 1.32); OpenVINO takes it as it is.

    Args:
        graph: Q/DQ ONNX, opset 19 or later; input `image`, (N, side, side, 3) uint8.
        place: The file to write.

    Raises:
        BuildError: A constant is beyond FP16's 65504, or a range is too wide or too narrow for an FP16 scale.
    """
    proto = onnx.load(graph)
    connections = topology(proto.graph)
    _refuse_large(proto, graph)
    _refuse_activations(proto, connections, graph)
    mixed = _halved(proto)
    _keep_float(mixed.graph, frozenset(layers_beyond_half(proto)), connections.constants)
    onnx.checker.check_model(mixed, full_check=True)
    onnx.save(mixed, place)


def layers_beyond_half(proto: onnx.ModelProto) -> tuple[str, ...]:
    """Names of quantized layers with a filter whose scale FP16 would round by more than INT8 rounded its weights.

    Below 6.1e-5 FP16 has fewer digits than above. A rounded scale moves a weight by its integer times the error of the
    scale; more than half of a step is more than what was lost when the weight became an integer. Such filters are faint
    (their weights are below 1e-3), but what follows them may amplify.

    Args:
        proto: The Q/DQ graph with float32 scales.
    """
    connections = topology(proto.graph)
    return tuple(
        layer.name
        for layer in proto.graph.node
        if layer.op_type in LINEAR
        for source in [connections.producer.get(layer.input[1])]
        if source is not None and _is_beyond_half(source, connections)
    )


def _is_beyond_half(dequantize: onnx.NodeProto, connections: Topology) -> bool:
    if dequantize.op_type != "DequantizeLinear" or dequantize.input[0] not in connections.constants:
        return False
    weight, scale = (numpy_helper.to_array(connections.constants[name]) for name in dequantize.input[:2])
    rows = np.abs(weight.astype(np.int32)).reshape(scale.size, -1).max(axis=1)
    return bool((rows * _error(scale.reshape(-1)) > scale.reshape(-1) / 2).any())


def _error(scale: Floats) -> Floats:
    exact = scale.astype(np.float64)
    return np.abs(exact.astype(np.float16).astype(np.float64) - exact)


def _refuse_large(proto: onnx.ModelProto, graph: Path) -> None:
    for tensor in proto.graph.initializer:
        if tensor.data_type == TensorProto.FLOAT:
            largest = float(np.abs(numpy_helper.to_array(tensor)).max(initial=0.0))
            if not largest <= _LARGEST:  # nan neither
                why = f"{tensor.name} holds {largest:g}, and FP16 ends at {_LARGEST:g}"
                raise BuildError(f"{graph.name} does not fit FP16", why, _FIX)


def _refuse_activations(proto: onnx.ModelProto, connections: Topology, graph: Path) -> None:
    for node in proto.graph.node:
        if node.op_type == "QuantizeLinear" and node.input[1] in connections.constants:
            scale = numpy_helper.to_array(connections.constants[node.input[1]])
            amax = float(scale.max()) * LEVELS
            if amax > _LARGEST or (LEVELS * _error(scale) > scale / 2).any():
                holds = f"FP16 holds ranges from {LEVELS**2 * _STEP:.1g} to {_LARGEST:g}"
                why = f"{node.input[0]} has a range of ±{amax:g}, and {holds}"
                raise BuildError(f"{graph.name} does not fit FP16", why, _FIX)


def _halved(proto: onnx.ModelProto) -> onnx.ModelProto:
    """The graph with every float tensor in FP16 but outputs and the softmax."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="the float32 number .* will be truncated", category=UserWarning)
        half: onnx.ModelProto = float16.convert_float_to_float16(
            proto, keep_io_types=True, min_positive_val=_STEP, max_finite_val=_LARGEST
        )
    # The converter leaves casts as they are; the one behind the pixels would feed floats to FP16 arithmetic.
    for node in half.graph.node:
        if node.op_type == "Cast" and node.input[0] == "image":
            node.CopyFrom(_cast("image", node.output[0], TensorProto.FLOAT16, name=node.name))
    _read_before_widening(half.graph)
    _rewrite(half.graph, _softmax_in_float(half.graph))
    return half


def _read_before_widening(graph: onnx.GraphProto) -> None:
    """Nodes that read an output of the graph, as heads read the features, read what the converter widens to it."""
    outputs = {value.name for value in graph.output}
    narrow = {
        node.output[0]: node.input[0] for node in graph.node if node.op_type == "Cast" and node.output[0] in outputs
    }
    for node in graph.node:
        node.input[:] = [narrow.get(name, name) for name in node.input]


def _softmax_in_float(graph: onnx.GraphProto) -> Callable[[onnx.NodeProto], Iterator[onnx.NodeProto]]:
    """Moves the cast that the converter put behind a softmax in front of it."""
    outputs = {node.input[0]: node.output[0] for node in graph.node if node.op_type == "Cast"}
    moved = {node.output[0] for node in graph.node if node.op_type == "Softmax" and node.output[0] in outputs}

    def rewritten(node: onnx.NodeProto) -> Iterator[onnx.NodeProto]:
        if node.op_type == "Softmax" and node.output[0] in moved:
            widened = f"{node.input[0]}.float"
            yield _cast(node.input[0], widened, TensorProto.FLOAT, name=widened)
            node.output[0] = outputs[node.output[0]]
            node.input[0] = widened
            yield node
        elif not (node.op_type == "Cast" and node.input[0] in moved):
            yield node

    return rewritten


def _keep_float(graph: onnx.GraphProto, layers: frozenset[str], exact: dict[str, TensorProto]) -> None:
    """Gives layers the scales and biases that they had, a float32 activation, and a cast behind.

    Args:
        graph: In FP16; changed.
        layers: Their names.
        exact: The float32 constants by name.
    """
    connections = topology(graph)
    widened: dict[str, onnx.NodeProto] = {}

    def rewritten(node: onnx.NodeProto) -> Iterator[onnx.NodeProto]:
        if node.name not in layers:
            yield node
            return
        for name in (connections.producer[node.input[1]].input[1], *node.input[2:]):
            connections.constants[name].CopyFrom(exact[name])
        source = connections.producer[node.input[0]]
        if source.name not in widened:
            widened[source.name] = _widened(source, graph, connections)
            yield widened[source.name]
        node.input[0] = widened[source.name].output[0]
        narrow, node.output[0] = node.output[0], f"{node.output[0]}.float"
        yield node
        yield _cast(node.output[0], narrow, TensorProto.FLOAT16, name=f"{node.name}.half")

    _rewrite(graph, rewritten)


def _widened(source: onnx.NodeProto, graph: onnx.GraphProto, connections: Topology) -> onnx.NodeProto:
    """A DequantizeLinear of the same integers by the same scale that gives float32."""
    result = onnx.NodeProto()
    result.CopyFrom(source)
    scale = numpy_helper.to_array(connections.constants[source.input[1]]).astype(np.float32)
    result.name = result.output[0] = f"{source.output[0]}.float"
    result.input[1] = f"{source.output[0]}.scale"
    graph.initializer.append(numpy_helper.from_array(np.asarray(scale), result.input[1]))
    return result


def _cast(tensor: str, output: str, dtype: int, *, name: str) -> onnx.NodeProto:
    return helper.make_node("Cast", [tensor], [output], name=name, to=dtype)


def _rewrite(graph: onnx.GraphProto, rewritten: Callable[[onnx.NodeProto], Iterator[onnx.NodeProto]]) -> None:
    """Puts what `rewritten` gives for each node in its place, and drops the shapes of inner tensors."""
    copies = [onnx.NodeProto.FromString(node.SerializeToString()) for node in graph.node]
    nodes = [new for node in copies for new in rewritten(node)]
    del graph.node[:]
    graph.node.extend(nodes)
    del graph.value_info[:]
