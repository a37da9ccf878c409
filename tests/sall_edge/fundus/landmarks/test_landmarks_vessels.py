import math

import cv2
import numpy as np
import pytest

from sall_edge.fundus.landmarks.retina import WORKING_PX, Retina
from sall_edge.fundus.landmarks.vessels import vessels_of


def retina_with(green: np.ndarray) -> Retina:
    return Retina(red=green, green=green.astype(np.float32), visible=np.ones((WORKING_PX, WORKING_PX), np.float32))


def line(angle: float, level: int = 80) -> np.ndarray:
    """A line three pixels wide through the middle, on 120; the angle is from x, y downwards."""
    picture = np.full((WORKING_PX, WORKING_PX), 120, np.uint8)
    reach, middle = 60, WORKING_PX / 2
    ends = [(round(middle + s * reach * math.cos(angle)), round(middle + s * reach * math.sin(angle))) for s in (-1, 1)]
    cv2.line(picture, ends[0], ends[1], level, 3, cv2.LINE_AA)
    return picture.astype(np.float32)


@pytest.mark.parametrize("degrees", [0, 30, 45, 90, 135, 160])
def test_a_dark_line_points_along_itself(degrees: float) -> None:
    vessels = vessels_of(retina_with(line(math.radians(degrees))))
    direction = complex(vessels.cosine.sum(), vessels.sine.sum())
    wanted = complex(math.cos(2 * math.radians(degrees)), math.sin(2 * math.radians(degrees)))
    assert (direction / abs(direction) * wanted.conjugate()).real > 0.98
    assert np.hypot(vessels.cosine, vessels.sine).max() > 0.3


def test_the_middle_of_a_bright_band_is_no_vessel() -> None:
    band = np.full((WORKING_PX, WORKING_PX), 120, np.float32)
    band[:, 74:86] = 160
    vessels = vessels_of(retina_with(band))
    middle = np.hypot(vessels.cosine, vessels.sine)[10:30, 19:21]
    assert middle.max() < 0.05


def test_a_flat_retina_has_no_vessels() -> None:
    vessels = vessels_of(retina_with(np.full((WORKING_PX, WORKING_PX), 100, np.float32)))
    assert np.abs(vessels.cosine).max() < 0.02
    assert np.abs(vessels.sine).max() < 0.02


def test_the_same_picture_elsewhere_in_memory_gives_the_same_bits() -> None:
    green = np.random.default_rng(3).random((WORKING_PX, WORKING_PX)).astype(np.float32) * 100
    reference = vessels_of(retina_with(green)).cosine
    for offset in range(4, 64, 12):
        room = np.empty(green.nbytes + 128, np.uint8)
        start = -room.ctypes.data % 64 + offset
        moved = room[start : start + green.nbytes].view(np.float32).reshape(green.shape)
        moved[...] = green
        np.testing.assert_array_equal(
            vessels_of(Retina(red=moved, green=moved, visible=np.ones_like(green))).cosine, reference
        )
