"""One synthetic fundus photograph with known grades."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from sall_edge.fundus.field import FieldOfView
from sall_edge.fundus.phantom.background import paint_choroid, paint_disc, paint_vessels, vessel_mask
from sall_edge.fundus.phantom.camera import CAMERAS, layout_of_photograph, take_photograph
from sall_edge.fundus.phantom.diabetic import bead_veins, burden_of_grade, paint_diabetic_lesions
from sall_edge.fundus.phantom.geometry import U8, Geometry, Layout, geometry_of_photograph
from sall_edge.fundus.phantom.macular import paint_macular_lesions
from sall_edge.fundus.phantom.materials import Disease, Marks, Material, Planes, compose
from sall_edge.fundus.phantom.vessels import Vessel, grow_vessels

__all__ = ["AMD_GRADES", "DR_GRADES", "Phantom", "draw_phantom"]

DR_GRADES = 5
AMD_GRADES = 4
SMALLEST_SIDE_PX = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class Phantom:
    """A synthetic fundus photograph and the truth about it.

    Attributes:
        pixels: (side, width, 3) uint8 RGB, black outside the field of view.
        dr_grade: ICDR grade of diabetic retinopathy, 0 to 4.
        amd_grade: Grade of age-related macular degeneration, 0 to 3.
        eye: "L" or "R".
        field: The circle that holds the retina.
        lesions: (side, width) bool under "dr" and "amd": where the disease shows; all False for grade 0.
        optic_disc_xy: Centre of the optic disc in pixels; it may lie beyond the rim.
        fovea_xy: The fovea in pixels.
    """

    pixels: U8
    dr_grade: int
    amd_grade: int
    eye: str
    field: FieldOfView
    lesions: dict[str, npt.NDArray[np.bool_]]
    optic_disc_xy: tuple[float, float]
    fovea_xy: tuple[float, float]


def draw_phantom(
    rng: np.random.Generator,
    *,
    side_px: int = 768,
    dr_grade: int,
    amd_grade: int,
    eye: str,
    layout: Layout | None = None,
) -> Phantom:
    """A photograph by a random camera of a random eye that has these grades.

    Args:
        rng: Source of randomness; the same state gives the same phantom.
        side_px: Height of the frame; its width follows from the camera (1 to 1.2 times the height).
        dr_grade, amd_grade, eye: As in `Phantom`.
        layout: How the eye was pointed at, for views that photographers are asked for; None: at random, towards the
            macula or between it and the disc. Camera and vessels are the same either way.

    Raises:
        ValueError: A grade, the eye or the side is out of range.
    """
    _check(side_px, dr_grade, amd_grade, eye)
    camera = CAMERAS[int(rng.integers(len(CAMERAS)))]
    at_random = layout_of_photograph(rng, camera)
    geometry = geometry_of_photograph(side_px=side_px, aperture=camera.aperture, layout=layout or at_random, eye=eye)
    marks = Marks(geometry)
    vessels = grow_vessels(rng)
    beaded: list[Vessel] = []
    if dr_grade:
        burden = burden_of_grade(rng, dr_grade)
        vessels, beaded = bead_veins(rng, vessels, arcades=burden.beaded_arcades)
        paint_diabetic_lesions(rng, marks, burden)
    paint_macular_lesions(rng, marks, amd_grade)

    planes = _light_of_fundus(rng, geometry, marks, vessels)
    visible = geometry.field_mask()
    truth = {disease.value: marks.truth(disease, visible) for disease in Disease}
    if beaded:
        truth["dr"] |= (vessel_mask(geometry, beaded) > 0) & (visible > 0)
    x, y = geometry.centre_px
    return Phantom(
        pixels=take_photograph(rng, camera, geometry, planes, visible),
        dr_grade=dr_grade,
        amd_grade=amd_grade,
        eye=eye,
        field=FieldOfView(center_x_px=x, center_y_px=y, radius_px=geometry.radius_px),
        lesions=truth,
        optic_disc_xy=geometry.disc_px,
        fovea_xy=geometry.fovea_px,
    )


def _light_of_fundus(rng: np.random.Generator, geometry: Geometry, marks: Marks, vessels: list[Vessel]) -> Planes:
    """Healthy tissue and lesions, layer upon layer: red, green and blue, each (H, W) float32."""
    planes = paint_choroid(rng, geometry)
    compose(planes, marks, [material for material in Material if material.is_below_vessels])
    paint_disc(rng, geometry, planes)
    paint_vessels(geometry, planes, vessels)
    compose(planes, marks, [material for material in Material if not material.is_below_vessels])
    return planes


def _check(side_px: int, dr_grade: int, amd_grade: int, eye: str) -> None:
    if side_px < SMALLEST_SIDE_PX:
        raise ValueError(f"side_px is {side_px}; lesions need at least {SMALLEST_SIDE_PX}")
    if dr_grade not in range(DR_GRADES):
        raise ValueError(f"dr_grade is {dr_grade}; ICDR grades are 0 to {DR_GRADES - 1}")
    if amd_grade not in range(AMD_GRADES):
        raise ValueError(f"amd_grade is {amd_grade}; AMD grades are 0 to {AMD_GRADES - 1}")
    if eye not in ("L", "R"):
        raise ValueError(f"eye is {eye!r}; write 'L' or 'R'")
