"""The circle behind a rim of which only a part is seen: three points propose it, all vote, least squares refines it.

Points that are not rim (a notch, a tab, text, the edge of a shadow) are outvoted, not removed one by one.
"""

from dataclasses import dataclass
from functools import lru_cache
from math import sqrt
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

__all__ = [
    "GOOD_RIM_SEEN",
    "SECTORS",
    "Circle",
    "directions",
    "fitted_circle",
    "is_plausible",
    "seen_within_straight_cuts",
]

F64 = npt.NDArray[np.float64]
XYR: TypeAlias = tuple[float, float, float]
Length: TypeAlias = float | F64

GOOD_RIM_SEEN = 0.8
"""Share that ends the search for a better threshold."""

RIM_POINTS = 150
"""Boundary points that are fitted; more cost time and say the same."""

STRETCHES = (0.35, 2.9)
"""Squared ratio of the sides of a stretched frame, at least and at most."""

BORDER_PX = 2
"""Boundary this near to the border of the frame is a cut, not rim."""

AGREES_WITHIN = 0.012
"""Share of the radius within which rim lies on a circle."""

SECTORS = 120
"""The rim is divided into as many when it is asked how much of it was seen."""

LEAST_STRAIGHT = 0.55
"""Length of a straight side over the radius: of an arc's end 0.28 lie within a pixel of each other at 100 px."""

REGULAR = 1e-9

FIRST_TRIPLES, CLEAR_SCORE = 32, 1.9
"""Triples that are tried before the others, and the score per rim point, of at most 2, that ends the search."""

LARGEST_CIRCLE_SHARE = 0.75
"""If a circle explains more of the rim than this, no ellipse is tried."""

LEAST_STRETCHED_AGREE = 0.85
"""Share of the rim that must lie on the ellipse of a photograph that a data set has squeezed into a square."""


@dataclass(frozen=True, slots=True)
class Circle:
    """A candidate, in pixels of the working picture, with the share of its visible rim that was seen.

    The rim of a stretched photograph is an ellipse: its semi-axes are radius * stretch and radius / stretch.
    """

    x: float
    y: float
    radius: float
    rim_seen: float
    stretch: float = 1.0


