"""Screening programmes: which photographs are wanted, and what follows from the grades; TOML files, or a user's own."""

from pathlib import Path
from typing import Annotated

from pydantic import Field, model_validator

from sall_edge.errors import ExaminationError
from sall_edge.screening.examination.reasons import NotAssessed
from sall_edge.screening.examination.record import View
from sall_edge.spec import Eye, ShippedSpecs, Spec, Task

__all__ = [
    "Conflict",
    "Programme",
    "ProgrammeGrade",
    "ProgrammeTask",
    "WantedPhotograph",
    "load_programme",
    "programme_grade",
    "programme_names",
    "programme_task",
]

FOLDER = Path(__file__).parent / "programmes"

Probability = Annotated[float, Field(gt=0, le=1)]


class WantedPhotograph(Spec):
    """A photograph that a programme asks for."""

    eye: Eye
    view: View


TWO_OF_EACH_EYE = tuple(WantedPhotograph(eye=eye, view=view) for eye in (Eye.RIGHT, Eye.LEFT) for view in View)


class ProgrammeGrade(Spec):
    """A grade in the programme's own words.

    Attributes:
        grade: Its name in the engine's task.
        code: The programme's code, such as "R1"; "" where the programme has none.
        title: In reports.
    """

    grade: str
    code: str = ""
    title: str


class ProgrammeTask(Spec):
    """What the programme makes of one disease, on the scale that its grades spell out.

    Attributes:
        name: The engine's task.
        title: In reports.
        grades: The engine's grades, mildest first, each in the programme's words.
        referable_from: Lowest grade to refer; at most the engine's own.
        operating_point: Least probability of `referable_from` and above to refer. Must be said where `referable_from`
            is below the engine's, whose own point answers another question; otherwise the lower of the two counts.
        urgent_from: Lowest urgent grade; None where none is.
        urgent_probability: Least probability of the urgent grades together that is urgent without one being the most
            probable grade.
        human_from: Share of the operating point from which on a negative goes to a human; 1 sends none.
        views: A negative needs a gradable photograph of each.
    """

    name: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$")]
    title: str
    grades: Annotated[tuple[ProgrammeGrade, ...], Field(min_length=2)]
    referable_from: Annotated[int, Field(ge=1)]
    operating_point: Probability | None = None
    urgent_from: int | None = None
    urgent_probability: Probability = 0.5
    human_from: Probability = 0.5
    views: Annotated[tuple[View, ...], Field(min_length=1)] = (View.MACULA,)

    @property
    def scale(self) -> tuple[str, ...]:
        """Names of the grades, as an engine's task has to have them."""
        return tuple(grade.grade for grade in self.grades)

    @model_validator(mode="after")
    def _grades_are_consistent(self) -> "ProgrammeTask":
        last = len(self.grades) - 1
        if self.referable_from > last:
            raise ValueError(f"referable_from is {self.referable_from}, but the grades end at {last}")
        if self.urgent_from is not None and not self.referable_from <= self.urgent_from <= last:
            raise ValueError(f"urgent_from is {self.urgent_from}; it lies between referable_from and {last}")
        if len(set(self.scale)) < len(self.scale):
            raise ValueError(f"grades repeat: {', '.join(self.scale)}")
        return self


class Conflict(Spec):
    """Two diseases that one kind of lesion can look like: exudates and drusen are both bright.

    Attributes:
        tasks: The two, in the programme's order.
        sure_from: Referable probability that settles which it is, or that it is both.
    """

    tasks: tuple[str, str]
    sure_from: Probability = 0.8


