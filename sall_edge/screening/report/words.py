"""What a record's keys are called in the language of the document."""

from collections.abc import Iterable

from sall_edge.screening.examination.findings import is_gradable, photograph_reasons
from sall_edge.screening.examination.programme import Programme, programme_task
from sall_edge.screening.examination.reasons import Reason, task_not_assessed
from sall_edge.screening.examination.record import Examination, ExaminedPhotograph, EyeResult, TaskResult, View
from sall_edge.screening.messages import Catalogue
from sall_edge.spec import Eye, Task

__all__ = ["Words"]


class Words:
    """A catalogue, with the engine's tasks and the programme that its keys are about."""

    def __init__(self, catalogue: Catalogue, tasks: tuple[Task, ...], programme: Programme) -> None:
        self.catalogue = catalogue
        self.tasks = tasks
        self.programme = programme

    def text(self, key: str, **values: object) -> str:
        """The text of a key."""
        return self.catalogue.text(key, **values)

    def eye(self, eye: Eye) -> str:
        """Left or right."""
        return self.text(f"eye.{eye.value}")

    def view(self, view: View) -> str:
        """What a photograph is centred on."""
        return self.text(f"view.{view.value}")

    def reasons(self, keys: Iterable[str]) -> tuple[str, ...]:
        """The reasons of an eye or a photograph."""
        return tuple(self.catalogue.reason(key, self.tasks) for key in keys)

    def reasons_of_person(self, examination: Examination) -> tuple[str, ...]:
        """Every eye's reasons, with what the operator said where a photograph or an eye was left out."""
        of_eyes = [f"{eye}:{reason}" for eye, result in examination.eyes.items() for reason in result.reasons]
        keys = tuple(dict.fromkeys((*examination.reasons, *of_eyes)))  # none may get lost on the way up
        said = {f"{eye}:{Reason.NOT_EXAMINED.key()}": why for eye, why in examination.not_examined.items()}
        for given in examination.given_up:
            said[f"{given.eye.value}:{Reason.GIVEN_UP.key(given.view.value)}"] = given.why
        texts = zip(keys, self.reasons(keys), strict=True)
        return tuple(f"{text} ({said[key]})" if said.get(key) else text for key, text in texts)

    def grade(self, task: Task, found: TaskResult) -> str:
        """The grade, with the programme's code for it if it has one."""
        grade = self.catalogue.grade(task, found.grade)
        return f"{grade} ({found.code})" if found.code else grade

    def referable_grade(self, task: Task) -> str:
        """The mildest grade that the programme refers."""
        return self.catalogue.grade(task, programme_task(self.programme, task).referable_from)

    def possible_grade(self, task: Task) -> str:
        """Instead of a mild grade that is the most probable one of a disease that is referred all the same."""
        return self.text("document.possible_grade", grade=self.referable_grade(task))

    def is_gradable(self, photograph: ExaminedPhotograph) -> bool:
        """Whether its grades count in this programme."""
        return is_gradable(photograph)

    def quality(self, photograph: ExaminedPhotograph) -> str:
        """Gradable, or why not."""
        if self.is_gradable(photograph):
            return self.text("document.good")
        return self.text("document.bad", reasons=self.shortcomings(photograph))

    def shortcomings(self, photograph: ExaminedPhotograph) -> str:
        """Why it is not gradable."""
        return ", ".join(self.reasons(photograph_reasons(photograph)))

    def not_assessed(self, results: Iterable[EyeResult]) -> tuple[str, ...]:
        """What no eye's photographs answer, once; what one eye's do not, with the eye before it."""
        of_eyes = {result.eye: [self._not_assessed(key, result) for key in result.not_assessed] for result in results}
        lines: dict[str, None] = {}
        for eye, texts in of_eyes.items():
            for text in texts:
                is_of_all = all(text in others for others in of_eyes.values())
                lines[text if is_of_all else self.text("reason_of_eye", eye=self.eye(eye), reason=text)] = None
        return tuple(lines)

    def _not_assessed(self, key: str, result: EyeResult) -> str:
        """A disease that has a grade although not all of its photographs do was assessed in part."""
        text = self.catalogue.not_assessed(key, self.tasks)
        is_graded = key in {task_not_assessed(found.task) for found in result.tasks}
        return self.text("document.partly_assessed", task=text) if is_graded else text
