"""What a step of an examination refuses, before it changes anything."""

import math
from collections.abc import Sequence
from datetime import datetime

from sall_edge.errors import ExaminationError
from sall_edge.screening.examination.programme import Programme
from sall_edge.screening.examination.record import Examination, ExaminedPhotograph, View
from sall_edge.spec import Eye, Task, disease_tasks

__all__ = ["check_asked", "check_grades", "check_open", "check_programme", "with_zone"]


def with_zone(at: datetime) -> datetime:
    """The time, which has to say of which zone it is."""
    if at.utcoffset() is None:
        why = "records are compared across devices and summer time"
        raise ExaminationError(f"{at.isoformat()} has no time zone", why, "give UTC")
    return at


def check_programme(examination: Examination, programme: Programme) -> None:
    """Refuses another programme than the one that the examination follows."""
    if programme.sha256 != examination.programme_sha256:
        raise ExaminationError(
            f"the examination follows another programme than this {programme.name}",
            f"it was begun with {examination.programme} {examination.programme_sha256[:12]}, "
            f"and this one is {programme.sha256[:12]}",
            "finish it with the programme that it was begun with",
        )


def check_open(examination: Examination) -> None:
    """Refuses an examination that is finished."""
    if examination.finished_at is not None:
        why = f"it was finished at {examination.finished_at.isoformat()}"
        raise ExaminationError("nothing can be added to the examination", why, "begin another examination")


def check_asked(examination: Examination, programme: Programme, eye: Eye, view: View) -> None:
    """Refuses an eye that is left out, and a view that the programme does not ask for."""
    check_programme(examination, programme)
    if (why := examination.not_examined.get(eye.value)) is not None:
        fix = "begin another examination with both eyes, or say which eye it is"
        raise ExaminationError(f"the eye {eye.value} is left out of the examination", why, fix)
    if view not in programme.views(eye):
        asked = ", ".join(f"{one.eye.value} {one.view.value}" for one in programme.photographs)
        what = f"the programme {programme.name} does not ask for {eye.value} {view.value}"
        raise ExaminationError(what, f"it asks for {asked}", "say which of them it is, or take another programme")


def check_grades(examination: Examination, photograph: ExaminedPhotograph, tasks: Sequence[Task]) -> None:
    """Refuses what another engine graded, or did not grade completely."""
    screened = photograph.screened
    graded_by = (screened.engine_sha256, screened.image_spec_sha256)
    if graded_by != (examination.engine_sha256, examination.image_spec_sha256):
        raise ExaminationError(
            f"photograph {photograph.photograph_id} was graded by another engine",
            f"{(screened.engine_sha256 or 'none')[:12]}, and the examination's is {examination.engine_sha256[:12]}",
            "screen it with the examination's engine, or begin another examination",
        )
    for task in disease_tasks(tasks):
        verdict = screened.tasks.get(task.name)
        probs = verdict.probs if verdict else ()
        is_whole = len(probs) == len(task.grades) and all(math.isfinite(p) and 0 <= p <= 1 for p in probs)
        if verdict is None or not is_whole or verdict.grade not in range(len(task.grades)):
            raise ExaminationError(
                f"photograph {photograph.photograph_id} has no grade of {task.name}",
                f"{len(task.grades)} probabilities between 0 and 1 are needed, it has {list(probs)}",
                "screen it again; if it stays, the engine is broken: sall-edge doctor",
            )
