"""What compilers accept in silence and what then runs in float, or wrongly.

Every rule was found by compiling a broken graph with TensorRT-RTX. It takes most of them in silence, refuses a few with
an error of its own, and a scale that is an input crashes it (1.7): `tests/calibration/test_lint_on_rtx.py`.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import Enum

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import numpy_helper

from calibration.histograms import LEVELS
from calibration.placement import LINEAR, Topology, is_head, shortcut_of, topology
from sall_edge.errors import CalibrationError

__all__ = ["Finding", "Rule", "check", "lint"]

_ACTIVATIONS = frozenset({"Relu", "Clip", "LeakyRelu", "PRelu", "Elu", "HardSwish", "HardSigmoid", "Sigmoid", "Gelu"})
_QUANTIZERS = frozenset({"QuantizeLinear", "DequantizeLinear"})
_OLDEST_OPSET = 13
_OLDEST_OPSET_HALF = 19
_LARGEST_HALF = float(np.finfo(np.float16).max)


class Rule(str, Enum):
    """What is wrong; the value says what comes of it."""

    OPSET = "opset below 13 has no scale per channel"
    ACTIVATION_SCALE_SHAPE = "an activation scale of shape [1] makes every convolution float"
    ACTIVATION_PER_CHANNEL = "an activation scale per channel makes the convolution float"
    WEIGHT_AXIS = "weight scales must run along axis 0, the output channels; else the convolution is float"
    WEIGHT_FLOAT = "unquantized weights make the convolution float"
    ACTIVATION_FLOAT = "an unquantized activation makes the convolution float"
    BETWEEN_LAYER_AND_ACTIVATION = "Q/DQ between a convolution and its activation function breaks their fusion"
    ZERO_POINT_TYPE = "TensorRT computes in int8; other zero point types get a warning at most"
    ZERO_POINT_VALUE = "TensorRT quantizes symmetrically: a zero point that is not 0 gives wrong numbers"
    QUANTIZED_BIAS = "TensorRT refuses or ignores a quantized bias; it must stay float"
    SCALE_NOT_CONSTANT = "a scale or zero point that is no constant can be fed from outside"
    SCALE_VALUE = "a scale must be finite and above 0"
    HALF_OPSET = "before opset 19 ONNX has no FP16 scale, and what it means is left to the compiler"
    HALF_RANGE = "what an FP16 scale dequantizes must stay below 65504, where FP16 ends"
    PAIR = "the two halves of a Q/DQ pair must share scale and zero point"
    PAD_BEFORE_LAYER = "a Pad between DequantizeLinear and a convolution makes the convolution float"
    RESIDUAL = "a residual addition wants a quantized shortcut and a bare convolution branch"


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One broken rule.

    Attributes:
        rule: Which.
        node: Name of the node.
        detail: What was found there.
    """

    rule: Rule
    node: str
    detail: str

    def __str__(self) -> str:
        return f"{self.node}: {self.detail} ({self.rule.value})"


def check(proto: onnx.ModelProto, *, keep_float: Iterable[str] = ()) -> None:
    """Refuses a graph with findings.

    Raises:
        CalibrationError: Names the first findings.
    """
    findings = lint(proto, keep_float=keep_float)
    if findings:
        more = f"; and {len(findings) - 5} more" if len(findings) > 5 else ""
        why = "; ".join(str(finding) for finding in findings[:5]) + more
        fix = "quantize the FP32 graph again with sall-edge calibrate"
        raise CalibrationError(f"the Q/DQ graph breaks {len(findings)} rules", why, fix)


def lint(proto: onnx.ModelProto, *, keep_float: Iterable[str] = ()) -> tuple[Finding, ...]:
    """Everything in a Q/DQ graph that would silently run in float or compute something else.

    A Cast between floats is looked through, as TensorRT-RTX does: mixed graphs (INT8 and FP16) have some.

    Args:
        proto: The graph, from `quantize` or from another tool.
        keep_float: Names of layers that are meant to be float. Heads always are.

    Returns:
        Findings in the order of the graph; empty when all is well.
    """
    bare = _without_casts(proto.graph)
    graph = topology(bare)
    kept = set(keep_float)
    fed = {value.name for value in bare.input}
    findings = list(_opset(proto))
    for node in bare.node:
        if node.op_type in _QUANTIZERS:
            findings.extend(_quantizer(node, graph, fed))
        elif node.op_type == "Add":
            findings.extend(_residual(node, graph, kept))
        elif node.op_type in LINEAR:
            findings.extend(_bias(node, graph))
            if node.name not in kept and not is_head(node, graph):
                findings.extend(_layer(node, graph))
    return tuple(findings)


