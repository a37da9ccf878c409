"""Whether maps of evidence lie on the lesions, where these are known.

Arrays here: `maps` (n, h, w) evidence on any grid, `lesions` (n, side, side) bool on prepared squares. Photographs
without a lesion are left out. Lesions may be small and maps are coarse, so each share comes with what a map that knows
nothing reaches.
"""

import cv2
import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict

__all__ = ["LesionEnergy", "PointingGame", "enlarged", "lesion_energy", "pointing_game"]

F32 = npt.NDArray[np.float32]
Mask = npt.NDArray[np.bool_]


class PointingGame(BaseModel):
    """Of `n` photographs with lesions, the share whose map peaks on one, and the share at a place drawn by chance."""

    model_config = ConfigDict(frozen=True)

    n: int
    share: float
    chance: float


class LesionEnergy(BaseModel):
    """Mean share of the positive evidence on lesions over `n` photographs, and that of an even map."""

    model_config = ConfigDict(frozen=True)

    n: int
    share: float
    even: float


def pointing_game(maps: F32, lesions: Mask, *, tolerance_cells: float = 0.5) -> PointingGame | None:
    """The share of photographs whose map has its maximum on a lesion (Zhang et al. 2018, excitation backprop).

    A map knows no place finer than a cell, so its maximum counts when a lesion shows in the circle that fills that
    cell: within 16 px of its middle for 7 x 7 cells on 224 px, where the paper allows 15. `chance` is the share of all
    cells with their middle inside the field of view that would have counted. It is high where lesions are scattered
    over the retina: at twice the tolerance, nine of ten cells of a diabetic eye would count.

    Args:
        maps: (n, h, w) evidence.
        lesions: (n, side, side) bool; photographs without a lesion are left out.
        tolerance_cells: How far from the middle of the cell a lesion may be, in widths of a cell.

    Returns:
        None when no photograph has a lesion.
    """
    shown = np.flatnonzero(lesions.any(axis=(1, 2)))
    if len(shown) == 0:
        return None
    side, (height, width) = lesions.shape[1], maps.shape[1:]
    rows, columns = (((np.arange(count) + 0.5) * side / count).astype(int) for count in (height, width))
    inside = _field(side)[np.ix_(rows, columns)]
    hits, chances = [], []
    for i in shown:
        away_px = cv2.distanceTransform((~lesions[i]).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
        counts = away_px[np.ix_(rows, columns)] <= tolerance_cells * side / max(height, width)
        hits.append(counts.flat[int(maps[i].argmax())])
        chances.append(counts[inside].mean())
    return PointingGame(n=len(shown), share=float(np.mean(hits)), chance=float(np.mean(chances)))


def lesion_energy(maps: F32, lesions: Mask) -> LesionEnergy | None:
    """The share of the positive evidence in the field of view that falls on lesions (Wang et al. 2020, Score-CAM).

    Args:
        maps: (n, h, w) evidence, any grid; one without positive evidence scores 0.
        lesions: (n, side, side) bool; photographs without a lesion are left out.

    Returns:
        None when no photograph has a lesion.
    """
    shown = np.flatnonzero(lesions.any(axis=(1, 2)))
    if len(shown) == 0:
        return None
    side = lesions.shape[1]
    field = _field(side)
    shares = []
    for i in shown:
        energy = np.maximum(enlarged(maps[i], side), 0) * field
        total = float(energy.sum())
        shares.append(float(energy[lesions[i]].sum()) / total if total else 0.0)
    even = (lesions[shown] & field).sum(axis=(1, 2)) / field.sum()
    return LesionEnergy(n=len(shown), share=float(np.mean(shares)), even=float(even.mean()))


def enlarged(evidence: F32, side: int) -> F32:
    """A map of (h, w) in the pixels of its square, (side, side) float32, bilinear between the middles of the cells."""
    return np.asarray(cv2.resize(evidence, (side, side), interpolation=cv2.INTER_LINEAR), dtype=np.float32)


def _field(side: int) -> Mask:
    """(side, side) bool: the circle that fills the square, which is the field of view."""
    offset = np.arange(side) - (side - 1) / 2
    return np.asarray(np.hypot(offset, offset[:, None]) <= side / 2)
