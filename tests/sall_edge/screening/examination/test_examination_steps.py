"""The steps of an examination, and those that it refuses."""

from datetime import datetime, timedelta
from typing import Any

import pytest
from fakes.made_up_examination import (
    AMD,
    BLURRED,
    CLEAR_AMD,
    CLEAR_DR,
    DR,
    ENGINE,
    ICDR,
    NOON,
    TASKS,
    UNREADABLE,
    begun_with,
    photograph_of,
    screened_of,
    taken,
    verdict_of,
    with_all_clear,
)

from sall_edge.errors import ExaminationError
from sall_edge.screening.examination.examination import Wanted, begin, finish, give_up, wanted, with_photograph
from sall_edge.screening.examination.programme import load_programme
from sall_edge.screening.examination.record import Examination, ExaminedPhotograph, Outcome, Person, View
from sall_edge.spec import Eye

ONE = load_programme("icdr-one-photograph")
LATER = NOON + timedelta(minutes=5)


def _add(examination: Examination, photograph: ExaminedPhotograph) -> Examination:
    return with_photograph(examination, photograph, ICDR, TASKS)


def test_an_examination_starts_incomplete_with_everything_that_identifies_it() -> None:
    begun = begin(ICDR, Person(reference="17"), ENGINE, examination_id="x", at=NOON, operator="nurse")
    assert (begun.programme, begun.programme_sha256) == ("icdr", ICDR.sha256)
    assert (begun.engine_sha256, begun.image_spec_sha256) == (ENGINE.engine_sha256, ENGINE.image_spec_sha256)
    assert begun.operating_points == ENGINE.operating_points
    assert (begun.operator, begun.started_at, begun.finished_at) == ("nurse", NOON, None)
    assert begun.outcome is Outcome.INCOMPLETE
    assert begun.reasons == ("R:missing:disc", "R:missing:macula", "L:missing:disc", "L:missing:macula")


def test_photographs_are_wanted_in_the_programmes_order_until_none_is() -> None:
    examination, order = begun_with(ICDR), []
    while (asked := wanted(examination, ICDR)) is not None:
        order.append((asked.eye.value, asked.view.value, asked.attempt, asked.attempts_left, asked.reasons))
        examination = taken(examination, photograph_of(len(order), eye=asked.eye, view=asked.view), ICDR)
    assert order == [
        *(("R", "macula", 1, 2, ()), ("R", "disc", 1, 2, ())),
        *(("L", "macula", 1, 2, ()), ("L", "disc", 1, 2, ())),
    ]


def test_a_photograph_that_is_not_gradable_is_wanted_again_with_its_reasons() -> None:
    blurred = taken(begun_with(ICDR), photograph_of(1, BLURRED), ICDR)
    again = Wanted(eye=Eye.RIGHT, view=View.MACULA, attempt=2, attempts_left=1, reasons=("out_of_focus",))
    assert wanted(blurred, ICDR) == again
    unreadable = taken(blurred, photograph_of(2, UNREADABLE), ICDR)
    last = Wanted(eye=Eye.RIGHT, view=View.MACULA, attempt=3, attempts_left=0, reasons=("unreadable",))
    assert wanted(unreadable, ICDR) == last
    used_up = taken(unreadable, photograph_of(3, BLURRED), ICDR)
    assert wanted(used_up, ICDR) == Wanted(eye=Eye.RIGHT, view=View.DISC, attempt=1, attempts_left=2)


def test_findings_and_doubts_cause_no_retake() -> None:
    examination = taken(begun_with(ICDR), photograph_of(1, eye_seen=Eye.LEFT), ICDR)
    asked = wanted(examination, ICDR)
    assert asked is not None
    assert asked.view is View.DISC


def test_the_next_of_several_good_photographs_says_what_was_doubtful_about_the_last() -> None:
    twice = ICDR.model_copy(update={"good_photographs": 2})
    examination = taken(begun_with(twice), photograph_of(1, eye_seen=Eye.LEFT), twice)
    asked = wanted(examination, twice)
    assert asked == Wanted(eye=Eye.RIGHT, view=View.MACULA, attempt=2, attempts_left=1, reasons=("laterality",))


def test_an_eye_that_is_left_out_and_a_view_that_was_given_up_are_not_wanted() -> None:
    examination = begun_with(ICDR, not_examined={Eye.RIGHT: "prosthesis"})
    assert examination.not_examined == {"R": "prosthesis"}
    examination = give_up(examination, Eye.LEFT, View.MACULA, ICDR, TASKS, why="cannot sit still")
    assert examination.given_up[0].why == "cannot sit still"
    asked = wanted(examination, ICDR)
    assert asked is not None
    assert (asked.eye, asked.view) == (Eye.LEFT, View.DISC)


def test_finishing_keeps_the_results_and_ends_what_is_wanted() -> None:
    done = finish(with_all_clear(ICDR), LATER)
    assert (done.finished_at, done.outcome) == (LATER, Outcome.NO_REFERRAL)
    early = finish(taken(begun_with(ICDR), photograph_of(1), ICDR), LATER)
    assert early.outcome is Outcome.INCOMPLETE
    assert wanted(early, ICDR) is None


