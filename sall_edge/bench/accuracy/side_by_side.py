"""An engine and its FP32 graph on the same photographs: how right each is, and where they part."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict

from sall_edge.artifacts import Engine
from sall_edge.bench.accuracy.columns import Group, find_groups, measure_imageability
from sall_edge.bench.accuracy.gradable_set import GradableSet, Stopped
from sall_edge.bench.accuracy.grading import count_confusions, find_flips, labelled_rows, measure_accuracy, predict_all
from sall_edge.bench.accuracy.metrics import ReliabilityBin, TaskAccuracy, referable_probability, reliability_bins
from sall_edge.bench.accuracy.roc import Roc, trace_roc
from sall_edge.fundus.labels import LabelledPhotograph
from sall_edge.runtime.session import open_reference
from sall_edge.screening.quality_head import QUALITY_HEAD, quality_head_of
from sall_edge.spec import Role, Task, disease_tasks

__all__ = ["Answer", "Reference", "ReferenceAnswers", "judge_answers"]

U8 = npt.NDArray[np.uint8]
F32 = npt.NDArray[np.float32]


class Answer(BaseModel):
    """What the engine said of one photograph that it was asked about: what two runs are compared by.

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
        agreement: Share of all photographs that a task is judged on with the engine's grade, by task.
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


@dataclass(frozen=True, slots=True, kw_only=True)
class _Screened:
    """What became of photographs that the engine was asked about.

    Attributes:
        asked: All of them, n.
        rows: Positions of those that it graded: its quality task, where it has one, refused the others.
        graded: Those.
        stopped: Whoever was not graded, before the engine or by it.
    """

    asked: tuple[LabelledPhotograph, ...]
    rows: npt.NDArray[np.int64]
    graded: tuple[LabelledPhotograph, ...]
    stopped: tuple[Stopped, ...]


def judge_answers(
    engine: Engine, looked: GradableSet, before: Mapping[str, F32], after: Mapping[str, F32]
) -> dict[str, Any]:
    """The fields of a `BenchReport` that come from photographs.

    Diseases are judged on the photographs that `screen` would grade with the engine, its FP32 graph on the same; the
    others are counted in `imageability`. A quality task is judged on all that the engine is asked about.

    Args:
        engine: For its tasks and operating points.
        looked: The photographs, n of them gradable by their measures.
        before: By task, the (n, K) probabilities of the FP32 graph.
        after: The same of the engine.
    """
    tasks, points = engine.manifest.tasks, engine.manifest.operating_points
    screened, diseases = _screened(engine, looked, after), disease_tasks(tasks)
    old, new = ({name: of[screened.rows] for name, of in probs.items()} for probs in (before, after))
    flips = find_flips(screened.graded, diseases, old, new, points)  # a retake lost is no referral lost
    return {
        "tasks": tasks,
        "operating_points": points,
        "photographs": len(screened.graded),
        "failures": {str(one.photograph.path): one.error for one in screened.stopped if one.error},
        "retakes": {str(one.photograph.path): one.reasons for one in screened.stopped if not one.error},
        "imageability": measure_imageability(screened.graded, screened.stopped, rng=np.random.default_rng(0)),
        **_accuracy(engine, screened, after),
        "reliability": _reliability(engine, screened, after),
        "groups": find_groups(screened.graded, screened.stopped, diseases, new, points, flips),
        "reference": Reference(
            **_accuracy(engine, screened, before),
            agreement=_agreement(engine, screened, before, after),
            referred={
                task.name: int((referable_probability(old[task.name], task) >= points[task.name]).sum())
                for task in diseases
            },
            groups=find_groups(screened.graded, screened.stopped, diseases, old, points, ()),
        ),
        "flips": flips,
        "answers": _answers(engine, looked, after),
    }


def _screened(engine: Engine, looked: GradableSet, after: Mapping[str, F32]) -> _Screened:
    head = quality_head_of(engine.manifest.tasks, engine.manifest.operating_points)
    refused = np.zeros(len(looked.photographs), bool)
    if head is not None:
        refused = referable_probability(after[head.task.name], head.task) >= head.operating_point
    rows = np.flatnonzero(~refused)
    by_head = (
        Stopped(photograph=looked.photographs[i], reasons=(QUALITY_HEAD,)) for i in np.flatnonzero(refused).tolist()
    )
    return _Screened(
        asked=looked.photographs,
        rows=rows,
        graded=tuple(looked.photographs[i] for i in rows.tolist()),
        stopped=(*looked.stopped, *by_head),
    )


def _on(
    screened: _Screened, task: Task, probs: Mapping[str, F32]
) -> tuple[tuple[LabelledPhotograph, ...], dict[str, F32]]:
    """The photographs that a task is judged on, and its probabilities of them."""
    if task.role is Role.QUALITY:
        return screened.asked, {task.name: probs[task.name]}
    return screened.graded, {task.name: probs[task.name][screened.rows]}


def _accuracy(engine: Engine, screened: _Screened, probs: Mapping[str, F32]) -> dict[str, Any]:
    """`accuracy`, `confusion` and `roc` of the engine or of its FP32 graph."""
    points = engine.manifest.operating_points
    accuracy: dict[str, TaskAccuracy] = {}
    confusion: dict[str, tuple[tuple[int, ...], ...]] = {}
    curves: dict[str, Roc] = {}
    for task in engine.manifest.tasks:
        photographs, own = _on(screened, task, probs)
        accuracy |= measure_accuracy(photographs, [task], own, points)
        confusion |= count_confusions(photographs, [task], own)
        labelled, grades = labelled_rows(photographs, task)
        is_referable = grades >= task.referable_from
        if len(set(is_referable.tolist())) == 2:
            scores = referable_probability(own[task.name][labelled], task)
            curves[task.name] = trace_roc(is_referable, scores, points[task.name])
    return {"accuracy": accuracy, "confusion": confusion, "roc": curves}


def _reliability(
    engine: Engine, screened: _Screened, probs: Mapping[str, F32]
) -> dict[str, tuple[ReliabilityBin, ...]]:
    bins = {}
    for task in engine.manifest.tasks:
        photographs, own = _on(screened, task, probs)
        labelled, grades = labelled_rows(photographs, task)
        if len(labelled):
            bins[task.name] = reliability_bins(grades, own[task.name][labelled])
    return bins


def _agreement(
    engine: Engine, screened: _Screened, before: Mapping[str, F32], after: Mapping[str, F32]
) -> dict[str, float]:
    """By task the share of the same most probable grade; of nothing there is none."""
    shares = {}
    for task in engine.manifest.tasks:
        old, new = (_on(screened, task, probs)[1][task.name].argmax(axis=1) for probs in (before, after))
        if len(new):
            shares[task.name] = float((old == new).mean())
    return shares


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
