"""A disease as this programme judges this engine's grades: where the two meet, and whether they may."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum

from sall_edge.errors import ExaminationError
from sall_edge.screening.examination.programme import Programme, ProgrammeTask, programme_task
from sall_edge.screening.verdict import TaskVerdict
from sall_edge.spec import Task, disease_tasks

__all__ = ["Disease", "Level", "diseases_of"]


class Level(IntEnum):
    """What a photograph says of a disease, mildest first.

    Attributes:
        CLEAR: Not referable.
        IN_DOUBT: Not referable, and too close to it to be left to the engine.
        REFERABLE, URGENT: By the programme.
    """

    CLEAR = 0
    IN_DOUBT = 1
    REFERABLE = 2
    URGENT = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Disease:
    """A task of the engine with the programme's table for it.

    Attributes:
        task: The engine's.
        table: The programme's.
        operating_point: Least probability of the programme's referable grades that is a referral.
    """

    task: Task
    table: ProgrammeTask
    operating_point: float

    @property
    def name(self) -> str:
        """Of the task."""
        return self.task.name

    def referable_probability(self, verdict: TaskVerdict) -> float:
        """Probability of the grades that the programme refers."""
        return float(sum(verdict.probs[self.table.referable_from :]))

    def level(self, verdict: TaskVerdict) -> Level:
        """What a verdict means; the engine's own `referable` is never overruled."""
        table, probability = self.table, self.referable_probability(verdict)
        if table.urgent_from is not None:
            urgent = sum(verdict.probs[table.urgent_from :])
            if verdict.grade >= table.urgent_from or urgent >= table.urgent_probability:
                return Level.URGENT
        if verdict.referable or verdict.grade >= table.referable_from or probability >= self.operating_point:
            return Level.REFERABLE
        return Level.IN_DOUBT if probability >= table.human_from * self.operating_point else Level.CLEAR


def diseases_of(
    programme: Programme, tasks: Sequence[Task], operating_points: Mapping[str, float]
) -> tuple[Disease, ...]:
    """Every disease of the programme, in its order.

    Args:
        programme: What is asked.
        tasks: The engine's; those that judge the photograph are no diseases, and are passed over.
        operating_points: The engine's, by task.

    Raises:
        ExaminationError: The engine does not grade a disease of the programme, or grades it on another scale; the
            programme is milder than the engine, has no operating point of its own where it needs one, or says nothing
            of a disease that the engine grades.
    """
    graded = {task.name: task for task in disease_tasks(tasks)}
    unknown = [name for name in graded if name not in programme.diseases]
    if unknown:
        raise ExaminationError(
            f"the programme {programme.name} says nothing of {unknown[0]}, which the engine grades",
            f"its diseases are {', '.join(programme.diseases)}; a finding must not be dropped in silence",
            f"write a programme with a table for {unknown[0]} (docs/programmes.md), or take another engine",
        )
    if absent := [name for name in programme.diseases if name not in graded]:
        raise ExaminationError(
            f"the engine does not grade {absent[0]}, which the programme {programme.name} asks for",
            f"its tasks are {', '.join(graded)}",
            f"take an engine that grades {absent[0]}, or write a programme without it (docs/programmes.md)",
        )
    return tuple(_disease(programme, graded[name], operating_points[name]) for name in programme.diseases)


def _disease(programme: Programme, task: Task, engines: float) -> Disease:
    table = programme_task(programme, task)
    if table.referable_from > task.referable_from:
        raise ExaminationError(
            f"the programme {programme.name} refers {task.name} from {table.scale[table.referable_from]}",
            f"the engine refers from {task.grades[task.referable_from]}, and a programme is never milder than that",
            f"set referable_from to {task.referable_from} or less",
        )
    if table.referable_from == task.referable_from:
        return Disease(task=task, table=table, operating_point=min(engines, table.operating_point or engines))
    if table.operating_point is None:
        raise ExaminationError(
            f"the programme {programme.name} refers {task.name} from {table.scale[table.referable_from]} "
            "and gives no operating_point",
            f"the engine's operating point was chosen for {task.grades[task.referable_from]} and above",
            f"measure an operating_point for {table.scale[table.referable_from]} and above, and give it in the table",
        )
    return Disease(task=task, table=table, operating_point=table.operating_point)
