"""How far probabilities can be trusted: one score for all of it, and what is gained by leaving doubtful ones to people.

Arrays here: `grades` (n,) integer labels, all known, `probs` (n, K) calibrated probabilities. Nothing depends on the
order of the photographs.
"""

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict

__all__ = ["RiskCoverage", "brier_score", "risk_coverage", "uncalibrated"]

Floats = npt.NDArray[np.floating]
Ints = npt.NDArray[np.integer]

MOST_POINTS = 100
"""Of a curve that is stored: a diagram does not show more."""


class RiskCoverage(BaseModel):
    """What happens when only the most confident photographs are graded, and the others go to a person.

    Attributes:
        coverage: Shares of the photographs that are graded, rising to 1.
        risk: At each, the share of the graded ones whose most probable grade is wrong.
        area: Mean risk over all coverages (AURC); 0 is best. It is computed before the curve is thinned.
    """

    model_config = ConfigDict(frozen=True)

    coverage: tuple[float, ...]
    risk: tuple[float, ...]
    area: float


def brier_score(grades: Ints, probs: Floats) -> float:
    """Mean over photographs of the squared distance between probabilities and the label (Brier 1950).

    The original form, summed over all grades: 0 is best, 2 is certainty of a wrong grade.

    Args:
        grades: (n,) labels.
        probs: (n, K) probabilities.

    Raises:
        ValueError: Lengths differ, or there is no photograph.
    """
    _check(grades, probs)
    errors = np.asarray(probs, dtype=np.float64) - np.eye(probs.shape[1])[grades]
    return float((errors**2).sum(axis=1).mean())


def risk_coverage(grades: Ints, probs: Floats) -> RiskCoverage:
    """Risk against coverage when photographs are graded in order of confidence (Geifman & El-Yaniv 2017).

    Confidence is the largest probability. Photographs of equal confidence come in no order, so their errors are spread
    evenly: the expected curve over all their orders.

    Args:
        grades: (n,) labels.
        probs: (n, K) probabilities.

    Raises:
        ValueError: Lengths differ, or there is no photograph.
    """
    _check(grades, probs)
    is_wrong = probs.argmax(axis=1) != grades
    _, level, size = np.unique(-probs.max(axis=1), return_inverse=True, return_counts=True)
    expected_errors = np.repeat(np.bincount(level, is_wrong) / size, size)
    graded = np.arange(1, len(grades) + 1)
    risk = np.cumsum(expected_errors) / graded
    shown = np.unique(np.linspace(0, len(grades) - 1, MOST_POINTS).round().astype(int))
    return RiskCoverage(
        coverage=tuple(float(share) for share in (graded / len(grades))[shown]),
        risk=tuple(float(share) for share in risk[shown]),
        area=float(risk.mean()),
    )


def uncalibrated(probs: Floats, temperature: float) -> npt.NDArray[np.float64]:
    """(n, K) probabilities as they were before the logits were divided by the temperature."""
    logits = temperature * np.log(np.maximum(np.asarray(probs, dtype=np.float64), np.finfo(np.float32).tiny))
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    before: npt.NDArray[np.float64] = powers / powers.sum(axis=1, keepdims=True)
    return before


def _check(grades: Ints, probs: Floats) -> None:
    if len(grades) != len(probs) or len(grades) == 0:
        raise ValueError(f"got {len(grades)} grades and {len(probs)} rows of probabilities: as many of each, and > 0")
