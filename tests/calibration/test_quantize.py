from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import openvino
import pytest
from numpy.typing import NDArray
from onnx import numpy_helper

from calibration.graphs import load_proto, open_onnx_model, write_graph
from calibration.quantize import quantize, refining_steps, with_qdq
from calibration.ranges import measure_ranges
from sall_edge.artifacts import GraphManifest, Kind, OnnxModel, QdqModel
from sall_edge.errors import CalibrationError
from sall_edge.spec import Precision, RangeMethod

Squares = Callable[[int], list[NDArray[np.uint8]]]

INT8_TOLERANCE = 0.03
"""Probabilities of a six-layer random network move by less than 0.01 in INT8; a wrong scale moves them by tenths."""

RUNTIME_TOLERANCE = 0.01
"""Runtimes round halves differently and fold scales in another order: single steps of INT8."""


@pytest.fixture
def qdq(model: OnnxModel, squares: Squares, tmp_path: Path) -> QdqModel:
    ranges = measure_ranges(model, squares(16), method=RangeMethod.MINMAX)
    return quantize(model, ranges, tmp_path / "qdq.onnx")


def _probabilities(path: Path, images: list[NDArray[np.uint8]]) -> NDArray[np.float32]:
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    result: NDArray[np.float32] = session.run(["dr_probs"], {"image": np.stack(images)})[0]
    return result


def test_the_manifest_names_parent_precision_and_ranges(model: OnnxModel, qdq: QdqModel) -> None:
    assert qdq.manifest.kind is Kind.QDQ
    assert qdq.manifest.precision is Precision.INT8
    assert qdq.manifest.parent_sha256 == model.sha256
    assert qdq.manifest.tasks == model.manifest.tasks
    assert qdq.manifest.provenance["ranges"]["images"] == 16


def test_int8_probabilities_stay_close_to_fp32(model: OnnxModel, qdq: QdqModel, squares: Squares) -> None:
    images = squares(32)
    difference = np.abs(_probabilities(model.path, images) - _probabilities(qdq.path, images))
    assert 0 < difference.max() < INT8_TOLERANCE


def test_openvino_and_onnxruntime_agree_on_the_graph(qdq: QdqModel, squares: Squares) -> None:
    images = squares(8)
    compiled = openvino.Core().compile_model(qdq.path, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    result = compiled({"image": np.stack(images)})["dr_probs"]
    assert np.abs(result - _probabilities(qdq.path, images)).max() < RUNTIME_TOLERANCE


def test_openvino_runs_every_backbone_convolution_in_eight_bits(qdq: QdqModel) -> None:
    compiled = openvino.Core().compile_model(qdq.path, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    precisions: dict[str, int] = {}
    for operation in compiled.get_runtime_model().get_ordered_ops():
        info = operation.get_rt_info()
        if info["layerType"].astype(str) == "Convolution":
            precision = info["runtimePrecision"].astype(str)
            precisions[precision] = precisions.get(precision, 0) + 1
    assert precisions.get("u8", 0) + precisions.get("i8", 0) == 6
    assert precisions.get("f32", 0) <= 2  # the activation maps


def test_every_tensor_has_one_pair_and_all_read_it(qdq: QdqModel) -> None:
    nodes = load_proto(qdq).graph.node
    quantized = [node.input[0] for node in nodes if node.op_type == "QuantizeLinear"]
    assert len(set(quantized)) == len(quantized) == 6
    readers = {name for node in nodes if node.op_type != "QuantizeLinear" for name in node.input}
    assert not readers & set(quantized)


def test_scales_of_activations_are_zero_dimensional_and_weights_are_int8(qdq: QdqModel) -> None:
    graph = load_proto(qdq).graph
    arrays = {tensor.name: numpy_helper.to_array(tensor) for tensor in graph.initializer}
    assert arrays["stem.act.scale"].shape == ()
    assert arrays["stem.act.zero_point"].dtype == np.int8
    assert arrays["stem.weight.int8"].dtype == np.int8
    assert arrays["stem.weight.scale"].shape == (8,)
    assert "stem.weight" not in arrays
    assert arrays["stem.bias"].dtype == np.float32
    assert arrays["heads.dr.weight"].dtype == np.float32


def test_equal_input_gives_equal_nodes(model: OnnxModel, squares: Squares) -> None:
    amax = measure_ranges(model, squares(8)).amax
    first, second = (with_qdq(load_proto(model), amax) for _ in range(2))
    assert first.SerializeToString(deterministic=True) == second.SerializeToString(deterministic=True)


def test_a_layer_can_stay_float_and_the_manifest_says_so(model: OnnxModel, squares: Squares, tmp_path: Path) -> None:
    ranges = measure_ranges(model, squares(8))
    result = quantize(model, ranges, tmp_path / "qdq.onnx", keep_float=["stem"])
    assert result.manifest.provenance["keep_float"] == ["stem"]
    stem = next(node for node in load_proto(result).graph.node if node.name == "stem")
    assert list(stem.input) == ["planes", "stem.weight", "stem.bias"]


def test_ranges_of_another_graph_are_refused(
    model: OnnxModel, proto: onnx.ModelProto, manifest: GraphManifest, squares: Squares, tmp_path: Path
) -> None:
    ranges = measure_ranges(model, squares(8))
    write_graph(proto, manifest.model_copy(update={"created": "2027"}), tmp_path / "other.onnx")
    with pytest.raises(CalibrationError, match="ranges are stale"):
        quantize(open_onnx_model(tmp_path / "other.onnx"), ranges, tmp_path / "qdq.onnx")
    assert not (tmp_path / "qdq.onnx").exists()


def test_a_missing_range_is_refused(model: OnnxModel, squares: Squares, tmp_path: Path) -> None:
    ranges = measure_ranges(model, squares(8))
    without = {name: value for name, value in ranges.amax.items() if name != "stem.act"}
    with pytest.raises(CalibrationError, match=r"no range for stem\.act"):
        quantize(model, ranges.model_copy(update={"amax": without}), tmp_path / "qdq.onnx")


def test_a_network_that_was_trained_through_its_rounding_is_neither_equalised_nor_refined(
    model_on_grid: OnnxModel, squares: Squares, tmp_path: Path
) -> None:
    shown = squares(16)
    ranges = measure_ranges(model_on_grid, shown)
    assert ranges.channels == {}
    steps: list[int] = []
    refined = quantize(
        model_on_grid, ranges, tmp_path / "refined.onnx", squares=np.stack(shown), advance=lambda: steps.append(1)
    )
    assert len(steps) == refining_steps(model_on_grid, 16) == 2
    assert refined.manifest.provenance["refined_on"] == 0
    plain = quantize(model_on_grid, ranges, tmp_path / "plain.onnx")
    weights = [{i.name: i.raw_data for i in load_proto(one).graph.initializer} for one in (refined, plain)]
    assert {name for name, data in weights[1].items() if weights[0][name] != data} == {
        "heads.dr.bias", "heads.amd.bias",
    }  # fmt: skip
