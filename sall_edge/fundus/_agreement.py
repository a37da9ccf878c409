"""How much of a circle runs along edges, and where the circle lies that its edges ask for.

A circle is asked along many rays. At each, the edges that cross it are summed over a stretch of the rim with their
signs: noise and vessels cancel, a rim does not. It may be dark outside or, where haze outshines the retina, inside.
"""

import cv2
import numpy as np
import numpy.typing as npt

from sall_edge.fundus._edges import Edges
from sall_edge.fundus._rim import SECTORS, directions

__all__ = ["agreement", "settled"]

F32 = npt.NDArray[np.float32]
F64 = npt.NDArray[np.float64]
XYRS = tuple[float, float, float, float]

MOST = 2.0
"""Height at which an edge is certain; a higher one says no more."""

USUAL, USUAL_RAYS = 0.6, 20
"""What a circle anywhere scores, and the rays' worth of it that every circle starts from: a short rim proves less."""

TOLERANCE_PX = (-1.0, 0.0, 1.0)

ALONG = 5
"""Rays that are summed."""

LEAST_CROSSING = 0.6
"""Height of an edge that a circle is drawn to."""


def agreement(edges: Edges, circles: F64) -> F64:
    """(T,) how high the edges along circles (T, 4: x, y, radius, stretch) are, 0 to 2, over what the frame shows."""
    crossing, visible = _crossing(edges, circles, np.array(TOLERANCE_PX))
    largest = np.where(crossing.max(axis=1) > -crossing.min(axis=1), crossing.max(axis=1), crossing.min(axis=1))
    visible = visible[:, 1]
    height = np.abs(_along(largest)) / np.maximum(_along(visible[..., None].astype(np.float32)), 1)
    certain = np.minimum(height.max(axis=2), MOST) * visible
    return np.asarray((certain.sum(axis=1) + USUAL_RAYS * USUAL) / (visible.sum(axis=1) + USUAL_RAYS), dtype=np.float64)


def _along(values: F32) -> F32:
    """Sums over neighbouring rays of (T, SECTORS, n)."""
    half = ALONG // 2
    padded = np.concatenate([values[:, -half:], values, values[:, :half]], axis=1)
    total: F32 = padded[:, : values.shape[1]].copy()
    for start in range(1, ALONG):
        total += padded[:, start : start + values.shape[1]]
    return total


def _crossing(edges: Edges, circles: F64, offsets_px: F64) -> tuple[F32, npt.NDArray[np.bool_]]:
    """Edges across circles (T, 4), moved outwards by O offsets.

    Returns:
        (T, O, SECTORS, 2) float32, brightness and colour, positive where it grows outwards and 0 outside the frame;
        (T, O, SECTORS) whether the frame shows the place.
    """
    x, y, radius, stretch = (column[:, None].astype(np.float32) for column in circles.T)
    cosine, sine = directions().astype(np.float32)
    normal_x, normal_y = cosine / stretch, sine * stretch
    length = np.sqrt(normal_x * normal_x + normal_y * normal_y)
    normal_x, normal_y = normal_x / length, normal_y / length
    offsets = offsets_px.astype(np.float32)[:, None]
    at_x = (x + radius * stretch * cosine)[:, None] + offsets * normal_x[:, None]
    at_y = (y + radius / stretch * sine)[:, None] + offsets * normal_y[:, None]
    visible = (at_x >= edges.left) & (at_y >= edges.top) & (at_x < edges.right) & (at_y < edges.bottom)
    flat = (-1, SECTORS)
    found = cv2.remap(edges.heights, at_x.reshape(flat), at_y.reshape(flat), cv2.INTER_LINEAR)
    found = found.reshape(*at_x.shape, 2, 2)
    crossing = found[..., 0] * normal_x[:, None, :, None] + found[..., 1] * normal_y[:, None, :, None]
    crossing *= visible[..., None]
    return np.asarray(crossing, dtype=np.float32), visible


def settled(edges: Edges, circle: XYRS, reaches: tuple[float, ...]) -> XYRS:
    """The circle through the highest edges near a circle, nearer and nearer.

    Args:
        edges: Of the picture.
        circle: x, y, radius, stretch.
        reaches: How far to look in each round, as shares of the radius; at least three pixels.
    """
    for reach in reaches:
        away = max(3, round(reach * circle[2]))
        crossing, visible = _crossing(edges, np.array([circle]), np.arange(-away, away + 1.0))
        height = np.abs(_along(crossing[0]) / ALONG).max(axis=2)
        highest = np.clip(height.argmax(axis=0), 1, 2 * away - 1)
        rays = np.arange(SECTORS)
        before, here, after = height[highest - 1, rays], height[highest, rays], height[highest + 1, rays]
        bend = np.minimum(before - 2 * here + after, -1e-6)
        offset = highest - away + np.clip((before - after) / (2 * bend), -0.5, 0.5)
        crossed = np.flatnonzero((here > LEAST_CROSSING) & visible[0, away])
        if len(crossed) < 8:
            return circle
        circle = _through(circle, crossed, offset[crossed].astype(np.float64), np.minimum(here[crossed], 1.5))
    return circle


def _through(circle: XYRS, rays: npt.NDArray[np.intp], offset: F64, weight: F32) -> XYRS:
    """The circle that rays cross at offsets: least squares, in which points that others contradict lose their weight.

    The stretch of one that is not round is fitted too.
    """
    x, y, radius, stretch = circle
    cosine, sine = directions()[:, rays]
    normal_x, normal_y = cosine / stretch, sine * stretch
    length = np.hypot(normal_x, normal_y)
    # in the frame that is stretched back, where the ellipse is a circle
    off_x = radius * cosine + offset * normal_x / length / stretch
    off_y = radius * sine + offset * normal_y / length * stretch
    step = np.zeros(4)
    for _ in range(6):
        to_x, to_y = off_x - step[0], off_y - step[1]
        distance = np.hypot(to_x, to_y)
        beyond = distance - radius - step[2]
        columns = [to_x / distance, to_y / distance, np.ones_like(distance)]
        if stretch != 1:
            columns.append((to_x * to_x - to_y * to_y) / distance)
            beyond -= step[3] * columns[3]
        rows = np.stack(columns)
        usual = max(1.0, 1.5 * float(np.median(np.abs(beyond))))
        trusted = rows * (weight / (1 + (beyond / usual) ** 2) ** 2)
        step[: len(rows)] += np.linalg.solve(trusted @ rows.T + 1e-6 * np.eye(len(rows)), trusted @ beyond)
    stretched = stretch * float(np.exp(np.clip(step[3], -0.05, 0.05)))
    return x + float(step[0]) * stretch, y + float(step[1]) / stretch, radius + float(step[2]), stretched
