"""A healthy fundus: choroid, macula, optic disc and the vessels' blood, as light before the camera."""

import cv2
import numpy as np

from sall_edge.fundus.phantom.brush import noise, paint_tubes, soften
from sall_edge.fundus.phantom.geometry import F32, FOVEA_DD, U8, Geometry
from sall_edge.fundus.phantom.materials import BLOOD, MELANIN, Planes, cover
from sall_edge.fundus.phantom.vessels import Kind, Vessel

__all__ = ["paint_choroid", "paint_disc", "paint_vessels"]

LENS = (0.06, 0.22, 0.75)
"""Absorbance of the lens, which yellows with age."""

VESSEL_DENSITY = {Kind.VEIN: 0.62, Kind.ARTERY: 0.34}
"""Optical density of the widest vessels; arteries are lighter, as oxygenated blood in a thinner column is."""

CORE_SHARE = {Kind.VEIN: 0.8, Kind.ARTERY: 0.62}
"""What the light that wide vessels reflect leaves of the density along their middle."""

LOW_RESOLUTION = 4
"""The choroid has no detail finer than this many pixels, so it is computed at a fraction of the size."""


def _distance_dd(geometry: Geometry, place: F32, shape: tuple[int, int]) -> F32:
    """(h, w) float32: distance to a place in disc diameters, on a grid laid over the whole frame."""
    x, y = geometry.pixels(place)
    height, width = geometry.shape
    rows = (np.arange(shape[0], dtype=np.float32) + 0.5) * (height / shape[0]) - np.float32(y)
    columns = (np.arange(shape[1], dtype=np.float32) + 0.5) * (width / shape[1]) - np.float32(x)
    distance: F32 = np.hypot(rows[:, None], columns[None, :]) / np.float32(geometry.dd_px)
    return distance


