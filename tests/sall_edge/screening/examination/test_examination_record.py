"""The nouns of an examination."""

import pytest

from sall_edge.screening.examination.record import Familiarity, Outcome, worst


def test_outcomes_are_ordered_from_mild_to_severe() -> None:
    assert [outcome.severity for outcome in Outcome] == list(range(6))
    assert worst([Outcome.REFERRAL, Outcome.NO_REFERRAL, Outcome.HUMAN_GRADING]) is Outcome.REFERRAL


def test_the_worst_of_nothing_is_no_answer() -> None:
    with pytest.raises(ValueError, match="empty"):
        worst([])


def test_a_retina_at_the_limit_is_still_familiar() -> None:
    assert not Familiarity(distance=2.0, limit=2.0).is_unfamiliar
    assert Familiarity(distance=2.1, limit=2.0).is_unfamiliar
