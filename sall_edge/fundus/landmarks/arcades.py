"""How well the vessels of a photograph fit the vessels that leave the disc of a right eye, wherever the disc is.

The great vessels leave the disc upwards and downwards; the temporal ones arch around the macula, the nasal ones run on
straight. Knowing the course, every place of the disc foretells the direction of vessels all over the photograph, and
their agreement is one correlation. The idea is Foracchia et al., "Detection of optic disc in retinal images by means of
a geometrical model of vessel structure", IEEE TMI 23 (2004); theirs are parabolas fitted to a segmentation.
"""

from functools import lru_cache

import cv2
import numpy as np
import numpy.typing as npt

from sall_edge.fundus.landmarks.retina import F32, GRID, GRID_DD
from sall_edge.fundus.landmarks.vessels import VesselMap

__all__ = ["arcade_agreement"]

Path = tuple[tuple[float, float], ...]

MIRRORED_COURSES: tuple[tuple[float, Path], ...] = (
    (1.0, ((0, 0), (0.05, 0.8), (0.6, 1.75), (1.7, 2.4), (3.0, 2.6), (4.6, 2.4), (6.2, 1.9))),
    (0.7, ((0, 0), (-0.25, 0.6), (-0.9, 1.4), (-1.75, 2.35), (-2.6, 3.5))),
    (0.7, ((0, 0), (0.4, 0.4), (1.0, 0.8), (1.8, 0.85), (2.3, 0.6))),
)
"""Weight and course of the temporal arcade, the nasal one and the small vessels of the macula, in disc diameters from
the disc, x to the temple and y upwards; each has a twin below."""

NASAL_COURSE: tuple[float, Path] = (0.4, ((0, 0), (-0.5, 0), (-1.2, 0), (-2.2, 0)))

NARROW_DD, WIDE_DD = (0.15, 0.09), (0.5, 0.3)
"""How far from its course a vessel may run: at the disc, and more for each disc diameter away from it."""

WIDE_WEIGHT = 0.25
"""Of the wide spread beside the narrow one: most eyes keep to the courses, all of them roughly."""

HALF_SIDE = GRID + 5
"""Of the template: it reaches from one end of the grid beyond the other."""

UNSEEN_SHARE = 0.15
"""Of the template's energy, added to what the photograph shows of it: agreement with a small part of it counts less."""


def arcade_agreement(vessels: VesselMap) -> F32:
    """(GRID, GRID) float32: for every place of the disc, how well all vessels fit those of a right eye.

    Correlation of the directions found with those foretold, over the root of the energy of what is foretold inside the
    photograph; about 1.5 at the disc of a good photograph, 0 on average elsewhere.
    """
    cosine, sine, energy = _template()
    agreement = cv2.filter2D(vessels.cosine, -1, cosine, borderType=cv2.BORDER_CONSTANT)
    agreement += cv2.filter2D(vessels.sine, -1, sine, borderType=cv2.BORDER_CONSTANT)
    shown = cv2.filter2D(vessels.visible, -1, energy, borderType=cv2.BORDER_CONSTANT)
    scaled: F32 = agreement / np.sqrt(np.maximum(shown, 0) + np.float32(UNSEEN_SHARE * energy.sum()))
    return scaled


@lru_cache(maxsize=1)
def _template() -> tuple[F32, F32, F32]:
    """Cosine and sine of twice the direction, weighted, and their energy; the disc is in the middle of each."""
    courses = [NASAL_COURSE]
    for weight, above in MIRRORED_COURSES:
        courses += [(weight, above), (weight, tuple((x, -y) for x, y in above))]
    steps = np.arange(-HALF_SIDE, HALF_SIDE + 1) / GRID_DD
    to_temple, up = np.meshgrid(-steps, -steps)  # the temple of a right eye is on the left of its photograph
    # From these axes to the photograph's it is half a turn, which doubled is none: directions stay as they are.
    field = np.sum([weight * _directions(np.array(course), to_temple + 1j * up) for weight, course in courses], axis=0)
    cosine, sine = field.real.astype(np.float32), field.imag.astype(np.float32)
    return cosine, sine, cosine**2 + sine**2


def _directions(course: npt.NDArray[np.float64], places: npt.NDArray[np.complex128]) -> npt.NDArray[np.complex128]:
    """At every place the doubled direction of the nearest point of a course, fading with the distance from it."""
    line = _smooth(course)
    along = np.gradient(line)
    distance = np.abs(places[..., None] - line)
    nearest = distance.argmin(axis=-1)
    apart = np.take_along_axis(distance, nearest[..., None], axis=-1)[..., 0]
    from_disc = np.abs(line)[nearest]
    weight = np.zeros(places.shape)
    for share, (at_disc, growth) in ((1.0, NARROW_DD), (WIDE_WEIGHT, WIDE_DD)):
        spread = at_disc + growth * from_disc
        weight += share * at_disc / spread * np.exp(-((apart / spread) ** 2) / 2)
    turned: npt.NDArray[np.complex128] = weight * (along[nearest] / np.abs(along[nearest])) ** 2
    return turned


def _smooth(course: npt.NDArray[np.float64]) -> npt.NDArray[np.complex128]:
    """(n,) points x + iy of the Catmull-Rom curve through the given ones (m, 2), ten for each."""
    points = course[:, 0] + 1j * course[:, 1]
    points = np.concatenate([[2 * points[0] - points[1]], points, [2 * points[-1] - points[-2]]])
    t = np.arange(10)[:, None] / 10
    before, start, end, after = points[:-3], points[1:-2], points[2:-1], points[3:]
    bend = (2 * before - 5 * start + 4 * end - after) * t**2 + (3 * start - before - 3 * end + after) * t**3
    curve: npt.NDArray[np.complex128] = (0.5 * (2 * start + (end - before) * t + bend)).T.ravel()
    return curve
