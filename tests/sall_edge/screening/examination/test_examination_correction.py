"""What follows when a photograph turns out to be of the other eye; the verdicts are made by hand."""

from datetime import timedelta

import pytest
from fakes.made_up_examination import (
    ICDR,
    MODERATE_DR,
    NOON,
    TASKS,
    begun_with,
    photograph_of,
    screened_of,
    taken,
    with_all_clear,
)

from sall_edge.errors import ExaminationError
from sall_edge.screening.examination.correction import of_other_eye
from sall_edge.screening.examination.examination import finish, wanted
from sall_edge.screening.examination.programme import load_programme
from sall_edge.screening.examination.record import Examination, Outcome, SideCorrection, View
from sall_edge.spec import Eye

ONE = load_programme("icdr-one-photograph")
LATER = NOON + timedelta(minutes=5)


def _corrected(examination: Examination, number: int = 1) -> Examination:
    return of_other_eye(examination, f"photograph-{number}", ICDR, TASKS, at=LATER, by="the nurse")


def test_the_photograph_counts_for_the_other_eye_and_its_own_is_asked_for_again() -> None:
    of_left = taken(begun_with(ICDR), photograph_of(1, eye_seen=Eye.LEFT), ICDR)
    assert "R:laterality" in of_left.reasons
    corrected = _corrected(of_left)
    assert "laterality" not in " ".join(corrected.reasons)
    assert corrected.photographs == of_left.photographs  # what was stored of it stays
    assert [one.eye for one in corrected.counted] == [Eye.LEFT]
    assert corrected.eyes["L"].chosen == {"macula": "photograph-1"}
    assert corrected.eyes["R"].chosen == {}
    asked = wanted(corrected, ICDR)
    assert asked is not None
    assert (asked.eye, asked.view, asked.attempt) == (Eye.RIGHT, View.MACULA, 1)


def test_a_correction_says_who_when_and_which_result_it_replaces() -> None:
    going_on = _corrected(taken(begun_with(ICDR), photograph_of(1), ICDR))
    done = _corrected(finish(with_all_clear(ICDR, {}), LATER), 0)
    said = SideCorrection(
        photograph_id="photograph-1", eye_was=Eye.RIGHT, eye_is=Eye.LEFT, at=LATER, by="the nurse", replaced=None
    )
    assert going_on.corrections == (said,)
    assert done.corrections[0].replaced is Outcome.NO_REFERRAL


def test_a_finding_moves_with_its_photograph_and_an_eye_without_one_is_no_negative() -> None:
    besides = {(Eye.RIGHT, View.MACULA): photograph_of(9, screened_of(dr=MODERATE_DR), eye_seen=Eye.LEFT)}
    done = finish(with_all_clear(ICDR, besides), LATER)
    corrected = _corrected(done, 9)
    assert (done.eyes["R"].outcome, done.eyes["L"].outcome) == (Outcome.REFERRAL, Outcome.NO_REFERRAL)
    assert (corrected.eyes["R"].outcome, corrected.eyes["L"].outcome) == (Outcome.INCOMPLETE, Outcome.REFERRAL)
    assert corrected.outcome is Outcome.REFERRAL
    assert corrected.finished_at == done.finished_at


def test_two_eyes_that_were_swapped_are_both_right_in_the_end() -> None:
    mixed = begun_with(ONE)
    mixed = taken(mixed, photograph_of(1, screened_of(dr=MODERATE_DR), eye=Eye.RIGHT, eye_seen=Eye.LEFT), ONE)
    mixed = finish(taken(mixed, photograph_of(2, eye=Eye.LEFT, eye_seen=Eye.RIGHT), ONE), LATER)
    for number in (1, 2):
        mixed = of_other_eye(mixed, f"photograph-{number}", ONE, TASKS, at=LATER)
    assert (mixed.eyes["R"].outcome, mixed.eyes["L"].outcome) == (Outcome.NO_REFERRAL, Outcome.REFERRAL)
    assert mixed.reasons == ("L:referable:dr",)


def test_said_twice_it_is_as_before_and_both_are_kept() -> None:
    first = taken(begun_with(ICDR), photograph_of(1), ICDR)
    back = _corrected(_corrected(first))
    assert (back.eyes, back.outcome, back.reasons) == (first.eyes, first.outcome, first.reasons)
    assert [one.eye_is for one in back.corrections] == [Eye.LEFT, Eye.RIGHT]


def test_what_has_no_place_in_the_other_eye_is_refused() -> None:
    examination = taken(begun_with(ICDR), photograph_of(1), ICDR)
    with pytest.raises(ExaminationError, match="photograph-7 is not in examination examination-1") as refused:
        _corrected(examination, 7)
    assert refused.value.fix == "sall-edge store show names its photographs"
    left_out = taken(begun_with(ICDR, not_examined={Eye.LEFT: "prosthesis"}), photograph_of(1), ICDR)
    with pytest.raises(ExaminationError, match="the eye L is left out"):
        _corrected(left_out)
    with pytest.raises(ExaminationError, match="follows another programme"):
        of_other_eye(examination, "photograph-1", ONE, TASKS, at=LATER)
    with pytest.raises(ExaminationError, match="has no time zone"):
        of_other_eye(examination, "photograph-1", ICDR, TASKS, at=LATER.replace(tzinfo=None))
