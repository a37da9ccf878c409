"""Measures of the rim and of the field's shape: lashes, shadows, flare and haze come from the edge, lids cut it."""

import math
from functools import lru_cache

import cv2
import numpy as np
import numpy.typing as npt

__all__ = ["ANALYSIS_PX", "MIDDLE_SHARE", "disc", "field_measures", "rim_measures"]

U8 = npt.NDArray[np.uint8]
F32 = npt.NDArray[np.float32]

ANALYSIS_PX = 112
"""Squares of every side are measured at this one, so that the limits hold for all of them."""

FIELD_SHARE, MIDDLE_SHARE, RIM_FROM_SHARE = 0.97, 0.5, 0.6
"""Of the radius: the field, what the rim is compared with, and where the rim begins."""

DARK_OF_MIDDLE, BRIGHT_OF_MIDDLE, PALE_OF_MIDDLE = 0.3, 1.2, 0.6
"""Of the middle's luma and saturation: below it is shadow, above it is flare if it is pale, below it is pale."""

_MEAN_RIM_SHARE = 0.78
"""Mean distance of the rim's pixels from the centre."""

DARK_OF_AROUND = 0.7
"""Green under a lash over green around it; vessels keep more."""


@lru_cache(maxsize=8)
def disc(share: float) -> U8:
    """(ANALYSIS_PX, ANALYSIS_PX) uint8: 255 inside a share of the field's radius, 0 outside."""
    offset = np.arange(ANALYSIS_PX) - (ANALYSIS_PX - 1) / 2
    inside = np.where(np.hypot(offset, offset[:, None]) < share * ANALYSIS_PX / 2, 255, 0).astype(np.uint8)
    inside.setflags(write=False)
    return inside


@lru_cache(maxsize=1)
def _beyond_rim() -> U8:
    beyond: U8 = cv2.bitwise_not(disc(RIM_FROM_SHARE))
    beyond.setflags(write=False)
    return beyond


def field_measures(lit: U8) -> dict[str, float]:
    """`seen` and `aside` of what shows anything, (ANALYSIS_PX, ANALYSIS_PX) uint8."""
    field = disc(FIELD_SHARE)
    whole = cv2.countNonZero(field)
    dark = np.flatnonzero(cv2.compare(field, lit, cv2.CMP_GT))  # what lies around the centre evenly adds to 0
    area = whole - len(dark)
    return {"seen": area / whole, "aside": _from_centre(dark) / max(area, 1) / (ANALYSIS_PX / 2)}


def rim_measures(
    small: F32, brightest: F32, darkest: F32, visible: U8, fine_and_wide: tuple[F32, F32]
) -> dict[str, float]:
    """`shadow`, `flare`, `veil` and `lashes`: shares of the visible rim, compared with the middle of the field.

    `lashes` counts dark lines on one side against those on the other, for lashes reach in from one side.

    Args:
        small: (ANALYSIS_PX, ANALYSIS_PX, 3) float32, RGB.
        brightest, darkest: Of its channels.
        visible: 255 where there is retina.
        fine_and_wide: Green, hardly blurred and blurred widely.
    """
    rim, middle = cv2.bitwise_and(visible, _beyond_rim()), cv2.bitwise_and(visible, disc(MIDDLE_SHARE))
    area = cv2.countNonZero(rim)
    if not area or not cv2.countNonZero(middle):
        return {"shadow": 0.0, "flare": 0.0, "veil": 0.0, "lashes": 0.0}
    luma = cv2.cvtColor(small, cv2.COLOR_RGB2GRAY)
    saturation = cv2.divide(brightest - darkest, brightest + 1)
    middle_luma = cv2.mean(luma, middle)[0]
    light = max(middle_luma, cv2.mean(luma, visible)[0])  # a shadow may reach the middle
    pale = cv2.compare(saturation, PALE_OF_MIDDLE * cv2.mean(saturation, middle)[0], cv2.CMP_LT)
    bright = cv2.compare(luma, BRIGHT_OF_MIDDLE * middle_luma, cv2.CMP_GT)
    fine, wide = fine_and_wide
    lines = cv2.compare(fine + 5, DARK_OF_AROUND * (wide + 5), cv2.CMP_LT)
    found = {
        "shadow": cv2.compare(luma, DARK_OF_MIDDLE * light, cv2.CMP_LT),
        "flare": cv2.bitwise_and(pale, bright),
        "veil": pale,
    }
    shares = {name: cv2.countNonZero(cv2.bitwise_and(where, rim)) / area for name, where in found.items()}
    return {**shares, "lashes": _one_sided(cv2.bitwise_and(lines, rim)) / area}


def _one_sided(found: U8) -> float:
    """Length of the sum of the directions from the centre to what is found, in pixels: print all over adds to 0."""
    return _from_centre(np.flatnonzero(found)) / (_MEAN_RIM_SHARE * ANALYSIS_PX / 2)


def _from_centre(places: npt.NDArray[np.intp]) -> float:
    """Length of the sum of the ways from the centre to places, in pixels; few places take less than cv2.moments."""
    y, x = np.divmod(places, ANALYSIS_PX)
    middle = len(places) * (ANALYSIS_PX - 1) / 2
    return math.hypot(float(np.add.reduce(x)) - middle, float(np.add.reduce(y)) - middle)
