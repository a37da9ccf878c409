"""Which eye a photograph shows, told from the optic disc and the vessels that leave it.

One search knows only right eyes; it is asked about the photograph and about its mirror image, and the better answer
names the eye. So a mirrored photograph gives the mirrored answer, exactly. In a photograph that is centred on the disc
the disc's place says nothing, but the arcades still arch to the temple.
"""

import math
from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np

from sall_edge.fundus.landmarks.arcades import arcade_agreement
from sall_edge.fundus.landmarks.disc import disc_radius, spot_contrast
from sall_edge.fundus.landmarks.retina import F32, FIELD_DD, GRID, U8, Retina, retina_of
from sall_edge.fundus.landmarks.vessels import vessels_of
from sall_edge.spec import Eye, View

__all__ = ["LEAST_CONFIDENCE", "Laterality", "agrees", "find_laterality"]

SPOT_WEIGHT, MOST_CONTRAST = 4.0, 0.3
"""What a bright spot adds to the agreement of the vessels; a brighter one than the second adds no more."""

LEFTMOST, HIGHEST = -0.35, 0.6
"""A right eye's disc is to the right of the first and within the second of the middle, over the radius of the field."""

ASIDE_COST, HIGH_COST, USUAL_X, USUAL_Y = 0.2, 0.2, 0.3, 0.3
"""Discs left of `USUAL_X` or `USUAL_Y` above or below the middle are rarer: each cost counts once there, four times
at twice the distance."""

MARGIN_SCALE = 0.5
"""Difference of the two answers at which confidence is 1 - 1/e."""

LEAST_CONFIDENCE = 0.7
"""From it on a stated eye may be doubted: docs/results/laterality.md says how seldom that is wrong."""

LEAST_FIT = 0.9
"""Of the best place: below it there may be no disc in the photograph; 1.3 to 2.4 are usual."""

FOVEA_DD = 2.6
"""From disc to fovea; a photograph is centred on the nearer one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Laterality:
    """Which eye a photograph shows, and where its disc is.

    Attributes:
        eye: The likelier one; None if nothing tells.
        confidence: 0 (nothing tells) to 1; no probability, but the higher, the seldomer wrong.
        disc_x, disc_y: Middle of the disc, over the radius of the field from its centre, x to the right and y
            downwards; None if nothing tells. Of a disc outside the field, the nearest place inside.
        disc_radius: Over the radius of the field.
        view: What the photograph is centred on; None if the place found may be no disc. It asks for another certainty
            than the eye: in a photograph centred on the disc, the disc is plain and the eye is not.
    """

    eye: Eye | None
    confidence: float
    disc_x: float | None
    disc_y: float | None
    disc_radius: float | None
    view: View | None

    @property
    def is_certain(self) -> bool:
        """Whether the confidence is enough to doubt what an operator says."""
        return self.eye is not None and self.confidence >= LEAST_CONFIDENCE


NOTHING_TELLS = Laterality(eye=None, confidence=0.0, disc_x=None, disc_y=None, disc_radius=None, view=None)


def find_laterality(square: U8) -> Laterality:
    """Which eye it is, by one search for a right eye's disc in the photograph and one in its mirror image.

    Args:
        square: (side, side, 3) uint8, RGB, as `prepare` cuts it.

    Raises:
        ValueError: It is no square of RGB.
    """
    if square.ndim != 3 or square.shape[0] != square.shape[1] or square.shape[2] != 3 or square.dtype != np.uint8:
        raise ValueError(f"square is {square.dtype} of shape {square.shape}; give (side, side, 3) uint8")
    right, left = retina_of(square), retina_of(cv2.flip(square, 1))
    as_right, as_left = _fit_right_eye(right), _fit_right_eye(left)
    best_right, best_left = float(as_right.max()), float(as_left.max())
    margin = abs(best_right - best_left)
    if margin == 0:
        return NOTHING_TELLS
    is_right = best_right > best_left
    retina, fit = (right, as_right) if is_right else (left, as_left)
    x, y = _peak(fit)
    return Laterality(
        eye=Eye.RIGHT if is_right else Eye.LEFT,
        confidence=1 - math.exp(-margin / MARGIN_SCALE),
        disc_x=x if is_right else -x,
        disc_y=y,
        disc_radius=disc_radius(retina, x, y),
        view=_view(x, y) if max(best_right, best_left) >= LEAST_FIT else None,
    )


def agrees(stated: Eye, seen: Laterality) -> bool | None:
    """Whether the photograph shows the eye that was stated; None if it does not tell well enough to doubt anyone."""
    return seen.eye is stated if seen.is_certain else None


def _fit_right_eye(retina: Retina) -> F32:
    """(GRID, GRID) float32: how well each place would do as the disc of a right eye."""
    fit = arcade_agreement(vessels_of(retina))
    fit += np.float32(SPOT_WEIGHT) * np.minimum(spot_contrast(retina), np.float32(MOST_CONTRAST))
    fit -= _cost_of_place()
    return fit


@lru_cache(maxsize=1)
def _cost_of_place() -> F32:
    """(GRID, GRID) float32: how unusual a place is for the disc of a right eye; infinite where it cannot be."""
    offset = (2 * np.arange(GRID) + 1 - GRID) / GRID
    x, y = np.meshgrid(offset, offset)
    cost = HIGH_COST * (y / USUAL_Y) ** 2 + ASIDE_COST * np.maximum((USUAL_X - x) / USUAL_X, 0) ** 2
    cost[(x < LEFTMOST) | (np.abs(y) > HIGHEST) | (np.hypot(x, y) > 1)] = np.inf
    return cost.astype(np.float32)


def _peak(fit: F32) -> tuple[float, float]:
    """Place of the maximum, between the steps of the grid, over the radius of the field from its centre."""
    row, column = divmod(int(fit.argmax()), GRID)
    x = column + _vertex(fit[row, max(column - 1, 0) : column + 2])
    y = row + _vertex(fit[max(row - 1, 0) : row + 2, column])
    return (2 * x + 1 - GRID) / GRID, (2 * y + 1 - GRID) / GRID


def _vertex(values: F32) -> float:
    """Offset from the middle one of three values to the vertex of their parabola; 0 at an end of the grid."""
    if len(values) < 3 or not np.isfinite(values).all():
        return 0.0
    before, middle, after = (float(value) for value in values)
    curvature = before - 2 * middle + after
    return 0.5 * (before - after) / curvature if curvature < 0 else 0.0


def _view(x: float, y: float) -> View:
    """Whether the disc or the fovea is nearer to the centre of the field."""
    return View.DISC if math.hypot(x, y) < FOVEA_DD / FIELD_DD else View.MACULA