def fitted_circle(boundary: npt.NDArray[np.int32], width: int, height: int) -> Circle | None:
    """The circle that most of the boundary inside the frame agrees on; None if there is too little of it."""
    x, y = boundary[:, 0], boundary[:, 1]
    on_rim = (x >= BORDER_PX) & (y >= BORDER_PX) & (x < width - BORDER_PX) & (y < height - BORDER_PX)
    rim, cut = (
        boundary.take(places[:: max(1, len(places) // RIM_POINTS)], axis=0).astype(np.float64)
        for places in (np.flatnonzero(on_rim), np.flatnonzero(~on_rim))
    )
    if len(rim) < 12:
        return None
    circle = _most_agreed(rim, cut, width, height)
    if circle is None:
        return None
    x, y = np.ascontiguousarray(rim.T)
    for tolerance in (0.02, 0.012, 0.008):
        circle = _least_squares(x, y, circle, tolerance)
    if not is_plausible(*circle, width, height):
        return None
    near = np.abs(np.sqrt((x - circle[0]) ** 2 + (y - circle[1]) ** 2) - circle[2]) <= _tolerance(circle[2])
    if np.count_nonzero(near) < LARGEST_CIRCLE_SHARE * len(rim):
        stretched = _stretched_circle(rim, cut, width, height)
        if stretched is not None:
            return stretched
    return Circle(*circle, _rim_seen(x[near], y[near], circle, width, height))


def _stretched_circle(rim: F64, cut: F64, width: int, height: int) -> Circle | None:
    """The circle of equal area, if the whole rim is one ellipse and the region does not reach beyond it."""
    middle_of_frame, reach = np.array([width, height]) / 2, max(width, height) / 2
    x, y = ((rim - middle_of_frame) / reach).T
    # x^2 + b y^2 + c x + d y + e = 0: its axes lie along the frame, as stretching leaves them
    b, c, d, e = np.linalg.lstsq(np.column_stack([y * y, x, y, np.ones_like(x)]), -x * x, rcond=None)[0]
    if not STRETCHES[0] < b < STRETCHES[1]:
        return None
    center = np.array([-c / 2, -d / (2 * b)])
    semi_axis_x = np.sqrt(max(center[0] ** 2 + b * center[1] ** 2 - e, 1e-9))
    x, y = ((np.concatenate([rim, cut]) - middle_of_frame) / reach - center).T
    beyond = np.hypot(x, np.sqrt(b) * y) / semi_axis_x - 1
    agreed = np.count_nonzero(np.abs(beyond[: len(rim)]) < 0.015) / len(rim)
    outside = np.count_nonzero(beyond > 0.015) / len(beyond)
    radius = reach * semi_axis_x / b**0.25
    x_px, y_px = center * reach + middle_of_frame
    could_be = is_plausible(x_px, y_px, radius, width, height)
    if agreed < LEAST_STRETCHED_AGREE or outside > 1 - LEAST_STRETCHED_AGREE or not could_be:
        return None
    return Circle(float(x_px), float(y_px), float(radius), float(agreed), float(b**0.25))


@lru_cache(maxsize=1)
def _triples() -> F64:
    """(3, T) places along a boundary, in 0..1; the same for every photograph, so that results repeat."""
    return np.ascontiguousarray(np.random.default_rng(0).random((128, 3)).T)


def _most_agreed(rim: F64, cut: F64, width: int, height: int) -> XYR | None:
    """x, y, radius of the circle through three rim points that most rim lies on, and the least of the region beyond."""
    points = np.concatenate([rim, cut])
    found: XYR | None = None
    most = -len(points)
    all_circles = _circles_through(*rim.T.take((_triples() * len(rim)).astype(np.intp), axis=1))
    x, y, radius = all_circles
    could_be = is_plausible(x, y, radius, width, height)
    for tried in (slice(None, FIRST_TRIPLES), slice(FIRST_TRIPLES, None)):
        circles = all_circles[:, tried].compress(could_be[tried], axis=1)
        if not circles.size:
            continue
        votes = _votes(points, circles)
        score = 2 * _count_in_rows(np.abs(votes[:, : len(rim)]) <= 1) - _count_in_rows(votes > 1)
        best = int(score.argmax())
        if score[best] > most:
            most = int(score[best])
            best_x, best_y, best_radius = circles[:, best].tolist()
            found = best_x, best_y, best_radius
        if most >= CLEAR_SCORE * len(rim):
            break
    return found


def _votes(points: F64, circles: F64) -> F64:
    """(T, n) how far points (n, 2) lie beyond circles (3, T): -1 to 1 within the tolerance, in one matrix product.

    (distance^2 - radius^2 - tolerance^2) / (2 radius tolerance) is -1 and 1 at the tolerances, and linear in x, y and
    x^2 + y^2 of the point.
    """
    x, y, radius = circles
    tolerance = np.maximum(1.0, AGREES_WITHIN * radius)
    of_circle, of_point = np.empty((4, len(x))), np.empty((4, len(points)))
    of_circle[0], of_circle[1:3] = 1, -2 * circles[:2]
    of_circle[3] = x * x + y * y - radius * radius - tolerance * tolerance
    of_circle /= 2 * radius * tolerance
    of_point[1:3], of_point[3] = points.T, 1
    of_point[0] = of_point[1] * of_point[1] + of_point[2] * of_point[2]
    return np.asarray(of_circle.T @ of_point)


def _count_in_rows(found: npt.NDArray[np.bool_]) -> npt.NDArray[np.int16]:
    """(T,) how many of (T, n) are set; n is a few hundred."""
    count: npt.NDArray[np.int16] = np.add.reduce(found.view(np.int8), axis=1, dtype=np.int16)
    return count


def _circles_through(x: F64, y: F64) -> F64:
    """(3, T) x, y, radius of the circles through T times three points; points on a line give no finite circle.

    Args:
        x, y: (3, T) of the points.
    """
    (bx, cx), (by, cy) = x[1:] - x[0], y[1:] - y[0]
    twice_area = 2 * (bx * cy - by * cx)
    twice_area[np.abs(twice_area) < 1e-6] = np.nan
    bb, cc = bx * bx + by * by, cx * cx + cy * cy
    circles = np.empty_like(x)
    off_x = (cy * bb - by * cc) / twice_area
    off_y = (bx * cc - cx * bb) / twice_area
    circles[0], circles[1], circles[2] = x[0] + off_x, y[0] + off_y, np.sqrt(off_x * off_x + off_y * off_y)
    return circles


def is_plausible(x: Length, y: Length, radius: Length, width: int, height: int) -> npt.NDArray[np.bool_]:
    """Whether the centre is in the frame and the radius is that of a retina; of one circle or of many."""
    in_frame = (x > 0) & (x < width) & (y > 0) & (y < height)
    # a disc of a tenth of the frame; a frame whose rim shows in its corners only
    return np.asarray(in_frame & (radius > 0.17 * sqrt(width * height)) & (radius < 0.9 * max(width, height)))


def _tolerance(radius: float) -> float:
    """How far from a circle rim may lie, in pixels."""
    return max(1.0, AGREES_WITHIN * radius)


def _least_squares(x: F64, y: F64, circle: XYR, tolerance: float) -> XYR:
    """One Gauss-Newton step of the geometric circle fit, on the rim points within a share of the radius."""
    off_x, off_y = x - circle[0], y - circle[1]
    distance = np.sqrt(off_x * off_x + off_y * off_y)
    rows = np.ones((4, len(x)))  # of the Jacobian, and the residuals as the last one
    rows[0], rows[1], rows[3] = off_x, off_y, distance - circle[2]
    rows[:2] /= np.maximum(distance, REGULAR)
    near = np.abs(rows[3]) <= max(1.0, tolerance * circle[2])
    if np.count_nonzero(near) < 6:
        return circle
    step_x, step_y, step_radius = _solved(((rows * near) @ rows.T).tolist())
    return circle[0] + step_x, circle[1] + step_y, circle[2] + step_radius


def _solved(product: list[list[float]]) -> XYR:
    """The step of least squares, by Cramer's rule: three unknowns are not worth a call of LAPACK.

    Args:
        product: 4 x 4, the normal matrix with the right-hand side as its last column.
    """
    (a, b, c, u), (_, e, f, v), (_, _, i, w), _ = product
    a, e, i = a + REGULAR, e + REGULAR, i + REGULAR  # never singular, even for a rim of six points in a row
    first, second, third = e * i - f * f, c * f - b * i, b * f - c * e
    determinant = a * first + b * second + c * third
    return (
        (first * u + second * v + third * w) / determinant,
        (second * u + (a * i - c * c) * v + (b * c - a * f) * w) / determinant,
        (third * u + (b * c - a * f) * v + (a * e - b * b) * w) / determinant,
    )


@lru_cache(maxsize=1)
def directions() -> F64:
    """(2, 120) cosine and sine of the sectors that a rim is divided into."""
    angle = np.arange(SECTORS) * (2 * np.pi / SECTORS)
    return np.stack([np.cos(angle), np.sin(angle)])


def seen_within_straight_cuts(boundary: npt.NDArray[np.int32], circle: Circle, width: int, height: int) -> float:
    """Share of the rim that was seen, where a straight side of the region counts as the border of the frame.

    Many cameras cut the disc at top and bottom with a mask: what lies beyond is no rim that was missed.
    """
    x, y = boundary.T
    length = LEAST_STRAIGHT * circle.radius
    left, top = (int(side.min()) if _is_straight(side, int(side.min()), length) else 0 for side in (x, y))
    right, bottom = (
        int(side.max()) + 1 if _is_straight(side, int(side.max()), length) else size
        for side, size in ((x, width), (y, height))
    )
    moved = (circle.x - left, circle.y - top, circle.radius)
    on_rim = np.abs(np.hypot(x - circle.x, y - circle.y) - circle.radius) <= _tolerance(circle.radius)
    return _rim_seen(x[on_rim] - left, y[on_rim] - top, moved, right - left, bottom - top)


def _is_straight(places: npt.NDArray[np.int32], end: int, length: float) -> bool:
    """Whether so much of the boundary lies at one end of it that it is no arc."""
    return int(np.count_nonzero(np.abs(places - end) <= 1)) > length


def _rim_seen(x: F64, y: F64, circle: XYR, width: int, height: int) -> float:
    """Share of the circle's part inside the frame that has points near it, 0..1; 0 if hardly any shows."""
    cosine, sine = directions()
    at_x, at_y = circle[0] + circle[2] * cosine, circle[1] + circle[2] * sine
    margin = BORDER_PX + 1
    visible = (at_x >= margin) & (at_y >= margin) & (at_x < width - margin) & (at_y < height - margin)
    visible_sectors = np.count_nonzero(visible)
    if visible_sectors < 4:
        return 0.0
    sector = np.rint(np.arctan2(y - circle[1], x - circle[0]) * (SECTORS / (2 * np.pi))).astype(np.intp)
    seen = np.zeros(SECTORS, bool)
    seen[sector] = True  # half of them are negative and count from the end
    return float(np.count_nonzero(seen & visible) / visible_sectors)
