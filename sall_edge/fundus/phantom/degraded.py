"""Photographs that nobody should grade, each spoilt in one known way: what a quality gate has to stop, and to name.

    draw_phantom -> one thing goes wrong (light, focus, rim, field, aim) -> sensor noise -> file

Severities are such that a grader would ask for another photograph; lengths are shares of the field's radius.
"""

from collections.abc import Callable
from enum import Enum

import cv2
import numpy as np

from sall_edge.fundus.field import FieldOfView
from sall_edge.fundus.phantom.disturbance import lash_shadow, offsets
from sall_edge.fundus.phantom.draw import AMD_GRADES, DR_GRADES, draw_phantom
from sall_edge.fundus.phantom.geometry import F32, U8
from sall_edge.fundus.phantom.other_picture import draw_other_picture
from sall_edge.fundus.phantom.outer_eye import draw_outer_eye

__all__ = ["Degradation", "draw_degraded_phantom"]

SIDE_PX = 512

GRAIN = 1.2
"""Grey levels of noise (standard deviation) of the sensor, which no lens blurs and no shadow dims."""

VEIL = np.array([150, 140, 125], dtype=np.float32)
"""Colour of light that the cornea or a small pupil throws back before it reaches the retina."""


class Degradation(Enum):
    """What went wrong, and the reason that a gate should give."""

    DEFOCUS = ("defocus", "out_of_focus")
    UNDEREXPOSURE = ("under-exposure", "too_dark")
    OVEREXPOSURE = ("over-exposure", "too_bright")
    LASHES = ("lashes", "edge_artefact")
    IRIS_SHADOW = ("shadow of the iris", "edge_artefact")
    FLARE = ("flare at the rim", "edge_artefact")
    EDGE_HAZE = ("haze along the rim", "edge_artefact")
    LID = ("cut by a lid", "field_cut")
    FRAME = ("cut by the frame", "field_cut")
    OUTER_EYE = ("outer eye", "not_a_retina")
    OTHER_PICTURE = ("another picture", "not_a_retina")

    def __init__(self, title: str, reason: str) -> None:
        self.title = title
        self.reason = reason


def draw_degraded_phantom(rng: np.random.Generator, degradation: Degradation) -> U8:
    """(H, W, 3) uint8 RGB: a photograph by a random camera that this happened to.

    Args:
        rng: Source of randomness; the same state gives the same photograph.
        degradation: What went wrong.
    """
    match degradation:
        case Degradation.OUTER_EYE:
            return _filed(rng, draw_outer_eye(rng, SIDE_PX).astype(np.float32))
        case Degradation.OTHER_PICTURE:
            return _filed(rng, draw_other_picture(rng, SIDE_PX).astype(np.float32))
    dr_grade, amd_grade = int(rng.integers(DR_GRADES)), int(rng.integers(AMD_GRADES))
    eye = "R" if rng.random() < 0.5 else "L"
    phantom = draw_phantom(rng, side_px=SIDE_PX, dr_grade=dr_grade, amd_grade=amd_grade, eye=eye)
    retina, field = phantom.pixels.astype(np.float32), phantom.field
    stop = _stop(phantom.pixels)
    spoilt = _SPOILERS[degradation](rng, retina, stop, field)
    return _filed(rng, spoilt)


def _stop(pixels: U8) -> F32:
    """(H, W, 1) float32: 1 inside the camera's own mask, which stays sharp and black whatever happens."""
    points = cv2.findNonZero(cv2.compare(cv2.medianBlur(pixels.max(axis=2), 5), 8, cv2.CMP_GT))
    mask = np.zeros(pixels.shape[:2], np.float32)
    cv2.fillConvexPoly(mask, cv2.convexHull(points), 1)
    soft: F32 = cv2.GaussianBlur(mask, (0, 0), 0.7)
    return soft[:, :, None]


def _filed(rng: np.random.Generator, light: F32) -> U8:
    """The photograph as the camera writes it: with its noise, as JPEG."""
    noisy = light + rng.standard_normal(light.shape, dtype=np.float32) * np.float32(GRAIN)
    pixels = np.clip(np.rint(noisy), 0, 255).astype(np.uint8)
    encoded = cv2.imencode(".jpg", pixels[:, :, ::-1], [cv2.IMWRITE_JPEG_QUALITY, int(rng.integers(82, 96))])[1]
    decoded: U8 = cv2.cvtColor(cv2.imdecode(encoded, cv2.IMREAD_COLOR), cv2.COLOR_BGR2RGB)
    return decoded


def _defocused(rng: np.random.Generator, retina: F32, stop: F32, field: FieldOfView) -> F32:
    sigma = rng.uniform(0.035, 0.08) * field.radius_px
    soft = cv2.GaussianBlur(retina, (0, 0), sigma)
    reached = cv2.GaussianBlur(stop, (0, 0), sigma)[:, :, None]
    return np.asarray(soft / np.maximum(reached, 1e-3) * stop)


