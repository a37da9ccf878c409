"""Examination -> Content: the one place that decides what a document says."""

from collections.abc import Iterator, Mapping
from datetime import datetime, timezone

from sall_edge import __version__
from sall_edge.artifacts import EngineManifest
from sall_edge.screening.examination.disease import Disease, diseases_of
from sall_edge.screening.examination.programme import Programme
from sall_edge.screening.examination.record import (
    Examination,
    ExaminedPhotograph,
    EyeResult,
    Person,
    TaskResult,
    View,
)
from sall_edge.screening.messages import Catalogue
from sall_edge.screening.report.consistency import SEXES, check_record, is_in_doubt
from sall_edge.screening.report.content import (
    Content,
    EyeContent,
    Finding,
    Letterhead,
    MadeBy,
    Picture,
    Shown,
    Standing,
    Subject,
)
from sall_edge.screening.report.words import Words
from sall_edge.spec import Eye

__all__ = ["compose"]

EYES = (Eye.RIGHT, Eye.LEFT)
"""As a person stands in front of the reader, and as charts have it."""
LOSSY_SUFFIXES = (".jpg", ".jpeg")


def compose(
    examination: Examination,
    manifest: EngineManifest,
    programme: Programme,
    catalogue: Catalogue,
    *,
    pictures: Mapping[str, Picture],
    letterhead: Letterhead | None = None,
) -> Content:
    """What every document of an examination says.

    Args:
        examination: Finished or not.
        manifest: Of the engine that graded.
        programme: That the examination followed.
        catalogue: The language.
        pictures: By photograph id; a photograph without one is named and not shown.
        letterhead: Whose document.

    Raises:
        DocumentError: The record contradicts itself, or is of another engine or programme.
        CatalogueError: The catalogue has no text for something that has to be said.
        ExaminationError: Programme and engine do not fit.
    """
    check_record(examination, manifest, programme)
    diseases = diseases_of(programme, manifest.tasks, examination.operating_points)
    words = Words(catalogue, manifest.tasks, programme)
    results = [examination.eyes[eye.value] for eye in EYES if eye.value in examination.eyes]
    return Content(
        examination_id=examination.examination_id,
        catalogue=catalogue,
        letterhead=letterhead or Letterhead(),
        person=_subject(examination.person, words),
        dated=_dated(examination),
        is_finished=examination.finished_at is not None,
        programme=programme.title,
        programme_sha256=examination.programme_sha256,
        operator=examination.operator,
        cameras=tuple(dict.fromkeys(photograph.camera for photograph in examination.photographs)),
        outcome=examination.outcome,
        outcome_title=words.text(f"outcome.{examination.outcome.value}"),
        follow_up=words.text(f"follow_up.{examination.outcome.value}"),
        reasons=(*words.reasons_of_person(examination), *_corrections(examination, words)),
        eyes=tuple(_eye(examination, eye, diseases, words, pictures) for eye in EYES),
        retaken=tuple(_retaken(examination, words)),
        not_assessed=words.not_assessed(results),
        operating_points=(
            *(_operating_point(disease, words) for disease in diseases),
            words.text("document.probability_legend"),
        ),
        made_by=_made_by(examination, manifest),
    )


def _made_by(examination: Examination, manifest: EngineManifest) -> MadeBy:
    return MadeBy(
        software=__version__,
        engine_sha256=examination.engine_sha256,
        image_spec_sha256=examination.image_spec_sha256,
        target=manifest.target.title,
        precision=manifest.precision.value,
    )


def _subject(person: Person, words: Words) -> Subject:
    return Subject(
        reference=person.reference,
        name=_reading_name(person.name) if person.name else None,
        dicom_name=person.name,
        birth_date=person.birth_date,
        sex=person.sex or None,
        sex_title=words.text(f"document.{SEXES[person.sex]}") if person.sex else None,
    )


def _reading_name(dicom_name: str) -> str:
    """A name as people read it: DICOM may hold it in several scripts, the first that is there is taken."""
    group = next(filter(None, dicom_name.split("=")), dicom_name)
    return ", ".join(filter(None, group.split("^")))


def _dated(examination: Examination) -> datetime:
    taken = max((photograph.taken_at for photograph in examination.photographs), default=examination.started_at)
    return (examination.finished_at or taken).astimezone(timezone.utc)


def _eye(
    examination: Examination,
    eye: Eye,
    diseases: tuple[Disease, ...],
    words: Words,
    pictures: Mapping[str, Picture],
) -> EyeContent:
    result = examination.eyes.get(eye.value)
    outcome = f"outcome.{result.outcome.value}" if result else "document.not_examined"
    views = words.programme.views(eye) or tuple(View)
    return EyeContent(
        eye=eye,
        title=words.eye(eye),
        outcome=result.outcome if result else None,
        outcome_title=words.text(outcome),
        reasons=words.reasons(result.reasons if result else ()),
        findings=tuple(_finding(result, disease, words) for disease in diseases),
        photographs=tuple(_shown(examination, eye, view, words, pictures) for view in views),
    )


