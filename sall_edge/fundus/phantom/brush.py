"""What a phantom is painted with: noise of many scales, irregular blobs and tapering tubes, all antialiased."""

import math
from collections.abc import Sequence

import cv2
import numpy as np
import numpy.typing as npt

from sall_edge.fundus.phantom.geometry import F32, SUBPIXEL_BITS, U8

__all__ = ["blobs", "noise", "paint_blobs", "paint_tubes", "soften"]

CORNERS = 24
SUBPIXELS = 1 << SUBPIXEL_BITS
OUTLINE_PX = 0.6
"""OpenCV's antialiased polygons come out about this much wider than their vertices say."""


def noise(rng: np.random.Generator, shape: tuple[int, int], *, cell_px: float, octaves: int = 3) -> F32:
    """(H, W) float32 smooth noise of about unit standard deviation.

    Args:
        rng: Source of randomness.
        shape: (height, width) in pixels.
        cell_px: Size of the coarsest grains.
        octaves: Each further one is twice as fine and two thirds as strong.
    """
    height, width = shape
    field: F32 | None = None
    power = 0.0
    for octave in range(octaves):
        cell = max(cell_px / 2**octave, 1.0)
        size = (math.ceil(width / cell) + 2, math.ceil(height / cell) + 2)
        grains = rng.standard_normal((size[1], size[0]), dtype=np.float32) * (2 / 3) ** octave
        field = grains if field is None else cv2.resize(field, size, interpolation=cv2.INTER_CUBIC) + grains
        power += (2 / 3) ** (2 * octave)
    if field is None:
        raise ValueError(f"octaves is {octaves}; give at least 1")
    field /= math.sqrt(power) * 0.75  # interpolation takes about a quarter of the deviation
    smooth: F32 = cv2.resize(field, (width, height), interpolation=cv2.INTER_CUBIC)
    return smooth


def blobs(
    rng: np.random.Generator, radii: npt.NDArray[np.floating], *, roughness: float, elongation: float = 1.0
) -> F32:
    """(n, corners, 2) float32: outlines of irregular spots around the origin, in the unit of the radii (n,).

    Args:
        rng: Source of randomness.
        radii: (n,) mean radii before they are stretched.
        roughness: 0 gives ellipses, 1 ragged islands.
        elongation: Largest ratio of length to width; every spot gets one from 1 to this, and any direction.
    """
    n = len(radii)
    turns = np.linspace(0, 2 * np.pi, CORNERS, endpoint=False)
    waves = np.arange(2, 6)[:, None]
    phases = rng.uniform(0, 2 * np.pi, (n, 4, 1))
    strength = rng.normal(0, 1, (n, 4, 1)) / waves
    ripple = (strength * np.sin(waves * turns + phases)).sum(axis=1)
    reach = np.asarray(radii)[:, None] * np.clip(1 + roughness * ripple, 0.35, 1.9)
    stretch = np.sqrt(rng.uniform(1, elongation, (n, 1)))
    angle = rng.uniform(0, np.pi, (n, 1))
    x, y = reach * np.cos(turns) * stretch, reach * np.sin(turns) / stretch
    cosine, sine = np.cos(angle), np.sin(angle)
    return np.stack([x * cosine - y * sine, x * sine + y * cosine], axis=2).astype(np.float32)


def paint_blobs(mask: U8, outlines_px: F32, strength: npt.NDArray[np.integer]) -> None:
    """Fills closed outlines (n, corners, 2) in a mask with strengths (n,); a spot covers the ones before it."""
    polygons = np.round(outlines_px * SUBPIXELS).astype(np.int32)
    for polygon, value in zip(polygons, strength.tolist(), strict=True):
        cv2.fillPoly(mask, [polygon], value, cv2.LINE_AA, SUBPIXEL_BITS)


def paint_tubes(mask: U8, lines_px: Sequence[F32], widths_px: Sequence[F32], strength: Sequence[int]) -> None:
    """Fills tubes along lines in a mask, in the given order.

    Args:
        mask: (H, W) uint8, changed in place.
        lines_px: n lines of (k, 2) positions, k at least 2 and different for each.
        widths_px: n arrays (k,): the diameter at every position.
        strength: What each tube is filled with.
    """
    if not lines_px:
        return
    points = np.concatenate(lines_px)
    ends = np.cumsum([len(line) for line in lines_px])
    starts = np.concatenate([[0], ends[:-1]])
    before, after = np.arange(len(points)) - 1, np.arange(len(points)) + 1
    before[starts] = starts
    after[ends - 1] = ends - 1
    along = points[after] - points[before]
    half = np.maximum(np.concatenate(widths_px) - OUTLINE_PX, 0.2) / 2
    across = along[:, ::-1] * (half / np.maximum(np.hypot(along[:, 0], along[:, 1]), 1e-6))[:, None]
    across[:, 0] *= -1
    left, right = (np.round(side * SUBPIXELS).astype(np.int32) for side in (points + across, points - across))
    for start, end, value in zip(starts, ends, strength, strict=True):
        outline = np.concatenate([left[start:end], right[start:end][::-1]])
        cv2.fillPoly(mask, [outline], int(value), cv2.LINE_AA, SUBPIXEL_BITS)


def soften(mask: U8, sigma_px: float) -> U8:
    """The mask, blurred; a sigma below a fifth of a pixel leaves it alone."""
    if sigma_px < 0.2:
        return mask
    blurred: U8 = cv2.GaussianBlur(mask, (0, 0), sigma_px)
    return blurred
