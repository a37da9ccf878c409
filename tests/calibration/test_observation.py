from collections.abc import Callable

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray
from onnx import numpy_helper

from calibration import observation
from calibration.observation import observe
from calibration.sessions import open_inner_session
from sall_edge.errors import CalibrationError

Squares = Callable[[int], list[NDArray[np.uint8]]]

TENSORS = ["planes", "stem.act", "first.add"]


def test_extremes_are_those_of_the_maps(proto: onnx.ModelProto, squares: Squares) -> None:
    images = squares(11)
    session = open_inner_session(proto, TENSORS)
    maps = [session.run(TENSORS, {"image": image[None]}) for image in images]
    for name, *values in zip(TENSORS, *maps, strict=True):
        histogram = observe(proto, TENSORS, images)[name]
        assert histogram.low == pytest.approx(min(v.min() for v in values), rel=1e-6)
        assert histogram.high == pytest.approx(max(v.max() for v in values), rel=1e-6)
        assert histogram.counts.sum() == sum(np.count_nonzero(v) for v in values)


def test_the_number_of_cores_changes_nothing(
    proto: onnx.ModelProto, squares: Squares, monkeypatch: pytest.MonkeyPatch
) -> None:
    images, seen = squares(12), []
    for cores in (1, 3):
        monkeypatch.setattr(observation.os, "cpu_count", lambda cores=cores: cores)
        seen.append(observe(proto, TENSORS, images))
    for name in TENSORS:
        one, three = (histograms[name] for histograms in seen)
        assert (one.low, one.high, one.limit) == (three.low, three.high, three.limit)
        assert np.array_equal(one.counts, three.counts)


def test_squares_are_read_as_they_are_needed(
    proto: onnx.ModelProto, squares: Squares, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(observation.os, "cpu_count", lambda: 2)
    read, done, most_held = 0, 0, 0

    def reading():
        nonlocal read, most_held
        for image in squares(20):
            read += 1
            most_held = max(most_held, read - done)
            yield image

    def advance() -> None:
        nonlocal done
        done += 1

    observe(proto, TENSORS, reading(), advance=advance)
    assert done == read == 20
    assert most_held <= 5


def test_a_map_that_is_not_finite_is_named_with_its_image(proto: onnx.ModelProto, squares: Squares) -> None:
    scale = next(constant for constant in proto.graph.initializer if constant.name == "scale")
    scale.CopyFrom(numpy_helper.from_array(np.array([1e37, 1, 1], np.float32), "scale"))
    dark = np.zeros_like(squares(1)[0])
    with pytest.raises(CalibrationError, match="activation planes is not finite on calibration image 2"):
        observe(proto, TENSORS, [dark, dark, *squares(6)])
