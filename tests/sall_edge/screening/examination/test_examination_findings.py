"""One photograph: whether it counts, what the operator is told, what it says of each disease."""

import pytest
from fakes.made_up_examination import (
    AMD,
    BLURRED,
    CLEAR_AMD,
    DOUBTFUL_AMD,
    DOUBTFUL_DR,
    DR,
    FAR,
    ICDR,
    INTERMEDIATE_AMD,
    MODERATE_DR,
    POINTS,
    UNREADABLE,
    photograph_of,
    screened_of,
)

from sall_edge.screening.examination.disease import diseases_of
from sall_edge.screening.examination.findings import conflict_reasons, findings_on, is_gradable, photograph_reasons
from sall_edge.screening.examination.reasons import PHOTOGRAPH_KEYS
from sall_edge.screening.quality_head import QUALITY_HEAD
from sall_edge.screening.verdict import ScreenedPhotograph
from sall_edge.spec import Eye

REJECTED = ScreenedPhotograph(photo="eye.jpg", gradable=False, reasons=(QUALITY_HEAD,))
DISEASES = diseases_of(ICDR, (DR, AMD), POINTS)
SPLIT_DR = (0.3, 0.2, 0.4, 0.1, 0.0)  # referable, and only half sure


@pytest.mark.parametrize(
    ("screened", "reasons"),
    [
        (screened_of(), ()),
        (BLURRED, ("out_of_focus",)),
        (UNREADABLE, ("unreadable",)),
        (screened_of(error=UNREADABLE.error), ("unreadable",)),
        (REJECTED, (QUALITY_HEAD,)),
        (BLURRED.model_copy(update={"gradable": None}), ("out_of_focus",)),
    ],
)
def test_only_a_readable_photograph_that_both_gates_let_through_counts(
    screened: ScreenedPhotograph, reasons: tuple[str, ...]
) -> None:
    photograph = photograph_of(1, screened)
    assert is_gradable(photograph) is not bool(reasons)
    assert photograph_reasons(photograph) == reasons


def test_the_operator_hears_at_once_of_a_doubtful_side_and_an_unfamiliar_retina() -> None:
    assert photograph_reasons(photograph_of(1, eye_seen=Eye.LEFT)) == ("laterality",)
    assert photograph_reasons(photograph_of(1, familiarity=FAR)) == ("unfamiliar",)
    assert photograph_reasons(photograph_of(1, eye_seen=None, familiarity=None)) == ()


def test_what_the_operator_hears_beside_the_quality_gate_is_listed() -> None:
    heard = set()
    for screened in (UNREADABLE, screened_of()):
        heard |= {*photograph_reasons(photograph_of(1, screened, eye_seen=Eye.LEFT, familiarity=FAR))}
    assert heard == PHOTOGRAPH_KEYS


def test_a_finding_is_recorded_with_the_programmes_words() -> None:
    dr, amd = findings_on(photograph_of(7, screened_of(dr=MODERATE_DR)), DISEASES)
    assert (dr.result.grade, dr.result.referable, dr.result.urgent) == (2, True, False)
    assert (dr.result.code, dr.result.title) == ("ICDR 2", "Moderate non-proliferative retinopathy")
    assert dr.result.photograph_id == "photograph-7"
    assert dr.result.referable_probability == sum(MODERATE_DR[2:])
    assert (amd.result.task, amd.result.referable, amd.result.code) == ("amd", False, "")


@pytest.mark.parametrize(
    ("dr", "amd", "is_conflict"),
    [
        (SPLIT_DR, INTERMEDIATE_AMD, True),  # both referable, neither sure
        (DOUBTFUL_DR, DOUBTFUL_AMD, True),  # neither referable, both close
        (SPLIT_DR, DOUBTFUL_AMD, True),
        (MODERATE_DR, INTERMEDIATE_AMD, False),  # DR is sure, and explains what is bright
        (SPLIT_DR, CLEAR_AMD, False),  # only one is in question
    ],
)
def test_diseases_contradict_each_other_when_both_are_in_question_and_neither_is_sure(
    dr: tuple[float, ...], amd: tuple[float, ...], is_conflict: bool
) -> None:
    findings = findings_on(photograph_of(1, screened_of(dr=dr, amd=amd)), DISEASES)
    assert conflict_reasons(findings, ICDR.conflicts) == (("conflict:dr:amd",) if is_conflict else ())
    assert conflict_reasons(findings, ()) == ()
