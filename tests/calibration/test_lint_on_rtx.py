"""What NVIDIA's compiler makes of the graphs that the lint refuses: why the lint is needed, and where it is not."""

import importlib.util
import logging
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import onnx
import pytest
from fakes import bad_graphs
from fakes.bad_graphs import SABOTAGES
from onnxruntime.quantization import CalibrationDataReader, quantize_static

from calibration.lint import lint
from calibration.placement import place
from calibration.quantize import with_qdq
from engines.compiled import KernelReport
from engines.half import layers_beyond_half, write_mixed
from engines.targets import load_target
from engines.tensorrt import build_plan
from sall_edge.errors import BuildError
from sall_edge.spec import ImageSpec

pytestmark = pytest.mark.skipif(
    importlib.util.find_spec("tensorrt_rtx") is None,
    reason="tensorrt_rtx is not installed: pip install 'sall-edge[rtx]'",
)

Sabotage = Callable[[onnx.ModelProto], None]

BECOME_FLOAT = {
    bad_graphs.scale_of_one_element: "depthwise",
    bad_graphs.activation_scale_per_channel: "depthwise",
    bad_graphs.weight_axis_1: "project",
    bad_graphs.weight_axis_missing: "project",
    bad_graphs.float_weight: "project",
    bad_graphs.float_activation: "depthwise",
}
"""The layer that computes in float, and nothing says so."""

STAY_INT8 = (
    bad_graphs.pair_before_relu,
    bad_graphs.uint8_zero_point,
    bad_graphs.no_zero_point,
    bad_graphs.scale_can_be_overridden,
    bad_graphs.halves_that_differ,
    bad_graphs.float_shortcut,
    bad_graphs.both_branches_quantized,
)
"""Every kernel is INT8, and computes something else than the graph says, or needs more kernels than it should."""

REFUSED = {
    bad_graphs.zero_point_of_3: "stem.act.quantized .*Non-zero zero point is not supported",
    bad_graphs.weight_zero_point_of_3: "stem.weight.dequantized .*Non-zero zero point is not supported",
    bad_graphs.int32_bias: "stem.bias.dq.*input has type Int32",
    bad_graphs.scale_of_zero: "stem.act.quantized .*Scale coefficients must all be positive",
    bad_graphs.scale_that_is_no_number: "stem.weight.dequantized .*Scale coefficients must all be positive",
}
"""What the compiler says; the node comes first."""

NOT_COMPILED = {
    bad_graphs.scale_is_an_input: "TensorRT-RTX 1.7 ends the process",
    bad_graphs.old_opset: "opset 11 is refused for its Squeeze, before any Q/DQ",
    bad_graphs.pad_before_convolution: "the pad changes a shape, which an addition refuses",
}

OF_MIXED_GRAPHS = (bad_graphs.half_scale_beyond_half, bad_graphs.half_scale_before_opset_19)
"""One FP16 scale among float32 tensors is refused for its type; in a mixed graph nobody says anything."""


@pytest.fixture
def qdq(proto: onnx.ModelProto) -> onnx.ModelProto:
    return with_qdq(proto, dict.fromkeys(place(proto.graph).activations, 3.0))


def compiled(proto: onnx.ModelProto, graph: Path) -> KernelReport:
    import tensorrt_rtx

    onnx.save(proto, graph)
    side_px = proto.graph.input[0].type.tensor_type.shape.dim[1].dim_value
    return build_plan(tensorrt_rtx, graph, target=load_target("rtx"), image=ImageSpec(side_px=side_px)).kernels


def float_layers(report: KernelReport) -> set[str]:
    return {layer for kernel in report.others for layer in kernel.name.split("+")}


HEADS = {"heads.dr", "heads.amd", "cams.dr", "cams.amd"}


def test_every_sabotage_is_either_compiled_or_said_why_not() -> None:
    covered = [*BECOME_FLOAT, *STAY_INT8, *REFUSED, *NOT_COMPILED, *OF_MIXED_GRAPHS]
    assert sorted(one.__name__ for one in covered) == sorted(one.__name__ for one, _ in SABOTAGES)


def test_of_a_sound_graph_only_heads_are_float(qdq: onnx.ModelProto, tmp_path: Path) -> None:
    assert float_layers(compiled(qdq, tmp_path / "qdq.onnx")) == HEADS


def test_layers_that_are_kept_float_compute_in_fp16_in_a_mixed_graph(proto: onnx.ModelProto, tmp_path: Path) -> None:
    amax = dict.fromkeys(place(proto.graph).activations, 3.0)
    onnx.save(with_qdq(proto, amax, keep_float=["branch"]), tmp_path / "qdq.onnx")
    write_mixed(tmp_path / "qdq.onnx", tmp_path / "mixed.onnx")
    mixed = onnx.load(tmp_path / "mixed.onnx")
    assert lint(mixed, keep_float=["branch"]) == ()
    report = compiled(mixed, tmp_path / "again.onnx")
    assert float_layers(report) == HEADS | {"branch"}
    assert {kernel.dtype for kernel in report.others} == {"fp16"}


