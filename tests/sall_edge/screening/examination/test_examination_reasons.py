"""The keys of the message catalogues, and what follows from each."""

import pytest

from sall_edge.screening.examination.reasons import (
    NotAssessed,
    Reason,
    eye_keys,
    not_assessed_keys,
    outcome_of,
    person_keys,
    worst_first,
)
from sall_edge.screening.examination.record import Outcome, View


def test_every_key_of_an_eye_is_listed() -> None:
    assert eye_keys(("dr", "amd")) == {
        *("urgent:dr", "urgent:amd", "referable:dr", "referable:amd", "low_confidence:dr", "low_confidence:amd"),
        *("conflict:dr:amd", "unfamiliar", "laterality", "repeated"),
        *("ungradable:macula", "ungradable:disc", "given_up:macula", "given_up:disc", "missing:macula", "missing:disc"),
    }
    assert "missing:disc" not in eye_keys(("dr",), [View.MACULA])


def test_a_persons_keys_are_those_of_both_eyes_and_of_an_eye_left_out() -> None:
    keys = person_keys(("dr",))
    assert {"L:referable:dr", "R:referable:dr", "L:not_examined", "R:not_examined"} <= keys
    assert len(keys) == 2 * (len(eye_keys(("dr",))) + 1)


def test_what_is_not_assessed_are_the_diseases_and_what_a_programme_may_name() -> None:
    assert not_assessed_keys(("dr",)) == {"task:dr", "maculopathy", "glaucoma", "other_diseases", "periphery"}
    assert len(NotAssessed) == 4


def test_only_an_eye_left_out_on_purpose_has_no_consequence() -> None:
    mild = [reason for reason in Reason if reason.outcome is Outcome.NO_REFERRAL]
    assert mild == [Reason.NOT_EXAMINED]


def test_reasons_stand_in_the_order_of_their_consequences() -> None:
    severities = [reason.outcome.severity for reason in Reason]
    assert severities == sorted(severities, reverse=True)


def test_the_worst_reason_decides_and_none_is_no_referral() -> None:
    assert outcome_of([]) is Outcome.NO_REFERRAL
    assert outcome_of(["missing:disc"]) is Outcome.INCOMPLETE
    assert outcome_of(["missing:disc", "laterality"]) is Outcome.HUMAN_GRADING
    assert outcome_of(["laterality", "ungradable:disc"]) is Outcome.UNGRADABLE_REFERRAL
    assert outcome_of(["urgent:amd", "referable:dr"]) is Outcome.URGENT_REFERRAL


def test_an_unknown_key_is_refused_rather_than_taken_for_nothing() -> None:
    with pytest.raises(ValueError, match="refferable"):
        outcome_of(["refferable:dr"])


def test_keys_are_sorted_worst_first_and_each_stands_once() -> None:
    assert worst_first(["laterality", "referable:dr", "laterality", "referable:amd"]) == (
        *("referable:amd", "referable:dr"),
        "laterality",
    )
