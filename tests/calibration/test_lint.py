from collections.abc import Callable

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray
from onnx import helper, numpy_helper

from calibration.lint import Rule, check, lint
from calibration.placement import place
from calibration.quantize import with_qdq
from sall_edge.errors import CalibrationError


@pytest.fixture
def qdq(proto: onnx.ModelProto) -> onnx.ModelProto:
    return with_qdq(proto, dict.fromkeys(place(proto.graph).activations, 3.0))


def _node(proto: onnx.ModelProto, name: str) -> onnx.NodeProto:
    return next(node for node in proto.graph.node if node.name == name)


def _set(proto: onnx.ModelProto, name: str, value: NDArray[np.generic]) -> None:
    tensor = next(one for one in proto.graph.initializer if one.name == name)
    tensor.CopyFrom(numpy_helper.from_array(value, name))


def _without_pair(proto: onnx.ModelProto, tensor: str) -> None:
    for node in proto.graph.node:
        node.input[:] = [tensor if name == f"{tensor}.dequantized" else name for name in node.input]


def _insert_before(proto: onnx.ModelProto, reader: str, index: int, node: onnx.NodeProto) -> None:
    """Puts a node between an operand and its reader."""
    place_of = [one.name for one in proto.graph.node].index(reader)
    _node(proto, reader).input[index] = node.output[0]
    proto.graph.node.insert(place_of, node)


def _scale_of_one_element(proto: onnx.ModelProto) -> None:
    _set(proto, "stem.act.scale", np.array([0.02], np.float32))


def _activation_scale_per_channel(proto: onnx.ModelProto) -> None:
    _set(proto, "stem.act.scale", np.full(8, 0.02, np.float32))
    _set(proto, "stem.act.zero_point", np.zeros(8, np.int8))


def _weight_axis_1(proto: onnx.ModelProto) -> None:
    _node(proto, "project.weight.dequantized").attribute[0].i = 1


def _weight_axis_missing(proto: onnx.ModelProto) -> None:
    del _node(proto, "project.weight.dequantized").attribute[:]  # the default is 1


def _float_weight(proto: onnx.ModelProto) -> None:
    weight = np.zeros((8, 8, 1, 1), np.float32)
    proto.graph.initializer.append(numpy_helper.from_array(weight, "project.weight"))
    _node(proto, "project").input[1] = "project.weight"


def _float_activation(proto: onnx.ModelProto) -> None:
    _node(proto, "depthwise").input[0] = "stem.act"


def _pair_before_relu(proto: onnx.ModelProto) -> None:
    constants = ["stem.act.scale", "stem.act.zero_point"]
    quantize = helper.make_node("QuantizeLinear", ["stem", *constants], ["stem.q"], name="stem.q")
    dequantize = helper.make_node("DequantizeLinear", ["stem.q", *constants], ["stem.dq"], name="stem.dq")
    _insert_before(proto, "stem.act", 0, dequantize)
    proto.graph.node.insert([one.name for one in proto.graph.node].index("stem.dq"), quantize)


def _uint8_zero_point(proto: onnx.ModelProto) -> None:
    _set(proto, "stem.act.zero_point", np.array(0, np.uint8))


def _no_zero_point(proto: onnx.ModelProto) -> None:
    for name in ("stem.act.quantized", "stem.act.dequantized"):
        del _node(proto, name).input[2]


def _zero_point_of_3(proto: onnx.ModelProto) -> None:
    _set(proto, "stem.act.zero_point", np.array(3, np.int8))


def _weight_zero_point_of_3(proto: onnx.ModelProto) -> None:
    _set(proto, "stem.weight.zero_point", np.full(8, 3, np.int8))


def _int32_bias(proto: onnx.ModelProto) -> None:
    bias = numpy_helper.from_array(np.zeros(8, np.int32), "stem.bias.int32")
    scale = numpy_helper.from_array(np.full(8, 0.01, np.float32), "stem.bias.scale")
    proto.graph.initializer.extend([bias, scale])
    node = helper.make_node("DequantizeLinear", [bias.name, scale.name], ["stem.bias.dq"], name="stem.bias.dq", axis=0)
    _insert_before(proto, "stem", 2, node)


def _scale_is_an_input(proto: onnx.ModelProto) -> None:
    kept = [one for one in proto.graph.initializer if one.name != "stem.act.scale"]
    del proto.graph.initializer[:]
    proto.graph.initializer.extend(kept)
    proto.graph.input.append(helper.make_tensor_value_info("stem.act.scale", onnx.TensorProto.FLOAT, []))


def _scale_can_be_overridden(proto: onnx.ModelProto) -> None:
    proto.graph.input.append(helper.make_tensor_value_info("stem.act.scale", onnx.TensorProto.FLOAT, []))


def _old_opset(proto: onnx.ModelProto) -> None:
    proto.opset_import[0].version = 11


def _pad_before_convolution(proto: onnx.ModelProto) -> None:
    pads = numpy_helper.from_array(np.array([0, 0, 1, 1, 0, 0, 1, 1], np.int64), "pads")
    proto.graph.initializer.append(pads)
    node = helper.make_node("Pad", ["stem.act.dequantized", "pads"], ["padded"], name="padded")
    _insert_before(proto, "depthwise", 0, node)


