from collections.abc import Callable

import numpy as np
import onnx
import pytest
from fakes.bad_graphs import SABOTAGES, insert_before, int32_bias, node_called, without_pair
from onnx import helper, numpy_helper

from calibration.lint import Rule, check, lint
from calibration.placement import place
from calibration.quantize import with_qdq
from sall_edge.errors import CalibrationError


@pytest.fixture
def qdq(proto: onnx.ModelProto) -> onnx.ModelProto:
    return with_qdq(proto, dict.fromkeys(place(proto.graph).activations, 3.0))


def test_a_graph_of_this_project_has_no_findings(qdq: onnx.ModelProto) -> None:
    assert lint(qdq) == ()
    check(qdq)


@pytest.mark.parametrize(("sabotage", "rule"), SABOTAGES, ids=[one.__name__ for one, _ in SABOTAGES])
def test_a_sabotage_is_found(sabotage: Callable[[onnx.ModelProto], None], rule: Rule, qdq: onnx.ModelProto) -> None:
    sabotage(qdq)
    found = {finding.rule for finding in lint(qdq)}
    if sabotage is int32_bias:
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
    node_called(qdq, "project.weight.dequantized").input[0] = "project.q"
    assert lint(qdq) == ()


def test_a_cast_between_floats_is_looked_through(qdq: onnx.ModelProto) -> None:
    half = helper.make_node("Cast", ["stem.act.dequantized"], ["half"], name="half", to=onnx.TensorProto.FLOAT16)
    insert_before(qdq, "depthwise", 0, half)
    assert lint(qdq) == ()


def test_a_cast_hides_no_broken_addition(qdq: onnx.ModelProto) -> None:
    without_pair(qdq, "downsample")
    half = helper.make_node("Cast", ["expand"], ["half"], name="half", to=onnx.TensorProto.FLOAT16)
    insert_before(qdq, "second.add", 0, half)
    assert {finding.rule for finding in lint(qdq)} == {Rule.RESIDUAL}
