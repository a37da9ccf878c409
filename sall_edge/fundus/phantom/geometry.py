"""Where things are in a phantom: anatomy in disc diameters, the camera's aperture in pixels.

The anatomy has its origin in the optic disc, x to the temple and y upwards, in optic disc diameters (DD, about
1.85 mm); a photograph has x to the right and y downwards. A right eye has its disc on the right of the photograph.
"""

import math
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

__all__ = ["F32", "FOVEA_DD", "U8", "Aperture", "Geometry", "Layout", "geometry_of_photograph"]

U8 = npt.NDArray[np.uint8]
F32 = npt.NDArray[np.float32]

FOVEA_DD = np.array([2.6, -0.3], dtype=np.float32)
"""The fovea lies about 4.9 mm to the temple of the disc and a little below it."""

SUBPIXEL_BITS = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Aperture:
    """The shape of a camera's field stop in its frame.

    Attributes:
        aspect: Width of the frame over its height.
        radius: Radius of the field over the height of the frame; above a half, the frame cuts it.
        cut: Half height that the field is cut to at top and bottom, over the height of the frame; 0.5 cuts nothing.
        notch: Side of the triangular orientation mark at the rim over the radius; 0 for none.
    """

    aspect: float = 1.0
    radius: float = 0.5
    cut: float = 0.5
    notch: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """How the eye was pointed at: all that is not the camera's.

    Attributes:
        disc_diameters: Optic disc diameters across the field.
        towards_disc: 0 centres the field on the fovea, 1 on the disc.
        shift: (2,) offset of the anatomy, over the radius of the field.
        tilt: Rotation of the anatomy in radians.
    """

    disc_diameters: float
    towards_disc: float
    shift: tuple[float, float]
    tilt: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Geometry:
    """Maps the anatomy to one photograph, and says what its camera can see.

    Attributes:
        shape: (height, width) of the frame in pixels.
        centre_px: (x, y) of the field's centre.
        radius_px: Radius of the field.
        cut_px: Half height of the field where it is cut, measured from the centre.
        notch_px: Side of the orientation mark.
        dd_px: Optic disc diameter.
        disc_px: (x, y) of the optic disc.
        axes: (2, 2) float32; a row vector in disc diameters times this is an offset from the disc in pixels.
    """

    shape: tuple[int, int]
    centre_px: tuple[float, float]
    radius_px: float
    cut_px: float
    notch_px: float
    dd_px: float
    disc_px: tuple[float, float]
    axes: F32

    def pixels(self, points: F32) -> F32:
        """Pixel positions (..., 2) of anatomical points (..., 2)."""
        placed: F32 = points @ self.axes + np.array(self.disc_px, dtype=np.float32)
        return placed

    def anatomy(self, positions: F32) -> F32:
        """Anatomical points (..., 2) of pixel positions (..., 2)."""
        offsets = positions - np.array(self.disc_px, dtype=np.float32)
        points: F32 = offsets @ np.linalg.inv(self.axes)
        return points.astype(np.float32, copy=False)

    @property
    def fovea_px(self) -> tuple[float, float]:
        """(x, y) of the fovea."""
        x, y = self.pixels(FOVEA_DD)
        return float(x), float(y)

    def is_visible(self, points: F32, margin_dd: float) -> npt.NDArray[np.bool_]:
        """(n,) bool: which anatomical points (n, 2) the camera sees, at least `margin_dd` inside the field."""
        x, y = np.moveaxis(self.pixels(points), -1, 0)
        margin_px = margin_dd * self.dd_px
        height, width = self.shape
        dx, dy = x - self.centre_px[0], y - self.centre_px[1]
        in_field = (np.hypot(dx, dy) < self.radius_px - margin_px) & (np.abs(dy) < self.cut_px - margin_px)
        in_frame = (x > margin_px) & (x < width - margin_px) & (y > margin_px) & (y < height - margin_px)
        visible: npt.NDArray[np.bool_] = in_field & in_frame
        return visible

    def field_mask(self) -> U8:
        """(H, W) uint8: 255 inside the field, antialiased at the rim, 0 outside."""
        mask = np.zeros(self.shape, dtype=np.uint8)
        x, y = self.centre_px
        scale = 1 << SUBPIXEL_BITS
        centre = (round(x * scale), round(y * scale))
        cv2.circle(mask, centre, round(self.radius_px * scale), 255, -1, cv2.LINE_AA, SUBPIXEL_BITS)
        mask[: max(math.ceil(y - self.cut_px), 0)] = 0
        mask[max(math.floor(y + self.cut_px), 0) + 1 :] = 0
        if self.notch_px > 0:
            half = self.notch_px * 0.6
            top = y - min(self.radius_px, self.cut_px)
            mark = np.array([[x - half, top + 1], [x, top - self.notch_px], [x + half, top + 1]])
            cv2.fillPoly(mask, [np.round(mark * scale).astype(np.int32)], 255, cv2.LINE_AA, SUBPIXEL_BITS)
        return mask

    def around(self, centre_dd: F32, radius_dd: float) -> tuple[slice, slice]:
        """The (rows, columns) of the frame within `radius_dd` of an anatomical point."""
        x, y = self.pixels(centre_dd)
        reach = radius_dd * self.dd_px
        height, width = self.shape
        rows = slice(int(np.clip(y - reach, 0, height)), int(np.clip(y + reach + 1, 0, height)))
        columns = slice(int(np.clip(x - reach, 0, width)), int(np.clip(x + reach + 1, 0, width)))
        return rows, columns


def geometry_of_photograph(*, side_px: int, aperture: Aperture, layout: Layout, eye: str) -> Geometry:
    """The geometry of one photograph whose frame is `side_px` high."""
    shape = (side_px, round(side_px * aperture.aspect))
    centre = np.array([shape[1] / 2 - 0.5, shape[0] / 2 - 0.5], dtype=np.float32)
    radius_px = aperture.radius * side_px
    dd_px = 2 * radius_px / layout.disc_diameters
    temporal = -1.0 if eye == "R" else 1.0  # the direction of the temple in the photograph
    cosine, sine = math.cos(layout.tilt), math.sin(layout.tilt)
    turn = np.array([[cosine, sine], [-sine, cosine]])
    axes = (np.array([[temporal, 0.0], [0.0, -1.0]]) @ turn * dd_px).astype(np.float32)
    aimed_at = FOVEA_DD * (1 - layout.towards_disc)
    disc = centre - aimed_at @ axes + np.array(layout.shift, dtype=np.float32) * radius_px
    return Geometry(
        shape=shape,
        centre_px=(float(centre[0]), float(centre[1])),
        radius_px=radius_px,
        cut_px=aperture.cut * side_px,
        notch_px=aperture.notch * radius_px,
        dd_px=float(dd_px),
        disc_px=(float(disc[0]), float(disc[1])),
        axes=axes,
    )
