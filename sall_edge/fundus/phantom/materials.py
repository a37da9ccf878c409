"""What a fundus is made of, from the choroid to the vitreous, and how each material changes the light.

Pigments absorb: light that passes an optical density d is weakened by exp(-absorbance * d) in each channel, which
keeps blood red and melanin brown whatever they lie on. Deposits reflect: they cover what lies below with their own
colour. Lesions are painted as (H, W) uint8 masks, one a material; `Marks` holds them and says of which disease.
"""

from dataclasses import dataclass, field
from enum import Enum

import cv2
import numpy as np
import numpy.typing as npt

from sall_edge.fundus.phantom.brush import paint_blobs, soften
from sall_edge.fundus.phantom.geometry import F32, U8, Geometry

__all__ = ["BLOOD", "MELANIN", "Disease", "Marks", "Material", "Planes", "absorb", "compose", "cover"]

Planes = list[F32]
"""Red, green and blue, each (H, W) float32, about 0 to 1."""

BLOOD = (0.30, 1.0, 0.85)
MELANIN = (0.75, 0.95, 1.0)

TRUTH_LEVEL = 64
"""A pixel belongs to a lesion when a quarter of full strength was painted on it."""


class Disease(str, Enum):
    """Which ground truth a mark belongs to; the value is the key of `Phantom.lesions`."""

    DR = "dr"
    AMD = "amd"


@dataclass(frozen=True, slots=True)
class Optics:
    """How a material looks: absorbance or colour in red, green and blue, opacity, and how soft its edges are."""

    colour: tuple[float, float, float]
    opacity: float
    softness_dd: float
    absorbs: bool


class Material(Enum):
    """Everything a lesion can be made of, deepest first: the order of compositing."""

    ATROPHY = Optics((0.98, 0.78, 0.48), 0.55, 0.015, absorbs=False)
    SOFT_DRUSEN = Optics((1.0, 0.80, 0.42), 0.68, 0.026, absorbs=False)
    DRUSEN = Optics((1.0, 0.82, 0.45), 0.6, 0.012, absorbs=False)
    PIGMENT = Optics(MELANIN, 0.68, 0.022, absorbs=True)
    FLUID = Optics((0.62, 0.50, 0.33), 0.5, 0.12, absorbs=False)
    DEEP_BLOOD = Optics((0.65, 1.35, 1.0), 0.9, 0.055, absorbs=True)
    SCAR = Optics((1.0, 0.88, 0.62), 0.75, 0.04, absorbs=False)
    DEEP_EXUDATE = Optics((1.0, 0.86, 0.42), 0.9, 0.008, absorbs=False)
    # The vessels lie here.
    IN_RETINA = Optics((0.42, 1.15, 0.85), 0.85, 0.016, absorbs=True)
    EXUDATE = Optics((1.0, 0.86, 0.40), 0.8, 0.010, absorbs=False)
    COTTON_WOOL = Optics((1.0, 0.90, 0.66), 0.72, 0.055, absorbs=False)
    NEW_VESSEL = Optics((0.30, 1.15, 0.9), 0.7, 0.006, absorbs=True)
    FIBROUS = Optics((0.95, 0.84, 0.58), 0.6, 0.09, absorbs=False)
    BEFORE_RETINA = Optics((0.42, 0.06, 0.05), 0.92, 0.035, absorbs=False)

    @property
    def is_below_vessels(self) -> bool:
        """Whether the retinal vessels cross it."""
        return _ORDER[self] < _ORDER[Material.IN_RETINA]


_ORDER = {material: depth for depth, material in enumerate(Material)}


@dataclass(frozen=True, slots=True)
class Marks:
    """The lesions of one eye as they are being painted.

    Attributes:
        geometry: Of the photograph.
        masks: (H, W) uint8 a disease and material; made when first painted on.
    """

    geometry: Geometry
    masks: dict[tuple[Disease, Material], U8] = field(default_factory=dict)

    def mask(self, disease: Disease, material: Material) -> U8:
        """(H, W) uint8, to paint on."""
        return self.masks.setdefault((disease, material), np.zeros(self.geometry.shape, dtype=np.uint8))

    def spots(
        self, disease: Disease, material: Material, places: F32, outlines: F32, strength: npt.NDArray[np.int_]
    ) -> None:
        """Paints spots.

        Args:
            disease: What they are a sign of.
            material: What they are made of.
            places: (n, 2) centres in disc diameters.
            outlines: (n, corners, 2) outlines around the origin in disc diameters.
            strength: (n,) 0 to 255.
        """
        pixels = self.geometry.pixels(outlines + places[:, None])
        paint_blobs(self.mask(disease, material), pixels, strength)

    def truth(self, disease: Disease, visible: U8) -> npt.NDArray[np.bool_]:
        """(H, W) bool: where the disease shows inside the field of view."""
        found = np.zeros(self.geometry.shape, dtype=np.bool_)
        for (owner, _), mask in self.masks.items():
            if owner is disease:
                found |= mask >= TRUTH_LEVEL
        return found & (visible > TRUTH_LEVEL)


def compose(planes: Planes, marks: Marks, materials: list[Material]) -> None:
    """Lets the painted materials change the light, in the given order; the planes change in place."""
    for material in materials:
        for (_, painted), mask in marks.masks.items():
            if painted is not material:
                continue
            box = _painted_box(mask, margin=int(4 * material.value.softness_dd * marks.geometry.dd_px) + 3)
            if box is None:
                continue
            alpha = soften(mask[box], material.value.softness_dd * marks.geometry.dd_px)
            amount = alpha.astype(np.float32) * np.float32(material.value.opacity / 255)
            if material.value.absorbs:
                absorb(planes, amount, material.value.colour, box)
            else:
                cover(planes, amount, material.value.colour, box)


def _painted_box(mask: U8, *, margin: int) -> tuple[slice, slice] | None:
    x, y, width, height = cv2.boundingRect(mask)
    if width == 0:
        return None
    return slice(max(y - margin, 0), y + height + margin), slice(max(x - margin, 0), x + width + margin)


def absorb(
    planes: Planes, density: F32, absorbance: tuple[float, float, float], box: tuple[slice, slice] = (slice(None),) * 2
) -> None:
    """Weakens the light inside a box by exp(-absorbance * density), in place."""
    for plane, strength in zip(planes, absorbance, strict=True):
        plane[box] *= np.exp(density * np.float32(-strength))


def cover(
    planes: Planes, alpha: F32, colour: tuple[float, float, float], box: tuple[slice, slice] = (slice(None),) * 2
) -> None:
    """Blends towards a colour inside a box by alpha in 0 to 1, in place."""
    for plane, value in zip(planes, colour, strict=True):
        plane[box] += alpha * (np.float32(value) - plane[box])
