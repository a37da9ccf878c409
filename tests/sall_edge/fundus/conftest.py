"""Discs that stand in for retinas: where they are is known exactly, because they are drawn here."""

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import pytest

U8 = npt.NDArray[np.uint8]

ORANGE = np.array([1.0, 0.55, 0.3])


def _disc(
    *,
    width: int = 480,
    height: int = 400,
    center: tuple[float, float] | None = None,
    radius: float = 170.0,
    level: float = 170.0,
    tilt: float = 0.0,
    surround: float = 0.0,
    noise: float = 0.0,
    waves: float = 0.15,
) -> U8:
    """(height, width, 3) uint8: an orange disc with dark wavy lines, lit from the right by `tilt`."""
    center_x, center_y = center or ((width - 1) / 2, (height - 1) / 2)
    y, x = np.mgrid[:height, :width].astype(np.float64)
    inside = np.clip(radius - np.hypot(x - center_x, y - center_y) + 0.5, 0, 1)
    lines = np.maximum(0, np.sin(x / 11 + 2 * np.sin(y / 37)) - 0.6) + np.maximum(0, np.sin(y / 13 + x / 90) - 0.7)
    light = np.maximum(0, 1 + tilt * (x - center_x) / radius) * (1 - waves * lines)
    drawn = level * (inside * light)[:, :, None] * ORANGE + surround
    if noise:
        drawn = drawn + np.random.default_rng(5).normal(0, noise, drawn.shape)
    return np.clip(drawn, 0, 255).astype(np.uint8)


@pytest.fixture(scope="session")
def draw_disc() -> Callable[..., U8]:
    return _disc
