"""Diabetic retinopathy as the ICDR scale grades it, painted into `Marks`.

Grade 1 has microaneurysms only; 2 more than that; 3 meets at least one of the 4-2-1 rules (more than 20 haemorrhages
in each of four quadrants, venous beading in two, intraretinal microvascular abnormalities in one); 4 has new vessels,
with or without bleeding before the retina. Sizes are in disc diameters of 1.85 mm.
"""

import math
from dataclasses import dataclass

import numpy as np

from sall_edge.fundus.phantom.brush import blobs, paint_tubes
from sall_edge.fundus.phantom.geometry import F32, FOVEA_DD, Geometry
from sall_edge.fundus.phantom.materials import Disease, Marks, Material
from sall_edge.fundus.phantom.vessels import Kind, Vessel, new_vessels

__all__ = ["Burden", "bead_veins", "burden_of_grade", "paint_diabetic_lesions", "places_in_field"]

SMALLEST_PX = 0.8
"""No spot is painted smaller than this radius, or it would leave no trace in the truth."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Burden:
    """How many lesions of each kind an eye has."""

    microaneurysms: int = 0
    blots_in_quadrant: tuple[int, ...] = (0, 0, 0, 0)
    flames: int = 0
    exudate_clusters: int = 0
    cotton_wool_spots: int = 0
    microvascular_abnormalities: int = 0
    beaded_arcades: int = 0
    new_vessel_fronds: int = 0
    preretinal_bleedings: int = 0


def burden_of_grade(rng: np.random.Generator, grade: int) -> Burden:
    """Draws how many lesions an eye of ICDR grade 0 to 4 has."""
    if grade == 1:
        return Burden(microaneurysms=int(rng.integers(3, 12)))
    if grade == 2:
        blots = [int(n) for n in rng.integers(0, 5, 4)]
        blots[int(rng.integers(4))] += int(rng.integers(2, 9))
        return Burden(
            microaneurysms=int(rng.integers(5, 25)),
            blots_in_quadrant=tuple(blots),
            flames=int(rng.integers(0, 4)),
            exudate_clusters=int(rng.choice([0, 1, 2, 3], p=[0.25, 0.35, 0.25, 0.15])),
            cotton_wool_spots=int(rng.choice([0, 1, 2], p=[0.65, 0.2, 0.15])),
        )
    by_count, by_beading, by_abnormality = rng.random(3) < (0.7, 0.4, 0.4)
    if not (by_beading or by_abnormality):
        by_count = np.True_
    blots = [int(n) for n in (rng.integers(21, 36, 4) if by_count else rng.integers(6, 18, 4))]
    return Burden(
        microaneurysms=int(rng.integers(20, 60)),
        blots_in_quadrant=tuple(blots),
        flames=int(rng.integers(2, 9)),
        exudate_clusters=int(rng.integers(0, 5)),
        cotton_wool_spots=int(rng.integers(1, 8)),
        microvascular_abnormalities=int(rng.integers(1, 5)) if by_abnormality else 0,
        beaded_arcades=int(rng.integers(2, 5)) if by_beading else 0,
        new_vessel_fronds=int(rng.integers(1, 4)) if grade == 4 else 0,
        preretinal_bleedings=int(rng.choice([0, 1, 2], p=[0.35, 0.45, 0.2])) if grade == 4 else 0,
    )


def bead_veins(rng: np.random.Generator, vessels: list[Vessel], *, arcades: int) -> tuple[list[Vessel], list[Vessel]]:
    """The tree with that many great veins beaded, and the beaded stretches by themselves."""
    great = [vessel for vessel in vessels if vessel.kind is Kind.VEIN and vessel.calibre[0] > 0.06]
    chosen = [great[i] for i in rng.permutation(len(great))[:arcades]]
    beaded = []
    for vein in chosen:
        length = np.arange(len(vein.line)) * np.linalg.norm(np.diff(vein.line, axis=0), axis=1).mean()
        swelling = 1 + 0.5 * np.maximum(np.sin(2 * np.pi * length / 0.24), -0.3)
        calibre = (vein.calibre * swelling).astype(np.float32)
        beaded.append(Vessel(kind=vein.kind, arcade=vein.arcade, line=vein.line, calibre=calibre))
    untouched = [vessel for vessel in vessels if not any(vessel is vein for vein in chosen)]
    return untouched + beaded, beaded


def paint_diabetic_lesions(rng: np.random.Generator, marks: Marks, burden: Burden) -> None:
    """Paints everything that the burden names, except beading, which belongs to the vessels."""
    _microaneurysms(rng, marks, burden.microaneurysms)
    for quadrant, count in enumerate(burden.blots_in_quadrant):
        _blots(rng, marks, quadrant, count)
    _flames(rng, marks, burden.flames)
    for _ in range(burden.exudate_clusters):
        _exudates(rng, marks)
    _cotton_wool_spots(rng, marks, burden.cotton_wool_spots)
    for place in places_in_field(rng, marks.geometry, burden.microvascular_abnormalities, margin_dd=0.5):
        lines = new_vessels(rng, place, radius_dd=0.28, count=4)
        _thin_vessels(marks, Material.IN_RETINA, lines, calibre_dd=0.018, strength=150)
    for frond in range(burden.new_vessel_fronds):
        _frond(rng, marks, at_disc=frond == 0 and rng.random() < 0.5)
    for _ in range(burden.preretinal_bleedings):
        _preretinal_bleeding(rng, marks)


def places_in_field(
    rng: np.random.Generator, geometry: Geometry, count: int, *, margin_dd: float, quadrant: int | None = None
) -> F32:
    """(count, 2) float32: places in disc diameters that the camera sees, off the disc and the foveal pit.

    A quadrant, 0 to 3, is one of the field of view's own.
    """
    chosen = [np.empty((0, 2), dtype=np.float32)]
    centre = np.array(geometry.centre_px, dtype=np.float32)
    while sum(map(len, chosen)) < count:
        reach = geometry.radius_px * np.sqrt(rng.uniform(0, 1, 4 * count + 16))
        turn = rng.uniform(0, 2 * np.pi, len(reach)) if quadrant is None else rng.uniform(0, np.pi / 2, len(reach))
        turn += (quadrant or 0) * np.pi / 2
        pixels = centre + np.stack([reach * np.cos(turn), reach * np.sin(turn)], axis=1).astype(np.float32)
        points = geometry.anatomy(pixels)
        free = np.linalg.norm(points, axis=1) > 0.75
        free &= np.linalg.norm(points - FOVEA_DD, axis=1) > 0.2
        chosen.append(points[free & geometry.is_visible(points, margin_dd)])
    return np.concatenate(chosen)[:count]


def _spots(
    rng: np.random.Generator, marks: Marks, material: Material, places: F32, radii: F32, *, roughness: float, least: int
) -> None:
    radii = np.maximum(radii, SMALLEST_PX / marks.geometry.dd_px)
    outlines = blobs(rng, radii, roughness=roughness, elongation=1 + roughness)
    marks.spots(Disease.DR, material, places, outlines, rng.integers(least, 256, len(outlines)))


def _microaneurysms(rng: np.random.Generator, marks: Marks, count: int) -> None:
    places = places_in_field(rng, marks.geometry, count, margin_dd=0.15)
    radii = rng.uniform(0.010, 0.024, count).astype(np.float32)  # up to 90 micrometres across
    _spots(rng, marks, Material.IN_RETINA, places, radii, roughness=0.1, least=150)


def _blots(rng: np.random.Generator, marks: Marks, quadrant: int, count: int) -> None:
    places = places_in_field(rng, marks.geometry, count, margin_dd=0.15, quadrant=quadrant)
    radii = np.clip(rng.lognormal(math.log(0.034), 0.5, count), 0.022, 0.16).astype(np.float32)
    _spots(rng, marks, Material.IN_RETINA, places, radii, roughness=0.35, least=130)


def _flames(rng: np.random.Generator, marks: Marks, count: int) -> None:
    """Haemorrhages between the nerve fibres: feathered, and directed away from the disc."""
    mask = marks.mask(Disease.DR, Material.IN_RETINA)
    t = np.linspace(-0.5, 0.5, 5)[:, None]
    width = (0.045 * np.cos(2.5 * t[:, 0]) * marks.geometry.dd_px).astype(np.float32)
    for place in places_in_field(rng, marks.geometry, count, margin_dd=0.25):
        length = rng.uniform(0.12, 0.32)
        away = math.atan2(place[1], place[0]) + rng.normal(0, 0.2)
        along = np.array([math.cos(away), math.sin(away)], dtype=np.float32)
        across = np.array([-along[1], along[0]], dtype=np.float32)
        n = int(rng.integers(6, 12))
        starts = rng.normal(0, length * 0.13, (n, 1)) * across + rng.normal(0, length * 0.15, (n, 1)) * along
        lengths = length * rng.uniform(0.5, 1.1, (n, 1, 1))
        lines = marks.geometry.pixels((place + starts[:, None] + lengths * t * along).astype(np.float32))
        paint_tubes(mask, list(lines), [width] * n, rng.integers(180, 256, n).tolist())


def _exudates(rng: np.random.Generator, marks: Marks) -> None:
    """A cluster, or a circinate ring around a leaking spot, in or near the macula."""
    while True:
        centre = FOVEA_DD + rng.normal(0, 1.1, 2).astype(np.float32)
        if np.linalg.norm(centre) > 1.1 and marks.geometry.is_visible(centre[None], 0.3)[0]:
            break
    count = int(rng.integers(12, 70))
    turn = rng.uniform(0, 2 * np.pi, count)
    if rng.random() < 0.4:
        arc = rng.uniform(0, 2 * np.pi) + turn * rng.uniform(0.4, 1)
        turn, reach = arc, rng.uniform(0.25, 0.7) * (1 + rng.normal(0, 0.12, count))
    else:
        reach = np.abs(rng.normal(0, rng.uniform(0.15, 0.45), count))
    places = centre + np.stack([reach * np.cos(turn), reach * np.sin(turn)], axis=1).astype(np.float32)
    radii = np.clip(rng.lognormal(math.log(0.019), 0.6, count), 0.01, 0.09).astype(np.float32)
    _spots(rng, marks, Material.EXUDATE, places, radii, roughness=0.6, least=150)


def _cotton_wool_spots(rng: np.random.Generator, marks: Marks, count: int) -> None:
    """Infarcts of the nerve fibre layer: pale and soft."""
    for place in places_in_field(rng, marks.geometry, count, margin_dd=0.3):
        outline = blobs(rng, rng.uniform(0.09, 0.18, 1), roughness=0.5, elongation=1.8)
        marks.spots(Disease.DR, Material.COTTON_WOOL, place[None], outline, rng.integers(170, 256, 1))


def _thin_vessels(marks: Marks, material: Material, lines: list[F32], *, calibre_dd: float, strength: int) -> None:
    mask = marks.mask(Disease.DR, material)
    width_px = max(calibre_dd * marks.geometry.dd_px, 1.0)
    tapers = [np.linspace(1, 0.6, len(line), dtype=np.float32) * np.float32(width_px) for line in lines]
    paint_tubes(mask, [marks.geometry.pixels(line) for line in lines], tapers, [strength] * len(lines))


def _frond(rng: np.random.Generator, marks: Marks, *, at_disc: bool) -> None:
    """New vessels, on the disc or elsewhere, now and then with fibrous tissue."""
    if at_disc:
        place = rng.normal(0, 0.15, 2).astype(np.float32)
    else:
        place = places_in_field(rng, marks.geometry, 1, margin_dd=0.5)[0]
    radius = rng.uniform(0.4, 0.9)
    lines = new_vessels(rng, place, radius_dd=radius, count=int(rng.integers(14, 30)))
    _thin_vessels(marks, Material.NEW_VESSEL, lines, calibre_dd=0.017, strength=210)
    if rng.random() < 0.4:
        outline = blobs(rng, np.array([radius * 0.6]), roughness=0.5, elongation=7)
        marks.spots(Disease.DR, Material.FIBROUS, place[None], outline, rng.integers(90, 200, 1))


def _preretinal_bleeding(rng: np.random.Generator, marks: Marks) -> None:
    """Blood before the retina: large, hides the vessels, often a boat with a level top."""
    place = places_in_field(rng, marks.geometry, 1, margin_dd=0.6)[0]
    radius = rng.uniform(0.3, 0.9)
    outline = blobs(rng, np.array([radius]), roughness=0.35, elongation=1.5)
    if rng.random() < 0.6:
        outline[..., 1] = np.minimum(outline[..., 1], radius * 0.15)  # the cells sink, the serum stays above
    marks.spots(Disease.DR, Material.BEFORE_RETINA, place[None], outline, rng.integers(170, 256, 1))
