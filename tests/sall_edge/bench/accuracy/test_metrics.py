"""Our metrics against scikit-learn's, and their laws."""

import numpy as np
import pytest
from sklearn.metrics import cohen_kappa_score, recall_score, roc_auc_score

from sall_edge.bench.accuracy.metrics import (
    ece_if_calibrated,
    expected_calibration_error,
    measure_task,
    quadratic_weighted_kappa,
    referable_auc,
    referable_probability,
    reliability_bins,
)
from sall_edge.spec import Task

EXACT = 1e-12  # the same sums in another order

TASK = Task(name="dr", title="DR", column="dr_grade", grades=("none", "mild", "moderate", "severe"), referable_from=2)


def _case(seed: int, n: int = 200) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    grades = rng.integers(4, size=n)
    logits = rng.normal(size=(n, 4)) + 1.5 * np.eye(4)[grades]
    probs = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    return grades, np.round(probs, 2) / np.round(probs, 2).sum(axis=1, keepdims=True)  # rounded: ties occur


@pytest.mark.parametrize("seed", range(5))
def test_metrics_equal_scikit_learn(seed: int) -> None:
    grades, probs = _case(seed)
    report = measure_task(
        TASK, grades, probs, 0.4, [str(i) for i in range(200)], rng=np.random.default_rng(0), rounds=1
    )
    score = referable_probability(probs, TASK)
    assert report.referable_auc == pytest.approx(roc_auc_score(grades >= 2, score), abs=EXACT)
    kappa = cohen_kappa_score(grades, probs.argmax(axis=1), weights="quadratic")
    assert report.quadratic_weighted_kappa == pytest.approx(kappa, abs=EXACT)
    assert report.sensitivity == pytest.approx(recall_score(grades >= 2, score >= 0.4), abs=EXACT)
    assert report.specificity == pytest.approx(recall_score(grades < 2, score < 0.4), abs=EXACT)


def test_bootstrap_resamples_patients_and_not_photographs() -> None:
    grades, probs = _case(1, n=60)
    alone = [str(i) for i in range(60)]
    tenfold = measure_task(
        TASK, np.tile(grades, 10), np.tile(probs, (10, 1)), 0.5, alone * 10, rng=np.random.default_rng(0)
    )
    single = measure_task(TASK, grades, probs, 0.5, alone, rng=np.random.default_rng(0))
    for name, interval in single.interval.items():
        assert tenfold.interval[name] == pytest.approx(interval)
    pooled = measure_task(
        TASK,
        np.tile(grades, 10),
        np.tile(probs, (10, 1)),
        0.5,
        [str(i) for i in range(600)],
        rng=np.random.default_rng(0),
    )
    width = {name: high - low for name, (low, high) in single.interval.items()}
    assert all(high - low < width[name] for name, (low, high) in pooled.interval.items())


def test_interval_contains_the_value() -> None:
    grades, probs = _case(2)
    report = measure_task(TASK, grades, probs, 0.5, [str(i) for i in range(200)], rng=np.random.default_rng(0))
    for name, (low, high) in report.interval.items():
        assert low < getattr(report, name) < high


def test_undefined_metrics_are_none() -> None:
    probs = np.full((3, 4), 0.25)
    report = measure_task(TASK, np.array([0, 0, 1]), probs, 0.6, ["a", "b", "c"], rng=np.random.default_rng(0))
    assert report.referable_auc is None
    assert report.sensitivity is None
    assert report.specificity == 1.0
    assert "referable_auc" not in report.interval


def test_perfectly_calibrated_probabilities_have_no_calibration_error() -> None:
    probs = np.tile([0.75, 0.25], (100, 1))
    grades = np.repeat([0, 1], [75, 25])
    assert expected_calibration_error(grades, probs) == pytest.approx(0, abs=EXACT)
    (only,) = reliability_bins(grades, probs)
    assert (only.low, only.high, only.n, only.accuracy) == (0.7, 0.8, 100, 0.75)


def test_chance_alone_gives_a_calibration_error_that_falls_with_more_photographs() -> None:
    _, probs = _case(3, n=100)
    few, most_of_few = ece_if_calibrated(probs, np.random.default_rng(0))
    many, _ = ece_if_calibrated(np.tile(probs, (100, 1)), np.random.default_rng(0), rounds=20)
    assert 0 < few < most_of_few
    # The error of a mean falls with the root of the number: 100 times as many photographs, a tenth.
    assert many == pytest.approx(few / 10, rel=0.4)


def test_calibrated_answers_lie_within_what_chance_gives_and_others_do_not() -> None:
    rng = np.random.default_rng(0)
    _, probs = _case(4, n=400)
    grades = (probs.cumsum(axis=1) > rng.random((400, 1))).argmax(axis=1)
    _, most = ece_if_calibrated(probs, rng)
    sharper = probs**3 / (probs**3).sum(axis=1, keepdims=True)
    assert expected_calibration_error(grades, probs) < most
    assert expected_calibration_error(grades, sharper) > ece_if_calibrated(sharper, rng)[1]


def test_overconfidence_is_its_gap() -> None:
    probs = np.tile([1.0, 0.0], (10, 1))
    assert expected_calibration_error(np.repeat([0, 1], [6, 4]), probs) == pytest.approx(0.4)


def test_auc_of_constant_scores_is_one_half() -> None:
    assert referable_auc(np.array([True, False, True]), np.zeros(3)) == 0.5


def test_kappa_of_one_grade_only_is_undefined() -> None:
    assert quadratic_weighted_kappa(np.zeros(4, int), np.zeros(4, int), 4) is None


def test_lengths_that_differ_are_refused() -> None:
    with pytest.raises(ValueError, match="2 grades, 3 probs"):
        measure_task(TASK, np.zeros(2, int), np.zeros((3, 4)), 0.5, ["a", "b"], rng=np.random.default_rng(0))
