"""What a network says of labelled photographs: its grades against the labels, its referrals against another's."""

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import numpy.typing as npt
from pydantic import AliasChoices, BaseModel, ConfigDict, Field

from sall_edge.bench.accuracy.metrics import TaskAccuracy, measure_task, referable_probability
from sall_edge.fundus.labels import LabelledPhotograph
from sall_edge.runtime.session import Session
from sall_edge.spec import Task

__all__ = ["Flip", "count_confusions", "find_flips", "labelled_rows", "measure_accuracy", "predict_all"]

U8 = npt.NDArray[np.uint8]
F32 = npt.NDArray[np.float32]
Ints = npt.NDArray[np.int64]


class Flip(BaseModel):
    """A photograph whose referral differs between the engine and the FP32 graph, or between two runs.

    Attributes:
        image: As in the labels.
        task: Which referral.
        before, after: "referable" or "not referable", in the JSON as "from" and "to".
        probability_before, probability_after: Of a referable grade.
        label: The grade that the labels name; null if they name none.
    """

    model_config = ConfigDict(frozen=True)

    image: str
    task: str
    before: str = Field(validation_alias=AliasChoices("before", "from"), serialization_alias="from")
    after: str = Field(validation_alias=AliasChoices("after", "to"), serialization_alias="to")
    probability_before: float
    probability_after: float
    label: int | None = None


def predict_all(session: Session, squares: U8, *, advance: Callable[[], None] = lambda: None) -> dict[str, F32]:
    """Per task the (n, K) probabilities, one square at a time as in screening."""
    rows: dict[str, list[F32]] = {}
    for square in squares:
        for name, probs in session.run(square).probs.items():
            rows.setdefault(name, []).append(probs)
        advance()
    return {name: np.stack(probs) for name, probs in rows.items()}


def measure_accuracy(
    photographs: Sequence[LabelledPhotograph],
    tasks: Sequence[Task],
    probs: Mapping[str, F32],
    operating_points: Mapping[str, float],
    *,
    seed: int = 0,
    rounds: int = 1000,
) -> dict[str, TaskAccuracy]:
    """The `accuracy` object: every task that has labels here, over its labelled photographs.

    Args:
        photographs: n of them.
        tasks: To measure.
        probs: By task, (n, K) calibrated probabilities.
        operating_points: By task.
        seed: Of the bootstrap.
        rounds: Bootstrap samples.
    """
    report: dict[str, TaskAccuracy] = {}
    for task in tasks:
        labelled, grades = labelled_rows(photographs, task)
        if len(labelled):
            patients = [photographs[i].patient_id for i in labelled]
            rng = np.random.default_rng(seed)
            point = operating_points[task.name]
            report[task.name] = measure_task(
                task, grades, probs[task.name][labelled], point, patients, rng=rng, rounds=rounds
            )
    return report


def labelled_rows(photographs: Sequence[LabelledPhotograph], task: Task) -> tuple[Ints, Ints]:
    """Positions of the photographs that have a grade for the task, and those grades."""
    known = [(i, grade) for i, p in enumerate(photographs) if (grade := p.grades.get(task.name)) is not None]
    table = np.array(known, dtype=np.int64).reshape(-1, 2)
    return table[:, 0], table[:, 1]


def count_confusions(
    photographs: Sequence[LabelledPhotograph], tasks: Sequence[Task], probs: Mapping[str, F32]
) -> dict[str, tuple[tuple[int, ...], ...]]:
    """By task that has labels here, the (K, K) confusion matrix: rows are labels, columns are most probable grades."""
    matrices = {}
    for task in tasks:
        labelled, grades = labelled_rows(photographs, task)
        if len(labelled):
            size = len(task.grades)
            predicted = probs[task.name][labelled].argmax(axis=1)
            counts = np.bincount(grades * size + predicted, minlength=size**2).reshape(size, size)
            matrices[task.name] = tuple(tuple(row) for row in counts.tolist())
    return matrices


def find_flips(
    photographs: Sequence[LabelledPhotograph],
    tasks: Sequence[Task],
    before: Mapping[str, F32],
    after: Mapping[str, F32],
    operating_points: Mapping[str, float],
) -> tuple[Flip, ...]:
    """Every photograph whose referral changes; lost referrals first, since they do the harm."""
    words = {True: "referable", False: "not referable"}
    flips: list[Flip] = []
    for task in tasks:
        old, new = referable_probability(before[task.name], task), referable_probability(after[task.name], task)
        point = operating_points[task.name]
        flips += [
            Flip(
                image=str(photographs[i].path),
                task=task.name,
                before=words[bool(old[i] >= point)],
                after=words[bool(new[i] >= point)],
                probability_before=float(old[i]),
                probability_after=float(new[i]),
                label=photographs[i].grades.get(task.name),
            )
            for i in np.flatnonzero((old >= point) != (new >= point)).tolist()
        ]
    return tuple(sorted(flips, key=lambda flip: (flip.after == "referable", flip.task, flip.image)))
