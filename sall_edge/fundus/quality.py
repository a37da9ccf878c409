"""Whether a square may be graded: light, focus, and whether it shows a retina at all.

Classical measures with thresholds far out in the tails of real photographs: a retake that is not needed costs a
patient a second flash, so this gate stops only what no grader could use. Limits were set on public sets of several
cameras.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np
import numpy.typing as npt

__all__ = ["Quality", "assess"]

U8 = npt.NDArray[np.uint8]
F32 = npt.NDArray[np.float32]

ANALYSIS_PX = 112
"""Squares of every side are measured at this one, so that the limits hold for all of them."""

LEAST_BRIGHTNESS = 20.0
"""Mean luma of 0..255 below which lesions drown in the camera's noise."""

MOST_BRIGHTNESS, MOST_WHITE_OF_BRIGHT, MOST_WHITE = 190.0, 0.2, 0.5
"""Too bright is a mean luma above the first with a share of burnt-out pixels above the second, or above the third."""

LEAST_SHARPNESS = 0.18
"""Contrast of fine structure over that of structure four times as wide; blur takes the fine first."""

LEAST_DETAIL = 0.0025
"""Contrast of structures of the width of vessels, relative to luma; without it there are no vessels to be seen."""

LEAST_SATURATION, MOST_BLUE, LEAST_RED = 0.08, 1.0, 0.55
"""A retina is orange: coloured, blue below red, red not far below green."""

SIGMAS_PX = (0.6, 1.0, 2.0, 2.5, 4.0)
"""Widths of the Gaussians, in pixels of the analysis, whose differences measure structure."""

MARGIN = 8
"""OpenCV's morphology takes the outside of an array for neutral; here it is dark, so a dark margin is added."""

MOST_CLUTTER, COLOUR_WEIGHT = 0.105, 0.3
"""Detail plus weighted spread of the blue-red ratio: lashes, sclera and instruments have both, a retina hardly any."""

LEAST_SURROUND, MOST_CLUTTER_WITHOUT = 0.005, 0.075
"""A fundus camera leaves black around the retina; a picture with less of it than this has to be calmer to be one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Quality:
    """What the square is worth.

    Attributes:
        gradable: Whether it may be graded; otherwise the patient needs another photograph.
        reasons: Why not: too_dark, too_bright, out_of_focus, not_a_retina. Empty if gradable.
        measures: brightness (mean luma, 0..255), white_share (0..1), saturation (0..1), red_green and blue_red (ratios
            of means), detail (contrast relative to luma), sharpness (fine over coarse contrast), colour_spread
            (standard deviation of the blue-red ratio), surround (black share of the rectangle around all that is lit).
    """

    gradable: bool
    reasons: tuple[str, ...]
    measures: dict[str, float]


def assess(square: U8) -> Quality:
    """Light, focus and identity of a prepared square.

    Args:
        square: (side, side, 3) uint8, RGB, as `prepare` cuts it.
    """
    small = _at_analysis_size(square)
    red, green, blue = cv2.split(small)
    brightest, darkest = cv2.max(cv2.max(red, green), blue), cv2.min(cv2.min(red, green), blue)
    lit = _lit(brightest)
    visible = _visible(lit)
    if np.count_nonzero(visible) < visible.size / 50:
        return Quality(gradable=False, reasons=("too_dark",), measures={"brightness": float(small.mean())})
    measures = {
        **_colours(_means(small, visible), brightest, darkest, visible),
        "colour_spread": _spread(blue / (red + 20), visible),
        **_structure(small, green, visible),
        "surround": _surround(lit),
    }
    if len(square) < ANALYSIS_PX:  # it was enlarged, and enlarging looks like blur
        measures["sharpness"] = 1.0
    reasons = tuple(_reasons(measures))
    return Quality(gradable=not reasons, reasons=reasons, measures=measures)


def _at_analysis_size(square: U8) -> F32:
    """(ANALYSIS_PX, ANALYSIS_PX, 3) float32, whole grey levels; halved first, which OpenCV does several times faster.

    The last step is done on float32, because OpenCV is faster at that too; the levels come out the same.
    """
    while len(square) % 2 == 0 and len(square) >= 2 * ANALYSIS_PX:
        square = cv2.resize(square, (len(square) // 2, len(square) // 2), interpolation=cv2.INTER_AREA)
    if len(square) < ANALYSIS_PX:
        enlarged: F32 = cv2.resize(square, (ANALYSIS_PX, ANALYSIS_PX), interpolation=cv2.INTER_AREA).astype(np.float32)
        return enlarged
    small = square.astype(np.float32)
    if len(small) > ANALYSIS_PX:
        small = cv2.resize(small, (ANALYSIS_PX, ANALYSIS_PX), interpolation=cv2.INTER_AREA)
        np.rint(small, out=small)
    return small


def _reasons(measures: dict[str, float]) -> list[str]:
    brightness, white, detail = measures["brightness"], measures["white_share"], measures["detail"]
    is_burnt = white > MOST_WHITE or (brightness > MOST_BRIGHTNESS and white > MOST_WHITE_OF_BRIGHT)
    is_not_orange = (
        measures["saturation"] < LEAST_SATURATION
        or measures["blue_red"] > MOST_BLUE
        or measures["red_green"] < LEAST_RED
    )
    most_clutter = MOST_CLUTTER if measures["surround"] > LEAST_SURROUND else MOST_CLUTTER_WITHOUT
    is_cluttered = detail + COLOUR_WEIGHT * measures["colour_spread"] > most_clutter
    found = {
        "too_dark": brightness < LEAST_BRIGHTNESS,
        "too_bright": is_burnt,
        "out_of_focus": detail < LEAST_DETAIL or measures["sharpness"] < LEAST_SHARPNESS,
        "not_a_retina": is_not_orange or is_cluttered,
    }
    return [reason for reason, is_so in found.items() if is_so]


@lru_cache(maxsize=2)
def _disc(share: float) -> U8:
    """(ANALYSIS_PX, ANALYSIS_PX) uint8: 255 inside a share of the field's radius, 0 outside."""
    offset = np.arange(ANALYSIS_PX) - (ANALYSIS_PX - 1) / 2
    disc = np.where(np.hypot(offset, offset[:, None]) < share * ANALYSIS_PX / 2, 255, 0).astype(np.uint8)
    disc.setflags(write=False)
    return disc


