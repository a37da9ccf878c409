from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import openvino as ov
import pytest
from fakes.tiny_graph import squares
from onnx import TensorProto, numpy_helper

from calibration.lint import lint
from calibration.placement import LINEAR, topology
from engines.half import layers_beyond_half, write_fp16, write_mixed
from sall_edge.artifacts import OnnxModel, QdqModel
from sall_edge.errors import BuildError

PIXELS = squares(16, seed=5)

FP16_TOLERANCE = 1e-3
"""Of a probability: two layers and a head in FP16, whose numbers have ten bits; 3e-4 was seen."""

MIXED_TOLERANCE = 2e-3
"""Of a probability, from the Q/DQ graph: scales and float parts are rounded to ten bits, which now and then moves an
INT8 number by one step; 4e-4 was seen. Rounding to INT8 moves the same probabilities by 2.2e-3."""


def run(graph: Path, pixels: np.ndarray = PIXELS) -> dict[str, np.ndarray]:
    """The graph without optimisers, one of which multiplies FP16 scales in FP16 and gets zero."""
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]
    return dict(zip(names, session.run(names, {"image": pixels}), strict=True))


def farthest(first: dict[str, np.ndarray], second: dict[str, np.ndarray]) -> float:
    """Largest difference of a probability."""
    return max(float(np.abs(first[name] - second[name]).max()) for name in first if name.endswith("_probs"))


def dtypes(graph: Path) -> dict[str, int]:
    """Dtype of every tensor that is no constant.

    Numbers cannot show that the softmax is float32: ONNX Runtime computes FP16 ones in float32 anyway.
    """
    shown = onnx.shape_inference.infer_shapes(onnx.load(graph), strict_mode=True).graph
    values = [*shown.input, *shown.value_info, *shown.output]
    return {value.name: value.type.tensor_type.elem_type for value in values}


def changed(graph: Path, place: Path, constant: str, value: np.ndarray) -> Path:
    """A copy with another constant."""
    proto = onnx.load(graph)
    next(one for one in proto.graph.initializer if one.name == constant).CopyFrom(
        numpy_helper.from_array(value, constant)
    )
    onnx.save(proto, place)
    return place


@pytest.fixture
def fp16(model: OnnxModel, tmp_path: Path) -> Path:
    write_fp16(model.path, tmp_path / "fp16.onnx")
    return tmp_path / "fp16.onnx"


@pytest.fixture
def mixed(qdq: QdqModel, tmp_path: Path) -> Path:
    write_mixed(qdq.path, tmp_path / "mixed.onnx")
    return tmp_path / "mixed.onnx"


def test_an_fp16_graph_computes_what_the_fp32_graph_does(fp16: Path, model: OnnxModel) -> None:
    assert 0 < farthest(run(fp16), run(model.path)) < FP16_TOLERANCE


def test_every_tensor_of_an_fp16_graph_is_fp16_but_pixels_outputs_and_the_softmax(fp16: Path) -> None:
    proto = onnx.load(fp16)
    fed = {node.input[0] for node in proto.graph.node if node.op_type == "Softmax"}
    outputs = {value.name for value in proto.graph.output}
    found = dtypes(fp16)
    assert found.pop("image") == TensorProto.UINT8
    assert {name for name, dtype in found.items() if dtype == TensorProto.FLOAT} == fed | outputs
    assert {dtype for name, dtype in found.items() if name not in fed | outputs} == {TensorProto.FLOAT16}
    floats = [one for one in proto.graph.initializer if one.data_type == TensorProto.FLOAT]
    assert floats == []


def test_a_constant_that_fp16_cannot_hold_is_refused(model: OnnxModel, tmp_path: Path) -> None:
    graph = changed(model.path, tmp_path / "large.onnx", "scale", np.array(7e4, np.float32))
    with pytest.raises(BuildError, match=r"large\.onnx does not fit FP16") as error:
        write_fp16(graph, tmp_path / "fp16.onnx")
    assert error.value.why == "scale holds 70000, and FP16 ends at 65504"
    assert "--precision" in error.value.fix


def test_a_mixed_graph_computes_what_the_qdq_graph_does(mixed: Path, qdq: QdqModel) -> None:
    assert 0 < farthest(run(mixed), run(qdq.path)) < MIXED_TOLERANCE


