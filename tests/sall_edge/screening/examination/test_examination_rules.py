"""From photographs to what follows: the worst gradable photograph of an eye decides."""

from typing import Any

import pytest
from fakes.made_up_examination import (
    BLURRED,
    CLEAR_AMD,
    DOUBTFUL_AMD,
    DOUBTFUL_DR,
    FAR,
    ICDR,
    INTERMEDIATE_AMD,
    LATE_AMD,
    MODERATE_DR,
    PROLIFERATIVE_DR,
    TASKS,
    begun_with,
    photograph_of,
    screened_of,
    taken,
    with_all_clear,
)

from sall_edge.screening.examination.examination import give_up
from sall_edge.screening.examination.programme import Programme
from sall_edge.screening.examination.record import EyeResult, Outcome, View
from sall_edge.spec import Eye

RIGHT_MACULA = (Eye.RIGHT, View.MACULA)
TWICE = ICDR.model_copy(update={"good_photographs": 2})


def _right(programme: Programme = ICDR, **of_photograph: Any) -> EyeResult:
    """The right eye's result when its macula's photograph is as told and everything else is healthy."""
    return with_all_clear(programme, {RIGHT_MACULA: photograph_of(9, **of_photograph)}).eyes["R"]


def _blurred_disc(examination: Any, times: int, programme: Programme = ICDR) -> Any:
    for number in range(times):
        photograph = photograph_of(20 + number, BLURRED, view=View.DISC)
        examination = taken(examination, photograph, programme)
    return examination


def test_healthy_eyes_that_were_seen_completely_need_no_referral() -> None:
    done = with_all_clear(ICDR)
    assert done.outcome is Outcome.NO_REFERRAL
    assert done.reasons == ()
    assert {eye: result.outcome for eye, result in done.eyes.items()} == {
        "R": Outcome.NO_REFERRAL,
        "L": Outcome.NO_REFERRAL,
    }
    assert done.eyes["R"].not_assessed == ("maculopathy", "glaucoma", "periphery", "other_diseases")
    assert [result.code for result in done.eyes["L"].tasks] == ["ICDR 0", ""]


@pytest.mark.parametrize(
    ("dr", "amd", "outcome", "reasons"),
    [
        (MODERATE_DR, CLEAR_AMD, Outcome.REFERRAL, ("referable:dr",)),
        (PROLIFERATIVE_DR, CLEAR_AMD, Outcome.URGENT_REFERRAL, ("urgent:dr",)),
        (MODERATE_DR, LATE_AMD, Outcome.URGENT_REFERRAL, ("urgent:amd", "referable:dr")),
        (MODERATE_DR, INTERMEDIATE_AMD, Outcome.REFERRAL, ("referable:amd", "referable:dr")),
        (DOUBTFUL_DR, CLEAR_AMD, Outcome.HUMAN_GRADING, ("low_confidence:dr",)),
        (
            *(DOUBTFUL_DR, DOUBTFUL_AMD, Outcome.HUMAN_GRADING),
            ("conflict:dr:amd", "low_confidence:amd", "low_confidence:dr"),
        ),
    ],
)
def test_what_the_grades_of_one_photograph_lead_to(
    dr: tuple[float, ...], amd: tuple[float, ...], outcome: Outcome, reasons: tuple[str, ...]
) -> None:
    done = with_all_clear(ICDR, {RIGHT_MACULA: photograph_of(9, screened_of(dr=dr, amd=amd))})
    assert (done.eyes["R"].outcome, done.eyes["R"].reasons) == (outcome, reasons)
    assert done.eyes["L"].outcome is Outcome.NO_REFERRAL
    assert (done.outcome, done.reasons) == (outcome, tuple(f"R:{reason}" for reason in reasons))


def test_the_worse_eye_is_the_persons_and_is_named_first() -> None:
    besides = {
        RIGHT_MACULA: photograph_of(8, screened_of(dr=DOUBTFUL_DR)),
        (Eye.LEFT, View.DISC): photograph_of(9, screened_of(dr=MODERATE_DR), eye=Eye.LEFT, view=View.DISC),
    }
    done = with_all_clear(ICDR, besides)
    assert done.outcome is Outcome.REFERRAL
    assert done.reasons == ("L:referable:dr", "R:low_confidence:dr")


