"""Fundus cameras: the shape of the field, the light, the colours, and what sensor and encoder do to them."""

from dataclasses import dataclass

import cv2
import numpy as np

from sall_edge.fundus.phantom.brush import noise
from sall_edge.fundus.phantom.geometry import F32, U8, Aperture, Geometry, Layout
from sall_edge.fundus.phantom.materials import Planes

__all__ = ["CAMERAS", "Camera", "layout_of_photograph", "take_photograph"]

SHADING_PX = 96
"""The light varies slowly: its map is computed this large and scaled up."""

HAZE_COLOUR = (0.55, 0.42, 0.33)
"""What a lens with a cataract adds to the light, in red, green and blue."""

REFERENCE_RADIUS_PX = 384.0
"""Radius of the field for which blur is given."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Camera:
    """A kind of camera.

    Attributes:
        name: For messages.
        aperture: Shape of the field in the frame.
        gains: What white comes out as in red, green and blue.
        disc_diameters: Range of disc diameters across the field: 45 degrees show about 7.3.
        fall_off: Share of the light that is lost at the rim.
        blur_px: Range of blur (standard deviation), for a field of 768 px.
        sharpening: Strength of the camera's unsharp mask.
        noise: Standard deviation of the sensor's noise, of full scale 1.
        rim_light: Colour of the stray light that small pupils throw on the rim.
        jpeg_quality: Of the camera's own encoder.
    """

    name: str
    aperture: Aperture
    gains: tuple[float, float, float]
    disc_diameters: tuple[float, float] = (6.6, 7.8)
    fall_off: float = 0.35
    blur_px: tuple[float, float] = (0.8, 1.6)
    sharpening: float = 0.0
    noise: float = 0.006
    rim_light: tuple[float, float, float] = (0.30, 0.32, 0.20)
    jpeg_quality: int = 95


CAMERAS: tuple[Camera, ...] = (
    Camera(name="round, tan", aperture=Aperture(radius=0.498), gains=(0.95, 1.04, 1.0), fall_off=0.25),
    Camera(name="round, orange", aperture=Aperture(radius=0.49), gains=(1.02, 1.0, 0.7), sharpening=0.6),
    Camera(
        name="round with a notch, red",
        aperture=Aperture(radius=0.48, notch=0.05),
        gains=(1.08, 0.70, 0.30),
        fall_off=0.3,
        blur_px=(1.0, 2.0),
        jpeg_quality=85,
    ),
    Camera(
        name="cut at top and bottom, orange",
        aperture=Aperture(aspect=1.2, radius=0.585),
        gains=(1.08, 0.92, 0.42),
        fall_off=0.4,
        sharpening=0.8,
    ),
    Camera(
        name="cut inside its frame, red",
        aperture=Aperture(aspect=1.15, radius=0.53, cut=0.47, notch=0.04),
        gains=(1.08, 0.84, 0.42),
        jpeg_quality=88,
    ),
    Camera(
        name="square crop, pink",
        aperture=Aperture(radius=0.6),
        gains=(0.98, 1.0, 1.1),
        disc_diameters=(7.2, 8.2),
        fall_off=0.2,
    ),
    Camera(
        name="handheld, brown and noisy",
        aperture=Aperture(aspect=1.1, radius=0.47),
        gains=(0.88, 0.87, 0.6),
        fall_off=0.55,
        blur_px=(1.1, 2.2),
        noise=0.012,
        jpeg_quality=82,
    ),
)


def layout_of_photograph(rng: np.random.Generator, camera: Camera) -> Layout:
    """How the photographer aimed: at the macula, or between macula and disc; never quite level."""
    return Layout(
        disc_diameters=rng.uniform(*camera.disc_diameters),
        towards_disc=rng.uniform(0.0, 0.55),
        shift=(rng.normal(0, 0.03), rng.normal(0, 0.05)),
        tilt=rng.normal(0, 0.06),
    )


def take_photograph(rng: np.random.Generator, camera: Camera, geometry: Geometry, planes: Planes, field_mask: U8) -> U8:
    """(H, W, 3) uint8 RGB: the light of a fundus as this camera records it; black outside the field.

    The planes are used up.
    """
    shading, stray = _light(rng, camera, geometry)
    exposure = np.clip(rng.lognormal(0, 0.16), 0.65, 1.4)
    gains = np.array(camera.gains) * exposure * rng.lognormal(0, 0.06, 3)
    haze = rng.beta(1, 6) * 0.45
    radius_ratio = geometry.radius_px / REFERENCE_RADIUS_PX
    blur_px = rng.uniform(*camera.blur_px) * radius_ratio
    inside = field_mask.astype(np.float32) * np.float32(1 / 255)
    grain = rng.standard_normal(geometry.shape, dtype=np.float32) * np.float32(camera.noise)
    tint = noise(rng, geometry.shape, cell_px=2.5, octaves=1) * np.float32(camera.noise * 0.6)
    recorded = []
    for channel, gain in enumerate(gains):
        light = planes[channel]
        light *= np.float32((1 - haze) * gain)
        light += np.float32(haze * gain * HAZE_COLOUR[channel])
        light *= shading
        if stray is not None:
            light += stray * np.float32(gain * camera.rim_light[channel])
        if blur_px >= 0.2:
            light = cv2.GaussianBlur(light, (0, 0), blur_px)
        if camera.sharpening:
            soft = cv2.GaussianBlur(light, (0, 0), 2.0 * radius_ratio)
            light = cv2.addWeighted(light, 1 + camera.sharpening, soft, -camera.sharpening, 0)
        light += grain
        light += tint * np.float32(channel - 1)  # red and blue waver against each other
        light *= inside
        recorded.append(light)
    pixels: U8 = cv2.convertScaleAbs(cv2.merge(recorded[::-1]), alpha=255.0)
    encoded = cv2.imencode(".jpg", pixels, [cv2.IMWRITE_JPEG_QUALITY, camera.jpeg_quality])[1]
    decoded: U8 = cv2.cvtColor(cv2.imdecode(encoded, cv2.IMREAD_COLOR), cv2.COLOR_BGR2RGB)
    return decoded


def _light(rng: np.random.Generator, camera: Camera, geometry: Geometry) -> tuple[F32, F32 | None]:
    """Two maps (H, W) float32: the light that falls on the fundus, and the stray light at the rim, if there is any."""
    height, width = geometry.shape
    rows, columns = np.mgrid[0:SHADING_PX, 0:SHADING_PX].astype(np.float32)
    x = ((columns + 0.5) * (width / SHADING_PX) - geometry.centre_px[0]) / geometry.radius_px
    y = ((rows + 0.5) * (height / SHADING_PX) - geometry.centre_px[1]) / geometry.radius_px
    off_x, off_y = rng.normal(0, 0.2, 2)
    loss = camera.fall_off * rng.uniform(0.6, 1.4)
    shading = 1.08 - loss * np.minimum((x - off_x) ** 2 + (y - off_y) ** 2, 1.8)
    if rng.random() < 0.08:  # an opacity, an eyelash or a pupil too small throws a shadow
        at_x, at_y, size = rng.uniform(-0.7, 0.7), rng.uniform(-0.7, 0.7), rng.uniform(0.15, 0.4)
        shading *= 1 - rng.uniform(0.2, 0.55) * np.exp(-(((x - at_x) ** 2 + (y - at_y) ** 2) / size**2))
    size_px = (width, height)
    light: F32 = cv2.resize(np.maximum(shading, 0.05).astype(np.float32), size_px, interpolation=cv2.INTER_LINEAR)
    if rng.random() >= 0.35:
        return light, None
    side, width_of_rim = rng.uniform(0, 2 * np.pi), rng.uniform(0.04, 0.14)
    towards = np.clip(np.cos(np.arctan2(y, x) - side), 0, 1) ** 1.5
    stray = rng.uniform(0.3, 1.0) * towards * np.exp(-np.clip(1 - np.hypot(x, y), 0, 1) / width_of_rim)
    rim: F32 = cv2.resize(stray.astype(np.float32), size_px, interpolation=cv2.INTER_LINEAR)
    return light, rim
