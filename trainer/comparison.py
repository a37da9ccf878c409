"""Methods compared on one test split: mean and spread over seeds, and paired differences with intervals by patient."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict

from sall_edge.bench.accuracy.metrics import (
    Change,
    expected_calibration_error,
    quadratic_weighted_kappa,
    referable_auc,
    referable_probability,
)
from sall_edge.spec import Task
from trainer.losses import UNKNOWN

__all__ = ["METRICS", "Answers", "Comparison", "Row", "TestSet", "compared"]

METRICS = ("referable_auc", "quadratic_weighted_kappa", "accuracy", "ece")
RIVALS = ("single", "multitask")
"""What every other method is compared with."""

Ints = npt.NDArray[np.integer]
Floats = npt.NDArray[np.floating]


@dataclass(frozen=True, slots=True, kw_only=True)
class TestSet:
    """The photographs of the test split.

    Attributes:
        grades: (n,) by task, -1 unknown.
        patients: (n,) whose eye it is.
        sources: (n,) name of the data set, for tables by data set.
    """

    __test__ = False  # pytest would take it for a class of tests

    grades: Mapping[str, Ints]
    patients: Sequence[str]
    sources: Sequence[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Answers:
    """What one trained method says of the test split.

    Attributes:
        probs: (n, K) calibrated probabilities by task.
    """

    probs: Mapping[str, Floats]


class Row(BaseModel):
    """One method, task and data set; metrics that the labels leave undefined are missing.

    Attributes:
        method: Its name.
        values: Metric to its value for every seed.
        mean, sd: Over seeds; the s.d. is that of a sample, missing for one seed.
        against: Rival to metric to difference, method less rival, both averaged over seeds.
    """

    model_config = ConfigDict(frozen=True)

    method: str
    task: str
    source: str
    n: int
    referable: int
    values: dict[str, tuple[float, ...]]
    mean: dict[str, float]
    sd: dict[str, float]
    against: dict[str, dict[str, Change]]


class Comparison(BaseModel):
    """Every row of a study."""

    model_config = ConfigDict(frozen=True)

    seeds: tuple[int, ...]
    rows: tuple[Row, ...]


def compared(
    tasks: Sequence[Task],
    test: TestSet,
    answers: Mapping[tuple[str, int], Answers],
    *,
    rng: np.random.Generator,
    rounds: int = 1000,
) -> Comparison:
    """All methods on all tasks, on the whole test split (`all`) and on each data set of it.

    Args:
        tasks: What was graded.
        test: The photographs.
        answers: By name of the method and seed; all methods were trained with the same seeds.
        rng: Draws the bootstrap samples; every method sees the same ones.
        rounds: Number of bootstrap samples.
    """
    methods = list(dict.fromkeys(method for method, _ in answers))
    seeds = tuple(dict.fromkeys(seed for _, seed in answers))
    names = list(dict.fromkeys(test.sources))
    parts = {"all": np.ones(len(test.sources), bool)}
    if len(names) > 1:
        parts |= {name: np.array([source == name for source in test.sources]) for name in names}
    by_method = {method: [answers[method, seed] for seed in seeds] for method in methods}
    rows: list[Row] = []
    for task in tasks:
        for source, chosen in parts.items():
            places = np.flatnonzero(chosen & (test.grades[task.name] != UNKNOWN))
            if len(places):
                samples = _samples([test.patients[int(place)] for place in places], rng, rounds)
                rows += _rows(task, source, test, by_method, places, samples)
    return Comparison(seeds=seeds, rows=tuple(rows))


def _rows(
    task: Task,
    source: str,
    test: TestSet,
    answers: Mapping[str, list[Answers]],
    places: Ints,
    samples: list[Ints],
) -> list[Row]:
    grades = test.grades[task.name][places]
    probs = {method: [answer.probs[task.name][places] for answer in given] for method, given in answers.items()}
    values = {method: [_metrics(task, grades, p) for p in given] for method, given in probs.items()}
    drawn = {
        method: [_mean([_metrics(task, grades[sample], p[sample]) for p in given]) for sample in samples]
        for method, given in probs.items()
    }
    rows = []
    for method, of_seeds in values.items():
        mean = _mean(of_seeds)
        spread = {name: float(np.std([v[name] for v in of_seeds], ddof=1)) for name in mean if len(of_seeds) > 1}
        against = {
            rival: _differences(mean, _mean(values[rival]), drawn[method], drawn[rival])
            for rival in RIVALS
            if rival in values and rival != method
        }
        rows.append(
            Row(
                method=method,
                task=task.name,
                source=source,
                n=len(grades),
                referable=int((grades >= task.referable_from).sum()),
                values={name: tuple(v[name] for v in of_seeds) for name in mean},
                mean=mean,
                sd=spread,
                against=against,
            )
        )
    return rows


def _metrics(task: Task, grades: Ints, probs: Floats) -> dict[str, float]:
    """The metrics that the labels define."""
    predicted = probs.argmax(axis=1)
    values = {
        "referable_auc": referable_auc(grades >= task.referable_from, referable_probability(probs, task)),
        "quadratic_weighted_kappa": quadratic_weighted_kappa(grades, predicted, len(task.grades)),
        "accuracy": float((predicted == grades).mean()),
        "ece": expected_calibration_error(grades, probs),
    }
    return {name: value for name, value in values.items() if value is not None}


def _mean(values: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """Over seeds, of the metrics that all of them have."""
    names = [name for name in METRICS if all(name in value for value in values)]
    return {name: float(np.mean([value[name] for value in values])) for name in names}


def _differences(
    mean: Mapping[str, float],
    rival: Mapping[str, float],
    drawn: Sequence[Mapping[str, float]],
    drawn_rival: Sequence[Mapping[str, float]],
) -> dict[str, Change]:
    differences = {}
    for name in mean:
        gaps = [a[name] - b[name] for a, b in zip(drawn, drawn_rival, strict=True) if name in a and name in b]
        if gaps and name in rival:
            low, high = np.percentile(gaps, (2.5, 97.5))
            differences[name] = Change(value=mean[name] - rival[name], low=float(low), high=float(high))
    return differences


def _samples(patients: Sequence[str], rng: np.random.Generator, rounds: int) -> list[Ints]:
    """Positions of the photographs of patients that are drawn with replacement."""
    names, owner = np.unique(np.asarray(patients), return_inverse=True)
    owned = [np.flatnonzero(owner == k) for k in range(len(names))]
    return [np.concatenate([owned[k] for k in rng.integers(len(names), size=len(names))]) for _ in range(rounds)]