def _opset(proto: onnx.ModelProto) -> Iterator[Finding]:
    version = max((entry.version for entry in proto.opset_import if entry.domain in ("", "ai.onnx")), default=0)
    if version < _OLDEST_OPSET:
        yield Finding(rule=Rule.OPSET, node="graph", detail=f"opset is {version}")
    halves = {tensor.name for tensor in proto.graph.initializer if tensor.data_type == onnx.TensorProto.FLOAT16}
    scaled = [node for node in proto.graph.node if node.op_type in _QUANTIZERS and node.input[1] in halves]
    if scaled and version < _OLDEST_OPSET_HALF:
        yield Finding(rule=Rule.HALF_OPSET, node=scaled[0].name, detail=f"opset is {version}")


def _without_casts(graph: onnx.GraphProto) -> onnx.GraphProto:
    """A copy in which readers of a cast read what it casts; the cast of a graph's input stays."""
    result = onnx.GraphProto()
    result.CopyFrom(graph)
    del result.node[:]
    made: set[str] = set()
    behind: dict[str, str] = {}
    for node in graph.node:
        made.update(node.output)
        if node.op_type == "Cast" and node.input[0] in made:
            behind[node.output[0]] = behind.get(node.input[0], node.input[0])
        else:
            result.node.append(node)
            result.node[-1].input[:] = [behind.get(name, name) for name in node.input]
    return result


def _quantizer(node: onnx.NodeProto, graph: Topology, fed: set[str]) -> Iterator[Finding]:
    """Scale, zero point and place of one QuantizeLinear or DequantizeLinear."""
    for name in node.input[1:]:
        if name and (name not in graph.constants or name in fed):
            yield Finding(rule=Rule.SCALE_NOT_CONSTANT, node=node.name, detail=f"{name} is an input or is computed")
    stored = _constant(graph, node.input[1])
    if stored is not None:
        scale = stored.astype(np.float64)
        if not (np.isfinite(scale).all() and (scale > 0).all()):
            yield Finding(rule=Rule.SCALE_VALUE, node=node.name, detail=f"the smallest scale is {scale.min():g}")
        elif stored.dtype == np.float16 and scale.max() * LEVELS > _LARGEST_HALF:
            yield Finding(rule=Rule.HALF_RANGE, node=node.name, detail=f"127 steps are {scale.max() * LEVELS:g}")
        yield from _scale_shape(node, scale, graph)
    yield from _zero_point(node, graph)
    if node.op_type == "DequantizeLinear":
        source = graph.producer.get(node.input[0])
        if source is not None and source.op_type == "QuantizeLinear":
            yield from _pair(source, node, graph)
            yield from _fusion(source, node, graph)


def _scale_shape(node: onnx.NodeProto, scale: NDArray[np.generic], graph: Topology) -> Iterator[Finding]:
    weight = _weight_behind(node.input[0], graph)
    if weight is None:
        if scale.ndim and scale.size == 1:
            yield Finding(rule=Rule.ACTIVATION_SCALE_SHAPE, node=node.name, detail=f"scale has shape {scale.shape}")
        elif scale.ndim:
            yield Finding(rule=Rule.ACTIVATION_PER_CHANNEL, node=node.name, detail=f"scale has shape {scale.shape}")
        return
    axis = next((a.i for a in node.attribute if a.name == "axis"), 1) % max(len(weight.dims), 1)
    if scale.ndim and (axis != 0 or scale.shape != (weight.dims[0],)):
        detail = f"{scale.shape} scales along axis {axis} of weights {tuple(weight.dims)}"
        yield Finding(rule=Rule.WEIGHT_AXIS, node=node.name, detail=detail)


def _zero_point(node: onnx.NodeProto, graph: Topology) -> Iterator[Finding]:
    if len(node.input) < 3 or not node.input[2]:
        # Without one, QuantizeLinear gives uint8 and DequantizeLinear takes the type of what it reads.
        stored = graph.constants.get(node.input[0])
        if node.op_type == "QuantizeLinear":
            yield Finding(rule=Rule.ZERO_POINT_TYPE, node=node.name, detail="no zero point, which means uint8")
        elif stored is not None and stored.data_type != onnx.TensorProto.INT8:
            detail = f"it reads {onnx.TensorProto.DataType.Name(stored.data_type)}"
            yield Finding(rule=Rule.ZERO_POINT_TYPE, node=node.name, detail=detail)
        return
    constant = graph.constants.get(node.input[2])
    if constant is None:
        return
    if constant.data_type != onnx.TensorProto.INT8:
        detail = f"its zero point is {onnx.TensorProto.DataType.Name(constant.data_type)}"
        yield Finding(rule=Rule.ZERO_POINT_TYPE, node=node.name, detail=detail)
    elif numpy_helper.to_array(constant).any():
        yield Finding(rule=Rule.ZERO_POINT_VALUE, node=node.name, detail="its zero point is not 0")