def test_a_doubtful_side_goes_to_a_human_and_a_referral_stays_one() -> None:
    assert _right(eye_seen=Eye.LEFT).reasons == ("laterality",)
    assert _right(eye_seen=Eye.LEFT).outcome is Outcome.HUMAN_GRADING
    found = _right(screened=screened_of(dr=MODERATE_DR), eye_seen=Eye.LEFT)
    assert (found.outcome, found.reasons) == (Outcome.REFERRAL, ("referable:dr", "laterality"))


def test_a_side_that_cannot_be_seen_is_no_doubt() -> None:
    assert _right(eye_seen=None).outcome is Outcome.NO_REFERRAL


def test_an_unfamiliar_retina_goes_to_a_human() -> None:
    assert (_right(familiarity=FAR).outcome, _right(familiarity=FAR).reasons) == (
        Outcome.HUMAN_GRADING,
        ("unfamiliar",),
    )


def test_one_file_for_two_photographs_goes_to_a_human_for_both_eyes() -> None:
    same = "c" * 64
    besides = {
        RIGHT_MACULA: photograph_of(8, sha256=same),
        (Eye.LEFT, View.MACULA): photograph_of(9, eye=Eye.LEFT, sha256=same),
    }
    done = with_all_clear(ICDR, besides)
    assert done.reasons == ("R:repeated", "L:repeated")
    assert done.outcome is Outcome.HUMAN_GRADING


def test_a_finding_on_a_sharper_second_photograph_does_not_overrule_the_first() -> None:
    begun = begun_with(TWICE)
    found = taken(begun, photograph_of(1, screened_of(dr=MODERATE_DR, quality_score=0.6)), TWICE)
    sharper = taken(found, photograph_of(2, screened_of(quality_score=0.9)), TWICE)
    right = sharper.eyes["R"]
    assert right.outcome is Outcome.REFERRAL
    assert right.tasks[0].photograph_id == "photograph-1"
    assert right.chosen["macula"] == "photograph-1"


def test_the_sharpest_of_equal_photographs_stands_for_the_view() -> None:
    examination = begun_with(TWICE)
    for number, score in ((1, 0.6), (2, 0.9), (3, 0.7)):
        screened = screened_of(quality_score=score)
        examination = taken(examination, photograph_of(number, screened), TWICE)
    assert examination.eyes["R"].chosen == {"macula": "photograph-2"}


def test_the_worse_grade_is_recorded_even_if_the_milder_one_is_more_probable() -> None:
    examination = taken(begun_with(ICDR), photograph_of(1, screened_of(dr=MODERATE_DR)), ICDR)
    severe = (0.1, 0.1, 0.2, 0.6, 0.0)
    examination = taken(examination, photograph_of(2, screened_of(dr=severe), view=View.DISC), ICDR)
    assert examination.eyes["R"].tasks[0].grade == 3


def test_a_doubt_on_one_photograph_outlasts_a_milder_grade_on_another() -> None:
    mild = (0.3, 0.65, 0.03, 0.02, 0.0)  # a higher grade than the doubtful one's, and clear of the operating point
    examination = taken(begun_with(ICDR), photograph_of(1, screened_of(dr=DOUBTFUL_DR)), ICDR)
    examination = taken(examination, photograph_of(2, screened_of(dr=mild), view=View.DISC), ICDR)
    assert examination.eyes["R"].reasons == ("low_confidence:dr",)
    assert examination.eyes["R"].tasks[0].photograph_id == "photograph-1"


def test_a_photograph_that_is_missing_leaves_the_eye_incomplete_and_the_disease_unanswered() -> None:
    one = taken(begun_with(ICDR), photograph_of(1), ICDR)
    assert one.outcome is Outcome.INCOMPLETE
    assert one.eyes["R"].reasons == ("missing:disc",)
    assert one.eyes["L"].reasons == ("missing:disc", "missing:macula")
    assert one.eyes["R"].not_assessed[0] == "task:dr"  # needs the disc; AMD needs the macula only
    assert "task:amd" not in one.eyes["R"].not_assessed
    assert one.eyes["L"].not_assessed[:2] == ("task:dr", "task:amd")
    assert one.eyes["L"].tasks == ()


def test_a_referable_finding_is_said_before_the_other_photographs_are_taken() -> None:
    one = taken(begun_with(ICDR), photograph_of(1, screened_of(dr=MODERATE_DR)), ICDR)
    assert one.outcome is Outcome.REFERRAL
    assert one.eyes["R"].reasons == ("referable:dr", "missing:disc")


