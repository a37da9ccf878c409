"""What whoever holds the camera should do next, from one live frame: found, centred, sharp, lit, steady.

Everything is measured on the square that `prepare` would cut, so the guidance sees what the quality gate will see; only
focus is measured finer, because a live frame is sharper than the gate has to ask for.
"""

from collections import deque
from dataclasses import dataclass, replace

import cv2
import numpy as np
import numpy.typing as npt

from sall_edge.errors import FieldNotFound
from sall_edge.fundus.field import FieldOfView, glimpse_field
from sall_edge.fundus.prepare import cut_square
from sall_edge.fundus.quality import assess
from sall_edge.screening.camera.source import Frame
from sall_edge.spec import ImageSpec

__all__ = ["HINTS", "Guidance", "Guide", "focus_of", "guidance_of", "likeness"]

U8 = npt.NDArray[np.uint8]
F32 = npt.NDArray[np.float32]

HINTS = (
    "find_retina",
    "move_closer",
    "move_left",
    "move_right",
    "move_up",
    "move_down",
    "more_light",
    "less_light",
    "focus",
    "hold_still",
)
"""Every hint, most urgent first. Directions are those of the picture: the camera goes where the retina is."""

SIDE_PX = 448
"""A 45 degree field at this size shows vessels of the second order; blur of 1 % of the radius is two pixels."""

MOST_OFFSET = 0.15
"""Radii of the field that its centre may lie beside the frame's: beyond, parts of it fall on the frame's edge."""

LEAST_RADIUS = 0.32
"""Of the frame's height; a smaller field has fewer pixels than the square."""

BLURRED, SHARP, LEAST_FOCUS = 0.15, 0.5, 0.65
"""Fine over coarse contrast of photographs blurred by 1.6 % of their radius, and of what nine of ten sharp ones reach
(18 photographs of three sets, brought to frames of 1080 lines); the focus, on the scale between, to ask for."""

USUAL_BRIGHTNESS, LEAST_BRIGHTNESS, MOST_BRIGHTNESS, MOST_WHITE = 90.0, 45.0, 170.0, 0.05
"""Mean luma of the retina, 0 to 255: the median of the same photographs (nine of ten have 63 to 109), and where to ask
for another light, long before the gate refuses; share of burnt-out pixels above which less is asked for as well."""

SIGNATURE_PX, SIGNATURE_SIGMA_PX = 48, 6.0
"""Size of the picture by which two views of a retina are compared, and of the shading that is taken off it first."""

