import numpy as np
import pytest

from sall_edge.bench.accuracy.metrics import referable_probability
from sall_edge.errors import TrainingError
from sall_edge.spec import Task
from trainer.reliability import fitted_temperature, negative_log_likelihood, operating_point, refusal_point, softmax

TASK = Task(name="dr", title="DR", column="dr", grades=("none", "mild", "moderate"), referable_from=2)

SAMPLING = 0.1
"""A temperature that is fitted on 4,000 draws lies within a tenth of the true one."""

EXACT = 1e-9


def drawn(temperature: float) -> tuple[np.ndarray, np.ndarray]:
    """Logits whose labels were drawn from softmax(logits / temperature)."""
    rng = np.random.default_rng(0)
    logits = rng.normal(scale=3, size=(4000, 3))
    probs = softmax(logits, temperature)
    grades = (probs.cumsum(axis=1) > rng.random((4000, 1))).argmax(axis=1)
    return logits.astype(np.float32), grades


@pytest.mark.parametrize("true", [0.5, 1.0, 3.0])
def test_the_temperature_that_made_the_labels_is_found(true: float) -> None:
    logits, grades = drawn(true)
    assert fitted_temperature(logits, grades) == pytest.approx(true, rel=SAMPLING)


def test_the_fit_lowers_the_negative_log_likelihood_of_an_overconfident_network() -> None:
    logits, grades = drawn(2.5)
    fitted = fitted_temperature(logits, grades)
    least = negative_log_likelihood(logits, grades, fitted)
    assert least < negative_log_likelihood(logits, grades, 1.0) - 0.1
    for other in (0.9 * fitted, 1.1 * fitted):
        assert least < negative_log_likelihood(logits, grades, other)


def test_a_split_without_errors_leaves_the_temperature_above_zero() -> None:
    logits = 5 * np.eye(3, dtype=np.float32)
    assert 0 < fitted_temperature(logits, np.arange(3)) < 0.1


def test_huge_logits_give_probabilities_not_nan() -> None:
    probs = softmax(np.array([[1e4, -1e4, 0.0]]))
    assert probs.sum() == pytest.approx(1, abs=EXACT)


@pytest.mark.parametrize("wanted", [0.5, 0.8, 0.9, 1.0])
def test_the_operating_point_reaches_the_wanted_sensitivity_and_no_higher_one_does(wanted: float) -> None:
    logits, grades = drawn(1.5)
    probs = softmax(logits)
    point = operating_point(TASK, grades, probs, wanted)
    scores = referable_probability(probs, TASK)
    positive = grades >= TASK.referable_from
    assert (scores[positive] >= point).mean() >= wanted
    next_higher = np.sort(scores[positive & (scores >= point)])[:1] + EXACT
    assert (scores[positive] >= next_higher).mean() < wanted


def test_the_operating_point_is_no_photographs_own_probability() -> None:
    probs = np.array([[0.9, 0.0, 0.1], [0.6, 0.0, 0.4], [0.2, 0.0, 0.8]])
    assert operating_point(TASK, np.array([0, 0, 2]), probs, 1.0) == pytest.approx(0.6, abs=EXACT)


def test_no_referable_photograph_is_an_error_that_names_the_grade() -> None:
    with pytest.raises(TrainingError, match="no operating point for dr") as caught:
        operating_point(TASK, np.array([0, 1]), np.full((2, 3), 1 / 3), 0.9)
    assert "grade 2 or more" in caught.value.why


def of_quality(*refusable: float) -> np.ndarray:
    """Probabilities of three grades whose last one, which must not be graded, has these."""
    last = np.array(refusable)
    return np.stack([1 - last, np.zeros_like(last), last], axis=1)


@pytest.mark.parametrize("most", [0.0, 0.02, 0.1])
def test_the_point_of_a_quality_task_refuses_no_more_good_ones_than_it_may_and_as_many_bad_ones_as_it_then_can(
    most: float,
) -> None:
    logits, grades = drawn(1.5)
    probs = softmax(logits)
    point = refusal_point(TASK, grades, probs, most)
    scores, is_bad = referable_probability(probs, TASK), grades >= TASK.referable_from
    assert (scores[~is_bad] >= point).mean() <= most
    within = [other for other in scores if (scores[~is_bad] >= other).mean() <= most]
    assert (scores[is_bad] >= point).sum() == max((scores[is_bad] >= other).sum() for other in within)


def test_bad_ones_that_stand_apart_cost_no_good_one_whatever_may_be_refused() -> None:
    probs = of_quality(*np.linspace(0, 0.1, 50), 0.8, 0.9)
    grades = np.array([0] * 49 + [1, 2, 2])  # an impaired one is graded all the same
    assert refusal_point(TASK, grades, probs, 0.1) == pytest.approx(0.45, abs=EXACT)


def test_a_head_that_tells_nothing_refuses_nothing() -> None:
    probs = of_quality(0.5, 0.4, 0.1)
    assert refusal_point(TASK, np.array([0, 0, 2]), probs, 0.02) == pytest.approx(0.75, abs=EXACT)