def test_used_up_attempts_are_a_referral_and_never_a_negative() -> None:
    macula = taken(begun_with(ICDR), photograph_of(1), ICDR)
    twice, thrice = _blurred_disc(macula, 2), _blurred_disc(macula, 3)
    assert twice.eyes["R"].outcome is Outcome.INCOMPLETE
    assert thrice.eyes["R"].outcome is Outcome.UNGRADABLE_REFERRAL
    assert thrice.eyes["R"].reasons == ("ungradable:disc",)
    assert thrice.eyes["R"].not_assessed[0] == "task:dr"
    assert thrice.eyes["R"].chosen == {"macula": "photograph-1", "disc": "photograph-22"}


def test_a_gradable_retake_resolves_an_ungradable_photograph() -> None:
    begun = _blurred_disc(begun_with(ICDR), 2)
    done = taken(begun, photograph_of(1, view=View.DISC), ICDR)
    assert done.eyes["R"].reasons == ("missing:macula",)
    used_up = _blurred_disc(begun_with(ICDR), 3)
    late = taken(used_up, photograph_of(1, view=View.DISC), ICDR)  # a fourth, which nobody asked for
    assert (used_up.eyes["R"].reasons, late.eyes["R"].reasons) == (
        ("ungradable:disc", "missing:macula"),
        ("missing:macula",),
    )


def test_an_ungradable_view_beside_a_referable_one_is_a_referral() -> None:
    found = taken(begun_with(ICDR), photograph_of(1, screened_of(dr=MODERATE_DR)), ICDR)
    done = _blurred_disc(found, 3)
    assert done.eyes["R"].outcome is Outcome.REFERRAL
    assert done.eyes["R"].reasons == ("referable:dr", "ungradable:disc")


def test_grades_of_a_photograph_that_is_not_gradable_are_not_used() -> None:
    rejected = screened_of(dr=PROLIFERATIVE_DR, gradable=False, reasons=("out_of_focus",))
    assert taken(begun_with(ICDR), photograph_of(1, rejected), ICDR).eyes["R"].tasks == ()


def test_a_view_that_was_given_up_counts_as_ungradable() -> None:
    begun = begun_with(ICDR)
    given = give_up(begun, Eye.RIGHT, View.DISC, ICDR, TASKS, why="the pupil stays small")
    assert given.eyes["R"].outcome is Outcome.UNGRADABLE_REFERRAL
    assert given.eyes["R"].reasons == ("given_up:disc", "missing:macula")
    resolved = taken(given, photograph_of(1, view=View.DISC), ICDR)
    assert resolved.eyes["R"].reasons == ("missing:macula",)


def test_a_second_good_photograph_can_be_given_up_without_harm_to_the_first() -> None:
    one = taken(begun_with(TWICE), photograph_of(1), TWICE)
    assert one.eyes["R"].reasons == ("missing:disc", "missing:macula")
    given = give_up(one, Eye.RIGHT, View.MACULA, TWICE, TASKS)
    assert given.eyes["R"].reasons == ("missing:disc",)


def test_one_good_photograph_is_enough_once_attempts_are_used_up() -> None:
    examination = taken(begun_with(TWICE), photograph_of(1, view=View.DISC), TWICE)
    assert _blurred_disc(examination, 1, TWICE).eyes["R"].reasons == ("missing:disc", "missing:macula")
    assert _blurred_disc(examination, 2, TWICE).eyes["R"].reasons == ("missing:macula",)


def test_an_eye_that_is_left_out_is_named_and_the_other_decides() -> None:
    examination = begun_with(ICDR, not_examined={Eye.LEFT: "prosthesis"})
    assert set(examination.eyes) == {"R"}
    for number, view in enumerate(View):
        examination = taken(examination, photograph_of(number, view=view), ICDR)
    assert examination.outcome is Outcome.NO_REFERRAL
    assert examination.reasons == ("L:not_examined",)


def test_a_programme_may_ask_for_one_eye() -> None:
    left = ICDR.model_copy(update={"photographs": tuple(one for one in ICDR.photographs if one.eye is Eye.LEFT)})
    done = with_all_clear(left)
    assert set(done.eyes) == {"L"}
    assert done.outcome is Outcome.NO_REFERRAL