def _scale_of_zero(proto: onnx.ModelProto) -> None:
    _set(proto, "stem.act.scale", np.array(0, np.float32))


def _scale_that_is_no_number(proto: onnx.ModelProto) -> None:
    _set(proto, "stem.weight.scale", np.full(8, np.nan, np.float32))


def _halves_that_differ(proto: onnx.ModelProto) -> None:
    proto.graph.initializer.append(numpy_helper.from_array(np.array(0.5, np.float32), "other.scale"))
    _node(proto, "stem.act.dequantized").input[1] = "other.scale"


def _float_shortcut(proto: onnx.ModelProto) -> None:
    _without_pair(proto, "downsample")


def _both_branches_quantized(proto: onnx.ModelProto) -> None:
    constants = ["downsample.scale", "downsample.zero_point"]
    quantize = helper.make_node("QuantizeLinear", ["expand", *constants], ["expand.q"], name="expand.q")
    dequantize = helper.make_node("DequantizeLinear", ["expand.q", *constants], ["expand.dq"], name="expand.dq")
    _insert_before(proto, "second.add", 0, dequantize)
    proto.graph.node.insert([one.name for one in proto.graph.node].index("expand.dq"), quantize)


SABOTAGES = [
    (_scale_of_one_element, Rule.ACTIVATION_SCALE_SHAPE),
    (_activation_scale_per_channel, Rule.ACTIVATION_PER_CHANNEL),
    (_weight_axis_1, Rule.WEIGHT_AXIS),
    (_weight_axis_missing, Rule.WEIGHT_AXIS),
    (_float_weight, Rule.WEIGHT_FLOAT),
    (_float_activation, Rule.ACTIVATION_FLOAT),
    (_pair_before_relu, Rule.BETWEEN_LAYER_AND_ACTIVATION),
    (_uint8_zero_point, Rule.ZERO_POINT_TYPE),
    (_no_zero_point, Rule.ZERO_POINT_TYPE),
    (_zero_point_of_3, Rule.ZERO_POINT_VALUE),
    (_weight_zero_point_of_3, Rule.ZERO_POINT_VALUE),
    (_int32_bias, Rule.QUANTIZED_BIAS),
    (_scale_is_an_input, Rule.SCALE_NOT_CONSTANT),
    (_scale_can_be_overridden, Rule.SCALE_NOT_CONSTANT),
    (_old_opset, Rule.OPSET),
    (_pad_before_convolution, Rule.PAD_BEFORE_LAYER),
    (_scale_of_zero, Rule.SCALE_VALUE),
    (_scale_that_is_no_number, Rule.SCALE_VALUE),
    (_halves_that_differ, Rule.PAIR),
    (_float_shortcut, Rule.RESIDUAL),
    (_both_branches_quantized, Rule.RESIDUAL),
]


def test_a_graph_of_this_project_has_no_findings(qdq: onnx.ModelProto) -> None:
    assert lint(qdq) == ()
    check(qdq)


@pytest.mark.parametrize(("sabotage", "rule"), SABOTAGES, ids=[one.__name__[1:] for one, _ in SABOTAGES])
def test_a_sabotage_is_found(sabotage: Callable[[onnx.ModelProto], None], rule: Rule, qdq: onnx.ModelProto) -> None:
    sabotage(qdq)
    found = {finding.rule for finding in lint(qdq)}
    if sabotage is _int32_bias:
        found.discard(Rule.ZERO_POINT_TYPE)  # a bias in int32 is both
    assert found == {rule}
    with pytest.raises(CalibrationError, match=r"the Q/DQ graph breaks \d+ rules"):
        check(qdq)


def test_every_rule_has_a_sabotage() -> None:
    assert {rule for _, rule in SABOTAGES} == set(Rule)


def test_an_fp32_graph_is_float_all_over(proto: onnx.ModelProto) -> None:
    findings = lint(proto)
    assert {finding.node for finding in findings if finding.rule is Rule.WEIGHT_FLOAT} == set(place(proto.graph).layers)


def test_a_layer_that_is_meant_to_be_float_is_no_finding(proto: onnx.ModelProto) -> None:
    amax = dict.fromkeys(place(proto.graph).activations, 3.0)
    result = with_qdq(proto, amax, keep_float=["stem"])
    assert lint(result, keep_float=["stem"]) == ()
    assert {finding.node for finding in lint(result)} == {"stem"}


def test_weights_may_be_quantized_by_a_pair_instead(qdq: onnx.ModelProto) -> None:
    weight = numpy_helper.from_array(np.ones((8, 8, 1, 1), np.float32), "project.weight")
    qdq.graph.initializer.append(weight)
    constants = ["project.weight.scale", "project.weight.zero_point"]
    quantize = helper.make_node("QuantizeLinear", ["project.weight", *constants], ["project.q"], name="q", axis=0)
    qdq.graph.node.insert(0, quantize)
    _node(qdq, "project.weight.dequantized").input[0] = "project.q"
    assert lint(qdq) == ()
