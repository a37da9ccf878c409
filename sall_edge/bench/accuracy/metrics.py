"""How well grades and referrals agree with the labels, with intervals by patient.

Arrays here: `grades` (n,) integer labels, `probs` (n, K) probabilities, `weights` (n,) non-negative. A metric that the
labels leave undefined (no referable photograph, say) is None, never a number.
"""

from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict

from sall_edge.bench.accuracy.reliability import brier_score, risk_coverage
from sall_edge.spec import Task

__all__ = [
    "Change",
    "ReliabilityBin",
    "TaskAccuracy",
    "ece_if_calibrated",
    "expected_calibration_error",
    "measure_change",
    "measure_task",
    "quadratic_weighted_kappa",
    "referable_auc",
    "referable_probability",
    "reliability_bins",
]

Floats = npt.NDArray[np.floating]
Ints = npt.NDArray[np.integer]
Metric = Callable[[npt.NDArray[np.float64]], float | None]

CONFIDENCE_BINS = 10
"""As in Ju et al. 2021 and in most reliability diagrams."""


class TaskAccuracy(BaseModel):
    """The `accuracy` object of one task in `bench --json` and `evaluate --json`.

    `brier` runs from 0 to 2 (all grades summed), `aurc` is the area under the risk-coverage curve; both are best at 0.
    `ece_if_calibrated` is the ECE that chance alone gives these probabilities, mean and 95th percentile, see there.
    `interval` holds the 95 % percentile bootstrap interval of each metric, patients resampled.
    """

    model_config = ConfigDict(frozen=True)

    n: int
    accuracy: float
    quadratic_weighted_kappa: float | None
    referable_auc: float | None
    sensitivity: float | None
    specificity: float | None
    ece: float
    ece_if_calibrated: tuple[float, float]
    brier: float
    aurc: float
    interval: dict[str, tuple[float, float]]


class Change(BaseModel):
    """How much a metric moves, with the 95 % percentile bootstrap interval, patients resampled."""

    model_config = ConfigDict(frozen=True)

    value: float
    low: float
    high: float


class ReliabilityBin(BaseModel):
    """One bar of a reliability diagram: photographs whose confidence lies in (low, high]."""

    model_config = ConfigDict(frozen=True)

    low: float
    high: float
    n: int
    confidence: float
    accuracy: float


def referable_probability(probs: Floats, task: Task) -> npt.NDArray[np.float64]:
    """(n,) probability that the grade needs a referral."""
    probability: npt.NDArray[np.float64] = np.asarray(probs, dtype=np.float64)[:, task.referable_from :].sum(axis=1)
    return probability


def quadratic_weighted_kappa(grades: Ints, predicted: Ints, grade_count: int) -> float | None:
    """Agreement beyond chance, disagreements weighed by their squared distance (Cohen 1968)."""
    return _weighted_kappa(grades, predicted, grade_count, np.ones(len(grades)))


def referable_auc(is_referable: npt.NDArray[np.bool_], scores: Floats) -> float | None:
    """Area under the ROC curve, ties counted half (Mann-Whitney)."""
    _, position = np.unique(scores, return_inverse=True)
    return _weighted_auc(is_referable, position, np.ones(len(scores)))


def reliability_bins(grades: Ints, probs: Floats) -> tuple[ReliabilityBin, ...]:
    """Confidence against accuracy of the most probable grade in ten equal bins; empty bins are left out."""
    confidence = probs.max(axis=1)
    correct = probs.argmax(axis=1) == grades
    index = np.clip(np.ceil(confidence * CONFIDENCE_BINS).astype(int) - 1, 0, CONFIDENCE_BINS - 1)
    return tuple(
        ReliabilityBin(
            low=int(i) / CONFIDENCE_BINS,
            high=(int(i) + 1) / CONFIDENCE_BINS,
            n=int((index == i).sum()),
            confidence=float(confidence[index == i].mean()),
            accuracy=float(correct[index == i].mean()),
        )
        for i in np.unique(index)
    )


def expected_calibration_error(grades: Ints, probs: Floats) -> float:
    """Mean gap between confidence and accuracy, weighed by bin size (Guo et al. 2017)."""
    bins = reliability_bins(grades, probs)
    return sum(b.n * abs(b.confidence - b.accuracy) for b in bins) / len(grades)


def ece_if_calibrated(probs: Floats, rng: np.random.Generator, *, rounds: int = 300) -> tuple[float, float]:
    """The ECE that a perfectly calibrated network with these probabilities would show: mean, 95th percentile.

    Bins of few photographs are off by chance, so the ECE of a small test split is never near 0. Labels are drawn from
    the probabilities themselves (consistency resampling, Bröcker & Smith 2007).

    Args:
        probs: (n, K) probabilities.
        rng: Draws the labels.
        rounds: How often.
    """
    upper = np.asarray(probs, dtype=np.float64).cumsum(axis=1)
    upper[:, -1] = 1.0  # float32 rows do not sum to 1 exactly
    drawn = ((upper > rng.random((len(probs), 1))).argmax(axis=1) for _ in range(rounds))
    errors = [expected_calibration_error(grades, probs) for grades in drawn]
    return float(np.mean(errors)), float(np.percentile(errors, 95))


