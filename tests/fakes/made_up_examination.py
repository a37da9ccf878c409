"""Examinations made by hand: photographs with chosen verdicts, graded by an engine that exists only as its identity.

They show what follows from verdicts. They cannot show that an engine gives such verdicts.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta, timezone
from typing import Any

from sall_edge.screening.examination.examination import GradedBy, begin, with_photograph
from sall_edge.screening.examination.programme import Programme, load_programme
from sall_edge.screening.examination.record import (
    Examination,
    ExaminedPhotograph,
    Familiarity,
    Person,
    View,
)
from sall_edge.screening.verdict import Failure, ScreenedPhotograph, TaskVerdict
from sall_edge.spec import Eye, Role, Task

NOON = datetime(2026, 3, 2, 12, 0, tzinfo=timezone.utc)

DR = Task(
    name="dr",
    title="Diabetic retinopathy",
    column="dr_grade",
    grades=("none", "mild", "moderate", "severe", "proliferative"),
    referable_from=2,
)
AMD = Task(
    name="amd",
    title="Age-related macular degeneration",
    column="amd_grade",
    grades=("none", "early", "intermediate", "late"),
    referable_from=2,
)
QUALITY = Task(
    name="quality",
    title="Image quality",
    column="quality",
    grades=("good", "impaired", "reject"),
    referable_from=2,
    role=Role.QUALITY,
)
TASKS = (DR, AMD)
POINTS = {"dr": 0.2, "amd": 0.1, "quality": 0.5}
ENGINE = GradedBy(
    engine_sha256="e" * 64, image_spec_sha256="f" * 64, tasks=TASKS, operating_points={"dr": 0.2, "amd": 0.1}
)

CLEAR_DR, CLEAR_AMD = (0.9, 0.08, 0.01, 0.01, 0.0), (0.97, 0.02, 0.01, 0.0)
MODERATE_DR, PROLIFERATIVE_DR = (0.05, 0.05, 0.85, 0.04, 0.01), (0.0, 0.02, 0.03, 0.05, 0.9)
DOUBTFUL_DR = (0.6, 0.25, 0.13, 0.02, 0.0)
INTERMEDIATE_AMD, LATE_AMD, DOUBTFUL_AMD = (0.1, 0.2, 0.6, 0.1), (0.0, 0.02, 0.08, 0.9), (0.7, 0.23, 0.06, 0.01)


def verdict_of(task: Task, probs: Sequence[float]) -> TaskVerdict:
    """As `screening.verdict` makes it at the operating points of this module."""
    return TaskVerdict(
        grade=list(probs).index(max(probs)),
        probs=tuple(probs),
        referable=task.referable_probability(probs) >= POINTS[task.name],
        confidence=max(probs),
    )


def screened_of(dr: Sequence[float] = CLEAR_DR, amd: Sequence[float] = CLEAR_AMD, **changes: Any) -> ScreenedPhotograph:
    """A gradable photograph."""
    known: dict[str, Any] = {
        "photo": "eye.jpg",
        "gradable": True,
        "quality": {"sharpness": 0.5},
        "tasks": {"dr": verdict_of(DR, dr), "amd": verdict_of(AMD, amd)},
        "engine_sha256": ENGINE.engine_sha256,
        "image_spec_sha256": ENGINE.image_spec_sha256,
    }
    return ScreenedPhotograph(**{**known, **changes})


BLURRED = ScreenedPhotograph(photo="eye.jpg", gradable=False, reasons=("out_of_focus",))
UNREADABLE = ScreenedPhotograph(photo="eye.jpg", error=Failure(what="cannot read it", why="truncated", fix="again"))
NEAR, FAR = Familiarity(distance=1.0, limit=2.0), Familiarity(distance=3.0, limit=2.0)


def photograph_of(
    number: int,
    screened: ScreenedPhotograph | None = None,
    *,
    eye: Eye = Eye.RIGHT,
    view: View = View.MACULA,
    familiarity: Familiarity | None = NEAR,
    **changes: Any,
) -> ExaminedPhotograph:
    """The photograph of that number; everything that is not said is as it should be."""
    known: dict[str, Any] = {
        "photograph_id": f"photograph-{number}",
        "sha256": f"{number:064x}",
        "suffix": ".jpg",
        "eye": eye,
        "eye_seen": eye,
        "view": view,
        "attempt": 1,
        "taken_at": NOON + timedelta(seconds=number),
        "camera": "made up",
        "screened": (screened or screened_of()).model_copy(update={"familiarity": familiarity}),
    }
    return ExaminedPhotograph(**{**known, **changes})


def begun_with(programme: Programme, **changes: Any) -> Examination:
    """An examination without photographs."""
    known: dict[str, Any] = {"examination_id": "examination-1", "at": NOON}
    return begin(programme, Person(reference="17"), ENGINE, **{**known, **changes})


def taken(examination: Examination, photograph: ExaminedPhotograph, programme: Programme) -> Examination:
    """With the photograph, whose attempt is counted here."""
    earlier = [p for p in examination.photographs if (p.eye, p.view) == (photograph.eye, photograph.view)]
    numbered = photograph.model_copy(update={"attempt": len(earlier) + 1})
    return with_photograph(examination, numbered, programme, TASKS)


def with_all_clear(
    programme: Programme, besides: dict[tuple[Eye, View], ExaminedPhotograph] | None = None
) -> Examination:
    """Everything that the programme asks for, healthy; except what is given for an eye and view."""
    examination = begun_with(programme)
    for number, asked in enumerate(programme.photographs):
        healthy = photograph_of(number, eye=asked.eye, view=asked.view)
        examination = taken(examination, (besides or {}).get((asked.eye, asked.view), healthy), programme)
    return examination


ICDR = load_programme("icdr")
