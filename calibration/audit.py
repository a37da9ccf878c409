"""Whether photographs that judge an engine also made it: the same patient, the same pixels, the same eye once more.

An engine that is judged on what it was calibrated on is judged too kindly. Public sets hold the same photograph under
two patients' names, stored again with other colours and another crop, so names and hashes are not enough.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import Enum
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from calibration.listing import Listed, listed
from sall_edge.errors import CalibrationError
from sall_edge.fundus.prepared_set import PreparedSet

__all__ = ["Overlap", "SharedBy", "check_apart", "find_overlaps", "set_apart"]

U8 = NDArray[np.uint8]
F32 = NDArray[np.float32]

_SIDE = 224
"""Of the squares that are compared; the limits below were found at this size."""

_DARK = 12
"""Grey level that the field of view exceeds and the noise of a stored black does not."""

_COARSE = 32
_COARSE_LIMIT = 0.55
"""Least correlation of (32, 32) vessel maps that is looked at again: 25 of 790,713 pairs of photographs of different
patients (odir and srahim, test against train). Of 150 photographs that were stored again (JPEG 60, other brightness,
turned by up to 1 degree, 1.5 % larger or smaller) the lowest had 0.71."""

_ALIGNED_LIMIT = 0.62
"""Least correlation of aligned vessel maps. Those stored again had 0.68 to 0.99, other eyes 0.55 at most,
but for two dark photographs in the same white frame (0.90)."""

_STEPS = (cv2.TERM_CRITERIA_EPS | cv2.TERM_CRITERIA_COUNT, 30, 1e-4)

_SHOWN = 5


class SharedBy(str, Enum):
    """What two photographs have in common."""

    PATIENT = "the same patient"
    PIXELS = "the same pixels"
    EYE = "the same eye, photographed or stored again"


@dataclass(frozen=True, slots=True)
class Overlap:
    """A photograph of one set that stands in the other too."""

    first: Path
    second: Path
    shared: SharedBy

    def __str__(self) -> str:
        return f"{self.first} and {self.second}: {self.shared.value}"


def set_apart(
    calibration: PreparedSet, others: PreparedSet, *, names: tuple[str, str]
) -> tuple[PreparedSet, tuple[Overlap, ...]]:
    """The calibration photographs without eyes that stand in the other set under another name, and those eyes.

    Args:
        calibration: Photographs that make the engine.
        others: Photographs that judge it; they stay as they are.
        names: What the two sets are called.

    Raises:
        CalibrationError: They share patients or pixels, so the splits are wrong.
    """
    found = find_overlaps(calibration, others)
    _refuse([one for one in found if one.shared is not SharedBy.EYE], names)
    dropped = {one.first for one in found}
    kept = [row for row, photograph in enumerate(calibration.photographs) if photograph.path not in dropped]
    rest = replace(
        calibration,
        photographs=tuple(calibration.photographs[row] for row in kept),
        squares=calibration.squares[kept] if dropped else calibration.squares,
    )
    return rest, found


def check_apart(calibration: Sequence[Listed], others: PreparedSet, *, names: tuple[str, str]) -> None:
    """Refuses photographs of a list that stand in the other set; eyes under another name are not looked for.

    Raises:
        CalibrationError: They share patients or pixels, so the splits are wrong.
    """
    second = listed(others)
    shared = _plainly_shared(calibration, second)
    _refuse(
        [Overlap(Path(calibration[row].image), Path(second[column].image), by) for row, (column, by) in shared.items()],
        names,
    )


def find_overlaps(first: PreparedSet, second: PreparedSet) -> tuple[Overlap, ...]:
    """Every photograph of `first` that `second` holds too, with its partner and the plainest thing that they share.

    Returns:
        One entry for each photograph of `first`, in its order.
    """
    found = _plainly_shared(listed(first), listed(second))
    coarse = [np.stack([_coarse(_vessels(square)) for square in part.squares]) for part in (first, second)]
    for row, column in np.argwhere(coarse[0] @ coarse[1].T > _COARSE_LIMIT).tolist():
        if row not in found and _aligned_correlation(first.squares[row], second.squares[column]) > _ALIGNED_LIMIT:
            found[row] = (column, SharedBy.EYE)
    return tuple(
        Overlap(first.photographs[row].path, second.photographs[column].path, by)
        for row, (column, by) in sorted(found.items())
    )


def _plainly_shared(first: Sequence[Listed], second: Sequence[Listed]) -> dict[int, tuple[int, SharedBy]]:
    """Row of `first` to its partner's row and what names and hashes say that they share."""
    patients = {(one.labels, one.patient): column for column, one in enumerate(second)}
    pixels = {one.sha256: column for column, one in enumerate(second)}
    found = {}
    for row, one in enumerate(first):
        if (one.labels, one.patient) in patients:
            found[row] = (patients[one.labels, one.patient], SharedBy.PATIENT)
        elif one.sha256 in pixels:
            found[row] = (pixels[one.sha256], SharedBy.PIXELS)
    return found


def _refuse(shared: Sequence[Overlap], names: tuple[str, str]) -> None:
    if shared:
        hidden = len(shared) - _SHOWN
        shown = [str(one) for one in shared[:_SHOWN]] + ([f"and {hidden} more"] if hidden > 0 else [])
        what = f"{len(shared)} photographs for {names[0]} also serve {names[1]}"
        raise CalibrationError(what, "\n       ".join(shown), "give them one split, by patient: sall-edge split")


def _vessels(square: U8) -> F32:
    """(224, 224) float32 in -1..1: what is darker or brighter than its surroundings, away from the rim."""
    small = cv2.resize(square, (_SIDE, _SIDE), interpolation=cv2.INTER_AREA)
    grey = cv2.cvtColor(small, cv2.COLOR_RGB2GRAY).astype(np.float32)
    field = (small.max(axis=2) > _DARK).astype(np.float32)
    width = _SIDE / 25
    surroundings = cv2.GaussianBlur(grey * field, (0, 0), width) / np.maximum(
        cv2.GaussianBlur(field, (0, 0), width), 1e-3
    )
    inside = cv2.erode(field, np.ones((15, 15), np.uint8))
    detail = cv2.GaussianBlur((grey - surroundings) * inside, (0, 0), 1.2)
    vessels: F32 = np.clip(detail / (2 * detail.std() + 1e-6), -1, 1).astype(np.float32)
    return vessels


def _coarse(vessels: F32) -> F32:
    """A unit vector, so that a product is a correlation."""
    small = cv2.resize(vessels, (_COARSE, _COARSE), interpolation=cv2.INTER_AREA).ravel()
    small = small - small.mean()
    unit: F32 = small / max(float(np.linalg.norm(small)), 1e-6)
    return unit


def _aligned_correlation(first: U8, second: U8) -> float:
    """Of vessel maps, one turned and shifted onto the other (ECC, Evangelidis & Psarakis 2008); 0 where that fails."""
    start = np.eye(2, 3, dtype=np.float32)
    try:
        correlation, _ = cv2.findTransformECC(
            _vessels(first), _vessels(second), start, cv2.MOTION_EUCLIDEAN, _STEPS, None, 1
        )
    except cv2.error:  # two maps without a common pattern
        return 0.0
    return float(correlation)
