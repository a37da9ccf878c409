"""What a fundus camera's folder also holds: a page, a room, a test chart, a wall. Bad input for tests."""

import cv2
import numpy as np

from sall_edge.fundus.phantom.brush import noise
from sall_edge.fundus.phantom.geometry import F32, U8

__all__ = ["draw_other_picture"]


def draw_other_picture(rng: np.random.Generator, side_px: int) -> U8:
    """(side, side, 3) uint8 RGB: one of four scenes, half of them behind a round field stop.

    Raises:
        ValueError: The side is below 32.
    """
    if side_px < 32:
        raise ValueError(f"side_px is {side_px}; a picture needs at least 32")
    scenes = (_page, _room, _chart, _wall)
    drawn = scenes[int(rng.integers(len(scenes)))](rng, side_px)
    drawn *= 1 + 0.04 * noise(rng, (side_px, side_px), cell_px=side_px / 5, octaves=4)[..., None]
    if rng.random() < 0.5:
        offset = np.arange(side_px) - (side_px - 1) / 2
        drawn[np.hypot(offset, offset[:, None]) > 0.48 * side_px] = 0
    return np.clip(drawn, 0, 255).astype(np.uint8)


def _page(rng: np.random.Generator, side_px: int) -> F32:
    """Print on paper."""
    page = np.empty((side_px, side_px, 3), np.uint8)
    page[:] = rng.uniform(190, 240) * rng.uniform((0.95, 0.93, 0.82), 1.0)
    line_px, width = side_px / 14, max(1, side_px // 200)
    for line in range(1, 14):
        words = "".join(rng.choice(list("abcdefgh klmno rstu "), size=40).tolist())
        cv2.putText(
            page, words, (side_px // 20, round(line * line_px)), cv2.FONT_HERSHEY_SIMPLEX, side_px / 700, (25, 25, 30),
            width, cv2.LINE_AA,
        )  # fmt: skip
    return page.astype(np.float32)


def _room(rng: np.random.Generator, side_px: int) -> F32:
    """Furniture: patches of many colours with straight edges."""
    room = np.empty((side_px, side_px, 3), np.float32)
    room[:] = rng.uniform(90, 200, 3)
    for _ in range(int(rng.integers(10, 24))):
        corner, size = rng.uniform(-0.1, 0.9, 2) * side_px, rng.uniform(0.08, 0.5, 2) * side_px
        colour = [float(level) for level in rng.uniform(10, 245, 3)]
        cv2.rectangle(room, corner.astype(int).tolist(), (corner + size).astype(int).tolist(), colour, -1)
    return np.asarray(cv2.GaussianBlur(room, (0, 0), side_px / 400))


def _chart(rng: np.random.Generator, side_px: int) -> F32:
    """A chessboard for calibration."""
    rows, columns = np.mgrid[:side_px, :side_px] // max(4, round(side_px * rng.uniform(0.04, 0.12)))
    board = ((rows + columns) % 2).astype(np.float32)[..., None]
    return np.asarray(board * rng.uniform(180, 240) + rng.uniform(15, 40), dtype=np.float32) * np.ones(3, np.float32)


def _wall(rng: np.random.Generator, side_px: int) -> F32:
    """Nothing: a wall of one colour that no retina has, lit from one side."""
    wall = np.array(rng.uniform((60, 90, 110), (150, 170, 210)), dtype=np.float32)
    light = np.linspace(0.7, 1.2, side_px, dtype=np.float32)
    return np.asarray(light[:, None, None] * wall * np.ones((side_px, side_px, 1), np.float32))
