"""Bright spots of the disc's size, and how large the disc is.

The red channel: exudates, drusen and the camera's reflexes stand out less there than in green, and a disc still shows
through haze. Glare at the rim is as bright as a disc; but a spot is brighter than everything around it, glare goes on
along the rim.
"""

import math
from functools import lru_cache

import cv2
import numpy as np

from sall_edge.fundus.landmarks.retina import DD_PX, F32, GRID, GRID_DD, WORKING_PX, Retina, on_grid, relative_light

__all__ = ["disc_radius", "spot_contrast"]

SURROUNDINGS_DD = 1.2
"""Width of the Gaussian whose mean a spot is compared with."""

MOST_LIGHT = 0.4
"""Brighter or darker than its surroundings by more counts as this much."""

SPOT_DD, NEIGHBOUR_DD, NEIGHBOUR_AT_DD = 0.42, 0.35, 0.95
"""Radii of the spot and of its eight neighbours, and their distance."""

LEAST_SEEN = 0.15
"""Share of a spot or neighbour that must be inside the photograph."""

RIM_STARTS, RIM_ENDS = 0.85, 0.95
"""Over the radius of the field: in between, contrast fades out, for at the rim neighbours are missing."""

RADII_DD = (0.3, 0.9)
"""The disc's radius is looked for in this range, which leaves room for fields of 35 to 60 degrees."""

RADIUS_STEP_DD = 0.05


def spot_contrast(retina: Retina) -> F32:
    """(GRID, GRID) float32: how much brighter a spot of the disc's size is than the spots around it; 0 or more.

    Half the contrast with the mean of its neighbours and half that with the brightest.
    """
    seen = on_grid(retina.visible)
    red = on_grid(retina.red * retina.visible) / np.maximum(seen, np.float32(0.05))
    light = np.clip(relative_light(red, seen, sigma_px=SURROUNDINGS_DD * GRID_DD), -MOST_LIGHT, MOST_LIGHT)
    spot, spot_seen = _means(light, seen, SPOT_DD)
    neighbour, neighbour_seen = _means(light, seen, NEIGHBOUR_DD)
    total, count, brightest = np.zeros_like(spot), np.zeros_like(spot), np.full_like(spot, -np.inf)
    for right, down in _ring():
        there, there_seen = _shifted(neighbour, right, down), _shifted(neighbour_seen, right, down)
        counts = there_seen > LEAST_SEEN
        total += there * counts
        count += counts
        brightest = np.where(counts, np.maximum(brightest, there), brightest)
    contrast = spot - (total / np.maximum(count, 1) + brightest) / 2
    contrast[(count == 0) | (spot_seen <= LEAST_SEEN)] = 0
    faded: F32 = np.maximum(contrast, 0) * _fade()
    return faded


def _means(light: F32, seen: F32, radius_dd: float) -> tuple[F32, F32]:
    """Mean of the light within a radius, and the share of that disc which is inside the photograph."""
    radius = radius_dd * GRID_DD
    offset = np.arange(-math.ceil(radius), math.ceil(radius) + 1)
    kernel = np.clip(radius - np.hypot(offset, offset[:, None]) + 0.5, 0, 1).astype(np.float32)
    kernel /= kernel.sum()
    share = cv2.filter2D(seen, -1, kernel, borderType=cv2.BORDER_CONSTANT)
    mean = cv2.filter2D(light, -1, kernel, borderType=cv2.BORDER_CONSTANT) / np.maximum(share, np.float32(0.05))
    return mean, share


def _ring() -> list[tuple[int, int]]:
    """Steps of the grid, right and down, to the neighbours of a spot."""
    turns = [math.pi / 4 * k for k in range(8)]
    reach = NEIGHBOUR_AT_DD * GRID_DD
    return [(round(reach * math.cos(turn)), round(reach * math.sin(turn))) for turn in turns]


def _shifted(grid: F32, right: int, down: int) -> F32:
    """What lies that many steps away from every place of the grid; 0 beyond it."""
    side = len(grid)
    shifted = np.zeros_like(grid)
    to_y, to_x = slice(max(-down, 0), side - max(down, 0)), slice(max(-right, 0), side - max(right, 0))
    from_y, from_x = slice(max(down, 0), side - max(-down, 0)), slice(max(right, 0), side - max(-right, 0))
    shifted[to_y, to_x] = grid[from_y, from_x]
    return shifted


@lru_cache(maxsize=1)
def _fade() -> F32:
    """(GRID, GRID) float32: 1 inside the field, 0 at its rim."""
    offset = (2 * np.arange(GRID) + 1 - GRID) / GRID
    fade: F32 = np.clip((RIM_ENDS - np.hypot(offset, offset[:, None])) / (RIM_ENDS - RIM_STARTS), 0, 1)
    return fade.astype(np.float32)


def disc_radius(retina: Retina, x: float, y: float) -> float:
    """Where the light falls most steeply around a disc, over the radius of the field.

    Args:
        retina: The working picture.
        x, y: The middle of the disc, over the radius of the field from its centre.
    """
    offset = (2 * np.arange(WORKING_PX) + 1 - WORKING_PX) / WORKING_PX
    away_dd = np.hypot(offset - x, (offset - y)[:, None]) * (WORKING_PX / 2 / DD_PX)
    edges = np.arange(0, RADII_DD[1] + 2.5 * RADIUS_STEP_DD, RADIUS_STEP_DD)
    inside = (away_dd < edges[-1]) & (retina.visible > 0)
    ring = (away_dd[inside] / RADIUS_STEP_DD).astype(np.intp)
    count = np.bincount(ring, minlength=len(edges))[: len(edges) - 1]
    sums = np.bincount(ring, weights=(retina.red + retina.green)[inside], minlength=len(edges))[: len(edges) - 1]
    mean = sums / np.maximum(count, 1)
    middles = (edges[:-1] + edges[1:]) / 2
    smooth = np.convolve(mean, [0.25, 0.5, 0.25], mode="same")
    fall = smooth[:-2] - smooth[2:]  # across the ring in between
    within = (middles[1:-1] >= RADII_DD[0]) & (middles[1:-1] <= RADII_DD[1])
    best = middles[1:-1][within][int(np.argmax(fall[within]))]
    return float(best * DD_PX / (WORKING_PX / 2))
