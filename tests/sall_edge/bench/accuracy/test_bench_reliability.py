"""Laws of the Brier score and of the risk-coverage curve."""

import itertools

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import brier_score_loss

from sall_edge.bench.accuracy.reliability import brier_score, risk_coverage, uncalibrated

EXACT = 1e-12  # the same sums in another order

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]


def _case(seed: int, n: int, grade_count: int = 3) -> tuple[Ints, Floats]:
    """Labels and probabilities in tenths, so that confidences tie."""
    rng = np.random.default_rng(seed)
    tenths = rng.multinomial(10, np.full(grade_count, 1 / grade_count), size=n)
    return rng.integers(grade_count, size=n), tenths / 10


def _ranked(confidence: list[float], is_right: list[bool]) -> tuple[Ints, Floats]:
    """Two grades; the first is always the most probable one."""
    probs = np.stack([np.array(confidence), 1 - np.array(confidence)], axis=1)
    return np.where(is_right, 0, 1), probs


def test_the_brier_score_of_certainty_is_zero_when_right_and_two_when_wrong() -> None:
    certain = np.eye(3)
    assert brier_score(np.array([0, 1, 2]), certain) == 0
    assert brier_score(np.array([1, 2, 0]), certain) == 2


def test_the_brier_score_of_ignorance_depends_on_the_number_of_grades_only() -> None:
    for grade_count in (2, 4, 5):
        grades = np.arange(7) % grade_count
        even = np.full((7, grade_count), 1 / grade_count)
        assert brier_score(grades, even) == pytest.approx(1 - 1 / grade_count, abs=EXACT)


def test_the_brier_score_of_two_grades_is_twice_scikit_learns() -> None:
    grades, probs = _case(0, 50, grade_count=2)
    assert brier_score(grades, probs) == pytest.approx(2 * brier_score_loss(grades, probs[:, 1]), abs=EXACT)


@given(st.integers(0, 1000), st.integers(1, 60))
def test_scores_stay_within_their_bounds(seed: int, n: int) -> None:
    grades, probs = _case(seed, n)
    curve = risk_coverage(grades, probs)
    assert 0 <= brier_score(grades, probs) <= 2
    assert 0 <= curve.area <= 1
    assert all(0 <= risk <= 1 for risk in curve.risk)


def test_risk_rises_to_the_error_rate_at_full_coverage() -> None:
    grades, probs = _ranked([0.9, 0.8, 0.7, 0.6], [True, True, False, True])
    curve = risk_coverage(grades, probs)
    assert curve.coverage == (0.25, 0.5, 0.75, 1.0)
    assert curve.risk == pytest.approx((0, 0, 1 / 3, 1 / 4), abs=EXACT)
    assert curve.area == pytest.approx((1 / 3 + 1 / 4) / 4, abs=EXACT)


def test_a_perfect_ranking_has_less_area_than_a_reversed_one() -> None:
    confidence = [0.95, 0.9, 0.85, 0.8, 0.75, 0.7]
    right = [True, True, True, True, False, False]
    perfect = risk_coverage(*_ranked(confidence, right))
    reversed_one = risk_coverage(*_ranked(confidence, right[::-1]))
    assert perfect.area < reversed_one.area
    assert perfect.risk[-1] == pytest.approx(reversed_one.risk[-1], abs=EXACT)


@given(st.integers(0, 1000), st.integers(2, 40))
def test_the_order_of_photographs_changes_nothing(seed: int, n: int) -> None:
    grades, probs = _case(seed, n)
    other = np.random.default_rng(seed + 1).permutation(n)
    assert risk_coverage(grades, probs) == risk_coverage(grades[other], probs[other])
    assert brier_score(grades, probs) == pytest.approx(brier_score(grades[other], probs[other]), abs=EXACT)


def test_ties_give_the_mean_over_all_their_orders() -> None:
    is_right = [True, False, True, False, True]
    curve = risk_coverage(*_ranked([0.8, 0.8, 0.8, 0.6, 0.6], is_right))
    orders = [
        [*first, *second] for first in itertools.permutations([0, 1, 2]) for second in itertools.permutations([3, 4])
    ]
    errors = np.array([[not is_right[i] for i in order] for order in orders])
    risks = np.cumsum(errors, axis=1) / np.arange(1, 6)
    assert curve.risk == pytest.approx(risks.mean(axis=0), abs=EXACT)
    assert curve.area == pytest.approx(risks.mean(), abs=EXACT)


def test_a_long_curve_is_thinned_and_keeps_its_ends_and_its_area() -> None:
    rng = np.random.default_rng(3)
    confidence, is_right = rng.uniform(0.5, 1, 1234), rng.random(1234) < 0.8
    grades, probs = _ranked(list(confidence), list(is_right))
    curve = risk_coverage(grades, probs)
    wrong = ~is_right[np.argsort(-confidence)]
    assert len(curve.coverage) == len(curve.risk) <= 100
    assert curve.coverage[0] == pytest.approx(1 / 1234, abs=EXACT)
    assert curve.coverage[-1] == 1
    assert curve.risk[-1] == pytest.approx(wrong.mean(), abs=EXACT)
    assert curve.area == pytest.approx((np.cumsum(wrong) / np.arange(1, 1235)).mean(), abs=EXACT)


@pytest.mark.parametrize("rows", [0, 3])
def test_unequal_lengths_and_nothing_are_refused(rows: int) -> None:
    grades, probs = np.zeros(rows, np.int64), np.zeros((0, 2))
    with pytest.raises(ValueError, match=f"got {rows} grades and 0 rows"):
        brier_score(grades, probs)
    with pytest.raises(ValueError, match=f"got {rows} grades and 0 rows"):
        risk_coverage(grades, probs)


def test_uncalibrated_probabilities_are_those_of_the_undivided_logits() -> None:
    logits = np.random.default_rng(0).normal(size=(20, 5)) * 4
    raw = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    divided = np.exp(logits / 1.7) / np.exp(logits / 1.7).sum(axis=1, keepdims=True)
    np.testing.assert_allclose(uncalibrated(divided, 1.7), raw, atol=EXACT)
    assert np.isfinite(uncalibrated(np.array([[1.0, 0.0]]), 3.0)).all()
