from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray

from calibration.graphs import open_onnx_model, write_graph
from calibration.ranges import (
    Ranges,
    load_ranges,
    measure,
    measure_ranges,
    ranges_from_measurement,
    save_ranges,
)
from sall_edge.artifacts import GraphManifest, OnnxModel
from sall_edge.errors import ArtefactForeign, ArtefactMissing, CalibrationError
from sall_edge.spec import ImageSpec, RangeMethod

Squares = Callable[[int], list[NDArray[np.uint8]]]

QUANTIZED = ["planes", "stem.act", "depthwise.act", "first.add", "branch.act", "downsample"]


def test_ranges_name_every_tensor_that_will_be_quantized(model: OnnxModel, squares: Squares) -> None:
    ranges = measure_ranges(model, squares(8), method=RangeMethod.MINMAX)
    assert sorted(ranges.amax) == sorted(QUANTIZED)
    assert ranges.model_sha256 == model.sha256
    assert ranges.image_spec_sha256 == model.manifest.image.sha256
    assert ranges.images == 8


def test_the_range_of_pixels_is_that_of_the_brightest(model: OnnxModel, squares: Squares) -> None:
    images = squares(8)
    ranges = measure_ranges(model, images, method=RangeMethod.MINMAX)
    brightest = max(int(image.max()) for image in images)
    assert ranges.amax["planes"] == pytest.approx(brightest / 128, rel=1e-5)  # the file keeps six digits


@pytest.mark.parametrize("method", list(RangeMethod))
def test_no_method_goes_beyond_the_largest_value(method: RangeMethod, model: OnnxModel, squares: Squares) -> None:
    measurement = measure(model, squares(8))
    ranges = ranges_from_measurement(measurement, method=method)
    for tensor, amax in ranges.amax.items():
        assert 0 < amax <= measurement.histograms[tensor].largest * (1 + 1e-5)


def test_images_are_streamed_and_counted(model: OnnxModel, squares: Squares) -> None:
    calls = []
    ranges = measure_ranges(model, iter(squares(9)), advance=lambda: calls.append(1))
    assert len(calls) == ranges.images == 9


def test_the_hash_is_of_the_images(model: OnnxModel, squares: Squares) -> None:
    images = squares(9)
    first = measure_ranges(model, images[:8])
    assert measure_ranges(model, images[:8]) == first
    assert measure_ranges(model, images[1:]).images_sha256 != first.images_sha256


def test_a_small_sample_is_named_in_the_provenance(model: OnnxModel, squares: Squares) -> None:
    assert "8 calibration images" in measure_ranges(model, squares(8)).provenance["warnings"][0]


def test_too_few_images_are_refused(model: OnnxModel, squares: Squares) -> None:
    with pytest.raises(CalibrationError, match=r"7 calibration images[\s\S]*at least 8"):
        measure_ranges(model, squares(7))


def test_a_black_image_is_refused(model: OnnxModel, squares: Squares) -> None:
    black = np.zeros_like(squares(1)[0])
    with pytest.raises(CalibrationError, match="calibration image 3 is 0 everywhere"):
        measure_ranges(model, [*squares(3), black, *squares(8)])


@pytest.mark.parametrize("change", [lambda s: s[:16], lambda s: s.astype(np.float32), lambda s: s[..., 0]])
def test_an_image_of_another_form_is_refused(change, model: OnnxModel, squares: Squares) -> None:
    with pytest.raises(CalibrationError, match="calibration image 0 is"):
        measure_ranges(model, [change(square) for square in squares(8)])


def _with_weights(proto: onnx.ModelProto, name: str, value: float) -> None:
    for initializer in proto.graph.initializer:
        if initializer.name.startswith(name):
            array = np.full(list(initializer.dims), value, np.float32)
            initializer.CopyFrom(onnx.numpy_helper.from_array(array, initializer.name))


@pytest.mark.parametrize(
    ("value", "message"), [(np.nan, "depthwise.act is not finite"), (0.0, "depthwise.act is -3 everywhere")]
)
def test_a_dead_or_broken_network_is_refused(
    value: float, message: str, proto: onnx.ModelProto, manifest: GraphManifest, squares: Squares, tmp_path: Path
) -> None:
    _with_weights(proto, "depthwise", value)
    write_graph(proto, manifest, tmp_path / "broken.onnx")
    with pytest.raises(CalibrationError, match=message):
        measure_ranges(open_onnx_model(tmp_path / "broken.onnx"), squares(8))


def test_saved_ranges_come_back_and_read_one_tensor_a_line(model: OnnxModel, squares: Squares, tmp_path: Path) -> None:
    ranges = measure_ranges(model, squares(8))
    save_ranges(ranges, tmp_path / "ranges.json")
    assert load_ranges(tmp_path / "ranges.json", model) == ranges
    lines = (tmp_path / "ranges.json").read_text().splitlines()
    assert sum('"stem.act"' in line for line in lines) == 1


def test_channel_ranges_are_kept_one_list_a_line(tiny_model: OnnxModel, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    side = tiny_model.manifest.image.side_px
    ranges = measure_ranges(tiny_model, list(rng.integers(0, 256, (8, side, side, 3)).astype(np.uint8)))
    assert len(ranges.channels) > 1
    save_ranges(ranges, tmp_path / "ranges.json")
    assert load_ranges(tmp_path / "ranges.json", tiny_model) == ranges
    lists = [line for line in (tmp_path / "ranges.json").read_text().splitlines() if '"low": [' in line]
    assert len(lists) == len(ranges.channels)
    assert all(line.rstrip(",").endswith("]") for line in lists)


def test_ranges_of_another_graph_are_stale(
    model: OnnxModel, proto: onnx.ModelProto, manifest: GraphManifest, squares: Squares, tmp_path: Path
) -> None:
    save_ranges(measure_ranges(model, squares(8)), tmp_path / "ranges.json")
    write_graph(proto, manifest.model_copy(update={"created": "2027"}), tmp_path / "other.onnx")
    with pytest.raises(CalibrationError, match="ranges are stale"):
        load_ranges(tmp_path / "ranges.json", open_onnx_model(tmp_path / "other.onnx"))


def test_ranges_of_another_preparation_are_stale(model: OnnxModel, squares: Squares, tmp_path: Path) -> None:
    ranges = measure_ranges(model, squares(8))
    other = ranges.model_copy(update={"image_spec_sha256": ImageSpec(side_px=64).sha256})
    save_ranges(other, tmp_path / "ranges.json")
    with pytest.raises(CalibrationError, match="prepared in another way"):
        load_ranges(tmp_path / "ranges.json", model)


def test_missing_ranges_are_missing(model: OnnxModel, tmp_path: Path) -> None:
    with pytest.raises(ArtefactMissing, match=r"ranges\.json is missing"):
        load_ranges(tmp_path / "ranges.json", model)


@pytest.mark.parametrize("change", [{"amax": {"planes": -1.0}}, {"method": "guess"}, {"images": 0}])
def test_a_file_that_breaks_a_rule_holds_no_ranges(
    change: dict[str, object], model: OnnxModel, squares: Squares, tmp_path: Path
) -> None:
    ranges: Ranges = measure_ranges(model, squares(8)).model_copy(update=change)
    (tmp_path / "ranges.json").write_text(ranges.model_dump_json(warnings=False))
    with pytest.raises(ArtefactForeign, match="holds no ranges"):
        load_ranges(tmp_path / "ranges.json", model)
