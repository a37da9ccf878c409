"""The working picture of every landmark: small, with a mask of what is retina, and free of the camera's uneven light.

Lengths of anatomy are in optic disc diameters (DD); a field of 45 degrees is about 7.2 of them wide. Other fields are
matched too, with a little less certainty: a quarter more or less costs hardly anything.
"""

from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np
import numpy.typing as npt

__all__ = ["DD_PX", "F32", "GRID", "GRID_DD", "U8", "WORKING_PX", "Retina", "on_grid", "relative_light", "retina_of"]

U8 = npt.NDArray[np.uint8]
F32 = npt.NDArray[np.float32]

WORKING_PX = 160
"""Side of the working picture: the great vessels are two pixels wide."""

GRID = 40
"""Places for the disc along a side: a quarter of the working pixels, a fifth of a disc diameter apart."""

FIELD_DD = 7.2
DD_PX = WORKING_PX / FIELD_DD
GRID_DD = GRID / FIELD_DD
"""A disc diameter in pixels of the working picture, and in steps of the grid."""

LEAST_LEVEL = 12
"""Brightest channel of 0..255 from which a pixel shows something."""

MARGIN_PX = 8
"""OpenCV's morphology takes the outside of an array for neutral; here it is dark, so a dark margin is added."""

FIELD_SHARE = 0.98
"""Of the radius; beyond it the rim blurs into the surround."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Retina:
    """A small copy of the square.

    Attributes:
        red, green: (WORKING_PX, WORKING_PX) float32, 0..255.
        visible: (WORKING_PX, WORKING_PX) float32: 1 where retina shows, 0 at the rim and where the frame cut it off.
    """

    red: F32
    green: F32
    visible: F32


def retina_of(square: U8) -> Retina:
    """The working picture of a prepared square, (side, side, 3) uint8 RGB."""
    small = cv2.resize(square, (WORKING_PX, WORKING_PX), interpolation=cv2.INTER_AREA)
    red, green, blue = cv2.split(small)
    lit = cv2.compare(cv2.max(cv2.max(red, green), blue), LEAST_LEVEL, cv2.CMP_GT)
    lit = cv2.copyMakeBorder(lit, MARGIN_PX, MARGIN_PX, MARGIN_PX, MARGIN_PX, cv2.BORDER_CONSTANT, value=0)
    lit = cv2.morphologyEx(lit, cv2.MORPH_CLOSE, np.ones((9, 9), np.uint8))
    lit = lit[MARGIN_PX:-MARGIN_PX, MARGIN_PX:-MARGIN_PX] & _disc()
    visible = cv2.erode(lit, np.ones((5, 5), np.uint8), borderType=cv2.BORDER_CONSTANT, borderValue=0)
    return Retina(red=red.astype(np.float32), green=green.astype(np.float32), visible=(visible > 0).astype(np.float32))


@lru_cache(maxsize=1)
def _disc() -> U8:
    """(WORKING_PX, WORKING_PX) uint8: 255 inside the field."""
    offset = (2 * np.arange(WORKING_PX) + 1 - WORKING_PX) / WORKING_PX
    disc = np.where(np.hypot(offset, offset[:, None]) < FIELD_SHARE, 255, 0).astype(np.uint8)
    disc.setflags(write=False)
    return disc


def relative_light(channel: F32, visible: F32, *, sigma_px: float) -> F32:
    """(h, w) float32: a channel less its surroundings, over its surroundings; 0 where no retina shows.

    Args:
        channel: (h, w) float32.
        visible: (h, w) float32: 1 where retina shows, or its share; the rest takes no part in the surroundings.
        sigma_px: Width of the Gaussian that averages the surroundings.
    """
    kernel = cv2.getGaussianKernel(int(6 * sigma_px) | 1, sigma_px, cv2.CV_32F)
    around = cv2.sepFilter2D(channel * visible, -1, kernel, kernel)
    around /= cv2.sepFilter2D(visible, -1, kernel, kernel) + np.float32(1e-3)
    relative: F32 = (channel - around) / (around + np.float32(12)) * visible
    return relative


def on_grid(working: F32) -> F32:
    """(GRID, GRID) float32: means of the working picture's blocks."""
    grid: F32 = cv2.resize(working, (GRID, GRID), interpolation=cv2.INTER_AREA)
    return grid
