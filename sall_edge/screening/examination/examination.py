"""The steps of an examination: each takes the frozen record and gives the next one.

    examination = begin(programme, person, engine, examination_id=..., at=...)
    while (asked := wanted(examination, programme)) is not None:
        ...                                     # take asked.eye, asked.view, and screen it
        examination = with_photograph(examination, photograph, programme, engine.tasks)
    examination = finish(examination, at=...)

No clock and no chance in here: times and identities are arguments.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from sall_edge.errors import ExaminationError
from sall_edge.screening.examination.disease import diseases_of
from sall_edge.screening.examination.findings import is_gradable, photograph_reasons
from sall_edge.screening.examination.programme import Programme
from sall_edge.screening.examination.record import Examination, ExaminedPhotograph, GivenUp, Person, View
from sall_edge.screening.examination.refusals import (
    check_asked,
    check_grades,
    check_open,
    check_programme,
    with_zone,
)
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
        started_at=with_zone(at),
        not_examined=_left_out(programme, not_examined or {}),
    )
    return judged(begun, programme, diseases)


def wanted(examination: Examination, programme: Programme) -> Wanted | None:
    """The next photograph in the programme's order; None when there is nothing left to take.

    Raises:
        ExaminationError: The examination follows another programme.
    """
    check_programme(examination, programme)
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
            reasons=photograph_reasons(taken[-1]) if taken else (),
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
    check_open(examination)
    check_asked(examination, programme, photograph.eye, photograph.view)
    with_zone(photograph.taken_at)
    named = f"photograph {photograph.photograph_id}"
    if photograph.photograph_id in {taken.photograph_id for taken in examination.photographs}:
        raise ExaminationError(f"{named} is in the examination already", "each counts once", "leave it out")
    attempt = len(photographs_of(examination, photograph.eye, photograph.view)) + 1
    if photograph.attempt != attempt:
        why = f"{attempt - 1} were taken of {photograph.eye.value} {photograph.view.value} before"
        raise ExaminationError(f"{named} says that it is attempt {photograph.attempt}", why, f"number it {attempt}")
    if is_gradable(photograph):
        check_grades(examination, photograph, tasks)
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
    check_open(examination)
    check_asked(examination, programme, eye, view)
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
    check_open(examination)
    if with_zone(at) < examination.started_at:
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
