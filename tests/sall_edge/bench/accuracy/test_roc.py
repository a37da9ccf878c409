"""The curve against scikit-learn's, its ends, and the place of the frozen operating point on it."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import roc_auc_score

from sall_edge.bench.accuracy.roc import MOST_POINTS, trace_roc

EXACT = 1e-12  # the same sums in another order
THINNED = 0.005  # of the area: 200 points are a 100th of the way apart


def _area(false: tuple[float, ...], true: tuple[float, ...]) -> float:
    return float(np.sum(np.diff(false) * (np.array(true)[1:] + np.array(true)[:-1]) / 2))


@given(st.lists(st.tuples(st.booleans(), st.integers(0, 9)), min_size=2, max_size=80))
def test_the_area_is_the_auc_and_both_rates_rise_from_0_to_1(cases: list[tuple[bool, int]]) -> None:
    labels = np.array([label for label, _ in cases])
    scores = np.array([score / 10 for _, score in cases])
    if labels.all() or not labels.any():
        with pytest.raises(ValueError, match="needs both"):
            trace_roc(labels, scores, 0.5)
        return
    roc = trace_roc(labels, scores, 0.5)
    false, true = roc.false_positive_rate, roc.true_positive_rate
    assert (false[0], true[0], false[-1], true[-1]) == (0, 0, 1, 1)
    assert list(false) == sorted(false)
    assert list(true) == sorted(true)
    assert _area(false, true) == pytest.approx(roc_auc_score(labels, scores), abs=EXACT)
    assert roc.operating_point == ((scores[~labels] >= 0.5).mean(), (scores[labels] >= 0.5).mean())


def test_a_long_curve_is_thinned_and_keeps_its_area() -> None:
    rng = np.random.default_rng(0)
    labels = rng.random(20000) < 0.1
    scores = rng.normal(size=20000) + labels
    roc = trace_roc(labels, scores, 0.0)
    assert MOST_POINTS / 2 < len(roc.false_positive_rate) <= MOST_POINTS
    assert (roc.false_positive_rate[-1], roc.true_positive_rate[-1]) == (1, 1)
    area = _area(roc.false_positive_rate, roc.true_positive_rate)
    assert area == pytest.approx(roc_auc_score(labels, scores), abs=THINNED)
