"""A recorded aiming: what a camera shows while somebody brings a retina into view, made from photographs of retinas.

    frames.csv      file,at_s
    0000.jpg ...    frames of the live view

Each photograph is moved in from the side, comes into focus and into light, is held for a moment and is lost again. It
stands in for a camera in demonstrations and tests: hands shake otherwise, and no eye blinks.
"""

import csv
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from sall_edge.errors import OutputError
from sall_edge.fundus.field import find_field
from sall_edge.writing import folder_being_written

__all__ = ["FRAMES_FILE", "Still", "aiming_frames", "write_aiming"]

U8 = npt.NDArray[np.uint8]

FRAMES_FILE = "frames.csv"
FIELD_SHARE = 0.47
"""Radius of the field in the frame's height."""
DARK_S, APPROACH_S = 0.6, 1.4
SENSOR_NOISE = 1.5
"""Grey levels; without it two frames would be the same and the camera would look frozen."""
FARTHEST = 1.3
"""Radii from where the retina comes into the frame."""
WORST_BLUR = 0.02
"""Of the field's radius, while the camera is far away."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Still:
    """A photograph to aim at.

    Attributes:
        pixels: (H, W, 3) uint8, RGB.
        held_s: How long it is held in the middle.
        blur: Of the field's radius, at the best moment: 0 comes into focus, 0.04 never does.
        gain: Of the light, at the best moment.
    """

    pixels: U8
    held_s: float = 1.5
    blur: float = 0.0
    gain: float = 1.0

    def frames(self, frames_per_s: float) -> int:
        """How many frames its aiming takes."""
        return round((DARK_S + APPROACH_S + self.held_s) * frames_per_s)


def aiming_frames(
    stills: Sequence[Still],
    rng: np.random.Generator,
    *,
    width_px: int = 1920,
    height_px: int = 1080,
    frames_per_s: float = 15.0,
) -> Iterator[tuple[float, U8]]:
    """Times in seconds from 0, and (height, width, 3) uint8 RGB frames.

    Args:
        stills: In the order of their aiming; between them the view is dark.
        rng: Shakes the hand and makes the sensor's noise.
        width_px, height_px: Size of the frames.
        frames_per_s: Of the camera.

    Raises:
        FieldNotFound: A still shows no retina.
    """
    number = 0
    for still in stills:
        placed = _placed(still.pixels, width_px, height_px)
        radius_px = FIELD_SHARE * height_px
        side, height = rng.choice((-1, 1)), rng.uniform(-0.3, 0.3)
        for index in range(still.frames(frames_per_s)):
            seconds = index / frames_per_s - DARK_S
            away = 1 - _eased(seconds / APPROACH_S)
            shake = rng.normal(0, 0.004, 2)
            frame = _seen(
                placed,
                shift_px=radius_px * np.array([side * FARTHEST * away + shake[0], height * away + shake[1]]),
                blur_px=radius_px * (still.blur + (WORST_BLUR if away else 0.0) * away),
                gain=0.0 if seconds < 0 else still.gain * (1 - 0.6 * away),
            )
            grain = rng.standard_normal(frame.shape[:2], dtype=np.float32) * np.float32(SENSOR_NOISE)
            yield number / frames_per_s, cv2.add(frame, np.abs(grain)[..., None].repeat(3, 2).astype(np.uint8))
            number += 1


def write_aiming(
    stills: Sequence[Still],
    folder: Path,
    *,
    seed: int,
    width_px: int = 1920,
    height_px: int = 1080,
    frames_per_s: float = 15.0,
    advance: Callable[[], None] = lambda: None,
) -> int:
    """Writes a recorded aiming, whole or not at all, and gives its number of frames.

    Args:
        stills, width_px, height_px, frames_per_s: See `aiming_frames`.
        folder: Takes the place of one that is there.
        seed: Shakes the hand and makes the sensor's noise.
        advance: Called after each frame.

    Raises:
        FieldNotFound: A still shows no retina.
        OutputError: The place cannot be written.
    """
    frames = aiming_frames(
        stills, np.random.default_rng(seed), width_px=width_px, height_px=height_px, frames_per_s=frames_per_s
    )
    with folder_being_written(folder) as temporary:
        rows = []
        for number, (at_s, frame) in enumerate(frames):
            name = f"{number:04d}.jpg"
            quality = [cv2.IMWRITE_JPEG_QUALITY, 95]
            if not cv2.imwrite(str(temporary / name), cv2.cvtColor(frame, cv2.COLOR_RGB2BGR), quality):
                raise OutputError(f"cannot write {folder / name}", "the JPEG encoder failed", "check the free space")
            rows.append((name, f"{at_s:.3f}"))
            advance()
        with (temporary / FRAMES_FILE).open("w", newline="", encoding="utf-8") as file:
            csv.writer(file).writerows([("file", "at_s"), *rows])
    return len(rows)


def _placed(pixels: U8, width_px: int, height_px: int) -> U8:
    """(height, width, 3) uint8: the retina in the middle of the frame."""
    field = find_field(pixels)
    scale = FIELD_SHARE * height_px / field.radius_px
    if scale < 1:
        size = (round(pixels.shape[1] * scale), round(pixels.shape[0] * scale))
        pixels = cv2.resize(pixels, size, interpolation=cv2.INTER_AREA)
    field, scale = (field.scaled(scale), 1.0) if scale < 1 else (field, scale)
    left, top = (width_px - 1) / 2 - scale * field.center_x_px, (height_px - 1) / 2 - scale * field.center_y_px
    to_frame = np.array([[scale, 0, left], [0, scale, top]])
    placed: U8 = cv2.warpAffine(pixels, to_frame, (width_px, height_px), flags=cv2.INTER_LINEAR)
    return placed


def _seen(placed: U8, *, shift_px: npt.NDArray[np.float64], blur_px: float, gain: float) -> U8:
    """The frame of one moment."""
    if gain <= 0:
        return np.zeros_like(placed)
    height, width = placed.shape[:2]
    moved = cv2.warpAffine(placed, np.array([[1, 0, shift_px[0]], [0, 1, shift_px[1]]]), (width, height))
    if blur_px > 0.3:  # a quarter of the size blurs the same in a sixteenth of the time
        shrink = 4 if blur_px > 6 else 1
        small = cv2.resize(moved, (width // shrink, height // shrink), interpolation=cv2.INTER_AREA)
        small = cv2.GaussianBlur(small, (0, 0), blur_px / shrink)
        moved = cv2.resize(small, (width, height), interpolation=cv2.INTER_LINEAR)
    frame: U8 = cv2.convertScaleAbs(moved, alpha=gain)
    return frame


def _eased(share: float) -> float:
    """From 0 to 1, slow at both ends."""
    share = min(max(share, 0.0), 1.0)
    return share * share * (3 - 2 * share)