class Programme(Spec):
    """A screening programme.

    Attributes:
        name: Short name.
        title: In reports.
        notes: What it is and what it is not.
        sources: Where its rules come from.
        photographs: What is wanted, in the order of taking.
        max_attempts: Photographs of one eye and view until it counts as ungradable.
        good_photographs: Gradable photographs to take of each eye and view; one is enough once attempts are used up.
        tasks: One table for each disease and scale; of several scales of one disease the engine's is used.
        conflicts: Which diseases can be taken for each other.
        not_assessed: What nobody should read from a result.
    """

    name: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]*$")]
    title: str
    notes: str = ""
    sources: tuple[str, ...] = ()
    photographs: Annotated[tuple[WantedPhotograph, ...], Field(min_length=1)] = TWO_OF_EACH_EYE
    max_attempts: Annotated[int, Field(ge=1, le=20)] = 3
    good_photographs: Annotated[int, Field(ge=1)] = 1
    tasks: Annotated[tuple[ProgrammeTask, ...], Field(min_length=1)]
    conflicts: tuple[Conflict, ...] = ()
    not_assessed: tuple[NotAssessed, ...] = ()

    @property
    def diseases(self) -> tuple[str, ...]:
        """Names of the tasks, each once, in order."""
        return tuple(dict.fromkeys(task.name for task in self.tasks))

    @property
    def eyes(self) -> tuple[Eye, ...]:
        """The eyes that are asked for, the right one first."""
        asked = {wanted.eye for wanted in self.photographs}
        return tuple(eye for eye in (Eye.RIGHT, Eye.LEFT) if eye in asked)

    def views(self, eye: Eye) -> tuple[View, ...]:
        """What is asked for of an eye, in order."""
        return tuple(wanted.view for wanted in self.photographs if wanted.eye == eye)

    @model_validator(mode="after")
    def _photographs_are_consistent(self) -> "Programme":
        asked = [f"{wanted.eye.value} {wanted.view.value}" for wanted in self.photographs]
        if len(set(asked)) < len(asked):
            raise ValueError(f"photographs repeat: {', '.join(asked)}")
        if self.good_photographs > self.max_attempts:
            raise ValueError(f"{self.good_photographs} good_photographs need at least as many max_attempts")
        for eye in self.eyes:
            for task in self.tasks:
                if absent := [view.value for view in task.views if view not in self.views(eye)]:
                    raise ValueError(f"{task.name} needs the view {absent[0]}, which is no photograph of {eye.value}")
        return self

    @model_validator(mode="after")
    def _tasks_are_consistent(self) -> "Programme":
        scales = [(task.name, task.scale) for task in self.tasks]
        for name, scale in scales:
            if scales.count((name, scale)) > 1:
                raise ValueError(f"task {name} has the grades {', '.join(scale)} twice")
        for conflict in self.conflicts:
            if conflict.tasks != tuple(name for name in self.diseases if name in conflict.tasks):
                known, said = ", ".join(self.diseases), " and ".join(conflict.tasks)
                raise ValueError(f"a conflict is between two of {known}, in this order, not {said}")
        return self


_SHIPPED = ShippedSpecs(
    kind="programme", folder=FOLDER, model=Programme, error=ExaminationError, example="docs/programmes.md"
)


def programme_names() -> tuple[str, ...]:
    """The names that `load_programme` knows, in alphabetical order."""
    return _SHIPPED.names()


def load_programme(name_or_path: str | Path) -> Programme:
    """The programme of that name, or the one in a TOML file.

    Args:
        name_or_path: What ends in `.toml` is a path, everything else a name.

    Raises:
        ExaminationError: No such programme, or the file breaks a rule.
    """
    return _SHIPPED.load(name_or_path)


def programme_grade(programme: Programme, task: Task, grade: int) -> ProgrammeGrade:
    """A grade of the engine in the programme's words.

    Raises:
        ExaminationError: The programme has no table for the task, or none on its scale.
    """
    return programme_task(programme, task).grades[grade]


def programme_task(programme: Programme, task: Task) -> ProgrammeTask:
    """The programme's table for an engine's task.

    Raises:
        ExaminationError: There is none, or none on the task's scale.
    """
    tables = [table for table in programme.tasks if table.name == task.name]
    for table in tables:
        if table.scale == task.grades:
            return table
    what = f"the programme {programme.name} does not know how the engine grades {task.name}"
    known = "; ".join(", ".join(table.scale) for table in tables)
    told = f"the programme's are {known}" if tables else "the programme has no table for it"
    raise ExaminationError(
        what,
        f"the engine's grades are {', '.join(task.grades)}; {told}",
        "write a programme with these grades (docs/programmes.md), or take another engine",
    )
