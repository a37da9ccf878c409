"""An eye from outside: what a camera sees when nobody looks into it. Bad input for tests."""

import cv2
import numpy as np

from sall_edge.fundus.phantom.brush import noise
from sall_edge.fundus.phantom.geometry import F32, U8

__all__ = ["draw_outer_eye"]


def draw_outer_eye(rng: np.random.Generator, side_px: int) -> U8:
    """(side, side, 3) uint8 RGB: skin around an almond of sclera with iris, pupil, lashes and a glint."""
    if side_px < 32:
        raise ValueError(f"side_px is {side_px}; an eye needs at least 32")
    rows, columns = np.mgrid[0:side_px, 0:side_px].astype(np.float32) / side_px - np.float32(0.5)
    columns -= np.float32(rng.uniform(-0.05, 0.05))
    skin = np.array(rng.uniform((0.55, 0.35, 0.25), (0.9, 0.7, 0.6)), dtype=np.float32)
    picture = np.broadcast_to(skin, (side_px, side_px, 3)).copy()
    picture *= 1 + 0.05 * noise(rng, (side_px, side_px), cell_px=side_px / 6, octaves=5)[..., None]
    opening = rng.uniform(0.13, 0.2)
    lid = np.float32(opening) * (1 - (columns / 0.42) ** 2)
    inside_lids = _soft_step(lid - np.abs(rows), 0.006)
    picture = _blend(picture, inside_lids, (0.92, 0.88, 0.86))
    from_pupil = np.hypot(rows, columns)
    iris = tuple(rng.uniform((0.15, 0.15, 0.1), (0.45, 0.4, 0.45)))
    rays = 1 + 0.25 * np.sin(np.arctan2(rows, columns) * 60 + rng.uniform(0, 6))
    picture = _blend(picture, inside_lids * _soft_step(0.145 - from_pupil, 0.004) * rays.clip(0, 1), iris)
    picture = _blend(picture, inside_lids * _soft_step(rng.uniform(0.04, 0.07) - from_pupil, 0.003), (0.03, 0.03, 0.03))
    lashes = _soft_step(0.008 - np.abs(np.abs(rows) - lid), 0.004) * (np.abs(columns) < 0.42)
    picture = _blend(picture, 0.8 * lashes, (0.12, 0.08, 0.06))
    glint = _soft_step(0.014 - np.hypot(rows + 0.04, columns - 0.04), 0.003)
    picture = _blend(picture, glint, (1.0, 1.0, 1.0))
    picture += rng.normal(0, 0.012, picture.shape).astype(np.float32)
    pixels: U8 = cv2.convertScaleAbs(picture, alpha=255.0)
    return pixels


def _soft_step(inside: F32, softness: float) -> F32:
    """1 where positive, 0 where negative, with a soft edge."""
    step: F32 = (1 / (1 + np.exp(-np.clip(inside / np.float32(softness), -30, 30)))).astype(np.float32)
    return step


def _blend(picture: F32, alpha: F32, colour: tuple[float, ...]) -> F32:
    blended: F32 = picture + alpha[..., None] * (np.array(colour, dtype=np.float32) - picture)
    return blended
