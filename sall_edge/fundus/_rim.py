"""The circle behind a rim of which only a part is seen: three points propose it, all vote, least squares refines it.

Points that are not rim (a notch, a tab, text, the edge of a shadow) are outvoted, not removed one by one.
"""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt

__all__ = ["GOOD_RIM_SEEN", "Circle", "fitted_circle"]

F64 = npt.NDArray[np.float64]

GOOD_RIM_SEEN = 0.8
"""Share that ends the search for a better threshold."""

RIM_POINTS = 150
"""Boundary points that are fitted; more cost time and say the same."""

STRETCHES = (0.35, 2.9)
"""Squared ratio of the sides of a stretched frame, at least and at most."""

BORDER_PX = 2
"""Boundary this near to the border of the frame is a cut, not rim."""

LARGEST_CIRCLE_SHARE = 0.75
"""If a circle explains more of the rim than this, no ellipse is tried."""

LEAST_STRETCHED_AGREE = 0.85
"""Share of the rim that must lie on the ellipse of a photograph that a data set has squeezed into a square."""


@dataclass(frozen=True, slots=True)
class Circle:
    """A candidate, in pixels of the working picture, with the share of its visible rim that was seen."""

    x: float
    y: float
    radius: float
    rim_seen: float


def fitted_circle(boundary: npt.NDArray[np.int32], width: int, height: int) -> Circle | None:
    """The circle that most of the boundary inside the frame agrees on; None if there is too little of it."""
    x, y = boundary[:, 0], boundary[:, 1]
    on_rim = (x >= BORDER_PX) & (y >= BORDER_PX) & (x < width - BORDER_PX) & (y < height - BORDER_PX)
    rim, cut = (
        points[:: max(1, len(points) // RIM_POINTS)].astype(np.float64)
        for points in (boundary[on_rim], boundary[~on_rim])
    )
    if len(rim) < 12:
        return None
    circle = _most_agreed(rim, cut, width, height)
    if circle is None:
        return None
    for tolerance in (0.02, 0.012, 0.008):
        circle = _least_squares(rim, circle, max(1.0, tolerance * circle[2]))
    if not _is_plausible(circle[None], width, height)[0]:
        return None
    if np.count_nonzero(_is_near(rim, circle)) < LARGEST_CIRCLE_SHARE * len(rim):
        stretched = _stretched_circle(rim, cut, width, height)
        if stretched is not None:
            return stretched
    seen = _rim_seen(rim, circle, width, height)
    return Circle(float(circle[0]), float(circle[1]), float(circle[2]), seen)


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
    is_plausible = _is_plausible(np.array([[x_px, y_px, radius]]), width, height)[0]
    if agreed < LEAST_STRETCHED_AGREE or outside > 1 - LEAST_STRETCHED_AGREE or not is_plausible:
        return None
    return Circle(float(x_px), float(y_px), float(radius), float(agreed))


@lru_cache(maxsize=1)
def _triples() -> F64:
    """(T, 3) places along a boundary, in 0..1; the same for every photograph, so that results repeat."""
    return np.random.default_rng(0).random((128, 3))


def _most_agreed(rim: F64, cut: F64, width: int, height: int) -> F64 | None:
    """x, y, radius of the circle through three rim points that most rim lies on, and the least of the region beyond."""
    circles = _circles_through(rim[(_triples() * len(rim)).astype(np.intp)])
    circles = circles[_is_plausible(circles, width, height)]
    if not len(circles):
        return None
    points = np.concatenate([rim, cut])
    beyond = np.hypot(points[:, 0] - circles[:, :1], points[:, 1] - circles[:, 1:2]) - circles[:, 2:]  # (T, n)
    tolerance = np.maximum(1.0, 0.012 * circles[:, 2:])
    agreed = (np.abs(beyond[:, : len(rim)]) <= tolerance).sum(axis=1)
    score = agreed - 0.5 * (beyond > tolerance).sum(axis=1)
    best: F64 = circles[int(np.argmax(score))]
    return best


def _circles_through(points: F64) -> F64:
    """(T, 3) x, y, radius of the circles through (T, 3, 2) points; points on a line give no finite circle."""
    a, b, c = points[:, 0], points[:, 1] - points[:, 0], points[:, 2] - points[:, 0]
    twice_area = 2 * (b[:, 0] * c[:, 1] - b[:, 1] * c[:, 0])
    twice_area[np.abs(twice_area) < 1e-6] = np.nan
    bb, cc = (b * b).sum(axis=1), (c * c).sum(axis=1)
    x = (c[:, 1] * bb - b[:, 1] * cc) / twice_area
    y = (b[:, 0] * cc - c[:, 0] * bb) / twice_area
    return np.stack([a[:, 0] + x, a[:, 1] + y, np.hypot(x, y)], axis=1)


def _is_plausible(circles: F64, width: int, height: int) -> npt.NDArray[np.bool_]:
    """(T,) whether the centre is in the frame and the radius is that of a retina."""
    x, y, radius = circles.T
    in_frame = (x > 0) & (x < width) & (y > 0) & (y < height)
    # a disc of a tenth of the frame; a frame whose rim shows in its corners only
    fits = (radius > 0.17 * np.sqrt(width * height)) & (radius < 0.9 * max(width, height))
    return np.asarray(in_frame & fits)


def _least_squares(rim: F64, circle: F64, tolerance: float) -> F64:
    """One Gauss-Newton step of the geometric circle fit, on the rim points within the tolerance."""
    offset = rim - circle[:2]
    distance = np.hypot(offset[:, 0], offset[:, 1])
    near = np.abs(distance - circle[2]) <= tolerance
    if np.count_nonzero(near) < 6:
        return circle
    towards = offset[near] / distance[near, None]
    jacobian = np.column_stack([towards, np.ones(len(towards))])
    normal = jacobian.T @ jacobian + 1e-9 * np.eye(3)  # never singular, even for a rim of six points in a row
    return np.asarray(circle + np.linalg.solve(normal, jacobian.T @ (distance[near] - circle[2])), dtype=np.float64)


def _rim_seen(rim: F64, circle: F64, width: int, height: int) -> float:
    """Share of the circle's part inside the frame that has rim points near it, 0..1; 0 if hardly any shows."""
    sectors = 120
    angle = np.arange(sectors) * (2 * np.pi / sectors)
    x, y = circle[0] + circle[2] * np.cos(angle), circle[1] + circle[2] * np.sin(angle)
    margin = BORDER_PX + 1
    visible = (x >= margin) & (y >= margin) & (x < width - margin) & (y < height - margin)
    if np.count_nonzero(visible) < 4:
        return 0.0
    near = rim[_is_near(rim, circle)] - circle[:2]
    sector = (np.arctan2(near[:, 1], near[:, 0]) * (sectors / (2 * np.pi))).round().astype(np.intp) % sectors
    seen = np.zeros(sectors, bool)
    seen[sector] = True
    return float(np.count_nonzero(seen & visible) / np.count_nonzero(visible))


def _is_near(rim: F64, circle: F64) -> npt.NDArray[np.bool_]:
    off = np.hypot(rim[:, 0] - circle[0], rim[:, 1] - circle[1]) - circle[2]
    return np.asarray(np.abs(off) <= max(1.0, 0.012 * circle[2]))