@lru_cache(maxsize=2)
def _block(side_px: int) -> U8:
    """(side, side) uint8: the structuring element of a square's morphology."""
    block = np.ones((side_px, side_px), np.uint8)
    block.setflags(write=False)
    return block


@lru_cache(maxsize=len(SIGMAS_PX))
def _gaussian(sigma: float) -> F32:
    """(n, 1) float32: the kernel of cv2.GaussianBlur for float pictures."""
    kernel: F32 = cv2.getGaussianKernel(round(8 * sigma + 1) | 1, sigma, cv2.CV_32F)
    kernel.setflags(write=False)
    return kernel


def _lit(brightest: F32) -> U8:
    """(ANALYSIS_PX, ANALYSIS_PX) uint8: 255 where there is a picture, dark spots inside it included."""
    lit = cv2.compare(brightest, 6, cv2.CMP_GT)
    lit = cv2.copyMakeBorder(lit, MARGIN, MARGIN, MARGIN, MARGIN, cv2.BORDER_CONSTANT, value=0)
    lit = cv2.morphologyEx(lit, cv2.MORPH_CLOSE, _block(9))
    return np.asarray(lit[MARGIN:-MARGIN, MARGIN:-MARGIN], dtype=np.uint8)


def _visible(lit: U8) -> U8:
    """255 where retina is on the photograph: not the rim, not what the frame cut off."""
    inner = cv2.erode(lit, _block(7), borderType=cv2.BORDER_CONSTANT, borderValue=0)
    return np.asarray(cv2.bitwise_and(inner, _disc(0.93)), dtype=np.uint8)


def _surround(lit: U8) -> float:
    """Share of the rectangle around all that is lit which is not lit."""
    left, top, width, height = cv2.boundingRect(lit)
    return 1 - float(np.count_nonzero(lit[top : top + height, left : left + width]) / (width * height))


def _colours(means: Sequence[float], brightest: F32, darkest: F32, visible: U8) -> dict[str, float]:
    """Measures of the visible pixels in which their places do not matter."""
    red, green, blue = means
    white = cv2.bitwise_and(cv2.compare(darkest, 180, cv2.CMP_GT), visible)
    (mean_brightest,), (mean_darkest,) = _means(brightest, visible), _means(darkest, visible)
    return {
        "brightness": _luma(means),
        "white_share": cv2.countNonZero(white) / cv2.countNonZero(visible),
        "saturation": (mean_brightest - mean_darkest) / (mean_brightest + 1),
        "red_green": red / (green + 1),
        "blue_red": blue / (red + 1),
    }


def _structure(small: F32, green: F32, visible: U8) -> dict[str, float]:
    """Measures of the green channel, where vessels and red lesions are darkest."""
    central = cv2.bitwise_and(visible, _disc(0.85))
    if not cv2.countNonZero(central):
        return {"detail": 0.0, "sharpness": 0.0}
    lit = cv2.threshold(green, 2, 1, cv2.THRESH_BINARY)[1]
    lit_green = green * lit
    blurred = {sigma: _blurred(lit_green, lit, sigma) for sigma in SIGMAS_PX}
    detail, fine, coarse = (
        _spread(blurred[narrow] - blurred[wide], central) for narrow, wide in ((1.0, 2.5), (0.6, 1.0), (2.0, 4.0))
    )
    return {"detail": detail / (_luma(_means(small, central)) + 10), "sharpness": fine / (coarse + 0.1)}


def _blurred(lit_green: F32, lit: F32, sigma: float) -> F32:
    """Divided by the blurred mask, or the edge of the photograph would count as coarse structure."""
    kernel = _gaussian(sigma)
    blurred: F32 = cv2.sepFilter2D(lit_green, -1, kernel, kernel)
    blurred /= cv2.sepFilter2D(lit, -1, kernel, kernel) + np.float32(1e-6)
    return blurred


def _spread(values: F32, where: U8) -> float:
    """Standard deviation of the values under a mask."""
    return float(cv2.meanStdDev(values, mask=where)[1][0, 0])


def _means(values: F32, where: U8) -> tuple[float, ...]:
    """Mean of every channel under a mask."""
    means: tuple[float, ...] = cv2.mean(values, where)[: values.shape[2] if values.ndim == 3 else 1]
    return means


def _luma(means: Sequence[float]) -> float:
    red, green, blue = means
    return float(0.299 * red + 0.587 * green + 0.114 * blue)
