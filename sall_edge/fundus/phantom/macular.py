"""Age-related macular degeneration, grades 0 to 3, painted into `Marks`.

Grade 1 (early) has small and medium drusen, up to 125 micrometres; 2 (intermediate) large drusen or pigment changes;
3 (late) geographic atrophy, or new choroidal vessels that bleed, leak and scar. A disc diameter is 1.85 mm, so that
125 micrometres are 0.068 of it.
"""

import numpy as np

from sall_edge.fundus.phantom.brush import blobs
from sall_edge.fundus.phantom.geometry import F32, FOVEA_DD
from sall_edge.fundus.phantom.materials import Disease, Marks, Material

__all__ = ["paint_macular_lesions"]

MEDIUM_DD = 0.034
LARGE_DD = 0.068
"""Diameters from which drusen are medium (63 micrometres) and large (125 micrometres)."""

SMALLEST_PX = 0.8


def paint_macular_lesions(rng: np.random.Generator, marks: Marks, grade: int) -> None:
    """Paints the signs of a grade of AMD; nothing for grade 0."""
    if grade == 1:
        _drusen(rng, marks, Material.DRUSEN, int(rng.integers(6, 25)), (0.020, LARGE_DD * 0.9), spread_dd=0.9)
    elif grade == 2:
        has_large, has_pigment = rng.random() < 0.85, rng.random() < 0.45
        _drusen(rng, marks, Material.DRUSEN, int(rng.integers(10, 50)), (MEDIUM_DD, LARGE_DD), spread_dd=0.9)
        if has_large or not has_pigment:
            count = int(rng.integers(8, 45))
            _drusen(rng, marks, Material.SOFT_DRUSEN, count, (LARGE_DD * 1.1, 0.19), spread_dd=rng.uniform(0.4, 0.85))
        if has_pigment or not has_large:
            _pigment(rng, marks, int(rng.integers(3, 11)), spread_dd=0.35)
    elif grade == 3:
        _drusen(rng, marks, Material.DRUSEN, int(rng.integers(0, 35)), (MEDIUM_DD, LARGE_DD), spread_dd=1.0)
        _drusen(rng, marks, Material.SOFT_DRUSEN, int(rng.integers(0, 15)), (LARGE_DD, 0.18), spread_dd=0.9)
        if rng.random() < 0.4:
            _geographic_atrophy(rng, marks)
        else:
            _neovascular(rng, marks)


def _around_fovea(rng: np.random.Generator, marks: Marks, count: int, spread_dd: float) -> F32:
    """(count, 2) float32: places about the fovea that the camera sees, off the disc."""
    chosen = [np.empty((0, 2), dtype=np.float32)]
    while sum(map(len, chosen)) < count:
        places = FOVEA_DD + rng.normal(0, spread_dd, (2 * count + 8, 2)).astype(np.float32)
        free = np.linalg.norm(places, axis=1) > 0.8
        chosen.append(places[free & marks.geometry.is_visible(places, 0.12)])
    return np.concatenate(chosen)[:count]


def _drusen(
    rng: np.random.Generator,
    marks: Marks,
    material: Material,
    count: int,
    diameters_dd: tuple[float, float],
    *,
    spread_dd: float,
) -> None:
    places = _around_fovea(rng, marks, count, spread_dd)
    low, high = diameters_dd
    radii = np.maximum((low + (high - low) * rng.power(0.7, count)) / 2, SMALLEST_PX / marks.geometry.dd_px)
    outlines = blobs(rng, radii, roughness=0.2)
    least = rng.integers(110, 190)
    marks.spots(Disease.AMD, material, places, outlines, rng.integers(least, 256, count))


