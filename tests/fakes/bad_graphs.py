"""Q/DQ graphs that are wrong in one way each: changes to the graph of calibration's tests, and the rules they break."""

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import helper, numpy_helper

from calibration.lint import Rule


def node_called(proto: onnx.ModelProto, name: str) -> onnx.NodeProto:
    return next(node for node in proto.graph.node if node.name == name)


def set_constant(proto: onnx.ModelProto, name: str, value: NDArray[np.generic]) -> None:
    tensor = next(one for one in proto.graph.initializer if one.name == name)
    tensor.CopyFrom(numpy_helper.from_array(value, name))


def without_pair(proto: onnx.ModelProto, tensor: str) -> None:
    for node in proto.graph.node:
        node.input[:] = [tensor if name == f"{tensor}.dequantized" else name for name in node.input]


def insert_before(proto: onnx.ModelProto, reader: str, index: int, node: onnx.NodeProto) -> None:
    """Puts a node between an operand and its reader."""
    place_of = [one.name for one in proto.graph.node].index(reader)
    node_called(proto, reader).input[index] = node.output[0]
    proto.graph.node.insert(place_of, node)


def scale_of_one_element(proto: onnx.ModelProto) -> None:
    set_constant(proto, "stem.act.scale", np.array([0.02], np.float32))


def activation_scale_per_channel(proto: onnx.ModelProto) -> None:
    set_constant(proto, "stem.act.scale", np.full(8, 0.02, np.float32))
    set_constant(proto, "stem.act.zero_point", np.zeros(8, np.int8))


def weight_axis_1(proto: onnx.ModelProto) -> None:
    node_called(proto, "project.weight.dequantized").attribute[0].i = 1


def weight_axis_missing(proto: onnx.ModelProto) -> None:
    del node_called(proto, "project.weight.dequantized").attribute[:]  # the default is 1


def float_weight(proto: onnx.ModelProto) -> None:
    weight = np.zeros((8, 8, 1, 1), np.float32)
    proto.graph.initializer.append(numpy_helper.from_array(weight, "project.weight"))
    node_called(proto, "project").input[1] = "project.weight"


def float_activation(proto: onnx.ModelProto) -> None:
    node_called(proto, "depthwise").input[0] = "stem.act"


def pair_before_relu(proto: onnx.ModelProto) -> None:
    constants = ["stem.act.scale", "stem.act.zero_point"]
    quantize = helper.make_node("QuantizeLinear", ["stem", *constants], ["stem.q"], name="stem.q")
    dequantize = helper.make_node("DequantizeLinear", ["stem.q", *constants], ["stem.dq"], name="stem.dq")
    insert_before(proto, "stem.act", 0, dequantize)
    proto.graph.node.insert([one.name for one in proto.graph.node].index("stem.dq"), quantize)


def uint8_zero_point(proto: onnx.ModelProto) -> None:
    set_constant(proto, "stem.act.zero_point", np.array(0, np.uint8))


def no_zero_point(proto: onnx.ModelProto) -> None:
    for name in ("stem.act.quantized", "stem.act.dequantized"):
        del node_called(proto, name).input[2]


def zero_point_of_3(proto: onnx.ModelProto) -> None:
    set_constant(proto, "stem.act.zero_point", np.array(3, np.int8))


def weight_zero_point_of_3(proto: onnx.ModelProto) -> None:
    set_constant(proto, "stem.weight.zero_point", np.full(8, 3, np.int8))


def int32_bias(proto: onnx.ModelProto) -> None:
    bias = numpy_helper.from_array(np.zeros(8, np.int32), "stem.bias.int32")
    scale = numpy_helper.from_array(np.full(8, 0.01, np.float32), "stem.bias.scale")
    proto.graph.initializer.extend([bias, scale])
    node = helper.make_node("DequantizeLinear", [bias.name, scale.name], ["stem.bias.dq"], name="stem.bias.dq", axis=0)
    insert_before(proto, "stem", 2, node)


