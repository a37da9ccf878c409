"""Sensitivity against specificity over all operating points, and where the frozen one lies."""

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict

__all__ = ["Roc", "trace_roc"]

MOST_POINTS = 200
"""Of a curve that is stored: a diagram does not show more."""


class Roc(BaseModel):
    """A curve over all operating points, thinned; and where the frozen one lies.

    Attributes:
        false_positive_rate, true_positive_rate: Equally many points from (0, 0) to (1, 1), 0..1.
        operating_point: The frozen one's false positive rate and true positive rate.
    """

    model_config = ConfigDict(frozen=True)

    false_positive_rate: tuple[float, ...]
    true_positive_rate: tuple[float, ...]
    operating_point: tuple[float, float]


def trace_roc(is_referable: npt.NDArray[np.bool_], scores: npt.NDArray[np.floating], operating_point: float) -> Roc:
    """The ROC curve; photographs of equal score are called together, so ties are straight lines.

    Args:
        is_referable: (n,) labels, of both kinds.
        scores: (n,) probability of a referable grade.
        operating_point: A photograph is called referable from this score on.

    Raises:
        ValueError: The labels are of one kind only.
    """
    positives, negatives = int(is_referable.sum()), int((~is_referable).sum())
    if not positives or not negatives:
        raise ValueError(f"{positives} referable and {negatives} other labels: a curve needs both")
    order = np.argsort(-scores, kind="stable")
    last_of_tie = np.flatnonzero(np.append(np.diff(scores[order]) != 0, True))
    true = np.append(0, np.cumsum(is_referable[order])[last_of_tie]) / positives
    false = np.append(0, np.cumsum(~is_referable[order])[last_of_tie]) / negatives
    shown = _spread(true + false)
    called = scores >= operating_point
    return Roc(
        false_positive_rate=tuple(false[shown].tolist()),
        true_positive_rate=tuple(true[shown].tolist()),
        operating_point=(float(called[~is_referable].mean()), float(called[is_referable].mean())),
    )


def _spread(way: npt.NDArray[np.float64]) -> npt.NDArray[np.intp]:
    """Positions of at most MOST_POINTS values of a rising array, evenly apart, first and last among them."""
    if len(way) <= MOST_POINTS:
        return np.arange(len(way))
    return np.unique(np.searchsorted(way, np.linspace(way[0], way[-1], MOST_POINTS)))
