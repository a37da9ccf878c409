"""Measures of light, colour, focus and vessels on a prepared square; whether they are enough is said by the limits."""

from collections.abc import Sequence
from functools import lru_cache

import cv2
import numpy as np
import numpy.typing as npt

__all__ = ["measure"]

from sall_edge.fundus.quality.rim import ANALYSIS_PX, MIDDLE_SHARE, disc, field_measures, rim_measures

U8 = npt.NDArray[np.uint8]
F32 = npt.NDArray[np.float32]

SIGMAS_PX = (0.6, 1.0, 2.0, 2.5, 4.0)
"""Widths of the Gaussians, in pixels of the analysis, whose differences measure structure."""

_SECOND_DERIVATIVES = (
    np.array([[0, 1, 0], [1, -4, 1], [0, 1, 0]], np.float32),
    np.array([[0, -1, 0], [1, 0, 1], [0, -1, 0]], np.float32),
    np.array([[1, 0, -1], [0, 0, 0], [-1, 0, 1]], np.float32) / 2,
)
"""xx + yy, xx - yy and 2 xy: the sum and the difference of the Hessian's eigenvalues come of them."""

MARGIN = 8
"""OpenCV's morphology takes the outside of an array for neutral; here it is dark, so a dark margin is added."""

WHITE_LEVEL, BURNT_LEVEL = 180, 235
"""Levels above which a pixel is white (in every channel) and above which its green has no structure left."""

INNER_SHARE, OUTER_SHARE = 0.93, 0.85
"""Of the radius: what is measured at all, and what is measured for structure; the camera's own rim is neither."""

VESSEL_QUANTILE = 0.95
"""Of the dark lines' strength: vessels cover about a tenth of a retina."""


def measure(square: U8) -> dict[str, float]:
    """Everything that is judged, by the names of `Quality.measures`; of a square that shows nothing `brightness` alone.

    Args:
        square: (side, side, 3) uint8, RGB, as `prepare` cuts it.
    """
    small = _at_analysis_size(square)
    red, green, blue = (cv2.extractChannel(small, channel) for channel in range(3))
    brightest, darkest = cv2.max(cv2.max(red, green), blue), cv2.min(cv2.min(red, green), blue)
    lit = _lit(brightest)
    visible = _visible(lit)
    if np.count_nonzero(visible) < visible.size / 50:
        return {"brightness": float(small.mean())}
    fine_and_wide, structure = _structure(small, green, visible)
    measures = {
        **_colours(_means(small, visible), brightest, darkest, visible),
        "burnt": _burnt(green, visible),
        "colour_spread": _spread(blue / (red + 20), visible),
        **structure,
        "surround": _surround(lit),
        **field_measures(lit),
        **rim_measures(small, brightest, darkest, visible, fine_and_wide),
    }
    if len(square) < ANALYSIS_PX:  # it was enlarged, and enlarging looks like blur
        measures["sharpness"] = 1.0
    return measures


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
    return np.asarray(cv2.bitwise_and(inner, disc(INNER_SHARE)), dtype=np.uint8)


def _surround(lit: U8) -> float:
    """Share of the rectangle around all that is lit which is not lit."""
    left, top, width, height = cv2.boundingRect(lit)
    return 1 - float(np.count_nonzero(lit[top : top + height, left : left + width]) / (width * height))


def _colours(means: Sequence[float], brightest: F32, darkest: F32, visible: U8) -> dict[str, float]:
    """Measures of the visible pixels in which their places do not matter."""
    red, green, blue = means
    white = cv2.bitwise_and(cv2.compare(darkest, WHITE_LEVEL, cv2.CMP_GT), visible)
    (mean_brightest,), (mean_darkest,) = _means(brightest, visible), _means(darkest, visible)
    return {
        "brightness": _luma(means),
        "white_share": cv2.countNonZero(white) / cv2.countNonZero(visible),
        "saturation": (mean_brightest - mean_darkest) / (mean_brightest + 1),
        "red_green": red / (green + 1),
        "blue_red": blue / (red + 1),
    }


def _burnt(green: F32, visible: U8) -> float:
    """Share of the middle whose green, which carries the vessels, has no structure left; flare burns the rim."""
    middle = cv2.bitwise_and(visible, disc(MIDDLE_SHARE))
    burnt = cv2.bitwise_and(cv2.compare(green, BURNT_LEVEL, cv2.CMP_GT), middle)
    return cv2.countNonZero(burnt) / max(cv2.countNonZero(middle), 1)


def _structure(small: F32, green: F32, visible: U8) -> tuple[tuple[F32, F32], dict[str, float]]:
    """The finest and the widest blur of green, where vessels and red lesions are darkest, and measures of it."""
    central = cv2.bitwise_and(visible, disc(OUTER_SHARE))
    lit = cv2.threshold(green, 2, 1, cv2.THRESH_BINARY)[1]
    lit_green = green * lit
    blurred = {sigma: _blurred(lit_green, lit, sigma) for sigma in SIGMAS_PX}
    fine_and_wide = blurred[SIGMAS_PX[0]], blurred[SIGMAS_PX[-1]]
    if not cv2.countNonZero(central):
        return fine_and_wide, {"detail": 0.0, "sharpness": 0.0, "vessels": 0.0}
    detail, fine, coarse = (
        _spread(blurred[narrow] - blurred[wide], central) for narrow, wide in ((1.0, 2.5), (0.6, 1.0), (2.0, 4.0))
    )
    return fine_and_wide, {
        "detail": detail / (_luma(_means(small, central)) + 10),
        "sharpness": fine / (coarse + 0.1),
        "vessels": _vessels(blurred[1.0], blurred[4.0], central),
    }


def _vessels(green: F32, around: F32, central: U8) -> float:
    """How much darker than its sides the clearest of the lines is: what blur, haze and darkness all take away.

    The larger eigenvalue of the Hessian less the smaller one's size is large along dark lines, and neither in spots nor
    at edges (Frangi et al. 1998): the lesser of their sum and their difference, here relative to the light around.
    """
    total, straight, diagonal = (cv2.filter2D(green, -1, kernel) for kernel in _SECOND_DERIVATIVES)
    lines = cv2.min(total, cv2.magnitude(straight, diagonal))
    lines /= around + 10
    strength = lines[central > 0]
    above = len(strength) - int(VESSEL_QUANTILE * (len(strength) - 1))
    strongest = strength[strength > cv2.mean(strength)[0]]  # fewer to order, if the quantile is among them
    if len(strongest) < above:
        strongest = strength
    place = len(strongest) - above
    return max(float(np.partition(strongest, place)[place]), 0.0)


def _blurred(lit_green: F32, lit: F32, sigma: float) -> F32:
    """Divided by the blurred mask, or the edge of the photograph would count as coarse structure."""
    kernel = _gaussian(sigma)
    blurred: F32 = cv2.sepFilter2D(lit_green, -1, kernel, kernel)
    blurred /= cv2.sepFilter2D(lit, -1, kernel, kernel, delta=1e-6)
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
