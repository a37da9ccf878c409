import numpy as np
import onnx
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from onnx import numpy_helper

from calibration.graphs import load_proto
from calibration.grid import is_on_grid, quantized_weights
from sall_edge.artifacts import OnnxModel


@given(
    st.lists(st.floats(-1e4, 1e4, width=32), min_size=8, max_size=8).map(lambda v: np.array(v, np.float32)),
)
def test_weights_are_off_by_at_most_half_a_step(values: NDArray[np.float32]) -> None:
    weight = values.reshape(2, 4, 1, 1)
    layer = onnx.helper.make_node("Conv", ["x", "w"], ["y"])
    quantized, scale = quantized_weights(weight, layer)
    assert quantized.min() >= -127
    assert (scale > 0).all()
    restored = quantized * scale.reshape(2, 1, 1, 1)
    half_step = scale.reshape(2, 1, 1, 1) * 0.5001  # float32 division and multiplication
    assert (np.abs(restored - weight) <= half_step).all()


def test_a_channel_of_zeros_has_a_scale() -> None:
    layer = onnx.helper.make_node("Conv", ["x", "w"], ["y"])
    quantized, scale = quantized_weights(np.zeros((3, 2, 1, 1), np.float32), layer)
    assert not quantized.any()
    assert (scale > 0).all()


def test_a_product_whose_columns_are_outputs_has_one_scale() -> None:
    layer = onnx.helper.make_node("MatMul", ["x", "w"], ["y"])
    _, scale = quantized_weights(np.ones((4, 3), np.float32), layer)
    assert scale.shape == ()


def test_only_weights_that_were_rounded_to_it_are_on_the_grid(model: OnnxModel, model_on_grid: OnnxModel) -> None:
    assert not is_on_grid(load_proto(model))
    assert is_on_grid(load_proto(model_on_grid))


def test_one_weight_off_the_grid_is_enough_and_a_filter_of_next_to_nothing_is_not(model_on_grid: OnnxModel) -> None:
    proto = load_proto(model_on_grid)
    initializer = next(i for i in proto.graph.initializer if i.name == "expand.weight")
    weight = numpy_helper.to_array(initializer).copy()
    weight[0] = 1e-7 * np.arange(weight[0].size).reshape(weight[0].shape)
    initializer.CopyFrom(numpy_helper.from_array(weight, initializer.name))
    assert is_on_grid(proto)
    weight[1].flat[np.abs(weight[1]).argmin()] += 0.4 * np.abs(weight[1]).max() / 127
    initializer.CopyFrom(numpy_helper.from_array(weight, initializer.name))
    assert not is_on_grid(proto)
