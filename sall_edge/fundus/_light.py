"""What the light on either side of a circle says against it, where edges alone would take it for the rim.

Blocks of a JPEG turn light that fades, of haze or at a dim side, into contours as sharp as a rim. Beside the rim the
frame is dark, or filled with haze that is as bright all around; and some part of the rim is brighter than haze is.
"""

from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from sall_edge.fundus._edges import DARK, Edges
from sall_edge.fundus._rim import directions

__all__ = ["BesideRim", "brightness_of", "light_beside"]

U8 = npt.NDArray[np.uint8]
F32 = npt.NDArray[np.float32]
F64 = npt.NDArray[np.float64]

EVERY = 5
"""One of so many directions is looked into."""

BEYOND, WITHIN = 1.04, 0.96
"""Where light is looked at, over the radius."""

LEAST_PLACES = 4
"""Of a ring that must be on the photograph before it says anything."""

RING_SPREAD, LIT_PLACES = (0.15, 0.85), 0.75
"""Shares of a ring: text and tabs may brighten less than the rest of it; a quarter of a rim is lit, at least."""

SPREAD_FREE = 0.08
"""By how much the logarithm of the light may differ along a ring beside the rim."""

PASSED_FREE, PASSED_WEIGHT = 0.06, 4.0
"""Share of the light within that may be left beyond, more on one side than on the other: ghosts of a bright field."""

HIDDEN = 1e4
"""Larger than any level, so that it comes last."""

LEAST_LIT = 0.15
"""Light within a rim, over the contrast."""

CORNERS_SHARE, MOST_OFF, OFF_MALUS = 0.6, 0.15, 5.0
"""A circle of which less is on the photograph is expected around its middle; the offset, in radii, that costs most."""


@dataclass(frozen=True, slots=True)
class BesideRim:
    """The light of one working picture.

    Attributes:
        light: (h, w) float32, the brightest channel without noise.
        darkest, contrast: Grey levels of the surround, and of the retina above it.
        edges: The part of the frame in which a rim could be seen.
    """

    light: F32
    darkest: float
    contrast: float
    edges: Edges

    def malus(self, circles: F64) -> F64:
        """(T,) what speaks against circles (T, 4: x, y, radius, stretch), 0 if nothing does."""
        return self.uneven(circles) + self.faint(circles) + self.off_middle(circles)

    def uneven(self, circles: F64) -> F64:
        """(T,) up to 1 for light beyond a circle that is there on one side and not on the other."""
        beyond, seen = self._ring(circles, BEYOND)
        within, seen_within = self._ring(circles, WITHIN)
        passed = np.clip((beyond - self.darkest) / np.maximum(within - self.darkest, 1), 0, 1)
        passed[(beyond == HIDDEN) | (within == HIDDEN)] = HIDDEN
        uneven = np.minimum(
            _spread(np.log(beyond + DARK), seen) - SPREAD_FREE,
            PASSED_WEIGHT * (_spread(passed, np.minimum(seen, seen_within)) - PASSED_FREE),
        )
        return np.asarray(np.where(seen >= LEAST_PLACES, np.clip(uneven, 0, 1), 0), dtype=np.float64)

    def faint(self, circles: F64) -> F64:
        """(T,) up to 1 for a circle within which it is dark all around."""
        within, seen = self._ring(circles, WITHIN)
        lit = (_quantile(np.sort(within, axis=1), seen, LIT_PLACES) - self.darkest) / self.contrast
        return np.asarray(np.where(seen >= LEAST_PLACES, np.clip(1 - lit / LEAST_LIT, 0, 1), 0), dtype=np.float64)

    def off_middle(self, circles: F64) -> F64:
        """(T,) for circles of which the photograph shows little, what an offset from its middle costs."""
        height, width = self.light.shape
        shown = self._ring(circles, BEYOND)[1] / len(directions()[0, ::EVERY])
        off = np.hypot(circles[:, 0] - width / 2, circles[:, 1] - height / 2) / circles[:, 2]
        return np.asarray(OFF_MALUS * np.minimum(off, MOST_OFF) * np.maximum(CORNERS_SHARE - shown, 0))

    def _ring(self, circles: F64, share: float) -> tuple[F32, npt.NDArray[np.intp]]:
        """(T, n) grey levels along rings, HIDDEN where the photograph ends; (T,) at how many places it does not."""
        x, y, radius, stretch = (column[:, None].astype(np.float32) for column in circles.T)
        cosine, sine = directions()[:, ::EVERY].astype(np.float32) * np.float32(share)
        at_x, at_y = x + radius * stretch * cosine, y + radius / stretch * sine
        edges = self.edges
        hidden = (at_x < edges.left) | (at_y < edges.top) | (at_x >= edges.right) | (at_y >= edges.bottom)
        light: F32 = np.asarray(cv2.remap(self.light, at_x, at_y, cv2.INTER_LINEAR), np.float32)
        light[hidden] = HIDDEN
        return light, np.asarray(light.shape[1] - hidden.sum(axis=1), dtype=np.intp)


def _spread(values: F32, seen: npt.NDArray[np.intp]) -> F32:
    """(T,) how far the high quantile of each row lies above the low one."""
    ascending = np.sort(values, axis=1)
    return _quantile(ascending, seen, RING_SPREAD[1]) - _quantile(ascending, seen, RING_SPREAD[0])


def _quantile(ascending: F32, seen: npt.NDArray[np.intp], share: float) -> F32:
    """(T,) of the first `seen` values of each row; of rows without any, the level 0."""
    place = (share * np.maximum(seen - 1, 0)).astype(np.intp)
    value = ascending[np.arange(len(ascending)), place]
    return np.asarray(np.where(seen > 0, value, 0), dtype=np.float32)


def brightness_of(picture: U8) -> U8:
    """(h, w) uint8, the brightest channel of a working picture (h, w, 3), without noise and thin text."""
    red, green, blue = cv2.split(picture)
    brightness: U8 = cv2.medianBlur(cv2.max(cv2.max(red, green), blue), 5)
    return brightness


def light_beside(brightness: U8, edges: Edges, darkest: float, contrast: float) -> BesideRim:
    """The light of a working picture.

    Args:
        brightness: (h, w) uint8, the brightest channel without noise.
        edges: Of the same picture.
        darkest: Grey level of the surround.
        contrast: Grey levels of the retina above it.
    """
    return BesideRim(brightness.astype(np.float32), darkest, max(contrast, 1.0), edges)