def measure_task(
    task: Task,
    grades: Ints,
    probs: Floats,
    operating_point: float,
    patients: Sequence[str],
    *,
    rng: np.random.Generator,
    rounds: int = 1000,
) -> TaskAccuracy:
    """All metrics of one task over labelled photographs.

    Args:
        task: The task; `referable_from` splits its grades.
        grades: (n,) labels, all known.
        probs: (n, K) calibrated probabilities.
        operating_point: A photograph is called referable from this probability of a referable grade on.
        patients: (n,) who each photograph belongs to; the bootstrap draws patients, since eyes of one are alike.
        rng: Draws the bootstrap samples.
        rounds: Number of bootstrap samples.

    Raises:
        ValueError: Lengths differ or nothing is labelled.
    """
    if not len(grades) == len(probs) == len(patients) or len(grades) == 0:
        raise ValueError(f"got {len(grades)} grades, {len(probs)} probs, {len(patients)} patients: equal and > 0")
    metrics = _metrics(task, grades, probs, operating_point)
    values = {name: metric(np.ones(len(grades))) for name, metric in metrics.items()}
    samples = _bootstrap(metrics, patients, rng=rng, rounds=rounds)
    interval = {name: (float(np.percentile(s, 2.5)), float(np.percentile(s, 97.5))) for name, s in samples.items() if s}
    accuracy = values.pop("accuracy")
    return TaskAccuracy(
        n=len(grades),
        accuracy=accuracy or 0.0,
        ece=expected_calibration_error(grades, probs),
        ece_if_calibrated=ece_if_calibrated(probs, rng),
        brier=brier_score(grades, probs),
        aurc=risk_coverage(grades, probs).area,
        interval=interval,
        **values,
    )


def measure_change(
    task: Task,
    grades: Ints,
    before: Floats,
    after: Floats,
    operating_point: float,
    patients: Sequence[str],
    *,
    rng: np.random.Generator,
    operating_point_after: float | None = None,
    rounds: int = 1000,
) -> dict[str, Change]:
    """By metric, what it is with `after` less what it is with `before`; undefined metrics are missing.

    Both see the same resampled patients, so what the choice of photographs does to both cancels out.

    Args:
        task, grades, operating_point, patients, rng, rounds: See `measure_task`.
        before, after: (n, K) probabilities of the same photographs.
        operating_point_after: Of `after`, where it is another one.
    """
    old = _metrics(task, grades, before, operating_point)
    new = _metrics(task, grades, after, operating_point if operating_point_after is None else operating_point_after)
    metrics = {name: _difference(new[name], metric) for name, metric in old.items()}
    values = {name: metric(np.ones(len(grades))) for name, metric in metrics.items()}
    samples = _bootstrap(metrics, patients, rng=rng, rounds=rounds)
    return {
        name: Change(
            value=value, low=float(np.percentile(samples[name], 2.5)), high=float(np.percentile(samples[name], 97.5))
        )
        for name, value in values.items()
        if value is not None and samples[name]
    }


def _difference(new: Metric, old: Metric) -> Metric:
    def difference(weights: npt.NDArray[np.float64]) -> float | None:
        after, before = new(weights), old(weights)
        return None if after is None or before is None else after - before

    return difference


def _metrics(task: Task, grades: Ints, probs: Floats, operating_point: float) -> dict[str, Metric]:
    predicted = probs.argmax(axis=1)
    score = referable_probability(probs, task)
    positive = grades >= task.referable_from
    called = score >= operating_point
    _, position = np.unique(score, return_inverse=True)
    return {
        "accuracy": lambda w: _share(predicted == grades, w),
        "quadratic_weighted_kappa": lambda w: _weighted_kappa(grades, predicted, len(task.grades), w),
        "referable_auc": lambda w: _weighted_auc(positive, position, w),
        "sensitivity": lambda w: _share(called, w * positive),
        "specificity": lambda w: _share(~called, w * ~positive),
    }


def _bootstrap(
    metrics: dict[str, Metric], patients: Sequence[str], *, rng: np.random.Generator, rounds: int
) -> dict[str, list[float]]:
    names, owner = np.unique(np.asarray(patients), return_inverse=True)
    samples: dict[str, list[float]] = {name: [] for name in metrics}
    for _ in range(rounds):
        draws = np.bincount(rng.integers(len(names), size=len(names)), minlength=len(names))
        weights = draws[owner].astype(np.float64)
        for name, metric in metrics.items():
            value = metric(weights)
            if value is not None:
                samples[name].append(value)
    return samples


def _share(hit: npt.NDArray[np.bool_], weights: npt.NDArray[np.float64]) -> float | None:
    total = weights.sum()
    return float((hit * weights).sum() / total) if total else None


def _weighted_auc(positive: npt.NDArray[np.bool_], position: Ints, weights: npt.NDArray[np.float64]) -> float | None:
    size = int(position.max()) + 1
    above = np.bincount(position, weights * positive, minlength=size)
    below = np.bincount(position, weights * ~positive, minlength=size)
    pairs = above.sum() * below.sum()
    if not pairs:
        return None
    lower = np.cumsum(below) - below
    return float((above * (lower + below / 2)).sum() / pairs)


def _weighted_kappa(grades: Ints, predicted: Ints, grade_count: int, weights: npt.NDArray[np.float64]) -> float | None:
    cells = np.bincount(grades * grade_count + predicted, weights, minlength=grade_count**2)
    observed = cells.reshape(grade_count, grade_count)
    expected = np.outer(observed.sum(axis=1), observed.sum(axis=0)) / observed.sum()
    distance = np.subtract.outer(np.arange(grade_count), np.arange(grade_count)) ** 2
    disagreement = (distance * expected).sum()
    return float(1 - (distance * observed).sum() / disagreement) if disagreement else None