def test_a_layer_whose_scales_fp16_cannot_hold_is_int8_all_the_same(qdq: onnx.ModelProto, tmp_path: Path) -> None:
    """Two in a row, one before a residual addition: they stay float32 in a mixed graph, with casts around them."""
    for layer in ("project", "depthwise"):
        bad_graphs.set_constant(qdq, f"{layer}.weight.scale", np.full(8, 1.1e-6, np.float32))
    onnx.save(qdq, tmp_path / "qdq.onnx")
    assert layers_beyond_half(qdq) == ("depthwise", "project")
    write_mixed(tmp_path / "qdq.onnx", tmp_path / "mixed.onnx")
    report = compiled(onnx.load(tmp_path / "mixed.onnx"), tmp_path / "again.onnx")
    assert float_layers(report) == HEADS
    assert {kernel.dtype for kernel in report.others} == {"fp16"}


@pytest.mark.parametrize("sabotage", BECOME_FLOAT, ids=lambda one: one.__name__)
def test_a_layer_becomes_float_in_silence_and_only_the_lint_says_so(
    sabotage: Sabotage, qdq: onnx.ModelProto, tmp_path: Path
) -> None:
    sabotage(qdq)
    assert lint(qdq) != ()
    assert float_layers(compiled(qdq, tmp_path / "qdq.onnx")) == HEADS | {BECOME_FLOAT[sabotage]}


@pytest.mark.parametrize("sabotage", STAY_INT8, ids=lambda one: one.__name__)
def test_a_graph_that_computes_something_else_is_compiled_and_only_the_lint_says_so(
    sabotage: Sabotage, qdq: onnx.ModelProto, tmp_path: Path
) -> None:
    sabotage(qdq)
    assert lint(qdq) != ()
    assert float_layers(compiled(qdq, tmp_path / "qdq.onnx")) == HEADS


@pytest.mark.parametrize("sabotage", OF_MIXED_GRAPHS, ids=lambda one: one.__name__)
def test_a_mixed_graph_with_a_scale_that_means_nothing_is_compiled_and_only_the_lint_says_so(
    sabotage: Sabotage, qdq: onnx.ModelProto, tmp_path: Path
) -> None:
    onnx.save(qdq, tmp_path / "qdq.onnx")
    write_mixed(tmp_path / "qdq.onnx", tmp_path / "mixed.onnx")
    mixed = onnx.load(tmp_path / "mixed.onnx")
    assert lint(mixed) == ()
    sabotage(mixed)
    assert lint(mixed) != ()
    assert float_layers(compiled(mixed, tmp_path / "bad.onnx")) == HEADS


@pytest.mark.parametrize("sabotage", REFUSED, ids=lambda one: one.__name__)
def test_the_compiler_refuses_with_the_name_of_the_node(
    sabotage: Sabotage, qdq: onnx.ModelProto, tmp_path: Path
) -> None:
    sabotage(qdq)
    with pytest.raises(BuildError, match=REFUSED[sabotage]) as error:
        compiled(qdq, tmp_path / "qdq.onnx")
    assert error.value.what.endswith("refuses qdq.onnx")


class Noise(CalibrationDataReader):  # type: ignore[misc]
    """A few squares for ONNX Runtime's own quantizer."""

    def __init__(self, side_px: int) -> None:
        rng = np.random.default_rng(0)
        shape = (1, side_px, side_px, 3)
        self._batches: Iterator[dict[str, np.ndarray]] = iter(
            [{"image": rng.integers(0, 256, shape, dtype=np.uint8)} for _ in range(4)]
        )

    def get_next(self) -> dict[str, np.ndarray] | None:
        return next(self._batches, None)


def test_what_onnxruntime_quantizes_by_default_is_refused_by_both(
    proto: onnx.ModelProto, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.ERROR)  # it advises a preprocessing that changes nothing here
    onnx.save(proto, tmp_path / "model.onnx")
    side_px = proto.graph.input[0].type.tensor_type.shape.dim[1].dim_value
    quantize_static(tmp_path / "model.onnx", tmp_path / "theirs.onnx", Noise(side_px))
    theirs = onnx.load(tmp_path / "theirs.onnx")
    rules = {finding.rule.name for finding in lint(theirs)}
    assert {"QUANTIZED_BIAS", "ZERO_POINT_VALUE"} <= rules
    with pytest.raises(BuildError, match=r"bias_DequantizeLinear: .*input has type Int32"):
        compiled(theirs, tmp_path / "qdq.onnx")
