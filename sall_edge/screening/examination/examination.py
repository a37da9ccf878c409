"""The steps of an examination: each takes the frozen record and gives the next one.

    examination = begin(programme, person, engine, examination_id=..., at=...)
    while (asked := wanted(examination, programme)) is not None:
        ...                                     # take asked.eye, asked.view, and screen it
        examination = with_photograph(examination, photograph, programme, engine.tasks)
    examination = finish(examination, at=...)

No clock and no chance in here: times and identities are arguments.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from sall_edge.errors import ExaminationError
from sall_edge.screening.examination.disease import diseases_of
from sall_edge.screening.examination.findings import is_gradable, photograph_reasons
from sall_edge.screening.examination.programme import Programme
from sall_edge.screening.examination.record import Examination, ExaminedPhotograph, GivenUp, Person, View
from sall_edge.screening.examination.rules import ViewState, judged, photographs_of, view_state
from sall_edge.spec import Eye, Task

__all__ = ["GradedBy", "Wanted", "begin", "finish", "give_up", "wanted", "with_photograph"]


@dataclass(frozen=True, slots=True, kw_only=True)
class GradedBy:
    """The engine that grades an examination.

    Attributes:
        engine_sha256, image_spec_sha256: As each screened photograph names them.
        tasks: All of its tasks.
        operating_points: By task.
    """

    engine_sha256: str
    image_spec_sha256: str
    tasks: tuple[Task, ...]
    operating_points: Mapping[str, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """The next photograph.

    Attributes:
        eye, view: Of what.
        attempt: 1 for the first.
        attempts_left: After this one.
        reasons: What was wrong or doubtful with the one before; empty if there is none or it was good.
    """

    eye: Eye
    view: View
    attempt: int
    attempts_left: int
    reasons: tuple[str, ...] = ()


def begin(
    programme: Programme,
    person: Person,
    engine: GradedBy,
    *,
    examination_id: str,
    at: datetime,
    operator: str | None = None,
    not_examined: Mapping[Eye, str] | None = None,
) -> Examination:
    """An examination without photographs.

    Args:
        programme: What is asked.
        person: Who is examined.
        engine: What will grade.
        examination_id: UUID.
        at: Now, with its time zone.
        operator: Who takes the photographs, if the device was told.
        not_examined: Why an eye is left out, such as a prosthesis; it is said in the result.

    Raises:
        ExaminationError: Programme and engine do not fit; no eye is left; an eye is left out without a reason.
    """
    diseases = diseases_of(programme, engine.tasks, engine.operating_points)
    begun = Examination(
        examination_id=examination_id,
        person=person,
        programme=programme.name,
        programme_sha256=programme.sha256,
        operator=operator,
        engine_sha256=engine.engine_sha256,
        image_spec_sha256=engine.image_spec_sha256,
        operating_points=dict(engine.operating_points),
        started_at=_with_zone(at),
        not_examined=_left_out(programme, not_examined or {}),
    )
    return judged(begun, programme, diseases)


def wanted(examination: Examination, programme: Programme) -> Wanted | None:
    """The next photograph in the programme's order; None when there is nothing left to take.

    Raises:
        ExaminationError: The examination follows another programme.
    """
    _check_programme(examination, programme)
    if examination.finished_at is not None:
        return None
    for asked in programme.photographs:
        is_left_out = asked.eye.value in examination.not_examined
        if is_left_out or view_state(examination, programme, asked.eye, asked.view) is not ViewState.WANTED:
            continue
        taken = photographs_of(examination, asked.eye, asked.view)
        return Wanted(
            eye=asked.eye,
            view=asked.view,
            attempt=len(taken) + 1,
            attempts_left=programme.max_attempts - len(taken) - 1,
            reasons=photograph_reasons(taken[-1], programme) if taken else (),
        )
    return None


def with_photograph(
    examination: Examination, photograph: ExaminedPhotograph, programme: Programme, tasks: Sequence[Task]
) -> Examination:
    """The examination with one more photograph, and both eyes judged again.

    It may be any that the programme asks for, in any order, and more than it asks for: no finding is turned away.

    Args:
        examination: So far.
        photograph: With what was found on it; its `attempt` counts on from those of its eye and view.
        programme: The examination's.
        tasks: The engine's.

    Raises:
        ExaminationError: The examination is finished or follows another programme; the photograph is none that it asks
            for, is in it already, has the wrong attempt, or was graded by another engine or not completely.
    """
    _check_open(examination)
    _check_asked(examination, programme, photograph.eye, photograph.view)
    _with_zone(photograph.taken_at)
    named = f"photograph {photograph.photograph_id}"
    if photograph.photograph_id in {taken.photograph_id for taken in examination.photographs}:
        raise ExaminationError(f"{named} is in the examination already", "each counts once", "leave it out")
    attempt = len(photographs_of(examination, photograph.eye, photograph.view)) + 1
    if photograph.attempt != attempt:
        why = f"{attempt - 1} were taken of {photograph.eye.value} {photograph.view.value} before"
        raise ExaminationError(f"{named} says that it is attempt {photograph.attempt}", why, f"number it {attempt}")
    if is_gradable(photograph, programme):
        _check_grades(examination, photograph, tasks)
    grown = examination.model_copy(update={"photographs": (*examination.photographs, photograph)})
    return judged(grown, programme, diseases_of(programme, tasks, examination.operating_points))


def give_up(
    examination: Examination, eye: Eye, view: View, programme: Programme, tasks: Sequence[Task], *, why: str = ""
) -> Examination:
    """The examination without asking for a view again: what has no gradable photograph by now is a referral.

    A gradable photograph that comes later still counts.

    Raises:
        ExaminationError: The examination is finished, follows another programme, or does not ask for this view now.
    """
    _check_open(examination)
    _check_asked(examination, programme, eye, view)
    if view_state(examination, programme, eye, view) is not ViewState.WANTED:
        raise ExaminationError(
            f"{eye.value} {view.value} cannot be given up",
            "no photograph of it is wanted any more",
            "go on with the photograph that is wanted next",
        )
    given = GivenUp(eye=eye, view=view, why=why)
    shrunk = examination.model_copy(update={"given_up": (*examination.given_up, given)})
    return judged(shrunk, programme, diseases_of(programme, tasks, examination.operating_points))


def finish(examination: Examination, at: datetime) -> Examination:
    """The examination as it will be kept; with a photograph missing it stays INCOMPLETE, or what is worse.

    Raises:
        ExaminationError: It is finished already, or `at` lies before its start or has no time zone.
    """
    _check_open(examination)
    if _with_zone(at) < examination.started_at:
        why = f"it was started at {examination.started_at.isoformat()}"
        raise ExaminationError(f"the examination cannot finish at {at.isoformat()}", why, "set the device's clock")
    return examination.model_copy(update={"finished_at": at})


def _left_out(programme: Programme, not_examined: Mapping[Eye, str]) -> dict[str, str]:
    left_out = {eye.value: why.strip() for eye, why in not_examined.items()}
    if silent := [eye for eye, why in left_out.items() if not why]:
        raise ExaminationError(
            f"the eye {silent[0]} is left out without a reason",
            "the result has to say why an eye was not examined",
            "give a reason, such as: prosthesis",
        )
    if all(eye.value in left_out for eye in programme.eyes):
        raise ExaminationError(
            "no eye is left to examine",
            f"the programme {programme.name} asks for {', '.join(eye.value for eye in programme.eyes)}",
            "leave out one eye at most",
        )
    return left_out


def _with_zone(at: datetime) -> datetime:
    if at.utcoffset() is None:
        why = "records are compared across devices and summer time"
        raise ExaminationError(f"{at.isoformat()} has no time zone", why, "give UTC")
    return at


def _check_programme(examination: Examination, programme: Programme) -> None:
    if programme.sha256 != examination.programme_sha256:
        raise ExaminationError(
            f"the examination follows another programme than this {programme.name}",
            f"it was begun with {examination.programme} {examination.programme_sha256[:12]}, "
            f"and this one is {programme.sha256[:12]}",
            "finish it with the programme that it was begun with",
        )


def _check_open(examination: Examination) -> None:
    if examination.finished_at is not None:
        why = f"it was finished at {examination.finished_at.isoformat()}"
        raise ExaminationError("nothing can be added to the examination", why, "begin another examination")


def _check_asked(examination: Examination, programme: Programme, eye: Eye, view: View) -> None:
    _check_programme(examination, programme)
    if (why := examination.not_examined.get(eye.value)) is not None:
        fix = "begin another examination with both eyes, or say which eye it is"
        raise ExaminationError(f"the eye {eye.value} is left out of the examination", why, fix)
    if view not in programme.views(eye):
        asked = ", ".join(f"{one.eye.value} {one.view.value}" for one in programme.photographs)
        what = f"the programme {programme.name} does not ask for {eye.value} {view.value}"
        raise ExaminationError(what, f"it asks for {asked}", "say which of them it is, or take another programme")


def _check_grades(examination: Examination, photograph: ExaminedPhotograph, tasks: Sequence[Task]) -> None:
    screened = photograph.screened
    graded_by = (screened.engine_sha256, screened.image_spec_sha256)
    if graded_by != (examination.engine_sha256, examination.image_spec_sha256):
        raise ExaminationError(
            f"photograph {photograph.photograph_id} was graded by another engine",
            f"{(screened.engine_sha256 or 'none')[:12]}, and the examination's is {examination.engine_sha256[:12]}",
            "screen it with the examination's engine, or begin another examination",
        )
    for task in tasks:
        verdict = screened.tasks.get(task.name)
        probs = verdict.probs if verdict else ()
        is_whole = len(probs) == len(task.grades) and all(math.isfinite(p) and 0 <= p <= 1 for p in probs)
        if verdict is None or not is_whole or verdict.grade not in range(len(task.grades)):
            raise ExaminationError(
                f"photograph {photograph.photograph_id} has no grade of {task.name}",
                f"{len(task.grades)} probabilities between 0 and 1 are needed, it has {list(probs)}",
                "screen it again; if it stays, the engine is broken: sall-edge doctor",
            )