def _pigment(rng: np.random.Generator, marks: Marks, count: int, *, spread_dd: float) -> None:
    """Clumps of melanin, with paler places beside them where it is gone."""
    places = _around_fovea(rng, marks, count, spread_dd)
    outlines = blobs(rng, rng.uniform(0.025, 0.085, count), roughness=0.6, elongation=2.5)
    marks.spots(Disease.AMD, Material.PIGMENT, places, outlines, rng.integers(120, 256, count))
    pale = places + rng.normal(0, 0.15, places.shape).astype(np.float32)
    marks.spots(Disease.AMD, Material.ATROPHY, pale, outlines[::-1], rng.integers(60, 130, count))


def _patch(
    rng: np.random.Generator,
    marks: Marks,
    material: Material,
    centre: F32,
    radius: float,
    *,
    roughness: float,
    strength: tuple[int, int],
) -> None:
    outline = blobs(rng, np.array([radius]), roughness=roughness, elongation=1.6)
    marks.spots(Disease.AMD, material, centre[None], outline, rng.integers(*strength, 1))


def _geographic_atrophy(rng: np.random.Generator, marks: Marks) -> None:
    """One to three patches with sharp borders through which the choroid shows."""
    for patch in range(int(rng.integers(1, 4))):
        centre = FOVEA_DD + rng.normal(0, 0.12 if patch == 0 else 0.6, 2).astype(np.float32)
        radius = rng.uniform(0.45, 1.0) if patch == 0 else rng.uniform(0.2, 0.45)
        _patch(rng, marks, Material.ATROPHY, centre, radius, roughness=0.55, strength=(185, 256))
        count = int(rng.integers(3, 9))  # islands of pigment that are left, and the larger vessels of the choroid
        islands = centre + rng.normal(0, radius * 0.4, (count, 2)).astype(np.float32)
        outlines = blobs(rng, radius * rng.uniform(0.06, 0.17, count), roughness=0.6, elongation=6)
        marks.spots(Disease.AMD, Material.ATROPHY, islands, outlines, rng.integers(90, 170, count))
    _pigment(rng, marks, int(rng.integers(2, 8)), spread_dd=0.6)


def _neovascular(rng: np.random.Generator, marks: Marks) -> None:
    """New choroidal vessels: a grey elevation with blood, a ring of exudate, in late stages a scar."""
    centre = FOVEA_DD + rng.normal(0, 0.2, 2).astype(np.float32)
    radius = rng.uniform(0.4, 0.9)
    _patch(rng, marks, Material.FLUID, centre, radius * 1.3, roughness=0.25, strength=(100, 230))
    is_scar = rng.random() < 0.35
    if is_scar:
        _patch(rng, marks, Material.SCAR, centre, radius * 0.75, roughness=0.5, strength=(160, 256))
        _pigment(rng, marks, int(rng.integers(3, 9)), spread_dd=radius * 0.5)
    if not is_scar or rng.random() < 0.4:
        for _ in range(int(rng.integers(1, 5))):
            pool = centre + rng.normal(0, radius * 0.5, 2).astype(np.float32)
            size = radius * rng.uniform(0.3, 0.75)
            _patch(rng, marks, Material.DEEP_BLOOD, pool, size, roughness=0.6, strength=(130, 256))
    if rng.random() < 0.7:
        _exudate_ring(rng, marks, centre, radius * rng.uniform(1.1, 1.7))


def _exudate_ring(rng: np.random.Generator, marks: Marks, centre: F32, radius: float) -> None:
    count = int(rng.integers(20, 80))
    turn = rng.uniform(0, 2 * np.pi) + rng.uniform(0, rng.uniform(1.5, 6.2), count)
    reach = radius * (1 + rng.normal(0, 0.1, count))
    places = centre + np.stack([reach * np.cos(turn), reach * np.sin(turn)], axis=1).astype(np.float32)
    radii = np.maximum(rng.uniform(0.012, 0.055, count), SMALLEST_PX / marks.geometry.dd_px)
    outlines = blobs(rng, radii, roughness=0.6)
    marks.spots(Disease.AMD, Material.DEEP_EXUDATE, places, outlines, rng.integers(150, 256, count))
