"""What is graded: diseases, and the quality of the photograph."""

from collections.abc import Iterable, Sequence
from enum import Enum
from pathlib import Path
from typing import Annotated

from pydantic import Field, model_validator

from sall_edge.errors import LabelsError
from sall_edge.spec.base import Spec
from sall_edge.spec.file import spec_from_toml

__all__ = ["Role", "Task", "TaskSet", "disease_tasks", "tasks_from_toml"]


class Role(str, Enum):
    """What a task is for.

    Attributes:
        DISEASE: A referable grade is a referral.
        QUALITY: Whether the photograph can be graded at all: a "referable" grade is a retake, never a disease.
    """

    DISEASE = "disease"
    QUALITY = "quality"


class Task(Spec):
    """One disease that is graded, or the quality of the photograph.

    Attributes:
        name: Short name; output names derive from it (`<name>_probs`, `<name>_cam`).
        title: Name in reports.
        column: Column of the labels CSV that holds the data set's own grade.
        grades: Names of the grades, mildest first; a grade is its index.
        referable_from: The lowest grade that needs a referral; of quality, the lowest one that must not be graded.
        grade_from_label: Maps the data set's own labels to grades; empty means that labels are grades.
        role: What a referable grade means.
    """

    name: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$")]
    title: str
    column: str
    grades: Annotated[tuple[str, ...], Field(min_length=2)]
    referable_from: Annotated[int, Field(ge=1)]
    grade_from_label: dict[str, int] = {}
    role: Role = Role.DISEASE

    @model_validator(mode="after")
    def _grades_are_consistent(self) -> "Task":
        if self.referable_from >= len(self.grades):
            raise ValueError(f"referable_from is {self.referable_from}, but the grades end at {len(self.grades) - 1}")
        outside = {label: grade for label, grade in self.grade_from_label.items() if grade >= len(self.grades)}
        if outside:
            raise ValueError(f"grade_from_label has {outside}, but the grades end at {len(self.grades) - 1}")
        return self

    def referable_probability(self, probs: Sequence[float]) -> float:
        """Probability that the grade needs a referral, from the (K,) probabilities of one photograph."""
        return float(sum(probs[self.referable_from :]))


class TaskSet(Spec):
    """The tasks of one network, in output order."""

    tasks: Annotated[tuple[Task, ...], Field(min_length=1)]

    @model_validator(mode="after")
    def _names_are_unique(self) -> "TaskSet":
        names = [task.name for task in self.tasks]
        if len(set(names)) < len(names):
            raise ValueError(f"task names repeat: {names}")
        judges = [task.name for task in self.tasks if task.role is Role.QUALITY]
        if len(judges) > 1:
            raise ValueError(f"{judges} all have the role quality: a photograph has one quality")
        return self


def disease_tasks(tasks: Iterable[Task]) -> tuple[Task, ...]:
    """Those that grade a disease, in their order: what is left says whether a photograph may be graded."""
    return tuple(task for task in tasks if task.role is Role.DISEASE)


def tasks_from_toml(path: Path) -> TaskSet:
    """The tasks of a task file (`[[tasks]]` tables).

    Raises:
        LabelsError: The file is missing, is no TOML, or a task is inconsistent.
    """
    return spec_from_toml(path, TaskSet, LabelsError, example="docs/tasks.md")