def _pair(quantize: onnx.NodeProto, dequantize: onnx.NodeProto, graph: Topology) -> Iterator[Finding]:
    for first, second in zip(quantize.input[1:], dequantize.input[1:], strict=False):
        a, b = _constant(graph, first), _constant(graph, second)
        if a is not None and b is not None and not np.array_equal(a, b):
            detail = f"{first} and {second} differ"
            yield Finding(rule=Rule.PAIR, node=dequantize.name, detail=detail)


def _fusion(quantize: onnx.NodeProto, dequantize: onnx.NodeProto, graph: Topology) -> Iterator[Finding]:
    layer = graph.producer.get(quantize.input[0])
    if layer is None or layer.op_type not in LINEAR:
        return
    for reader in graph.consumers.get(dequantize.output[0], ()):
        if reader.op_type in _ACTIVATIONS:
            detail = f"it stands between {layer.name} and {reader.op_type} {reader.name}"
            yield Finding(rule=Rule.BETWEEN_LAYER_AND_ACTIVATION, node=quantize.name, detail=detail)


def _bias(layer: onnx.NodeProto, graph: Topology) -> Iterator[Finding]:
    source = graph.producer.get(layer.input[2]) if len(layer.input) > 2 else None
    if source is not None and source.op_type == "DequantizeLinear":
        yield Finding(rule=Rule.QUANTIZED_BIAS, node=layer.name, detail=f"its bias comes from {source.name}")


def _layer(layer: onnx.NodeProto, graph: Topology) -> Iterator[Finding]:
    """Both operands of a layer that should be INT8."""
    for name in layer.input[:2]:
        source = graph.producer.get(name)
        if source is not None and source.op_type == "DequantizeLinear":
            continue
        is_weight = name in graph.constants
        if source is not None and source.op_type == "Pad" and _is_dequantized(source.input[0], graph):
            detail = f"{source.name} pads its quantized input"
            yield Finding(rule=Rule.PAD_BEFORE_LAYER, node=layer.name, detail=detail)
        else:
            rule = Rule.WEIGHT_FLOAT if is_weight else Rule.ACTIVATION_FLOAT
            yield Finding(rule=rule, node=layer.name, detail=f"it reads {name} in float")


def _residual(add: onnx.NodeProto, graph: Topology, kept: set[str]) -> Iterator[Finding]:
    if any(name in graph.constants for name in add.input):
        return
    convolutions = [name for name in add.input if _int8_layer_behind(name, graph, kept)]
    if not convolutions:
        return
    quantized = [name for name in add.input if _is_dequantized(name, graph)]
    if len(quantized) == 2:
        # Two block outputs may be quantized for their other readers; a branch that only the addition reads may not.
        bare = [name for name in add.input if _is_read_only_by(name, add, graph)]
        if bare:
            yield Finding(rule=Rule.RESIDUAL, node=add.name, detail="both operands are quantized")
    elif not quantized and shortcut_of(add, graph) is not None:
        yield Finding(rule=Rule.RESIDUAL, node=add.name, detail="neither operand is quantized")


def _is_read_only_by(tensor: str, add: onnx.NodeProto, graph: Topology) -> bool:
    """Whether a dequantized convolution output serves nothing but the addition."""
    dequantize = graph.producer[tensor]
    quantize = graph.producer.get(dequantize.input[0])
    layer = graph.producer.get(quantize.input[0]) if quantize is not None else None
    return layer is not None and layer.op_type in LINEAR and graph.consumers[tensor] == [add]


def _int8_layer_behind(tensor: str, graph: Topology, kept: set[str]) -> bool:
    node = graph.producer.get(tensor)
    while node is not None and node.op_type in _QUANTIZERS:
        node = graph.producer.get(node.input[0])
    return node is not None and node.op_type in LINEAR and node.name not in kept


def _is_dequantized(tensor: str, graph: Topology) -> bool:
    node = graph.producer.get(tensor)
    return node is not None and node.op_type == "DequantizeLinear"


def _weight_behind(tensor: str, graph: Topology) -> onnx.TensorProto | None:
    """The constant that a quantizer reads, straight or through its partner; None for activations."""
    node = graph.producer.get(tensor)
    while node is not None and node.op_type in _QUANTIZERS:
        tensor = node.input[0]
        node = graph.producer.get(tensor)
    return graph.constants.get(tensor)


def _constant(graph: Topology, name: str) -> NDArray[np.generic] | None:
    tensor = graph.constants.get(name)
    return None if tensor is None else numpy_helper.to_array(tensor)