STEADY_S, MOST_DRIFT = 0.4, 0.04
"""How long everything has to be right, and how far the field may move meanwhile, in radii."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Guidance:
    """What a frame shows and what to do.

    Attributes:
        field: In pixels of the frame; None without a retina.
        offset_x, offset_y: From the frame's centre to the field's, in its radii; right and down are positive.
        focus: 0 (blurred) to 1 (as sharp as photographs are).
        exposure: 0.5 is usual, a quarter less is half the light, a quarter more is twice.
        hints: Of `HINTS`, in that order; empty when a photograph would be good.
        is_steady: Whether it would have been for a while.
        signature: What tells this part of this retina from others; see `likeness`.
    """

    field: FieldOfView | None
    offset_x: float | None = None
    offset_y: float | None = None
    focus: float | None = None
    exposure: float | None = None
    hints: tuple[str, ...]
    is_steady: bool = False
    signature: F32 | None = None


class Guide:
    """Guidance with a memory of the last moments; for the frames of one aiming."""

    def __init__(self) -> None:
        self._good: deque[tuple[float, Guidance]] = deque()

    def look(self, frame: Frame) -> Guidance:
        """What to do, and whether it has been right for long enough; frames come in their order."""
        guidance = guidance_of(frame.pixels)
        if guidance.hints:
            self._good.clear()
            return guidance
        self._good.append((frame.exposed_s, guidance))
        since_s = frame.exposed_s - STEADY_S
        while len(self._good) > 1 and self._good[1][0] <= since_s:
            self._good.popleft()
        offsets = np.array([(seen.offset_x, seen.offset_y) for _, seen in self._good], dtype=np.float64)
        if float(np.ptp(offsets, axis=0).max()) > MOST_DRIFT:
            return replace(guidance, hints=("hold_still",))
        return replace(guidance, is_steady=self._good[0][0] <= since_s)


def guidance_of(pixels: U8) -> Guidance:
    """What one frame shows, and what to do about it.

    Args:
        pixels: (H, W, 3) uint8, RGB.
    """
    height, width = pixels.shape[:2]
    try:
        field = glimpse_field(pixels)
    except FieldNotFound:
        return Guidance(field=None, hints=("find_retina",))
    square = cut_square(pixels, field, ImageSpec(side_px=SIDE_PX))
    quality = assess(square)
    if "not_a_retina" in quality.reasons:
        return Guidance(field=None, hints=("find_retina",))
    offset_x = (field.center_x_px - (width - 1) / 2) / field.radius_px
    offset_y = (field.center_y_px - (height - 1) / 2) / field.radius_px
    focus = focus_of(square)
    brightness, white = quality.measures["brightness"], quality.measures.get("white_share", 0.0)
    wrong = {
        "move_closer": field.radius_px < LEAST_RADIUS * height,
        "move_left": offset_x < -MOST_OFFSET,
        "move_right": offset_x > MOST_OFFSET,
        "move_up": offset_y < -MOST_OFFSET,
        "move_down": offset_y > MOST_OFFSET,
        "more_light": brightness < LEAST_BRIGHTNESS,
        "less_light": brightness > MOST_BRIGHTNESS or white > MOST_WHITE,
        "focus": focus < LEAST_FOCUS,
    }
    return Guidance(
        field=field,
        offset_x=offset_x,
        offset_y=offset_y,
        focus=focus,
        exposure=float(np.clip(0.5 + np.log2(max(brightness, 1.0) / USUAL_BRIGHTNESS) / 4, 0, 1)),
        hints=tuple(hint for hint, is_wrong in wrong.items() if is_wrong),
        signature=_signature(square),
    )


def likeness(one: F32, other: F32) -> float:
    """Correlation of two signatures, -1 to 1.

    On 15 photographs: the same retina out of focus 0.97 or more, shifted by 0.03 radii 0.78 or more, by 0.2 radii at
    most 0.49; two retinas at most 0.54.
    """
    return float((one * other).mean())


def _signature(square: U8) -> F32:
    """(SIGNATURE_PX, SIGNATURE_PX) float32: disc and large vessels, without shading; mean 0, spread 1."""
    small = cv2.resize(square, (SIGNATURE_PX, SIGNATURE_PX), interpolation=cv2.INTER_AREA)[..., 1].astype(np.float32)
    structure = small - cv2.GaussianBlur(small, (0, 0), SIGNATURE_SIGMA_PX)
    offset = np.arange(SIGNATURE_PX) - (SIGNATURE_PX - 1) / 2
    inside = np.hypot(offset, offset[:, None]) < 0.8 * SIGNATURE_PX / 2
    values = structure[inside]
    signature: F32 = np.zeros_like(structure)
    signature[inside] = (values - values.mean()) / (values.std() + 1e-3) * np.sqrt(inside.size / len(values))
    return signature


def focus_of(square: U8) -> float:
    """How sharp a square is, 0 to 1: contrast of fine structure over that of structure four times as wide.

    Args:
        square: (448, 448, 3) uint8, RGB: the scale belongs to this size.
    """
    green = np.ascontiguousarray(square[..., 1])
    quarter = (len(green) // 4, len(green) // 4)
    coarse = cv2.resize(green, quarter, interpolation=cv2.INTER_AREA)
    inside = cv2.erode(cv2.compare(coarse, 10, cv2.CMP_GT), np.ones((7, 7), np.uint8), borderValue=0)
    if not cv2.countNonZero(inside):
        return 0.0
    fine_inside = cv2.resize(inside, green.shape[::-1], interpolation=cv2.INTER_NEAREST)
    ratio = _structure(green, fine_inside) / (_structure(coarse, inside) + 0.1)
    return float(np.clip((ratio - BLURRED) / (SHARP - BLURRED), 0, 1))


def _structure(green: U8, inside: U8) -> float:
    """Contrast of what is one to two pixels wide, in grey levels."""
    levels = green.astype(np.float32)
    narrow, wide = (cv2.GaussianBlur(levels, (0, 0), sigma) for sigma in (1.0, 2.0))
    return float(cv2.meanStdDev(narrow - wide, mask=inside)[1][0, 0])
