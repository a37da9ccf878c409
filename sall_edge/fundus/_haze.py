"""Whether a circle runs along the rim of the field or through haze around it: at a rim the light falls at once.

Light that the retina has thrown beside the field fades with the distance, so its contours are circles as perfect as the
rim itself, and larger.
"""

import numpy as np
import numpy.typing as npt

from sall_edge.fundus._rim import Circle, directions

__all__ = ["LEAST_STEP_SHARE", "is_inside", "step_at_rim"]

U8 = npt.NDArray[np.uint8]

LEAST_STEP_SHARE = 0.5
"""Step at a rim, as a share of the light inside; below it, a circle may be haze and higher thresholds are tried."""

WIDTH_SHARE = 0.015
"""Half width of the step over the radius, at least two pixels of the working picture: rims are not sharper."""

CLEARLY_SMALLER = 0.985
"""Ratio of radii above which two circles are one rim, met at two thresholds."""

INSIDE_SHARE = 0.8
"""Where the light inside is measured, over the radius."""


def step_at_rim(brightness: U8, circle: Circle, surround: float) -> tuple[float, float]:
    """By how many grey levels the light falls at a circle, as a share of the light inside, and itself.

    Medians over the directions in which the picture shows both sides; infinite and 0 if there are hardly any.
    """
    half_width = max(2.0, WIDTH_SHARE * circle.radius) / circle.radius
    shares = np.array([[1 + half_width], [1 - half_width], [INSIDE_SHARE]])
    cosine, sine = directions()
    x = np.rint(circle.x + shares * (circle.radius * circle.stretch * cosine)).astype(np.intp)
    y = np.rint(circle.y + shares * (circle.radius / circle.stretch * sine)).astype(np.intp)
    height, width = brightness.shape
    visible = ((x >= 1) & (y >= 1) & (x < width - 1) & (y < height - 1)).all(axis=0)
    if np.count_nonzero(visible) < 4:
        return float("inf"), 0.0
    beyond, within, inside = brightness[y[:, visible], x[:, visible]].astype(np.int16)
    step = _median(within - beyond)
    return step / max(_median(inside) - surround, 1.0), step


def _median(levels: npt.NDArray[np.int16]) -> float:
    """The upper median; np.median takes ten times as long over a hundred values."""
    middle = len(levels) // 2
    return float(np.partition(levels, middle)[middle])


def is_inside(circle: Circle, other: Circle) -> bool:
    """Whether a circle is clearly smaller than another one and lies in it, but for the search's own error."""
    apart = float(np.hypot(circle.x - other.x, circle.y - other.y))
    return circle.radius < CLEARLY_SMALLER * other.radius and apart + circle.radius <= 1.01 * other.radius