def _underexposed(rng: np.random.Generator, retina: F32, stop: F32, field: FieldOfView) -> F32:
    return np.asarray(retina * np.float32(rng.uniform(0.06, 0.18)))


def _overexposed(rng: np.random.Generator, retina: F32, stop: F32, field: FieldOfView) -> F32:
    return np.asarray((retina * np.float32(rng.uniform(3.0, 5.0)) + np.float32(rng.uniform(60, 110))) * stop)


def _with_lashes(rng: np.random.Generator, retina: F32, stop: F32, field: FieldOfView) -> F32:
    light = lash_shadow(
        rng, retina.shape[:2], field, count=(14, 28), reach=(0.4, 1.1), width=(0.03, 0.06), loss=(0.75, 0.95)
    )
    return np.asarray(retina * light[:, :, None])


def _shadowed(rng: np.random.Generator, retina: F32, stop: F32, field: FieldOfView) -> F32:
    """The edge of a pupil that is off the camera's axis."""
    x, y = offsets(retina.shape[:2], field)
    angle, aside, radius = rng.uniform(0, 2 * np.pi), rng.uniform(0.5, 0.65), rng.uniform(0.7, 0.85)
    beyond = np.hypot(x - aside * np.cos(angle), y - aside * np.sin(angle)) - radius
    shadow = _soft_step(beyond, rng.uniform(0.03, 0.1))
    return np.asarray(retina * (1 - np.float32(rng.uniform(0.78, 0.84)) * shadow)[:, :, None])


def _with_flare(rng: np.random.Generator, retina: F32, stop: F32, field: FieldOfView) -> F32:
    """A crescent of light that entered beside the pupil."""
    x, y = offsets(retina.shape[:2], field)
    angle, aside, radius = rng.uniform(0, 2 * np.pi), rng.uniform(0.5, 0.65), rng.uniform(0.8, 0.95)
    beyond = np.hypot(x - aside * np.cos(angle), y - aside * np.sin(angle)) - radius
    flare = _soft_step(beyond, rng.uniform(0.05, 0.12))[:, :, None]
    return np.asarray((retina + np.float32(rng.uniform(1.3, 1.9)) * VEIL * flare) * stop)


def _hazed(rng: np.random.Generator, retina: F32, stop: F32, field: FieldOfView) -> F32:
    """A ring of haze: the pupil is too small for the camera's."""
    x, y = offsets(retina.shape[:2], field)
    beyond = np.hypot(x - rng.uniform(-0.1, 0.1), y - rng.uniform(-0.1, 0.1)) - rng.uniform(0.4, 0.52)
    haze = (np.float32(rng.uniform(0.75, 0.95)) * _soft_step(beyond, rng.uniform(0.03, 0.08)))[:, :, None]
    level = np.float32(rng.uniform(1.0, 1.4))
    return np.asarray((retina * (1 - haze) + level * VEIL * haze) * stop)


def _cut_by_lid(rng: np.random.Generator, retina: F32, stop: F32, field: FieldOfView) -> F32:
    x, y = offsets(retina.shape[:2], field)
    side = 1 if rng.random() < 0.8 else -1  # the upper lid mostly
    below = side * y - (rng.uniform(0.1, 0.35) - 0.32) - rng.uniform(0.1, 0.3) * (x - rng.uniform(-0.2, 0.2)) ** 2
    return np.asarray(retina * _soft_step(below, 0.015)[:, :, None])


def _cut_by_frame(rng: np.random.Generator, retina: F32, stop: F32, field: FieldOfView) -> F32:
    """The head moved: a part of the disc lies beside the sensor."""
    reach = rng.uniform(0.05, 0.45) * field.radius_px
    match int(rng.integers(4)):
        case 0:
            return retina[:, : round(field.center_x_px + reach)]
        case 1:
            return retina[:, max(0, round(field.center_x_px - reach)) :]
        case 2:
            return retina[: round(field.center_y_px + reach)]
        case _:
            return retina[max(0, round(field.center_y_px - reach)) :]


def _soft_step(beyond: F32, softness: float) -> F32:
    """0 well below 0, 1 well above."""
    return np.asarray(1 / (1 + np.exp(np.clip(-beyond / softness, -30, 30))), dtype=np.float32)


_SPOILERS: dict[Degradation, Callable[[np.random.Generator, F32, F32, FieldOfView], F32]] = {
    Degradation.DEFOCUS: _defocused,
    Degradation.UNDEREXPOSURE: _underexposed,
    Degradation.OVEREXPOSURE: _overexposed,
    Degradation.LASHES: _with_lashes,
    Degradation.IRIS_SHADOW: _shadowed,
    Degradation.FLARE: _with_flare,
    Degradation.EDGE_HAZE: _hazed,
    Degradation.LID: _cut_by_lid,
    Degradation.FRAME: _cut_by_frame,
}