def scale_is_an_input(proto: onnx.ModelProto) -> None:
    kept = [one for one in proto.graph.initializer if one.name != "stem.act.scale"]
    del proto.graph.initializer[:]
    proto.graph.initializer.extend(kept)
    proto.graph.input.append(helper.make_tensor_value_info("stem.act.scale", onnx.TensorProto.FLOAT, []))


def scale_can_be_overridden(proto: onnx.ModelProto) -> None:
    proto.graph.input.append(helper.make_tensor_value_info("stem.act.scale", onnx.TensorProto.FLOAT, []))


def old_opset(proto: onnx.ModelProto) -> None:
    proto.opset_import[0].version = 11


def pad_before_convolution(proto: onnx.ModelProto) -> None:
    pads = numpy_helper.from_array(np.array([0, 0, 1, 1, 0, 0, 1, 1], np.int64), "pads")
    proto.graph.initializer.append(pads)
    node = helper.make_node("Pad", ["stem.act.dequantized", "pads"], ["padded"], name="padded")
    insert_before(proto, "depthwise", 0, node)


def scale_of_zero(proto: onnx.ModelProto) -> None:
    set_constant(proto, "stem.act.scale", np.array(0, np.float32))


def half_scale_beyond_half(proto: onnx.ModelProto) -> None:
    set_constant(proto, "stem.act.scale", np.array(1000, np.float16))


def half_scale_before_opset_19(proto: onnx.ModelProto) -> None:
    set_constant(proto, "stem.act.scale", np.array(0.02, np.float16))
    proto.opset_import[0].version = 17


def scale_that_is_no_number(proto: onnx.ModelProto) -> None:
    set_constant(proto, "stem.weight.scale", np.full(8, np.nan, np.float32))


def halves_that_differ(proto: onnx.ModelProto) -> None:
    proto.graph.initializer.append(numpy_helper.from_array(np.array(0.5, np.float32), "other.scale"))
    node_called(proto, "stem.act.dequantized").input[1] = "other.scale"


def float_shortcut(proto: onnx.ModelProto) -> None:
    without_pair(proto, "downsample")


def both_branches_quantized(proto: onnx.ModelProto) -> None:
    constants = ["downsample.scale", "downsample.zero_point"]
    quantize = helper.make_node("QuantizeLinear", ["expand", *constants], ["expand.q"], name="expand.q")
    dequantize = helper.make_node("DequantizeLinear", ["expand.q", *constants], ["expand.dq"], name="expand.dq")
    insert_before(proto, "second.add", 0, dequantize)
    proto.graph.node.insert([one.name for one in proto.graph.node].index("expand.dq"), quantize)


SABOTAGES = [
    (scale_of_one_element, Rule.ACTIVATION_SCALE_SHAPE),
    (activation_scale_per_channel, Rule.ACTIVATION_PER_CHANNEL),
    (weight_axis_1, Rule.WEIGHT_AXIS),
    (weight_axis_missing, Rule.WEIGHT_AXIS),
    (float_weight, Rule.WEIGHT_FLOAT),
    (float_activation, Rule.ACTIVATION_FLOAT),
    (pair_before_relu, Rule.BETWEEN_LAYER_AND_ACTIVATION),
    (uint8_zero_point, Rule.ZERO_POINT_TYPE),
    (no_zero_point, Rule.ZERO_POINT_TYPE),
    (zero_point_of_3, Rule.ZERO_POINT_VALUE),
    (weight_zero_point_of_3, Rule.ZERO_POINT_VALUE),
    (int32_bias, Rule.QUANTIZED_BIAS),
    (scale_is_an_input, Rule.SCALE_NOT_CONSTANT),
    (scale_can_be_overridden, Rule.SCALE_NOT_CONSTANT),
    (old_opset, Rule.OPSET),
    (pad_before_convolution, Rule.PAD_BEFORE_LAYER),
    (scale_of_zero, Rule.SCALE_VALUE),
    (scale_that_is_no_number, Rule.SCALE_VALUE),
    (half_scale_beyond_half, Rule.HALF_RANGE),
    (half_scale_before_opset_19, Rule.HALF_OPSET),
    (halves_that_differ, Rule.PAIR),
    (float_shortcut, Rule.RESIDUAL),
    (both_branches_quantized, Rule.RESIDUAL),
]
