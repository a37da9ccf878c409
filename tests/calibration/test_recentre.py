"""The recentred graph computes the same, from maps around zero."""

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper

from calibration.recentre import recentred

ROUNDING = 2e-5  # float32, the same sums with another offset


def _graph(*, between: str = "Clip", high: float = 6.0, pads: int = 1) -> onnx.ModelProto:
    """Pixels -> 3x3 -> ReLU6 -> padded depthwise 3x3 -> ReLU6 -> 1x1."""
    rng = np.random.default_rng(0)
    shapes = {"w1": (4, 3, 3, 3), "b1": (4,), "w2": (4, 1, 3, 3), "b2": (4,), "w3": (5, 4, 1, 1), "b3": (5,)}
    constants = {name: rng.normal(scale=2, size=shape).astype(np.float32) for name, shape in shapes.items()}
    if between == "Clip":
        constants |= {"low": np.array(0, np.float32), "high": np.array(high, np.float32)}

    def activation(source: str, target: str) -> onnx.NodeProto:
        bounds = ["low", "high"] if between == "Clip" else []
        return helper.make_node(between, [source, *bounds], [target], name=target)

    nodes = [
        helper.make_node("Conv", ["image", "w1", "b1"], ["c1"], name="stem", pads=[1, 1, 1, 1]),
        activation("c1", "a1"),
        helper.make_node("Conv", ["a1", "w2", "b2"], ["c2"], name="depthwise", group=4, pads=[pads] * 4),
        activation("c2", "a2"),
        helper.make_node("Conv", ["a2", "w3", "b3"], ["y"], name="pointwise"),
    ]
    graph = helper.make_graph(
        nodes,
        "g",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, [1, 3, 9, 9])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, 5, None, None])],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 19)], ir_version=9)


def _run(proto: onnx.ModelProto, outputs: list[str]) -> list[np.ndarray]:
    copy = onnx.ModelProto()
    copy.CopyFrom(proto)
    known = {output.name for output in copy.graph.output}
    copy.graph.output.extend(onnx.ValueInfoProto(name=name) for name in outputs if name not in known)
    session = onnxruntime.InferenceSession(copy.SerializeToString(), providers=["CPUExecutionProvider"])
    image = np.random.default_rng(1).normal(size=(1, 3, 9, 9)).astype(np.float32)
    return session.run(outputs, {"image": image})


@pytest.mark.parametrize("pads", [0, 1])
def test_the_output_is_the_same_to_the_border(pads: int) -> None:
    graph = _graph(pads=pads)
    moved = recentred(graph)
    onnx.checker.check_model(moved, full_check=True)
    assert np.allclose(_run(graph, ["y"])[0], _run(moved, ["y"])[0], rtol=ROUNDING, atol=ROUNDING * 100)


def test_maps_lie_around_zero() -> None:
    for values in _run(recentred(_graph()), ["a1", "a2"]):
        assert values.min() >= -3
        assert values.max() <= 3
        assert values.min() < 0


def test_only_the_first_padded_map_gets_a_pad_node() -> None:
    assert [node.name for node in recentred(_graph()).graph.node if node.op_type == "Pad"] == ["depthwise.padded"]
    assert not [node for node in recentred(_graph(pads=0)).graph.node if node.op_type == "Pad"]


@pytest.mark.parametrize("graph", [_graph(between="Relu"), _graph(between="HardSwish")])
def test_unbounded_activations_are_left_alone(graph: onnx.ModelProto) -> None:
    assert recentred(graph) == graph


def test_the_graph_itself_is_not_changed() -> None:
    graph = _graph()
    before = graph.SerializeToString()
    recentred(graph)
    assert graph.SerializeToString() == before


def test_no_unread_constant_stays_behind() -> None:
    moved = recentred(_graph())
    read = {name for node in moved.graph.node for name in node.input}
    assert {initializer.name for initializer in moved.graph.initializer} <= read
