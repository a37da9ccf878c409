"""Edges of a photograph, each measured against its own surroundings: so a hardly lit rim counts like a bright one.

Two pictures are looked at, because either alone loses the rim somewhere: how bright it is (logarithm of the brightest
channel), and how orange (red above blue), which tells dim retina from a grey surround of the same brightness. Light
that fades, as haze does, has no edge: what a wider blur leaves is taken away first.
"""

from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

__all__ = ["Edges", "edges_of"]

U8 = npt.NDArray[np.uint8]
F32 = npt.NDArray[np.float32]

DARK = 14.0
"""Grey levels that are added before the logarithm; the rounding of a JPEG's dark surround is no edge then."""

FINE_PX, COARSE_PX = 1.2, 6.0
"""Widths of the Gaussians whose difference is searched for edges."""

AROUND_PX = 25
"""Side of the surroundings that an edge is measured against."""

QUIET_SHARE = 0.5
"""Share of the whole picture's mean edge below which surroundings count as quiet."""

LEAST_HEIGHT = 0.9
"""Of an edge that may propose a circle; the mean of its surroundings is 1."""

BLACK, MOST_LIT_OF_BAR, LEAST_LIT_BEYOND = 8, 0.03, 0.3
"""Grey level of a bar; shares of its rows that are brighter, and of the third row after it."""

MARGIN_PX = 3
"""The border of the frame, and of bars, is an edge of its own."""

_NEAR = np.ones((3, 3), np.uint8)


@dataclass(frozen=True, slots=True)
class Edges:
    """Edges of one working picture.

    Attributes:
        heights: (h, w, 4) float32: x and y of the brightness's edges, x and y of the colour's; 1 is the mean (RMS) of
            the surroundings.
        left, top, right, bottom: The part of the frame in which a rim could be seen, without bars and border.
    """

    heights: F32
    left: int
    top: int
    right: int
    bottom: int

    def points(self) -> F32:
        """(n, 4) x, y and the unit normal of the pixels that are the ridge of an edge."""
        found = []
        inside = np.s_[self.top + 1 : self.bottom - 1, self.left + 1 : self.right - 1]
        for first in (0, 2):
            across, down = self.heights[:, :, first][inside], self.heights[:, :, first + 1][inside]
            height = cv2.magnitude(across, down)
            y, x = np.nonzero((height > LEAST_HEIGHT) & (height >= cv2.dilate(height, _NEAR)))
            here = height[y, x]
            found.append(
                np.stack([x + (self.left + 1), y + (self.top + 1), across[y, x] / here, down[y, x] / here], axis=1)
            )
        return np.concatenate(found).astype(np.float32)


def edges_of(picture: U8) -> Edges:
    """The edges of a working picture, (h, w, 3) uint8 RGB."""
    red, green, blue = cv2.split(cv2.medianBlur(picture, 3))
    brightest = cv2.max(cv2.max(red, green), blue)
    brightness = cv2.log(brightest.astype(np.float32) + np.float32(DARK))
    orange = cv2.log(cv2.absdiff(red, blue).astype(np.float32) * np.float32(1 / DARK) + np.float32(1))
    orange *= np.where(red >= blue, np.float32(1), np.float32(-1))
    heights = np.concatenate([_measured(brightness), _measured(orange)], axis=2)
    height, width = brightest.shape
    lit = picture.max(axis=2) > BLACK  # not the median: JPEG rings beside a bar
    rows, columns = lit.mean(axis=1), lit.mean(axis=0)
    return Edges(
        heights,
        left=_bar(columns) + MARGIN_PX,
        top=_bar(rows) + MARGIN_PX,
        right=width - _bar(columns[::-1]) - MARGIN_PX,
        bottom=height - _bar(rows[::-1]) - MARGIN_PX,
    )


def _measured(picture: F32) -> F32:
    """(h, w, 2) the gradient of a picture over the mean gradient around it."""
    fine = cv2.GaussianBlur(picture, (0, 0), FINE_PX)
    fine -= cv2.GaussianBlur(picture, (0, 0), COARSE_PX)
    across, down = cv2.Sobel(fine, cv2.CV_32F, 1, 0), cv2.Sobel(fine, cv2.CV_32F, 0, 1)
    squared = across * across + down * down
    sample = squared[::4, ::4].ravel()
    strong = np.partition(sample, -len(sample) // 10)[-len(sample) // 10]
    usual = float(np.sqrt(np.minimum(squared, strong).mean()))
    around = cv2.blur(squared, (AROUND_PX, AROUND_PX))
    mean = np.sqrt(np.maximum(around, 0)) + np.float32(QUIET_SHARE * usual + 1e-3)  # the blur rounds below zero
    measured: F32 = cv2.merge([across / mean, down / mean])
    return measured


def _bar(lit: npt.NDArray[np.float64]) -> int:
    """How many rows at the start are a black bar: their end is straight, where a disc would end in an arc."""
    most = len(lit) // 3
    black = int(np.argmax(lit[:most] >= MOST_LIT_OF_BAR)) if (lit[:most] >= MOST_LIT_OF_BAR).any() else most
    return black if 0 < black < most and lit[black + 3] > LEAST_LIT_BEYOND else 0
