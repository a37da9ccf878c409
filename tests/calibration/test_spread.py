"""The spread graph computes the same, from a first map whose channels fill its range."""

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from calibration.sessions import open_inner_session
from calibration.spread import MARGIN, spread

ROUNDING = 1e-4  # float32, the same sums with other weights
SIDE = 12
STILL = 3


def _graph(
    *, bounds: tuple[float, float] | None = (0.0, 6.0), is_dense: bool = False, pads: int = 0
) -> onnx.ModelProto:
    """Pixels -> 3x3 -> ReLU6 -> depthwise 3x3 or 1x1. Channel 0 keeps to 2..4, channel 3 is constant."""
    rng = np.random.default_rng(0)
    weight = rng.normal(scale=1, size=(4, 3, 3, 3))
    weight[0] = rng.uniform(0, 4 / 27, (3, 3, 3))
    weight[STILL] = 0
    shape = (5, 4, 1, 1) if is_dense else (4, 1, 3, 3)
    constants = {
        "scale": np.float32(1 / 255), "w1": weight, "b1": np.array([2.0, 1.0, 3.0, 0.5]),
        "w2": rng.normal(size=shape), "b2": rng.normal(size=shape[0]),
    }  # fmt: skip
    act = helper.make_node("Relu", ["stem"], ["act"], name="act")
    if bounds is not None:
        constants |= {"low": np.array(bounds[0]), "high": np.array(bounds[1])}
        act = helper.make_node("Clip", ["stem", "low", "high"], ["act"], name="act")
    nodes = [
        helper.make_node("Cast", ["image"], ["pixels"], name="pixels", to=TensorProto.FLOAT),
        helper.make_node("Mul", ["pixels", "scale"], ["scaled"], name="scaled"),
        helper.make_node("Transpose", ["scaled"], ["planes"], name="planes", perm=[0, 3, 1, 2]),
        helper.make_node("Conv", ["planes", "w1", "b1"], ["stem"], name="stem", pads=[1, 1, 1, 1]),
        act,
        helper.make_node("Conv", ["act", "w2", "b2"], ["y"], name="y", group=1 if is_dense else 4, pads=[pads] * 4),
    ]
    graph = helper.make_graph(
        nodes,
        "g",
        [helper.make_tensor_value_info("image", TensorProto.UINT8, ["n", SIDE, SIDE, 3])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n", shape[0], None, None])],
        [numpy_helper.from_array(np.asarray(value, np.float32), name) for name, value in constants.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 19)], ir_version=9)


@pytest.fixture(scope="module")
def squares() -> list[NDArray[np.uint8]]:
    return list(np.random.default_rng(1).integers(0, 256, (6, SIDE, SIDE, 3), dtype=np.uint8))


def _values(proto: onnx.ModelProto, tensor: str, squares: list[NDArray[np.uint8]]) -> NDArray[np.float32]:
    values: NDArray[np.float32] = open_inner_session(proto, [tensor]).run([tensor], {"image": np.stack(squares)})[0]
    return values


@pytest.mark.parametrize("is_dense", [False, True])
def test_the_output_is_the_same(is_dense: bool, squares: list[NDArray[np.uint8]]) -> None:
    graph = _graph(is_dense=is_dense)
    changed = spread(graph, squares)
    onnx.checker.check_model(changed, full_check=True)
    assert np.allclose(_values(graph, "y", squares), _values(changed, "y", squares), atol=ROUNDING)


def test_only_the_border_changes_where_the_map_is_padded(squares: list[NDArray[np.uint8]]) -> None:
    graph = _graph(pads=1)
    before, after = (_values(proto, "y", squares) for proto in (graph, spread(graph, squares)))
    assert np.allclose(before[..., 1:-1, 1:-1], after[..., 1:-1, 1:-1], atol=ROUNDING)
    assert not np.allclose(before, after, atol=0.1)


def test_a_narrow_channel_fills_the_range_and_a_still_one_stays(squares: list[NDArray[np.uint8]]) -> None:
    graph = _graph()
    before, after = (_values(proto, "act", squares) for proto in (graph, spread(graph, squares)))
    narrow, wide = (values[:, 0].max() - values[:, 0].min() for values in (before, after))
    assert narrow < 3
    assert wide == pytest.approx(6 / (1 + 2 * MARGIN), rel=1e-3)
    assert np.allclose(after[:, STILL], before[:, STILL])


def test_other_photographs_may_reach_into_the_margin(squares: list[NDArray[np.uint8]]) -> None:
    graph = _graph()
    changed = spread(graph, [np.clip(square, 8, 247) for square in squares])
    assert np.allclose(_values(graph, "y", squares), _values(changed, "y", squares), atol=ROUNDING)


@pytest.mark.parametrize("bounds", [None, (-1.0, 1.0)])
def test_another_activation_is_left_alone(bounds: tuple[float, float] | None, squares: list[NDArray[np.uint8]]) -> None:
    graph = _graph(bounds=bounds)
    assert spread(graph, squares) == graph
