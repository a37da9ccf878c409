"""A record that contradicts itself is not reported, and an eye in doubt has no negative finding."""

from collections.abc import Iterator
from typing import Any

import pytest
from fakes.reported_examination import (
    LEFT_MACULA,
    MANIFEST,
    MARIA,
    PROGRAMME,
    Told,
    content_of,
    examination,
    examined,
)

from sall_edge.errors import DocumentError
from sall_edge.screening.examination.programme import load_programme
from sall_edge.screening.examination.record import Examination, EyeResult, Outcome
from sall_edge.screening.messages import load_language
from sall_edge.screening.report.compose import compose
from sall_edge.screening.report.content import Standing
from sall_edge.spec import Eye, ImageSpec

BAD = {"gradable": False, "reasons": ("out_of_focus",), "tasks": {}}


def _changed(record: Examination, eye: Eye, /, **changes: Any) -> Examination:
    results: dict[str, EyeResult] = dict(record.eyes)
    results[eye.value] = results[eye.value].model_copy(update=changes)
    return record.model_copy(update={"eyes": results})


def _clear(**changes: Any) -> Examination:
    return examination(Outcome.NO_REFERRAL).model_copy(update=changes)


def _contradictions() -> Iterator[tuple[str, Examination]]:
    clear, refer = examination(Outcome.NO_REFERRAL), examination(Outcome.REFERRAL)
    positive = refer.eyes["L"].tasks
    yield "the person is no_referral, the eyes are not", refer.model_copy(update={"outcome": Outcome.NO_REFERRAL})
    yield "the examination is not finished", _clear(finished_at=None)
    yield "eye L was not examined", _clear(eyes={"R": clear.eyes["R"]})
    yield "dr is referable", _changed(clear, Eye.LEFT, tasks=positive)
    yield "dr was not graded", _changed(clear, Eye.LEFT, tasks=())
    yield "a reason says unfamiliar", _changed(clear, Eye.LEFT, reasons=("unfamiliar",))
    yield "photograph of the macula is missing", _changed(clear, Eye.LEFT, chosen={})
    yield "stands for eye L, macula, and is not there", _changed(clear, Eye.LEFT, chosen={"macula": "lost"})
    yield "the result of eye R stands under L", _changed(clear, Eye.LEFT, eye=Eye.RIGHT)
    yield "dr has no grade 9", _changed(refer, Eye.LEFT, tasks=(positive[0].model_copy(update={"grade": 9}),))
    yield "grades glaucoma", _changed(refer, Eye.LEFT, tasks=(positive[0].model_copy(update={"task": "glaucoma"}),))
    yield "no operating point for dr", _clear(operating_points={"amd": 0.1})


CONTRADICTIONS = dict(_contradictions())


@pytest.mark.parametrize("why", CONTRADICTIONS)
def test_a_record_that_contradicts_itself_is_not_reported(why: str) -> None:
    with pytest.raises(DocumentError, match="contradicts itself") as problem:
        content_of(CONTRADICTIONS[why])
    assert why in problem.value.why
    assert "no report is written" in problem.value.fix


def test_a_negative_eye_whose_photograph_was_not_graded_is_not_reported() -> None:
    record = examined(Told(besides={LEFT_MACULA: [BAD] * 3}))
    results = dict(record.eyes)
    clear = examination(Outcome.NO_REFERRAL).eyes["L"]
    results["L"] = clear.model_copy(update={"chosen": results["L"].chosen})
    lie = record.model_copy(update={"eyes": results, "outcome": Outcome.NO_REFERRAL, "reasons": ()})
    with pytest.raises(DocumentError) as problem:
        content_of(lie)
    assert problem.value.why == "eye L needs no referral, but its photograph of the macula was not graded"


def test_a_sex_that_documents_cannot_write_is_refused() -> None:
    person = MARIA.model_copy(update={"sex": "female"})
    with pytest.raises(DocumentError, match="cannot be reported") as problem:
        content_of(examination(Outcome.NO_REFERRAL, person=person))
    assert problem.value.why == "the person's sex is 'female', DICOM knows M, F, O"


def test_another_engine_or_programme_is_refused() -> None:
    record, catalogue = examination(Outcome.NO_REFERRAL), load_language("en")
    other = MANIFEST.model_copy(update={"image": ImageSpec(side_px=320)})
    with pytest.raises(DocumentError, match="cannot be reported") as problem:
        compose(record, other, PROGRAMME, catalogue, pictures={})
    assert problem.value.why == "its photographs were prepared for another engine"
    with pytest.raises(DocumentError, match="cannot be reported") as problem:
        compose(record, MANIFEST, load_programme("nhs"), catalogue, pictures={})
    assert problem.value.why == "it followed icdr of another content than this nhs"


@pytest.mark.parametrize("outcome", [Outcome.INCOMPLETE, Outcome.HUMAN_GRADING, Outcome.UNGRADABLE_REFERRAL])
def test_an_undecided_eye_has_no_negative_finding_even_if_its_record_gives_no_reason(outcome: Outcome) -> None:
    record = _changed(examination(Outcome.NO_REFERRAL), Eye.RIGHT, outcome=outcome)
    right = content_of(record.model_copy(update={"outcome": outcome})).eyes[0]
    assert {finding.standing for finding in right.findings} == {Standing.OPEN}
