"""Whether a square may be graded: light, focus, and whether it shows a retina at all.

Classical measures with thresholds far out in the tails of real photographs: a retake that is not needed costs a
patient a second flash, so this gate stops only what no grader could use. Limits were set on public sets of several
cameras.
"""

from dataclasses import dataclass
from functools import lru_cache, reduce

import cv2
import numpy as np
import numpy.typing as npt

__all__ = ["Quality", "assess"]

U8 = npt.NDArray[np.uint8]
F32 = npt.NDArray[np.float32]
Mask = npt.NDArray[np.bool_]

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
    lit = _lit(small)
    visible = _visible(lit)
    if np.count_nonzero(visible) < visible.size / 50:
        return Quality(gradable=False, reasons=("too_dark",), measures={"brightness": float(small.mean())})
    measures = {**_colours(small[visible]), **_structure(small, visible), "surround": _surround(lit)}
    if len(square) < ANALYSIS_PX:  # it was enlarged, and enlarging looks like blur
        measures["sharpness"] = 1.0
    reasons = tuple(_reasons(measures))
    return Quality(gradable=not reasons, reasons=reasons, measures=measures)


def _at_analysis_size(square: U8) -> F32:
    """(ANALYSIS_PX, ANALYSIS_PX, 3) float32; halved first, which OpenCV does several times faster."""
    while len(square) % 2 == 0 and len(square) >= 2 * ANALYSIS_PX:
        square = cv2.resize(square, (len(square) // 2, len(square) // 2), interpolation=cv2.INTER_AREA)
    small: F32 = cv2.resize(square, (ANALYSIS_PX, ANALYSIS_PX), interpolation=cv2.INTER_AREA).astype(np.float32)
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
def _disc(share: float) -> Mask:
    """(ANALYSIS_PX, ANALYSIS_PX) bool: inside a share of the field's radius."""
    offset = np.arange(ANALYSIS_PX) - (ANALYSIS_PX - 1) / 2
    inside: Mask = np.hypot(offset, offset[:, None]) < share * ANALYSIS_PX / 2
    inside.setflags(write=False)
    return inside


def _lit(small: F32) -> U8:
    """(ANALYSIS_PX, ANALYSIS_PX) uint8: 1 where there is a picture, dark spots inside it included."""
    lit = (reduce(np.maximum, cv2.split(small)) > 6).astype(np.uint8)
    lit = cv2.copyMakeBorder(lit, MARGIN, MARGIN, MARGIN, MARGIN, cv2.BORDER_CONSTANT, value=0)
    lit = cv2.morphologyEx(lit, cv2.MORPH_CLOSE, np.ones((9, 9), np.uint8))
    return np.asarray(lit[MARGIN:-MARGIN, MARGIN:-MARGIN], dtype=np.uint8)


def _visible(lit: U8) -> Mask:
    """Retina that is on the photograph: not the rim, not what the frame cut off."""
    lit = np.asarray(cv2.copyMakeBorder(lit, MARGIN, MARGIN, MARGIN, MARGIN, cv2.BORDER_CONSTANT, value=0))
    inner = cv2.erode(lit, np.ones((7, 7), np.uint8))[MARGIN:-MARGIN, MARGIN:-MARGIN]
    return np.asarray((inner > 0) & _disc(0.93))


def _surround(lit: U8) -> float:
    """Share of the rectangle around all that is lit which is not lit."""
    rows, columns = np.flatnonzero(lit.any(axis=1)), np.flatnonzero(lit.any(axis=0))
    return 1 - float(lit[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1].mean())


def _colours(pixels: F32) -> dict[str, float]:
    """Measures of (n, 3) pixels in which their places do not matter."""
    red, green, blue = (float(mean) for mean in pixels.mean(axis=0))
    brightest, darkest = (reduce(over, pixels.T) for over in (np.maximum, np.minimum))
    return {
        "brightness": 0.299 * red + 0.587 * green + 0.114 * blue,
        "white_share": float(np.mean(darkest > 180)),
        "saturation": float(np.mean(brightest - darkest) / (np.mean(brightest) + 1)),
        "red_green": red / (green + 1),
        "blue_red": blue / (red + 1),
        "colour_spread": float(np.std(pixels[:, 2] / (pixels[:, 0] + 20))),
    }


def _structure(small: F32, visible: Mask) -> dict[str, float]:
    """Measures of the green channel, where vessels and red lesions are darkest."""
    central = visible & _disc(0.85)
    if not central.any():
        return {"detail": 0.0, "sharpness": 0.0}
    lit = (small[:, :, 1] > 2).astype(np.float32)
    # divided by the blurred mask, or the edge of the photograph would count as coarse structure
    blurred = {
        sigma: cv2.GaussianBlur(small[:, :, 1] * lit, (0, 0), sigma) / (cv2.GaussianBlur(lit, (0, 0), sigma) + 1e-6)
        for sigma in (0.6, 1.0, 2.0, 2.5, 4.0)
    }
    detail, fine, coarse = (
        float(np.std((blurred[narrow] - blurred[wide])[central]))
        for narrow, wide in ((1.0, 2.5), (0.6, 1.0), (2.0, 4.0))
    )
    luma = float(small[central].mean(axis=0) @ [0.299, 0.587, 0.114])
    return {"detail": detail / (luma + 10), "sharpness": fine / (coarse + 0.1)}
