"""Phantoms whose frame misleads a search for the field of view; where the field is, is known by construction.

The retina of a `draw_phantom` is spread over a field of another size and place, and cut off by a new field stop:

    retina -> light (uneven, shadows) -> stop (notch, tab) -> surround (haze, noise) -> frame (text, bars) -> file

The truth is that stop, whatever the retina looks like.
"""

from dataclasses import dataclass, replace
from enum import Enum
from math import hypot, pi, sqrt

import cv2
import numpy as np

from sall_edge.fundus.field import FieldOfView
from sall_edge.fundus.phantom.disturbance import Disturbance, lit_retina, print_text, stop_mask, surround
from sall_edge.fundus.phantom.draw import AMD_GRADES, DR_GRADES, draw_phantom
from sall_edge.fundus.phantom.geometry import F32, U8

__all__ = ["Framing", "HostilePhantom", "draw_hostile_phantom"]

RETINA_PX = 480
"""Height of the phantom that lends its retina."""

OVERLAP = 1.03
"""The lent retina reaches beyond the new field stop, so that none of its own rim is left."""

MOST_DISTURBANCES = 3

GRAIN = np.float32(1.2)
"""Grey levels of noise (standard deviation) that every sensor adds."""

HEIGHTS_PX = (420, 900)


class Framing(Enum):
    """Where the field lies in its frame."""

    WHOLE = "whole"
    CUT_AT_TOP_AND_BOTTOM = "cut at top and bottom"
    CUT_AT_ONE_SIDE = "cut at one side"
    CORNERS_ONLY = "rim in the corners only"
    SMALL_IN_A_WIDE_FRAME = "small in a wide frame"
    OFF_CENTRE = "off centre"
    BARS = "between black bars"
    SQUEEZED = "squeezed into another aspect ratio"


@dataclass(frozen=True, slots=True, kw_only=True)
class HostilePhantom:
    """A photograph that is hard to read, and the truth about it.

    Attributes:
        pixels: (H, W, 3) uint8 RGB.
        field: The field stop; of a squeezed photograph the circle of the ellipse's centre and area.
        framing: Where the field lies in the frame.
        disturbances: What else was done to the photograph, in no order.
    """

    pixels: U8
    field: FieldOfView
    framing: Framing
    disturbances: frozenset[Disturbance]


def draw_hostile_phantom(
    rng: np.random.Generator, framing: Framing, *, heights_px: tuple[int, int] = HEIGHTS_PX
) -> HostilePhantom:
    """A photograph of one framing with one to three disturbances.

    Args:
        rng: Source of randomness; the same state gives the same phantom.
        framing: Where the field lies in the frame.
        heights_px: Least and most height of the camera's frame.
    """
    shape, field = _placed(rng, framing, float(rng.integers(*heights_px)))
    several = rng.choice(len(Disturbance), size=rng.integers(1, MOST_DISTURBANCES + 1), replace=False)
    disturbances = frozenset(list(Disturbance)[index] for index in several)
    light = lit_retina(rng, _retina(rng, shape, field), field, disturbances)
    stop = stop_mask(rng, shape, field, disturbances)[:, :, None]
    drawn = light * stop + surround(rng, shape, field, disturbances) * (1 - stop)
    drawn += rng.standard_normal(drawn.shape, dtype=np.float32) * GRAIN
    pixels = np.clip(drawn, 0, 255).astype(np.uint8)
    if framing is Framing.BARS:
        bar_px = round(rng.uniform(0.06, 0.16) * shape[0])
        pixels[:bar_px] = pixels[-bar_px:] = 0
    if Disturbance.TEXT in disturbances:
        print_text(rng, pixels)
    if framing is Framing.SQUEEZED:
        pixels, field = _squeezed(rng, pixels, field)
    quality = rng.integers(8, 30) if Disturbance.JPEG_BLOCKS in disturbances else rng.integers(80, 96)
    encoded = cv2.imencode(".jpg", pixels[:, :, ::-1], [cv2.IMWRITE_JPEG_QUALITY, int(quality)])[1]
    decoded: U8 = cv2.cvtColor(cv2.imdecode(encoded, cv2.IMREAD_COLOR), cv2.COLOR_BGR2RGB)
    return HostilePhantom(pixels=decoded, field=field, framing=framing, disturbances=disturbances)


