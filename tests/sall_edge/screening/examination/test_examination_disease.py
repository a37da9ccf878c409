"""What the programme makes of the engine's grades, and which engines it refuses."""

from typing import Any

import pytest
from fakes.made_up_examination import (
    AMD,
    CLEAR_DR,
    DOUBTFUL_DR,
    DR,
    ICDR,
    MODERATE_DR,
    POINTS,
    PROLIFERATIVE_DR,
    QUALITY,
    verdict_of,
)
from hypothesis import given
from hypothesis import strategies as st

from sall_edge.errors import ExaminationError
from sall_edge.screening.examination.disease import Disease, Level, diseases_of
from sall_edge.screening.examination.programme import Programme
from sall_edge.spec import Role


def _programme(**of_dr: Any) -> Programme:
    tasks = [{**ICDR.tasks[0].model_dump(), **of_dr}, *(task.model_dump() for task in ICDR.tasks[1:])]
    return Programme.model_validate({**ICDR.model_dump(), "tasks": tasks})


def _dr(**of_dr: Any) -> Disease:
    return diseases_of(_programme(**of_dr), (DR, AMD), POINTS)[0]


@pytest.mark.parametrize(
    ("probs", "level"),
    [
        (CLEAR_DR, Level.CLEAR),
        (DOUBTFUL_DR, Level.IN_DOUBT),
        (MODERATE_DR, Level.REFERABLE),
        (PROLIFERATIVE_DR, Level.URGENT),
        ((0.79, 0.0, 0.21, 0.0, 0.0), Level.REFERABLE),  # the operating point is 0.2, whatever the grade
        ((0.91, 0.0, 0.09, 0.0, 0.0), Level.CLEAR),  # just under half of it
        ((0.0, 0.0, 0.4, 0.3, 0.3), Level.URGENT),  # severe and proliferative together
    ],
)
def test_a_verdict_is_judged_by_operating_point_grade_and_closeness(probs: tuple[float, ...], level: Level) -> None:
    assert _dr().level(verdict_of(DR, probs)) is level


def test_a_referable_grade_is_referred_even_below_a_high_operating_point() -> None:
    probs = (0.3, 0.3, 0.4, 0.0, 0.0)
    disease = diseases_of(ICDR, (DR, AMD), {"dr": 0.7, "amd": 0.1})[0]
    verdict = verdict_of(DR, probs).model_copy(update={"referable": False})
    assert disease.level(verdict) is Level.REFERABLE


@given(st.lists(st.floats(0.001, 1), min_size=5, max_size=5), st.booleans())
def test_the_engines_referral_is_never_overruled(weights: list[float], referable: bool) -> None:
    probs = [weight / sum(weights) for weight in weights]
    verdict = verdict_of(DR, probs).model_copy(update={"referable": referable})
    assert _dr().level(verdict) >= (Level.REFERABLE if referable else Level.CLEAR)


def test_the_engines_referral_counts_at_any_probability() -> None:
    verdict = verdict_of(DR, CLEAR_DR).model_copy(update={"referable": True})
    assert _dr().level(verdict) is Level.REFERABLE


def test_without_urgent_grades_nothing_is_urgent() -> None:
    assert _dr(urgent_from=None).level(verdict_of(DR, PROLIFERATIVE_DR)) is Level.REFERABLE


def test_the_lower_operating_point_counts() -> None:
    assert _dr(operating_point=0.1).operating_point == 0.1
    assert _dr(operating_point=0.9).operating_point == POINTS["dr"]
    assert _dr(operating_point=0.1).level(verdict_of(DR, DOUBTFUL_DR)) is Level.REFERABLE


def test_a_programme_may_refer_milder_grades_at_a_point_of_its_own() -> None:
    disease = _dr(referable_from=1, operating_point=0.3)
    assert disease.level(verdict_of(DR, (0.69, 0.31, 0.0, 0.0, 0.0))) is Level.REFERABLE
    assert disease.level(verdict_of(DR, (0.8, 0.2, 0.0, 0.0, 0.0))) is Level.IN_DOUBT


def test_a_milder_grade_without_a_point_of_its_own_is_refused() -> None:
    with pytest.raises(ExaminationError, match="refers dr from mild and gives no operating_point") as refused:
        _dr(referable_from=1)
    assert "chosen for moderate and above" in refused.value.why


def test_a_programme_milder_than_the_engine_is_refused() -> None:
    with pytest.raises(ExaminationError, match="refers dr from severe") as refused:
        _dr(referable_from=3)
    assert "the engine refers from moderate" in refused.value.why
    assert refused.value.fix == "set referable_from to 2 or less"


def test_a_disease_that_the_engine_lacks_is_refused() -> None:
    with pytest.raises(ExaminationError, match="the engine does not grade amd") as refused:
        diseases_of(ICDR, (DR,), POINTS)
    assert refused.value.why == "its tasks are dr"


def test_a_task_that_the_programme_does_not_name_is_refused_and_the_quality_task_is_not() -> None:
    glaucoma = DR.model_copy(update={"name": "glaucoma"})
    with pytest.raises(ExaminationError, match="says nothing of glaucoma, which the engine grades") as refused:
        diseases_of(ICDR, (DR, AMD, glaucoma), POINTS)
    assert "must not be dropped in silence" in refused.value.why
    assert [disease.name for disease in diseases_of(ICDR, (QUALITY, AMD, DR), POINTS)] == ["dr", "amd"]


def test_what_judges_the_photograph_is_told_by_its_role_and_not_by_its_name() -> None:
    misnamed = QUALITY.model_copy(update={"role": Role.DISEASE})
    with pytest.raises(ExaminationError, match="says nothing of quality, which the engine grades"):
        diseases_of(ICDR, (DR, AMD, misnamed), POINTS)
    sharpness = QUALITY.model_copy(update={"name": "sharpness"})
    assert [disease.name for disease in diseases_of(ICDR, (DR, AMD, sharpness), POINTS)] == ["dr", "amd"]