def test_a_finished_examination_cannot_be_changed() -> None:
    done = finish(begun_with(ICDR), LATER)
    for step in (
        lambda: _add(done, photograph_of(1)),
        lambda: give_up(done, Eye.LEFT, View.DISC, ICDR, TASKS),
        lambda: finish(done, LATER),
    ):
        with pytest.raises(ExaminationError, match="nothing can be added") as refused:
            step()
        assert refused.value.why == "it was finished at 2026-03-02T12:05:00+00:00"


def test_times_need_a_zone_and_an_end_comes_after_the_start() -> None:
    naive = datetime(2026, 3, 2, 12, 0)
    for step in (
        lambda: begun_with(ICDR, at=naive),
        lambda: finish(begun_with(ICDR), naive),
        lambda: _add(begun_with(ICDR), photograph_of(1, taken_at=naive)),
    ):
        with pytest.raises(ExaminationError, match="has no time zone"):
            step()
    with pytest.raises(ExaminationError, match="cannot finish at") as refused:
        finish(begun_with(ICDR), NOON - timedelta(seconds=1))
    assert refused.value.fix == "set the device's clock"


def test_an_eye_is_left_out_for_a_reason_and_never_both() -> None:
    with pytest.raises(ExaminationError, match="the eye L is left out without a reason"):
        begun_with(ICDR, not_examined={Eye.LEFT: " "})
    with pytest.raises(ExaminationError, match="no eye is left to examine") as refused:
        begun_with(ICDR, not_examined={Eye.LEFT: "prosthesis", Eye.RIGHT: "prosthesis"})
    assert refused.value.why == "the programme icdr asks for R, L"


def test_an_engine_that_does_not_fit_the_programme_is_refused_before_the_first_photograph() -> None:
    single = type(ENGINE)(engine_sha256="e", image_spec_sha256="f", tasks=(DR,), operating_points={"dr": 0.2})
    with pytest.raises(ExaminationError, match="does not grade amd"):
        begin(ICDR, Person(reference="17"), single, examination_id="x", at=NOON)


def test_another_programme_than_the_one_it_was_begun_with_is_refused() -> None:
    examination = begun_with(ICDR)
    for step in (
        lambda: wanted(examination, ONE),
        lambda: with_photograph(examination, photograph_of(1), ONE, TASKS),
        lambda: give_up(examination, Eye.LEFT, View.MACULA, ONE, TASKS),
    ):
        with pytest.raises(
            ExaminationError, match="follows another programme than this icdr-one-photograph"
        ) as refused:
            step()
        assert f"icdr {ICDR.sha256[:12]}" in refused.value.why


def test_a_photograph_that_nobody_asked_for_is_refused() -> None:
    with pytest.raises(ExaminationError, match="icdr-one-photograph does not ask for R disc") as refused:
        with_photograph(begun_with(ONE), photograph_of(1, view=View.DISC), ONE, TASKS)
    assert refused.value.why == "it asks for R macula, L macula"
    with pytest.raises(ExaminationError, match="the eye R is left out") as refused:
        _add(begun_with(ICDR, not_examined={Eye.RIGHT: "prosthesis"}), photograph_of(1))
    assert refused.value.why == "prosthesis"


def test_each_photograph_counts_once_and_is_numbered() -> None:
    one = _add(begun_with(ICDR), photograph_of(1))
    with pytest.raises(ExaminationError, match="photograph-1 is in the examination already"):
        _add(one, photograph_of(1, attempt=2))
    with pytest.raises(ExaminationError, match="photograph-2 says that it is attempt 1") as refused:
        _add(one, photograph_of(2))
    assert (refused.value.why, refused.value.fix) == ("1 were taken of R macula before", "number it 2")


@pytest.mark.parametrize("changed", ["engine_sha256", "image_spec_sha256"])
def test_a_photograph_of_another_engine_is_refused(changed: str) -> None:
    with pytest.raises(ExaminationError, match="was graded by another engine") as refused:
        _add(begun_with(ICDR), photograph_of(1, screened_of(**{changed: "a" * 64})))
    assert "aaaaaaaaaaaa" in refused.value.why or changed == "image_spec_sha256"
    assert _add(begun_with(ICDR), photograph_of(1, BLURRED)).photographs  # nothing graded it


@pytest.mark.parametrize(
    "tasks",
    [
        {"dr": verdict_of(DR, CLEAR_DR)},
        {"dr": verdict_of(DR, CLEAR_DR), "amd": verdict_of(AMD, CLEAR_AMD[:3])},
        {"dr": verdict_of(DR, CLEAR_DR), "amd": verdict_of(AMD, CLEAR_AMD).model_copy(update={"grade": 4})},
        {"dr": verdict_of(DR, CLEAR_DR), "amd": verdict_of(AMD, (float("nan"), 0.0, 0.0, 0.0))},
    ],
)
def test_a_photograph_without_every_grade_is_refused(tasks: dict[str, Any]) -> None:
    with pytest.raises(ExaminationError, match="photograph-1 has no grade of amd") as refused:
        _add(begun_with(ICDR), photograph_of(1, screened_of(tasks=tasks)))
    assert "4 probabilities between 0 and 1 are needed" in refused.value.why


def test_only_what_is_still_wanted_can_be_given_up() -> None:
    with pytest.raises(ExaminationError, match="R macula cannot be given up"):
        give_up(_add(begun_with(ICDR), photograph_of(1)), Eye.RIGHT, View.MACULA, ICDR, TASKS)