def _placed(rng: np.random.Generator, framing: Framing, height: float) -> tuple[tuple[int, int], FieldOfView]:
    """(height, width) of a frame, and the field in it."""
    aspect, radius = rng.uniform(1.05, 1.5), rng.uniform(0.40, 0.48)  # radius over height
    x, y = rng.normal(0, 0.01, 2)  # from the frame's middle, over height
    match framing:
        case Framing.WHOLE | Framing.SQUEEZED:
            pass
        case Framing.CUT_AT_TOP_AND_BOTTOM:
            radius = rng.uniform(0.52, 0.66)
            aspect = 2 * radius + rng.uniform(0.06, 0.3)
        case Framing.CUT_AT_ONE_SIDE:
            side = rng.choice([-1, 1])
            if rng.random() < 0.5:
                x = side * (aspect / 2 - radius * rng.uniform(0.5, 0.9))
            else:
                y = side * (0.5 - radius * rng.uniform(0.5, 0.9))
        case Framing.CORNERS_ONLY:
            aspect = rng.uniform(1.0, 1.34)
            radius = max(hypot(aspect, 1) / 2 * rng.uniform(0.86, 0.94), aspect / 2 + 0.02)
        case Framing.SMALL_IN_A_WIDE_FRAME:
            aspect = rng.uniform(1.5, 1.9)
            radius = sqrt(rng.uniform(0.13, 0.22) * aspect / pi)
        case Framing.OFF_CENTRE:
            aspect, radius = rng.uniform(1.3, 1.7), rng.uniform(0.32, 0.42)
            x, y = rng.uniform(-1, 1, 2) * (aspect / 2 - radius - 0.01, 0.5 - radius - 0.01)
        case Framing.BARS:
            aspect, radius = rng.uniform(1.0, 1.1), rng.uniform(0.46, 0.49)
            x, y = 0, 0
    width = aspect * height
    field = FieldOfView(
        center_x_px=float(width / 2 - 0.5 + x * height),
        center_y_px=float(height / 2 - 0.5 + y * height),
        radius_px=float(radius * height),
    )
    return (round(height), round(width)), field


def _retina(rng: np.random.Generator, shape: tuple[int, int], field: FieldOfView) -> F32:
    """(H, W, 3) float32: the whole retina of a phantom, spread a little beyond the field."""
    while True:
        dr_grade, amd_grade = int(rng.integers(DR_GRADES)), int(rng.integers(AMD_GRADES))
        phantom = draw_phantom(rng, side_px=RETINA_PX, dr_grade=dr_grade, amd_grade=amd_grade, eye="R")
        if phantom.field.radius_px < RETINA_PX / 2:
            break
    step = phantom.field.radius_px / (OVERLAP * field.radius_px)
    first_x = phantom.field.center_x_px - step * field.center_x_px
    first_y = phantom.field.center_y_px - step * field.center_y_px
    spread = cv2.warpAffine(
        phantom.pixels,
        np.array([[step, 0, first_x], [0, step, first_y]]),
        (shape[1], shape[0]),
        flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
    )
    return np.asarray(spread, dtype=np.float32)


def _squeezed(rng: np.random.Generator, pixels: U8, field: FieldOfView) -> tuple[U8, FieldOfView]:
    """The photograph as a data set keeps it that gives all of its photographs one shape: here a square."""
    height, width = pixels.shape[:2]
    side = int(rng.integers(420, 900))
    squeezed: U8 = cv2.resize(pixels, (side, side), interpolation=cv2.INTER_AREA)
    across, down = side / width, side / height
    return squeezed, replace(
        field,
        center_x_px=(field.center_x_px + 0.5) * across - 0.5,
        center_y_px=(field.center_y_px + 0.5) * down - 0.5,
        radius_px=field.radius_px * sqrt(across * down),
    )