def paint_choroid(rng: np.random.Generator, geometry: Geometry) -> Planes:
    """The fundus without disc and vessels: red, green and blue, each (H, W) float32."""
    height, width = geometry.shape
    small = (-(-height // LOW_RESOLUTION), -(-width // LOW_RESOLUTION))
    cell = geometry.dd_px / LOW_RESOLUTION
    from_fovea, from_disc = (_distance_dd(geometry, np.asarray(p, np.float32), small) for p in (FOVEA_DD, (0, 0)))
    pigmentation = rng.beta(2, 2)
    blood = np.float32(rng.uniform(0.42, 0.68)) + 0.03 * noise(rng, small, cell_px=1.2 * cell)
    melanin = np.float32(0.05 + 0.5 * pigmentation) + 0.022 * noise(rng, small, cell_px=0.8 * cell, octaves=4)
    visible_choroid = np.float32(0.45 * rng.beta(0.8, 4)) * np.clip(from_fovea / 2.5 - 0.15, 0, 1)
    melanin += visible_choroid * _tessellation(rng, geometry, small)
    depth = rng.uniform(0.6, 1.3)
    melanin += np.float32(0.30 * depth) * np.exp(-((from_fovea / 0.85) ** 2))
    melanin += np.float32(0.32 * depth) * np.exp(-((from_fovea / rng.uniform(0.18, 0.3)) ** 2))
    sheen = np.float32(rng.uniform(0.02, 0.35)) * np.exp(-((from_disc / rng.uniform(1.0, 2.0)) ** 2))
    lens = rng.uniform(0.3, 1.3)
    grain = 1 + 0.009 * noise(rng, geometry.shape, cell_px=max(0.05 * geometry.dd_px, 2), octaves=2)
    planes = []
    for of_blood, of_melanin, of_lens in zip(BLOOD, MELANIN, LENS, strict=True):
        light = np.exp(-(of_blood * blood + of_melanin * melanin + of_lens * lens)) * (1 + sheen)
        planes.append(cv2.resize(light.astype(np.float32), (width, height), interpolation=cv2.INTER_LINEAR) * grain)
    if rng.random() < 0.35:
        _foveal_reflex(rng, geometry, planes)
    return planes


def _tessellation(rng: np.random.Generator, geometry: Geometry, shape: tuple[int, int]) -> F32:
    """(h, w) float32, about -0.5 to 0.5: pigment between the vessels of the choroid, which show as paler bands.

    The bands run away from the posterior pole: noise that is drawn in polar coordinates, coarse along the radius.
    """
    scale = geometry.shape[0] / shape[0]
    cell = geometry.dd_px / scale
    pole = geometry.pixels(np.array([1.0, 0.0], dtype=np.float32)) / np.float32(scale)
    rows, columns = np.mgrid[0 : shape[0], 0 : shape[1]].astype(np.float32)
    reach = np.hypot(rows - pole[1], columns - pole[0]) * np.float32(scale / geometry.dd_px)
    turn = np.arctan2(rows - pole[1], columns - pole[0]) + np.float32(0.05) * noise(rng, shape, cell_px=0.6 * cell)
    folds = noise(rng, (64, 256), cell_px=5, octaves=2)
    u = (turn / (2 * np.pi) + 0.5) * 256 + 5 * np.sin(1.6 * reach + rng.uniform(0, 6.3)).astype(np.float32)
    v = reach * 2 + np.float32(1.0) * noise(rng, shape, cell_px=0.8 * cell, octaves=2)
    pattern = cv2.remap(folds, u, v, cv2.INTER_CUBIC, borderMode=cv2.BORDER_WRAP)
    bands: F32 = (np.clip(np.abs(pattern) * 1.1, 0, 1) - np.float32(0.5)) * np.clip(reach / 2 - 0.3, 0, 1)
    return bands


def _foveal_reflex(rng: np.random.Generator, geometry: Geometry, planes: Planes) -> None:
    box = geometry.around(FOVEA_DD, 0.4)
    spot = np.zeros(geometry.shape, dtype=np.uint8)
    if spot[box].size == 0:  # the fovea lies beyond the frame, as in narrow fields that are centred on the disc
        return
    x, y = geometry.fovea_px
    cv2.circle(spot, (round(x), round(y)), max(round(0.035 * geometry.dd_px), 1), 255, -1, cv2.LINE_AA)
    alpha = soften(spot[box], 0.05 * geometry.dd_px).astype(np.float32) * np.float32(rng.uniform(0.2, 0.7) / 255)
    cover(planes, alpha, (1.0, 0.95, 0.85), box)


def paint_disc(rng: np.random.Generator, geometry: Geometry, planes: Planes) -> None:
    """The optic disc with its cup, and often a crescent of bare sclera on the side of the temple."""
    box = geometry.around(np.zeros(2, dtype=np.float32), 1.1)
    rows, columns = np.mgrid[box].astype(np.float32)
    if rows.size == 0:
        return
    points = geometry.anatomy(np.stack([columns, rows], axis=-1))
    x, y = points[..., 0] * 2, points[..., 1] * 2  # radii of the disc
    turns = np.arctan2(y, x)
    wobble = 1 + 0.03 * np.sin(2 * turns + rng.uniform(0, 6.3)) + 0.02 * np.sin(3 * turns + rng.uniform(0, 6.3))
    radius = np.hypot(x / rng.uniform(0.88, 1.0), y / rng.uniform(0.98, 1.08)) / wobble
    edge = rng.uniform(0.035, 0.09)
    if rng.random() < 0.5:
        crescent = _inside(np.hypot(x - rng.uniform(0.05, 0.2), y) / rng.uniform(1.05, 1.15), edge)
        cover(planes, np.float32(rng.uniform(0.15, 0.5)) * crescent, (1.0, 0.80, 0.55), box)
    pallor = rng.uniform(-0.06, 0.06)
    disc = _inside(radius, edge)
    texture = 1 + 0.04 * noise(rng, disc.shape, cell_px=max(0.2 * geometry.dd_px, 2), octaves=2)
    cover(planes, np.float32(0.9) * disc * np.clip(texture, 0, 1.1), (1.02, 0.66 + pallor, 0.40 + pallor), box)
    cover(planes, 0.35 * disc * np.clip(x + 0.3, 0, 1), (1.02, 0.82, 0.56), box)  # the temple's side is paler
    cup_radius = rng.uniform(0.25, 0.6)
    cup = _inside(np.hypot(x - 0.08, y) / cup_radius, rng.uniform(0.15, 0.35))
    cover(planes, np.float32(rng.uniform(0.5, 0.85)) * cup, (1.05, 0.97, 0.76), box)


def _inside(radius: F32, edge: float) -> F32:
    """1 inside the unit circle, 0 outside, with a soft edge."""
    inside: F32 = (1 / (1 + np.exp(np.clip((radius - 1) / np.float32(edge), -30, 30)))).astype(np.float32)
    return inside


def paint_vessels(geometry: Geometry, planes: Planes, vessels: list[Vessel]) -> None:
    """Lets the blood of the vessels, finest first, absorb light; wide arteries and veins keep a bright core."""
    height, width = geometry.shape
    density = np.zeros((height, width), dtype=np.float32)
    for kind in Kind:
        blood = vessel_mask(geometry, [vessel for vessel in vessels if vessel.kind is kind])
        density += soften(blood, 0.009 * geometry.dd_px) * np.float32(VESSEL_DENSITY[kind] / 255)
    for plane, strength in zip(planes, BLOOD, strict=True):
        plane *= np.exp(density * np.float32(-strength))


def vessel_mask(geometry: Geometry, vessels: list[Vessel]) -> U8:
    """(H, W) uint8: the blood column of every vessel, weaker where it is thin, with a paler core where it is wide."""
    mask = np.zeros(geometry.shape, dtype=np.uint8)
    lines = [geometry.pixels(vessel.line) for vessel in vessels]
    widths = [np.maximum(vessel.calibre * geometry.dd_px, 1.0) for vessel in vessels]
    strengths = [int(255 * np.clip(0.25 + vessel.calibre[0] / 0.06, 0.35, 1)) for vessel in vessels]
    paint_tubes(mask, lines, widths, strengths)
    core = [(width > 4).sum() for width in widths]
    wide = [i for i, vessel in enumerate(vessels) if vessel.calibre[0] > 0.04 and core[i] > 2]
    paint_tubes(
        mask,
        [lines[i][: core[i]] for i in wide],
        [widths[i][: core[i]] * np.float32(0.3) for i in wide],
        [int(strengths[i] * CORE_SHARE[vessels[i].kind]) for i in wide],
    )
    return mask
