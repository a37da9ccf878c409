"""What misleads a search for the field of view: uneven light, marks on the field stop, stray light, text.

Lengths are shares of the field's radius; grey levels are of 255.
"""

from enum import Enum

import cv2
import numpy as np

from sall_edge.fundus.field import FieldOfView
from sall_edge.fundus.phantom.geometry import F32, U8

__all__ = ["Disturbance", "lash_shadow", "lit_retina", "offsets", "print_text", "stop_mask", "surround"]

ORANGE = np.array([1.0, 0.62, 0.4], dtype=np.float32)
"""Colour of light that the retina has thrown beside the field."""

TEXTS = ("OD", "OS", "12.03.2004 09:41", "Pat. 00417  45 deg", "R 1/15 ISO 400")


class Disturbance(Enum):
    """One thing that went wrong, or that a camera adds."""

    NOTCH = "notch"
    TAB = "tab"
    TEXT = "text"
    HAZE = "haze around the field"
    BRIGHT_NOISY_SURROUND = "bright, noisy surround"
    LIT_FROM_ONE_SIDE = "dim, lit from one side"
    VIGNETTING = "vignetting"
    LASHES = "shadow of lashes"
    JPEG_BLOCKS = "JPEG blocks"
    LASER_SPOT = "spots of a laser or a reflex"


def lit_retina(rng: np.random.Generator, retina: F32, field: FieldOfView, disturbances: frozenset[Disturbance]) -> F32:
    """(H, W, 3) float32: the retina under uneven light, with shadows and spots."""
    x, y = offsets(retina.shape[:2], field)
    distance = np.hypot(x, y)
    light = np.ones_like(distance)
    if Disturbance.LIT_FROM_ONE_SIDE in disturbances:
        angle, fall = rng.uniform(0, 2 * np.pi), rng.uniform(0.5, 0.85)
        light *= np.maximum(rng.uniform(0.45, 0.8) * (1 + fall * (np.cos(angle) * x + np.sin(angle) * y)), 0)
    if Disturbance.VIGNETTING in disturbances:
        light *= 1 - rng.uniform(0.4, 0.75) * np.minimum(distance, 1) ** rng.uniform(2, 5)
    if Disturbance.LASHES in disturbances:
        light *= lash_shadow(rng, retina.shape[:2], field)
    lit = retina * light[:, :, None]
    if Disturbance.LASER_SPOT in disturbances:
        for _ in range(int(rng.integers(1, 12))):
            at_x, at_y, size = rng.uniform(-0.7, 0.7), rng.uniform(-0.7, 0.7), rng.uniform(0.01, 0.08)
            lit += np.float32(255) * np.exp(-(((x - at_x) ** 2 + (y - at_y) ** 2) / size**2))[:, :, None]
    return np.minimum(lit, 255)


def offsets(shape: tuple[int, ...], field: FieldOfView) -> tuple[F32, F32]:
    """Two maps (H, W): x and y from the field's centre, in radii."""
    y, x = np.mgrid[: shape[0], : shape[1]].astype(np.float32)
    return (x - np.float32(field.center_x_px)) / field.radius_px, (y - np.float32(field.center_y_px)) / field.radius_px


def lash_shadow(
    rng: np.random.Generator,
    shape: tuple[int, ...],
    field: FieldOfView,
    *,
    count: tuple[int, int] = (5, 16),
    reach: tuple[float, float] = (0.2, 0.7),
    width: tuple[float, float] = (0.01, 0.035),
    loss: tuple[float, float] = (0.4, 0.9),
) -> F32:
    """(H, W) what is left of the light below lashes that reach in from above.

    Args:
        rng: Source of randomness.
        shape: Of the photograph.
        field: In its pixels.
        count: Least number of lashes, and the first one that is too many.
        reach: Range of how far below the rim a tip lies.
        width: Range of their widths.
        loss: Range of the share of light that they take.
    """
    radius, x, y = field.radius_px, field.center_x_px, field.center_y_px
    shadow = np.zeros(shape, np.uint8)
    for _ in range(int(rng.integers(*count))):
        root = x + rng.uniform(-0.8, 0.8) * radius
        tip = root + rng.uniform(-0.25, 0.25) * radius
        down = y - rng.uniform(1 - reach[1], 1 - reach[0]) * radius
        bend = np.array([[root, y - 1.2 * radius], [(root + tip) / 2, (y - radius + down) / 2], [tip, down]])
        thickness = max(1, round(rng.uniform(*width) * radius))
        cv2.polylines(shadow, [bend.round().astype(np.int32)], False, 255, thickness, cv2.LINE_AA)
    soft = cv2.GaussianBlur(shadow, (0, 0), max(0.5, 0.008 * radius)).astype(np.float32) / 255
    return np.asarray(1 - np.float32(rng.uniform(*loss)) * soft)


def stop_mask(
    rng: np.random.Generator, shape: tuple[int, int], field: FieldOfView, disturbances: frozenset[Disturbance]
) -> F32:
    """(H, W) float32: 1 inside the field stop, antialiased at its rim, with the camera's marks on it."""
    x, y = offsets(shape, field)
    stop: F32 = np.clip((1 - np.hypot(x, y)) * field.radius_px + 0.5, 0, 1)
    for mark, level in ((Disturbance.NOTCH, 0.0), (Disturbance.TAB, 1.0)):
        if mark in disturbances:
            angle, size = rng.uniform(0, 2 * np.pi), rng.uniform(0.03, 0.08)
            stop[np.hypot(x - np.cos(angle), y - np.sin(angle)) < size] = level
    return stop


def surround(
    rng: np.random.Generator, shape: tuple[int, int], field: FieldOfView, disturbances: frozenset[Disturbance]
) -> F32:
    """(H, W, 3) float32: what the frame shows beside the field."""
    beside = np.full((*shape, 3), rng.uniform(0, 4), dtype=np.float32)
    if Disturbance.BRIGHT_NOISY_SURROUND in disturbances:
        level, spread = rng.uniform(8, 24), rng.uniform(2, 8)
        beside += np.float32(level) + np.float32(spread) * rng.standard_normal(beside.shape, dtype=np.float32)
    if Disturbance.HAZE in disturbances:
        away = np.maximum(np.hypot(*offsets(shape, field)) - 1, 0)
        haze = rng.uniform(8, 30) * np.exp(-away / rng.uniform(0.05, 0.3))
        beside += haze.astype(np.float32)[:, :, None] * ORANGE
    return beside


def print_text(rng: np.random.Generator, pixels: U8) -> None:
    """Burns a line of text into one corner of the photograph."""
    height, width = pixels.shape[:2]
    text, scale = str(rng.choice(TEXTS)), height / 600
    thickness = max(1, round(1.5 * scale))
    (across, up), below = cv2.getTextSize(text, cv2.FONT_HERSHEY_SIMPLEX, scale, thickness)
    at_x = int(rng.choice([0.02 * width, max(0.98 * width - across, 0)]))
    at_y = int(rng.choice([0.02 * height + up, 0.98 * height - below]))
    colour = tuple(int(level) for level in rng.choice([[255, 255, 255], [60, 255, 60], [255, 220, 0]]))
    cv2.putText(pixels, text, (at_x, at_y), cv2.FONT_HERSHEY_SIMPLEX, scale, colour, thickness, cv2.LINE_AA)
