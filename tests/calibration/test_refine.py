"""Refinement brings the INT8 graph closer to FP32 and changes nothing but weights and biases."""

import numpy as np
import onnx
import onnxruntime

from calibration.graphs import load_proto
from calibration.quantize import with_qdq
from calibration.ranges import measure_ranges
from calibration.recentre import recentred
from calibration.refine import heads_centred, refined, refinement_count
from sall_edge.artifacts import OnnxModel
from sall_edge.fundus.phantom import draw_phantom
from sall_edge.fundus.prepare import prepare
from sall_edge.spec import RangeMethod


def _squares(model: OnnxModel, seed: int, count: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    photographs = [
        draw_phantom(rng, side_px=256, dr_grade=i % 5, amd_grade=i % 4, eye="LR"[i % 2]).pixels for i in range(count)
    ]
    return np.stack([prepare(pixels, model.manifest.image) for pixels in photographs])


def _error(exact: onnx.ModelProto, quantized: onnx.ModelProto, squares: np.ndarray) -> float:
    def run(proto: onnx.ModelProto) -> np.ndarray:
        session = onnxruntime.InferenceSession(proto.SerializeToString(), providers=["CPUExecutionProvider"])
        return np.concatenate([v.ravel() for v in session.run(["dr_cam", "amd_cam"], {"image": squares})])

    return float(((run(exact) - run(quantized)) ** 2).mean())


def test_unseen_photographs_come_out_closer_to_fp32(tiny_model: OnnxModel) -> None:
    shown, unseen = _squares(tiny_model, 0, 24), _squares(tiny_model, 1, 12)
    exact = recentred(load_proto(tiny_model))
    plain = with_qdq(exact, measure_ranges(tiny_model, shown, method=RangeMethod.MSE).amax)
    layers = []
    better = refined(exact, plain, shown, advance=lambda: layers.append(1))
    onnx.checker.check_model(better, full_check=True)
    assert len(layers) > 10
    # An untrained network has no systematic errors to correct, so the gain is smaller here than on a trained one.
    assert _error(exact, better, unseen) < 0.9 * _error(exact, plain, unseen)


def test_the_mean_logits_over_the_shown_photographs_are_those_of_fp32(tiny_model: OnnxModel) -> None:
    squares = _squares(tiny_model, 0, 8)
    exact = recentred(load_proto(tiny_model))
    plain = with_qdq(exact, measure_ranges(tiny_model, squares, method=RangeMethod.MINMAX).amax)
    logits = [node.output[0] for node in exact.graph.node if node.op_type == "Gemm"]
    means = []
    for proto in (exact, plain, refined(exact, plain, squares)):
        del proto.graph.output[:]
        proto.graph.output.extend(onnx.ValueInfoProto(name=name) for name in logits)
        session = onnxruntime.InferenceSession(proto.SerializeToString(), providers=["CPUExecutionProvider"])
        means.append(np.concatenate([z.mean(axis=0) for z in session.run(logits, {"image": squares})]))
    # Not to the bit: a whole graph in one session rounds a few activations the other way.
    assert np.abs(means[2] - means[0]).max() < 0.2 * np.abs(means[1] - means[0]).max()


def test_heads_are_centred_on_any_number_of_photographs(tiny_model: OnnxModel) -> None:
    squares = _squares(tiny_model, 0, 20)
    exact = recentred(load_proto(tiny_model))
    plain = with_qdq(exact, measure_ranges(tiny_model, squares, method=RangeMethod.MINMAX).amax)
    logits = [node.output[0] for node in exact.graph.node if node.op_type == "Gemm"]

    def means(proto: onnx.ModelProto) -> np.ndarray:
        copy = onnx.ModelProto()
        copy.CopyFrom(proto)
        copy.graph.output.extend(onnx.ValueInfoProto(name=name) for name in logits)
        session = onnxruntime.InferenceSession(copy.SerializeToString(), providers=["CPUExecutionProvider"])
        return np.concatenate([z.mean(axis=0) for z in session.run(logits, {"image": squares})])

    centred = heads_centred(exact, plain, squares)
    assert list(centred.graph.node) == list(plain.graph.node)
    before, after = (np.abs(means(proto) - means(exact)).max() for proto in (plain, centred))
    assert after < 0.1 * before


def test_what_lies_outside_the_field_of_view_counts_for_nothing(tiny_model: OnnxModel) -> None:
    squares = _squares(tiny_model, 0, 8)
    outside = squares.max(axis=3, keepdims=True) == 0
    assert outside.any()
    dust = np.random.default_rng(0).integers(0, 3, squares.shape).astype(np.uint8)
    exact = recentred(load_proto(tiny_model))
    plain = with_qdq(exact, measure_ranges(tiny_model, squares, method=RangeMethod.MINMAX).amax)
    stem = next(node.input[1] for node in plain.graph.node if node.op_type == "Conv").removesuffix(".dequantized")
    weights = []
    for shown in (squares, np.where(outside, dust, squares)):
        better = refined(exact, plain, shown)
        weights.append(next(i.raw_data for i in better.graph.initializer if i.name == f"{stem}.int8"))
    # Windows of the first layer reach one pixel beyond the cells inside, so a few weights may still round differently.
    first, second = (np.frombuffer(data, np.int8) for data in weights)
    assert (first != second).mean() < 0.05


def test_a_picture_without_a_field_of_view_is_no_trouble(tiny_model: OnnxModel) -> None:
    squares = _squares(tiny_model, 0, 8)
    squares[3] = np.random.default_rng(0).integers(0, 3, squares[3].shape)
    exact = recentred(load_proto(tiny_model))
    plain = with_qdq(exact, measure_ranges(tiny_model, squares, method=RangeMethod.MINMAX).amax)
    onnx.checker.check_model(refined(exact, plain, squares), full_check=True)


def test_only_weights_and_biases_change(tiny_model: OnnxModel) -> None:
    squares = _squares(tiny_model, 0, 8)
    exact = recentred(load_proto(tiny_model))
    plain = with_qdq(exact, measure_ranges(tiny_model, squares, method=RangeMethod.MINMAX).amax)
    better = refined(exact, plain, squares)
    assert list(better.graph.node) == list(plain.graph.node)
    before = {i.name: i.raw_data for i in plain.graph.initializer}
    changed = {i.name for i in better.graph.initializer if i.raw_data != before[i.name]}
    assert changed
    assert not [name for name in changed if name.endswith((".scale", ".zero_point"))]


def test_larger_squares_are_taken_in_smaller_numbers() -> None:
    assert refinement_count(224) == 64
    assert refinement_count(448) == 16
    assert refinement_count(2048) == 8
