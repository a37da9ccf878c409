"""The sentence at the top: whose referral was lost, what that says of others, and whether the speed may be quoted."""

import pytest
from fakes.made_up_report import LOST, accuracy, flip, full_report
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import beta

from sall_edge.bench.report.conclusion import conclude, largest_rate, names_of
from sall_edge.spec import Role, Task, TaskSet


@pytest.fixture
def tasks(retina_tasks: TaskSet) -> tuple[Task, ...]:
    return retina_tasks.tasks


def test_a_lost_referral_is_counted_named_and_bounded(tasks: tuple[Task, ...]) -> None:
    found = conclude(full_report(tasks), tasks, name="int8")
    assert found.sentence.startswith(
        f"1 photograph lost a referral against FP32 among 700 ({LOST}): of those that FP32"
    )
    assert "Diabetic retinopathy 1 of 143 (95 % upper bound 3.3 %)" in found.sentence
    assert "Age-related macular degeneration 0 of 143 (95 % upper bound 2.1 %)" in found.sentence
    assert found.lost is not None
    assert [lost.image for lost in found.lost] == [LOST]


def test_no_lost_referral_is_a_statement_about_these_photographs(tasks: tuple[Task, ...]) -> None:
    gained = (flip("photos/new.jpg", is_lost=False),)
    found = conclude(full_report(tasks, flips=gained), tasks, name="int8")
    assert found.sentence.startswith("No photograph lost its referral against FP32 among these 700: ")
    assert found.lost == ()


def test_a_photograph_that_lost_two_referrals_is_one_photograph(tasks: tuple[Task, ...]) -> None:
    found = conclude(full_report(tasks, flips=(flip(LOST), flip(LOST, task="amd"))), tasks, name="int8")
    assert found.referrals.startswith("1 photograph lost a referral")
    assert "Age-related macular degeneration 1 of 143" in found.referrals


def test_many_lost_referrals_are_not_all_named(tasks: tuple[Task, ...]) -> None:
    flips = tuple(flip(f"{i}.jpg") for i in range(8))
    text = conclude(full_report(tasks, flips=flips), tasks, name="int8").referrals
    assert "8 photographs lost a referral against FP32 among 700 (0.jpg, 1.jpg, 2.jpg, 3.jpg, 4.jpg and 3 more)" in text


def test_where_fp32_refers_nobody_nothing_is_shown(tasks: tuple[Task, ...]) -> None:
    full = full_report(tasks, flips=())
    assert full.reference is not None
    nobody = full.reference.model_copy(update={"referred": {"dr": 143, "amd": 0}})
    text = conclude(full.model_copy(update={"reference": nobody}), tasks, name="int8").referrals
    assert "Age-related macular degeneration none of none, which shows nothing" in text


def test_where_referred_photographs_were_not_counted_the_bound_is_one_of_all(tasks: tuple[Task, ...]) -> None:
    full = full_report(tasks, flips=())
    assert full.reference is not None
    older = full.reference.model_copy(update={"referred": {}})
    text = conclude(full.model_copy(update={"reference": older}), tasks, name="int8").referrals
    assert text.endswith("95 % upper bound 0.43 % of all photographs")


def test_without_photographs_nothing_is_said_of_referrals(tasks: tuple[Task, ...]) -> None:
    found = conclude(full_report(tasks, photographs=0, reference=None, accuracy={}, flips=()), tasks, name="int8")
    assert found.sentence.startswith("No photographs were given, so no referral was compared with FP32; one prepared")
    assert "square of noise takes 12.25 ms" in found.sentence
    assert found.lost is None
    assert found.sensitivity == ""


def test_sensitivity_stands_beside_that_of_fp32(tasks: tuple[Task, ...]) -> None:
    found = conclude(full_report(tasks), tasks, name="int8")
    assert "sensitivity for Diabetic retinopathy 0.912 [0.872, 0.949] (FP32 0.920)" in found.sentence
    unlabelled = conclude(full_report(tasks, accuracy={"dr": accuracy(sensitivity=None)}), tasks, name="int8")
    assert unlabelled.sensitivity == "sensitivity for Diabetic retinopathy undefined without a referable label"


def test_quality_has_no_sensitivity_for_a_disease(tasks: tuple[Task, ...]) -> None:
    quality = tasks[0].model_copy(update={"role": Role.QUALITY})
    assert "Diabetic retinopathy" not in conclude(full_report(tasks), (quality, *tasks[1:]), name="int8").sensitivity


def test_a_thorough_run_may_be_quoted(tasks: tuple[Task, ...]) -> None:
    found = conclude(full_report(tasks), tasks, name="int8")
    assert found.sentence.endswith("one prepared photograph takes 12.25 ms (p50, p90 13.50 ms), which may be quoted.")
    assert found.against_claims == ()


def test_the_reports_own_reasons_are_all_given(tasks: tuple[Task, ...]) -> None:
    found = conclude(full_report(tasks, not_for_claims=("one", "two")), tasks, name="int8")
    assert found.sentence.endswith("which must not be quoted, for the reasons below.")
    assert found.against_claims == ("one", "two")


def test_engines_have_the_shortest_names_that_tell_them_apart(tasks: tuple[Task, ...]) -> None:
    def names(*paths: str) -> tuple[str, ...]:
        return names_of([full_report(tasks, engine=path) for path in paths])

    assert names("a/int8", "b/fp32") == ("int8", "fp32")
    assert names("a/engine", "b/engine") == ("a/engine", "b/engine")
    assert names("a/engine", "a/engine") == ("a/engine (1)", "a/engine (2)")


def test_the_bound_of_no_event_is_exact() -> None:
    assert largest_rate(0, 100) == pytest.approx(1 - 0.05**0.01)
    assert largest_rate(0, 3000) == pytest.approx(3 / 3000, rel=0.01)  # the rule of three
    assert largest_rate(3, 3) == 1


@settings(deadline=None)
@given(st.integers(1, 400).flatmap(lambda n: st.tuples(st.integers(0, n - 1), st.just(n))))
def test_the_bound_is_clopper_and_pearsons(counts: tuple[int, int]) -> None:
    events, n = counts
    assert largest_rate(events, n) == pytest.approx(beta.ppf(0.95, events + 1, n - events), rel=1e-6)


@pytest.mark.parametrize(("events", "n"), [(0, 0), (-1, 5), (6, 5)])
def test_events_that_cannot_be_are_refused(events: int, n: int) -> None:
    with pytest.raises(ValueError, match="expected 0 <= events <= n"):
        largest_rate(events, n)
