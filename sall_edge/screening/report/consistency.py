"""Whether a record may be reported: one that contradicts itself is refused, before a document can hide it."""

from collections.abc import Iterator

from sall_edge.artifacts import EngineManifest
from sall_edge.errors import DocumentError
from sall_edge.screening.examination.findings import is_gradable
from sall_edge.screening.examination.programme import Programme
from sall_edge.screening.examination.reasons import Reason, task_not_assessed
from sall_edge.screening.examination.record import Examination, EyeResult, Outcome, worst

__all__ = ["SEXES", "check_record", "is_in_doubt"]

SEXES = {"M": "male", "F": "female", "O": "other"}
"""DICOM's codes, and their keys in the catalogues."""


DECIDED = (Outcome.NO_REFERRAL, Outcome.REFERRAL, Outcome.URGENT_REFERRAL)
POSITIVE = (Reason.REFERABLE.value, Reason.URGENT.value)
"""Reasons that say something of a disease; every other one puts something in doubt."""
OF_A_TASK = (Reason.LOW_CONFIDENCE.value, Reason.CONFLICT.value)
"""Doubts about the diseases that they name; every other one is about the whole eye."""


def is_in_doubt(result: EyeResult, task: str) -> bool:
    """Whether a disease below its operating point may still not be called negative in this eye."""
    if result.outcome not in DECIDED or task_not_assessed(task) in result.not_assessed:
        return True
    for reason in result.reasons:
        head, *about = reason.split(":")
        if head in POSITIVE or (head in OF_A_TASK and task not in about):
            continue
        return True
    return False


def check_record(examination: Examination, manifest: EngineManifest, programme: Programme) -> None:
    """Whether the record is one that an examination with this engine and programme can have left.

    Raises:
        DocumentError: It contradicts itself, or is of another engine or programme.
    """
    what = f"examination {examination.examination_id} cannot be reported"
    if examination.image_spec_sha256 != manifest.image.sha256:
        why = "its photographs were prepared for another engine"
        raise DocumentError(what, why, "give the engine that graded")
    if examination.programme_sha256 != programme.sha256:
        why = f"it followed {examination.programme} of another content than this {programme.name}"
        raise DocumentError(what, why, "give the programme that it followed")
    if examination.person.sex and examination.person.sex not in SEXES:
        why = f"the person's sex is {examination.person.sex!r}, DICOM knows {', '.join(SEXES)}"
        raise DocumentError(what, why, "correct it, or leave it away")
    for problem in _problems(examination, manifest, programme):
        fix = "no report is written; have the record looked at (sall-edge audit verify)"
        raise DocumentError(f"examination {examination.examination_id} contradicts itself", problem, fix)


def _problems(examination: Examination, manifest: EngineManifest, programme: Programme) -> Iterator[str]:
    yield from _unknown_tasks(examination, manifest)
    known = {photograph.photograph_id: photograph for photograph in examination.photographs}
    for eye, result in examination.eyes.items():
        if eye != result.eye.value:
            yield f"the result of eye {result.eye.value} stands under {eye}"
        for view, photograph_id in result.chosen.items():
            if photograph_id not in known:
                yield f"photograph {photograph_id} stands for eye {eye}, {view}, and is not there"
            elif result.outcome is Outcome.NO_REFERRAL and not is_gradable(known[photograph_id]):
                yield f"eye {eye} needs no referral, but its photograph of the {view} was not graded"
        if result.outcome is Outcome.NO_REFERRAL:
            yield from _no_referral(result, programme)
    if examination.eyes and examination.outcome is not worst(one.outcome for one in examination.eyes.values()):
        yield f"the person is {examination.outcome.value}, the eyes are not"
    if examination.outcome is Outcome.NO_REFERRAL:
        if examination.finished_at is None:
            yield "the person needs no referral, but the examination is not finished"
        for eye in programme.eyes:
            if eye.value not in {*examination.eyes, *examination.not_examined}:
                yield f"the person needs no referral, but eye {eye.value} was not examined"


def _unknown_tasks(examination: Examination, manifest: EngineManifest) -> Iterator[str]:
    tasks = {task.name: task for task in manifest.tasks}
    if without := sorted(tasks.keys() - examination.operating_points.keys()):
        yield f"it has no operating point for {without[0]}"
    for result in examination.eyes.values():
        for found in result.tasks:
            if found.task not in tasks:
                yield f"it grades {found.task}, which the engine does not"
            elif not 0 <= found.grade < len(tasks[found.task].grades):
                yield f"{found.task} has no grade {found.grade}"


def _no_referral(result: EyeResult, programme: Programme) -> Iterator[str]:
    eye, graded = result.eye.value, {found.task for found in result.tasks}
    if absent := [name for name in programme.diseases if name not in graded]:
        yield f"eye {eye} needs no referral, but {absent[0]} was not graded"
    if positive := [found.task for found in result.tasks if found.referable or found.urgent]:
        yield f"eye {eye} needs no referral, but {positive[0]} is referable"
    if result.reasons:
        yield f"eye {eye} needs no referral, but a reason says {result.reasons[0]}"
    if missing := [view.value for view in programme.views(result.eye) if view.value not in result.chosen]:
        yield f"eye {eye} needs no referral, but its photograph of the {missing[0]} is missing"
