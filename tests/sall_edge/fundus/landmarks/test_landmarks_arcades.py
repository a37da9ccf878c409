import math

import cv2
import numpy as np
import pytest

from sall_edge.fundus.landmarks.arcades import MIRRORED_COURSES, arcade_agreement
from sall_edge.fundus.landmarks.retina import DD_PX, F32, GRID, WORKING_PX, Retina
from sall_edge.fundus.landmarks.vessels import VesselMap, vessels_of


def retina_with_arcades(x: float, y: float, temple: int) -> Retina:
    """Straight pieces of the courses, drawn around a disc at (x, y) of the working picture; temple -1 is left."""
    picture = np.full((WORKING_PX, WORKING_PX), 120, np.uint8)
    for _, course in MIRRORED_COURSES:
        for way in (-1, 1):
            points = [(x + temple * DD_PX * along, y + way * DD_PX * up) for along, up in course]
            cv2.polylines(picture, [np.round(points).astype(np.int32)], False, 70, 2, cv2.LINE_AA)
    green = picture.astype(np.float32)
    return Retina(red=green, green=green, visible=np.ones_like(green))


def best(agreement: F32) -> tuple[float, float, float]:
    row, column = divmod(int(agreement.argmax()), GRID)
    step = WORKING_PX / GRID
    return float(agreement.max()), (column + 0.5) * step, (row + 0.5) * step


@pytest.mark.parametrize(("x", "y"), [(125, 80), (80, 80), (110, 60), (140, 95)])
def test_arcades_of_a_right_eye_meet_at_its_disc(x: float, y: float) -> None:
    height, found_x, found_y = best(arcade_agreement(vessels_of(retina_with_arcades(x, y, temple=-1))))
    assert math.hypot(found_x - x, found_y - y) < 0.3 * DD_PX
    assert height > 1


@pytest.mark.parametrize("x", [80, 60])
def test_arcades_of_a_left_eye_fit_worse_wherever_the_disc_is(x: float) -> None:
    left = best(arcade_agreement(vessels_of(retina_with_arcades(x, 80, temple=1))))[0]
    right = best(arcade_agreement(vessels_of(retina_with_arcades(WORKING_PX - x, 80, temple=-1))))[0]
    assert left < 0.8 * right


def test_without_vessels_nothing_fits_and_nothing_is_divided_by_zero() -> None:
    nothing = np.zeros((GRID, GRID), np.float32)
    np.testing.assert_array_equal(arcade_agreement(VesselMap(cosine=nothing, sine=nothing, visible=nothing)), nothing)