def _finding(result: EyeResult | None, disease: Disease, words: Words) -> Finding:
    found = next((one for one in result.tasks if one.task == disease.name), None) if result else None
    standing = _standing(result, found)
    told = None if standing is Standing.OPEN else found
    is_sure = told is not None and not (standing.is_positive and told.grade < disease.table.referable_from)
    grade_title = None
    if told is not None:
        grade_title = words.grade(disease.task, told) if is_sure else words.possible_grade(disease.task)
    return Finding(
        task=disease.name,
        title=words.catalogue.task(disease.task),
        standing=standing,
        standing_title=words.text(f"standing.{standing.value}"),
        grade=told.grade if told and is_sure else None,
        grade_name=disease.task.grades[told.grade] if told and is_sure else None,
        grade_title=grade_title,
        grades=disease.task.grades,
        probability=told.referable_probability if told else None,
        threshold=disease.operating_point,
        photograph_id=found.photograph_id if found else None,
    )


def _standing(result: EyeResult | None, found: TaskResult | None) -> Standing:
    if result is None or found is None:
        return Standing.NOT_GRADED
    if found.urgent:
        return Standing.URGENT
    if found.referable:
        return Standing.REFERABLE
    return Standing.OPEN if is_in_doubt(result, found.task) else Standing.NOT_REFERABLE


def _taken(examination: Examination, eye: Eye, view: View) -> list[ExaminedPhotograph]:
    return [one for one in examination.counted if (one.eye, one.view) == (eye, view)]


def _standing_for(examination: Examination, eye: Eye, view: View) -> ExaminedPhotograph | None:
    """The photograph that is shown: the one that was chosen, else the last one."""
    taken = _taken(examination, eye, view)
    result = examination.eyes.get(eye.value)
    chosen = result.chosen.get(view.value) if result else None
    return next((one for one in taken if one.photograph_id == chosen), taken[-1] if taken else None)


def _shown(examination: Examination, eye: Eye, view: View, words: Words, pictures: Mapping[str, Picture]) -> Shown:
    photograph = _standing_for(examination, eye, view)
    places = {"eye": words.eye(eye), "view": words.view(view)}
    quality = words.quality(photograph) if photograph else words.text("document.not_photographed")
    picture = pictures.get(photograph.photograph_id) if photograph else None
    seen = ", ".join(words.catalogue.task(task) for task in words.tasks if picture and task.name in picture.tasks)
    has_evidence = picture is not None and picture.evidence is not None
    attempts = len(_taken(examination, eye, view))
    return Shown(
        view=view,
        title=words.text("document.photograph_of", **places),
        quality=quality,
        is_gradable=photograph is not None and words.is_gradable(photograph),
        is_lossy=photograph is not None and photograph.suffix.lower() in LOSSY_SUFFIXES,
        photograph_id=photograph.photograph_id if photograph else None,
        taken_at=photograph.taken_at if photograph else None,
        attempts=attempts,
        attempts_title=words.text("document.attempts", number=attempts) if attempts > 1 else "",
        picture=picture,
        alt=words.text("document.photograph_alt", **places, quality=quality),
        evidence_alt=words.text("document.evidence_alt", **places, tasks=seen) if has_evidence else "",
    )


def _corrections(examination: Examination, words: Words) -> Iterator[str]:
    """The photographs that count for the other eye than they were taken for, and which result this one replaces."""
    for taken, counted in zip(examination.photographs, examination.counted, strict=True):
        if taken.eye is not counted.eye:
            places = {"eye": words.eye(counted.eye), "view": words.view(counted.view)}
            yield words.text("document.side_corrected", **places)
    replaced = [one.replaced for one in examination.corrections if one.replaced is not None]
    if replaced:
        yield words.text("document.replaced", outcome=words.text(f"outcome.{replaced[0].value}"))


def _retaken(examination: Examination, words: Words) -> Iterator[str]:
    """Every photograph that is not shown: one line for those of a view that failed alike."""
    for eye in EYES:
        for view in View:
            shown = _standing_for(examination, eye, view)
            attempts: dict[str, list[str]] = {}
            for number, photograph in enumerate(_taken(examination, eye, view), start=1):
                if photograph != shown:
                    attempts.setdefault(_why_retaken(photograph, words), []).append(str(number))
            places = {"eye": words.eye(eye), "view": words.view(view)}
            for why, numbers in attempts.items():
                key = "document.retaken_one" if len(numbers) == 1 else "document.retaken_several"
                yield words.text(key, **places, number=", ".join(numbers), reasons=why)


def _why_retaken(photograph: ExaminedPhotograph, words: Words) -> str:
    return words.text("document.superseded") if words.is_gradable(photograph) else words.shortcomings(photograph)


def _operating_point(disease: Disease, words: Words) -> str:
    return words.text(
        "document.operating_point",
        task=words.catalogue.task(disease.task),
        threshold=words.catalogue.number(disease.operating_point),
        grade=words.referable_grade(disease.task),
    )
