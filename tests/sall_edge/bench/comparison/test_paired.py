"""Two runs, photograph by photograph: a planted difference is found, chance is called chance, a run equals itself."""

import numpy as np
import pytest
from fakes.benched import TASK, answers
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest

from sall_edge.bench.accuracy.side_by_side import Answer
from sall_edge.bench.comparison.paired import (
    count_referrals,
    exact_mcnemar,
    graded_pairs,
    measure_shifts,
    pair_answers,
)
from sall_edge.screening.quality_head import QualityHead

POINTS = (0.6, 0.6)
EXACT = 1e-9  # the same sums in another order


def test_a_run_against_itself_changes_nothing() -> None:
    run = answers(0, noise=0.5)
    pairs = pair_answers(run, run)
    for shift in measure_shifts(pairs, TASK, POINTS, rng=np.random.default_rng(0)).values():
        assert shift.before == shift.after
        assert shift.change == 0
        assert shift.is_noise in (True, None)
    change, flips = count_referrals(pairs, TASK, POINTS)
    assert (change.lost, change.gained, change.p_value, change.is_noise) == (0, 0, 1.0, True)
    assert flips == ()


def test_a_planted_loss_of_skill_is_beyond_noise() -> None:
    pairs = pair_answers(answers(0, skill=1.5), answers(0, skill=0.5))
    shifts = measure_shifts(pairs, TASK, POINTS, rng=np.random.default_rng(0))
    for name in ("referable_auc", "quadratic_weighted_kappa", "accuracy"):
        shift = shifts[name]
        assert shift.is_noise is False, name
        assert shift.change is not None
        assert shift.change < 0
        assert shift.high is not None
        assert shift.high < 0


def test_runs_whose_answers_are_shuffled_between_them_differ_by_noise_only() -> None:
    """Under exchange of the two runs a 95 % interval misses 0 in about one case of twenty."""
    one, other = answers(1, noise=0.7), answers(2, noise=0.7)
    misses = 0
    for seed in range(40):
        swap = np.random.default_rng(seed).random(len(one) // 2) < 0.5  # by patient, as the bootstrap
        pair = [(b, a) if swap[i // 2] else (a, b) for i, (a, b) in enumerate(zip(one, other, strict=True))]
        pairs = pair_answers([a for a, _ in pair], [b for _, b in pair])
        shifts = measure_shifts(pairs, TASK, POINTS, rng=np.random.default_rng(seed), rounds=200)
        misses += shifts["referable_auc"].is_noise is False
    assert misses <= 8


def test_photographs_are_paired_by_their_bytes_and_counted_where_alone() -> None:
    run = answers(0)
    moved = [answer.model_copy(update={"image": f"elsewhere/{i}.jpg"}) for i, answer in enumerate(run)]
    pairs = pair_answers(run[:150], moved[:49:-1])
    assert (len(pairs.before), pairs.only_before, pairs.only_after) == (100, 50, 50)
    assert [a.sha256 for a in pairs.before] == [b.sha256 for b in pairs.after] == [a.sha256 for a in run[50:150]]


def test_equal_copies_are_paired_once_each() -> None:
    twin = [answers(0)[0]] * 2
    pairs = pair_answers(twin, [*twin, twin[0]])
    assert (len(pairs.before), pairs.only_before, pairs.only_after) == (2, 0, 1)


def _answer(i: int, referable: float, label: int | None = 0) -> Answer:
    return Answer(
        image=f"{i}.jpg",
        sha256=str(i),
        patient=i,
        labels={"dr": label},
        probs={"dr": (1 - referable, referable, 0.0)},
    )


def test_lost_referrals_come_first_and_unlabelled_photographs_count() -> None:
    before = [_answer(0, 0.1, None), _answer(1, 0.9, None), _answer(2, 0.9), _answer(3, 0.5)]
    after = [_answer(0, 0.9, None), _answer(1, 0.2, None), _answer(2, 0.9), _answer(3, 0.5)]
    change, flips = count_referrals(pair_answers(before, after), TASK, (0.6, 0.6))
    assert (change.n, change.lost, change.gained) == (4, 1, 1)
    assert [(flip.image, flip.after) for flip in flips] == [("1.jpg", "not referable"), ("0.jpg", "referable")]
    assert [flip.label for flip in flips] == [None, None]


def test_another_operating_point_alone_moves_referrals() -> None:
    run = [_answer(i, 0.5) for i in range(8)]
    change, _ = count_referrals(pair_answers(run, run), TASK, (0.4, 0.6))
    assert (change.lost, change.gained, change.is_noise) == (8, 0, False)
    shifts = measure_shifts(pair_answers(run, run), TASK, (0.4, 0.6), rng=np.random.default_rng(0))
    assert (shifts["specificity"].before, shifts["specificity"].after) == (0, 1)
    assert shifts["sensitivity"].is_noise is None


def test_photographs_that_were_labelled_anew_are_left_out() -> None:
    before = [_answer(0, 0.9, 1), _answer(1, 0.9, 0), _answer(2, 0.1, None)]
    after = [_answer(0, 0.9, 1), _answer(1, 0.9, 1), _answer(2, 0.1, 0)]
    shifts = measure_shifts(pair_answers(before, after), TASK, POINTS, rng=np.random.default_rng(0))
    assert shifts["specificity"].before is None  # of the three only the first counts, and it is referable
    assert measure_shifts(pair_answers(before[1:], after[1:]), TASK, POINTS, rng=np.random.default_rng(0)) == {}


@given(st.integers(0, 60), st.integers(0, 60))
def test_mcnemar_is_the_binomial_test_and_takes_no_side(lost: int, gained: int) -> None:
    p_value = exact_mcnemar(lost, gained)
    assert p_value == exact_mcnemar(gained, lost)
    if lost + gained:
        assert p_value == pytest.approx(binomtest(lost, lost + gained).pvalue, abs=EXACT)


def test_mcnemar_of_many_photographs_does_not_overflow() -> None:
    assert exact_mcnemar(3000, 3000) == 1.0
    assert exact_mcnemar(0, 3000) < 1e-300


def test_what_a_runs_own_quality_task_refuses_was_graded_in_the_other_run_alone() -> None:
    head = QualityHead(task=TASK, operating_point=0.5)
    pairs = pair_answers([_answer(0, 0.9), _answer(1, 0.1), _answer(2, 0.9)], [_answer(i, 0.1) for i in range(3)])
    graded = graded_pairs(pairs, head, head)
    assert [answer.image for answer in graded.before] == [answer.image for answer in graded.after] == ["1.jpg"]
    assert (graded.only_before, graded.only_after) == (0, 2)
    assert graded_pairs(pairs, None, None) == pairs
