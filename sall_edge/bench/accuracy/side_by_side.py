"""An engine and its FP32 graph on the same photographs: how right each is, and where they part."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict

from sall_edge.artifacts import Engine
from sall_edge.bench.accuracy.columns import Group, find_groups, measure_imageability
from sall_edge.bench.accuracy.gradable_set import GradableSet
from sall_edge.bench.accuracy.grading import count_confusions, find_flips, labelled_rows, measure_accuracy, predict_all
from sall_edge.bench.accuracy.metrics import TaskAccuracy, referable_probability, reliability_bins
from sall_edge.bench.accuracy.roc import Roc, trace_roc
from sall_edge.runtime.session import open_reference
from sall_edge.spec import disease_tasks

__all__ = ["Answer", "Reference", "ReferenceAnswers", "judge_answers"]

U8 = npt.NDArray[np.uint8]
F32 = npt.NDArray[np.float32]


class Answer(BaseModel):
    """What the engine said of one photograph: what two runs are compared by.

    Attributes:
        image: As in the labels, relative to the working folder.
        sha256: Of the file, so that the photograph is found again under another path.
        patient: A number within this run instead of the patient's name, which stays in the labels.
        labels: By task; null is unknown.
        probs: By task, the probability of each grade: as few digits as name the float32.
    """

    model_config = ConfigDict(frozen=True)

    image: str
    sha256: str
    patient: int
    labels: dict[str, int | None]
    probs: dict[str, tuple[float, ...]]


class Reference(BaseModel):
    """The FP32 graph on the same photographs.

    Attributes:
        agreement: Share of all photographs with the engine's grade, by task.
        referred: How many photographs it refers, labelled or not, by task: those that can lose a referral.
        accuracy, confusion, roc, groups: As the engine's.
    """

    model_config = ConfigDict(frozen=True)

    precision: str = "fp32"
    accuracy: dict[str, TaskAccuracy]
    agreement: dict[str, float]
    referred: dict[str, int] = {}
    confusion: dict[str, tuple[tuple[int, ...], ...]] = {}
    roc: dict[str, Roc] = {}
    groups: tuple[Group, ...] = ()


class ReferenceAnswers:
    """FP32 probabilities, computed once for all engines that share the graph and the squares of one run."""

    def __init__(self) -> None:
        self._known: dict[tuple[str, str], dict[str, F32]] = {}

    def of(self, engine: Engine, squares: U8, *, advance: Callable[[], None] = lambda: None) -> dict[str, F32]:
        """By task, the (n, K) probabilities of the engine's FP32 graph.

        Args:
            engine: Whose graph.
            squares: (n, side, side, 3) uint8; the same ones whenever the image specification is the same.
            advance: Called n times, also when nothing is computed.

        Raises:
            SallEdgeError: The graph cannot be opened.
        """
        key = engine.manifest.files[engine.reference_path.name], engine.manifest.image.sha256
        if key in self._known:
            for _ in squares:
                advance()
        else:
            with open_reference(engine) as session:
                self._known[key] = predict_all(session, squares, advance=advance)
        return self._known[key]


def judge_answers(
    engine: Engine, looked: GradableSet, before: Mapping[str, F32], after: Mapping[str, F32]
) -> dict[str, Any]:
    """The fields of a `BenchReport` that come from photographs.

    Both are judged on the photographs that `screen` would grade; the others are counted in `imageability`.

    Args:
        engine: For its tasks and operating points.
        looked: The photographs, n of them gradable.
        before: By task, the (n, K) probabilities of the FP32 graph.
        after: The same of the engine.
    """
    tasks, points, photographs = engine.manifest.tasks, engine.manifest.operating_points, looked.photographs
    diseases = disease_tasks(tasks)  # a retake lost is no referral lost
    flips = find_flips(photographs, diseases, before, after, points)
    agreement = {
        task.name: float((before[task.name].argmax(axis=1) == after[task.name].argmax(axis=1)).mean()) for task in tasks
    }
    reliability = {}
    for task in tasks:
        labelled, grades = labelled_rows(photographs, task)
        if len(labelled):
            reliability[task.name] = reliability_bins(grades, after[task.name][labelled])
    return {
        "tasks": tasks,
        "operating_points": points,
        "photographs": len(photographs),
        "failures": {str(one.photograph.path): one.error for one in looked.stopped if one.error},
        "retakes": {str(one.photograph.path): one.reasons for one in looked.stopped if not one.error},
        "imageability": measure_imageability(photographs, looked.stopped, rng=np.random.default_rng(0)),
        "accuracy": measure_accuracy(photographs, tasks, after, points),
        "reliability": reliability,
        "confusion": count_confusions(photographs, tasks, after),
        "roc": _curves(engine, looked, after),
        "groups": find_groups(looked, tasks, after, points, flips),
        "reference": Reference(
            accuracy=measure_accuracy(photographs, tasks, before, points),
            agreement=agreement,
            referred={
                task.name: int((referable_probability(before[task.name], task) >= points[task.name]).sum())
                for task in diseases
            },
            confusion=count_confusions(photographs, tasks, before),
            roc=_curves(engine, looked, before),
            groups=find_groups(looked, tasks, before, points, ()),
        ),
        "flips": flips,
        "answers": _answers(engine, looked, after),
    }


def _curves(engine: Engine, looked: GradableSet, probs: Mapping[str, F32]) -> dict[str, Roc]:
    curves = {}
    for task in engine.manifest.tasks:
        labelled, grades = labelled_rows(looked.photographs, task)
        is_referable = grades >= task.referable_from
        if len(set(is_referable.tolist())) == 2:
            scores = referable_probability(probs[task.name][labelled], task)
            curves[task.name] = trace_roc(is_referable, scores, engine.manifest.operating_points[task.name])
    return curves


def _answers(engine: Engine, looked: GradableSet, probs: Mapping[str, F32]) -> tuple[Answer, ...]:
    names = [task.name for task in engine.manifest.tasks]
    numbers: dict[str, int] = {}
    return tuple(
        Answer(
            image=str(photograph.path),
            sha256=looked.sha256s[i],
            patient=numbers.setdefault(photograph.patient_id, len(numbers)),
            labels={name: photograph.grades[name] for name in names},
            probs={name: tuple(float(str(p)) for p in probs[name][i]) for name in names},
        )
        for i, photograph in enumerate(looked.photographs)
    )
