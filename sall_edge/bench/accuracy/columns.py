"""Accuracy of the photographs that share a value of a column: a data set, a camera, an eye, a quality."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict

from sall_edge.bench.accuracy.gradable_set import Stopped
from sall_edge.bench.accuracy.grading import Flip, measure_accuracy
from sall_edge.bench.accuracy.metrics import TaskAccuracy
from sall_edge.fundus.labels import LabelledPhotograph
from sall_edge.spec import Task

__all__ = ["Group", "Imageability", "find_groups", "measure_imageability"]

F32 = npt.NDArray[np.float32]

MOST_VALUES = 12
"""A column with more is a number or a name, such as an age or an examination: its groups are too small to say much."""

GROUP_ROUNDS = 200
"""Bootstrap samples of a group: an end of an interval then moves by a tenth of its width, and groups are many."""


class Imageability(BaseModel):
    """The share of photographs that may be graded.

    Attributes:
        n: Photographs, those that cannot be read included.
        gradable: Of those, how many were graded.
        share: gradable / n.
        interval: 95 % percentile bootstrap interval of the share, patients resampled.
        reasons: How many were stopped, by reason; a photograph may have several. "unreadable" is one.
    """

    model_config = ConfigDict(frozen=True)

    n: int
    gradable: int
    share: float
    interval: tuple[float, float]
    reasons: dict[str, int]


class Group(BaseModel):
    """Photographs that share a value.

    Attributes:
        column: Of the labels CSV, such as "source" or "eye"; "set" is the CSV itself.
        value: What stands there; "" is an empty cell.
        imageability: Of the group.
        accuracy: By disease, over its gradable, labelled photographs; one without labels here is missing.
        flips: By disease, how many referrals differ between the engine and the FP32 graph, labelled or not.
    """

    model_config = ConfigDict(frozen=True)

    column: str
    value: str
    imageability: Imageability
    accuracy: dict[str, TaskAccuracy]
    flips: dict[str, int] = {}


@dataclass(frozen=True, slots=True, kw_only=True)
class _Members:
    """Who shares a value: positions among the gradable photographs, and those that were stopped."""

    column: str
    value: str
    gradable: list[int]
    stopped: list[Stopped]


def measure_imageability(
    gradable: Sequence[LabelledPhotograph],
    stopped: Sequence[Stopped],
    *,
    rng: np.random.Generator,
    rounds: int = 1000,
) -> Imageability:
    """Which share of the photographs may be graded.

    Args:
        gradable: Those that may.
        stopped: Those that may not.
        rng: Draws patients.
        rounds: Bootstrap samples.

    Raises:
        ValueError: There is no photograph.
    """
    if not gradable and not stopped:
        raise ValueError("no photograph: one at least is needed for a share")
    patients = [photograph.patient_id for photograph in gradable] + [one.photograph.patient_id for one in stopped]
    _, owner, count = np.unique(np.asarray(patients), return_inverse=True, return_counts=True)
    good = np.bincount(owner[: len(gradable)], minlength=len(count))
    shares = []
    for _ in range(rounds):
        drawn = rng.integers(len(count), size=len(count))
        shares.append(good[drawn].sum() / count[drawn].sum())
    return Imageability(
        n=len(patients),
        gradable=len(gradable),
        share=len(gradable) / len(patients),
        interval=(float(np.percentile(shares, 2.5)), float(np.percentile(shares, 97.5))),
        reasons=dict(Counter(reason for one in stopped for reason in one.reasons).most_common()),
    )


def find_groups(
    gradable: Sequence[LabelledPhotograph],
    stopped: Sequence[Stopped],
    tasks: Sequence[Task],
    probs: Mapping[str, F32],
    operating_points: Mapping[str, float],
    flips: Sequence[Flip],
    *,
    seed: int = 0,
) -> tuple[Group, ...]:
    """By column and value, in the columns' order: set, eye, then the CSV's own; for columns of 2 to 12 values.

    Args:
        gradable: Those that may be graded, n of them.
        stopped: Those that may not.
        tasks: To measure.
        probs: By task, (n, K) calibrated probabilities.
        operating_points: By task.
        flips: Between the engine and the FP32 graph, on these photographs.
        seed: Of the bootstraps.
    """
    flipped: dict[str, list[str]] = {}
    for flip in flips:
        flipped.setdefault(flip.image, []).append(flip.task)
    return tuple(
        _measured(members, gradable, tasks, probs, operating_points, flipped, seed)
        for members in _members(gradable, stopped)
    )


def _measured(
    members: _Members,
    gradable: Sequence[LabelledPhotograph],
    tasks: Sequence[Task],
    probs: Mapping[str, F32],
    operating_points: Mapping[str, float],
    flipped: Mapping[str, Sequence[str]],
    seed: int,
) -> Group:
    photographs = [gradable[i] for i in members.gradable]
    of_members = {name: of_task[members.gradable] for name, of_task in probs.items()}
    counted = Counter(name for photograph in photographs for name in flipped.get(str(photograph.path), ()))
    rng = np.random.default_rng(seed)
    return Group(
        column=members.column,
        value=members.value,
        imageability=measure_imageability(photographs, members.stopped, rng=rng, rounds=GROUP_ROUNDS),
        accuracy=measure_accuracy(photographs, tasks, of_members, operating_points, seed=seed, rounds=GROUP_ROUNDS),
        flips={task.name: counted[task.name] for task in tasks},
    )


def _members(gradable: Sequence[LabelledPhotograph], stopped: Sequence[Stopped]) -> Iterator[_Members]:
    everybody = [*gradable, *(one.photograph for one in stopped)]
    columns = dict.fromkeys(name for photograph in everybody for name in _cells(photograph))
    for column in columns:
        values = sorted({_cells(photograph).get(column, "") for photograph in everybody})
        if not 2 <= len(values) <= MOST_VALUES:
            continue
        for value in values:
            yield _Members(
                column=column,
                value=value,
                gradable=[i for i, p in enumerate(gradable) if _cells(p).get(column, "") == value],
                stopped=[one for one in stopped if _cells(one.photograph).get(column, "") == value],
            )


def _cells(photograph: LabelledPhotograph) -> dict[str, str]:
    return {"set": str(photograph.source_csv), "eye": photograph.eye, **photograph.extra}
