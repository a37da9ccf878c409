"""What OpenVINO is given instead of the graph computes the same, and holds no Pad."""

from pathlib import Path

import numpy as np
import pytest
from fakes.clipped_graph import SCALE, SIDE_PX, write_clipped
from fakes.tiny_graph import SIDE_PX as TINY_PX

from sall_edge.artifacts import Engine
from sall_edge.runtime import openvino_rewrites
from sall_edge.runtime.machine import is_int8_exact
from sall_edge.runtime.openvino_library import ov
from sall_edge.runtime.openvino_rewrites import count_from_lowest, read_network, rewrite, share_pixel_constants

SHAPE = (1, SIDE_PX, SIDE_PX, 3)
FLOAT_SUMS = 2e-5
"""The same integers times the same scales, added in another order."""
MOST_FLIPPED = 1e-3
"""Share of outputs that may see a value which lay on the edge between two steps and took the other one."""
needs_int8 = pytest.mark.skipif(not is_int8_exact(), reason="no INT8 dot products here: OpenVINO may compute in float")


@pytest.fixture
def images() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (8, *SHAPE), dtype=np.uint8)


@pytest.fixture(autouse=True)
def _on_x86_64(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(openvino_rewrites, "machine", lambda: "x86_64")


def compiled(model: ov.Model) -> ov.CompiledModel:
    return ov.Core().compile_model(model, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})


def outputs(model: ov.Model, images: np.ndarray) -> np.ndarray:
    network = compiled(model)
    return np.stack([network(image)[0].copy() for image in images])


def kinds(model: ov.Model) -> list[str]:
    return [node.get_type_name() for node in model.get_ordered_ops()]


def what_runs(model: ov.Model) -> list[tuple[str, str]]:
    nodes = [node.get_rt_info() for node in compiled(model).get_runtime_model().get_ordered_ops()]
    return [(facts["layerType"].astype(str), facts["runtimePrecision"].astype(str)) for facts in nodes]


def test_outputs_are_the_same_up_to_values_on_the_edge_of_a_step(tmp_path: Path, images: np.ndarray) -> None:
    graph = write_clipped(tmp_path / "graph.onnx")
    before = outputs(ov.Core().read_model(graph), images)
    after = outputs(read_network(ov.Core(), graph, SHAPE), images)
    assert before.std() > 1  # and not zeros on both sides
    assert np.mean(np.abs(after - before) > FLOAT_SUMS) < MOST_FLIPPED


def test_the_border_is_that_of_the_padded_graph(tmp_path: Path, images: np.ndarray) -> None:
    """With a zero border the difference would be many steps on all of it."""
    graph = write_clipped(tmp_path / "graph.onnx")
    before = outputs(ov.Core().read_model(graph), images)[..., [0, -1], :]
    after = outputs(read_network(ov.Core(), graph, SHAPE), images)[..., [0, -1], :]
    assert np.mean(np.abs(after - before) > FLOAT_SUMS) < MOST_FLIPPED


@needs_int8
def test_the_pad_ran_in_float_and_is_gone(tmp_path: Path) -> None:
    graph = write_clipped(tmp_path / "graph.onnx")
    before, after = what_runs(ov.Core().read_model(graph)), what_runs(read_network(ov.Core(), graph, SHAPE))
    assert ("Pad", "f32") in before
    assert not [layer for layer in after if layer[0] == "Pad"]
    assert [precision for kind, precision in after if kind == "Convolution"] == ["u8", "u8", "u8"]


def test_any_batch_is_taken(tmp_path: Path, images: np.ndarray) -> None:
    graph = write_clipped(tmp_path / "graph.onnx")
    together = compiled(read_network(ov.Core(), graph, (-1, *SHAPE[1:])))(images[:3, 0])[0]
    alone = outputs(read_network(ov.Core(), graph, SHAPE), images[:3])[:, 0]
    np.testing.assert_allclose(together, alone, atol=FLOAT_SUMS)


def test_both_maps_are_counted_from_their_lowest_value(tmp_path: Path) -> None:
    model = ov.Core().read_model(write_clipped(tmp_path / "graph.onnx"))
    assert count_from_lowest(model) == 2
    assert count_from_lowest(model) == 0  # once is enough


@pytest.mark.parametrize(
    "changes",
    [
        {"pad_value": -3.0 + SCALE},  # padding that is not the lowest step
        {"high": 4.0},  # saturates in int8, and would not in uint8
        {"mode": "edge"},
    ],
    ids=str,
)
def test_a_padded_map_that_would_round_otherwise_is_left_alone(tmp_path: Path, changes: dict[str, float]) -> None:
    model = ov.Core().read_model(write_clipped(tmp_path / "graph.onnx", **changes))
    assert count_from_lowest(model) == 1  # the other map
    (pad,) = (node for node in model.get_ordered_ops() if node.get_type_name() == "Pad")
    assert pad.input_value(0).get_node().get_type_name() == "Minimum"


def test_a_graph_without_clipped_maps_is_untouched(int8_engine: Engine) -> None:
    core = ov.Core()
    model = core.read_model(int8_engine.blob_path)
    before = kinds(model)
    rewrite(model)
    assert kinds(model) == before
    assert count_from_lowest(core.read_model(int8_engine.reference_path)) == 0


def test_arm_gets_the_graph_as_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(openvino_rewrites, "machine", lambda: "aarch64")
    assert "Pad" in kinds(ov.Core().read_model(write_clipped(tmp_path / "graph.onnx")))
    model = read_network(ov.Core(), tmp_path / "graph.onnx", SHAPE)
    assert [list(node.output(0).shape) for node in model.get_ordered_ops() if node.get_type_name() == "Pad"]
    assert count_from_lowest(model) == 2


def test_one_number_for_all_colours_is_said_once_and_changes_no_bit(tmp_path: Path, images: np.ndarray) -> None:
    model = ov.Core().read_model(write_clipped(tmp_path / "graph.onnx"))
    before = outputs(model, images)
    assert share_pixel_constants(model) == 2
    np.testing.assert_array_equal(outputs(model, images), before)


def test_colours_with_their_own_scales_keep_them(tmp_path: Path) -> None:
    model = ov.Core().read_model(write_clipped(tmp_path / "graph.onnx", channel_scales=True))
    assert share_pixel_constants(model) == 1  # the shift


def test_the_products_graph_reads_as_before(int8_engine: Engine) -> None:
    model = read_network(ov.Core(), int8_engine.blob_path, (1, TINY_PX, TINY_PX, 3))
    assert list(model.input(0).shape) == [1, TINY_PX, TINY_PX, 3]