def test_openvino_takes_a_mixed_graph(mixed: Path, qdq: QdqModel) -> None:
    compiled = ov.Core().compile_model(mixed, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    results = compiled(PIXELS)
    wanted = run(qdq.path)
    assert farthest({name: results[name] for name in wanted}, wanted) < MIXED_TOLERANCE


def test_what_was_int8_stays_int8_and_everything_else_becomes_fp16(mixed: Path, qdq: QdqModel) -> None:
    before, after = (
        {one.name: numpy_helper.to_array(one) for one in onnx.load(graph).graph.initializer}
        for graph in (qdq.path, mixed)
    )
    assert before.keys() == after.keys()
    for name, value in before.items():
        if value.dtype == np.float32:
            assert after[name].dtype == np.float16, name
            np.testing.assert_allclose(after[name].astype(np.float64), value, rtol=2**-11, err_msg=name)
        else:
            assert np.array_equal(after[name], value), name
    graph = topology(onnx.load(mixed).graph)
    heads = {"node_dr_logits", "node_amd_logits", "node_dr_cam4", "node_amd_cam4"}
    found = dtypes(mixed)
    for node in onnx.load(mixed).graph.node:
        if node.op_type in LINEAR:
            assert found[node.output[0]] == TensorProto.FLOAT16
            sources = [graph.producer[name] for name in node.input[:2] if name in graph.producer]
            assert (node.name in heads) != all(one.op_type == "DequantizeLinear" for one in sources)


def test_the_lint_finds_nothing_in_a_mixed_graph(mixed: Path) -> None:
    assert lint(onnx.load(mixed)) == ()


def test_the_lint_reads_the_scales_of_a_mixed_graph(mixed: Path, tmp_path: Path) -> None:
    shape = changed(mixed, tmp_path / "shape.onnx", "stem_maps_scale", np.array([0.03], np.float16))
    assert "an activation scale of shape [1]" in str(lint(onnx.load(shape))[0])
    zero = changed(mixed, tmp_path / "zero.onnx", "stem_maps_scale", np.array(0, np.float16))
    assert "a scale must be finite and above 0" in str(lint(onnx.load(zero))[0])


@pytest.fixture
def faint(qdq: QdqModel, tmp_path: Path) -> Path:
    """One filter of the second convolution is so faint that FP16 would round its scale by 2 %."""
    scales = np.full(32, 1e-2, np.float32)
    scales[3] = 1.1e-6
    return changed(qdq.path, tmp_path / "faint.onnx", "body_weight_scale", scales)


def test_a_layer_whose_scales_fp16_cannot_hold_keeps_them(faint: Path, tmp_path: Path) -> None:
    assert layers_beyond_half(onnx.load(faint)) == ("node_body",)
    write_mixed(faint, tmp_path / "mixed.onnx")
    proto = onnx.load(tmp_path / "mixed.onnx")
    scales = {one.name: numpy_helper.to_array(one) for one in proto.graph.initializer}
    assert scales["body_weight_scale"][3] == np.float32(1.1e-6)
    assert scales["stem_weight_scale"].dtype == np.float16
    found = dtypes(tmp_path / "mixed.onnx")
    body = next(node for node in proto.graph.node if node.name == "node_body")
    assert found[body.output[0]] == TensorProto.FLOAT
    assert found["maps"] == TensorProto.FLOAT16  # what its activation function gives
    assert lint(proto) == ()
    assert farthest(run(tmp_path / "mixed.onnx"), run(faint)) < MIXED_TOLERANCE


@pytest.mark.parametrize(("steps", "is_beyond"), [(100.5, True), (160.5, False), (100.0, False)])
def test_half_a_step_of_int8_is_what_rounding_a_scale_may_move_a_weight_by(
    steps: float, is_beyond: bool, qdq: QdqModel, tmp_path: Path
) -> None:
    """Steps of FP16 below 6.1e-5: an integer of 127 moves by 127 times half a step, or not at all."""
    scales = np.full(32, steps * 2.0**-24, np.float32)
    graph = changed(qdq.path, tmp_path / "steps.onnx", "body_weight_scale", scales)
    assert layers_beyond_half(onnx.load(graph)) == (("node_body",) if is_beyond else ())


def test_a_filter_of_zeros_makes_no_layer_float(qdq: QdqModel, tmp_path: Path) -> None:
    proto = onnx.load(qdq.path)
    weight = next(one for one in proto.graph.initializer if one.name == "body_weight_int8")
    scale = next(one for one in proto.graph.initializer if one.name == "body_weight_scale")
    integers, scales = numpy_helper.to_array(weight).copy(), numpy_helper.to_array(scale).copy()
    integers[3], scales[3] = 0, 1.1e-6
    weight.CopyFrom(numpy_helper.from_array(integers, weight.name))
    scale.CopyFrom(numpy_helper.from_array(scales, scale.name))
    assert layers_beyond_half(proto) == ()


@pytest.mark.parametrize("scale", [600.0, 3.3e-6])
def test_a_range_that_no_fp16_scale_covers_is_refused(scale: float, qdq: QdqModel, tmp_path: Path) -> None:
    graph = changed(qdq.path, tmp_path / "range.onnx", "stem_maps_scale", np.array(scale, np.float32))
    with pytest.raises(BuildError, match=r"range\.onnx does not fit FP16") as error:
        write_mixed(graph, tmp_path / "mixed.onnx")
    assert error.value.why == f"stem_maps has a range of ±{scale * 127:g}, and FP16 holds ranges from 0.001 to 65504"
    assert not (tmp_path / "mixed.onnx").exists()
