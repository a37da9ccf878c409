from dataclasses import replace

import numpy as np
import numpy.typing as npt
import pytest

from sall_edge.errors import ArtefactForeign
from sall_edge.fundus.field import FieldOfView, find_field
from sall_edge.fundus.golden import check_golden_square, golden_square
from sall_edge.spec import PREPARE_VERSION, ImageSpec

U8 = npt.NDArray[np.uint8]


def test_the_golden_square_repeats_and_is_accepted() -> None:
    for side in (64, 224, 512):
        image = ImageSpec(side_px=side)
        golden = golden_square(image)
        assert len(golden) == 8 * 8 * 3
        assert golden == golden_square(image)
        check_golden_square(golden, image)


def test_another_version_of_the_algorithm_is_refused_even_where_the_golden_square_is_the_same() -> None:
    image = ImageSpec(side_px=64, prepare_version=PREPARE_VERSION - 1)
    with pytest.raises(ArtefactForeign, match=f"squares of version {PREPARE_VERSION - 1}") as refused:
        check_golden_square(golden_square(image), image)
    assert f"cuts version {PREPARE_VERSION}" in refused.value.why
    assert "train the network again" in refused.value.fix


def test_rounding_in_the_golden_square_is_tolerated() -> None:
    image = ImageSpec()
    check_golden_square(tuple(value + 1 for value in golden_square(image)), image)


@pytest.mark.parametrize("side", [64, 224, 512])
def test_a_field_that_lies_slightly_aside_shows_in_the_golden_square(
    monkeypatch: pytest.MonkeyPatch, side: int
) -> None:
    image = ImageSpec(side_px=side)
    recorded = golden_square(image)

    def find_field_aside(pixels: U8) -> FieldOfView:
        field = find_field(pixels)
        return replace(field, center_x_px=field.center_x_px + 0.008 * field.radius_px)

    monkeypatch.setattr("sall_edge.fundus.prepare.find_field", find_field_aside)
    with pytest.raises(ArtefactForeign, match="grey levels from the one that the engine was made with") as caught:
        check_golden_square(recorded, image)
    assert "build the engine again" in caught.value.fix


def test_a_golden_square_of_another_length_is_refused() -> None:
    with pytest.raises(ArtefactForeign, match="has 3 values"):
        check_golden_square((1, 2, 3), ImageSpec())
