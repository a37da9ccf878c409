"""Probabilities that mean what they say: a temperature per head, and the threshold of a referral."""

import math

import numpy as np
import numpy.typing as npt

from sall_edge.bench.accuracy.metrics import referable_probability
from sall_edge.errors import TrainingError
from sall_edge.spec import Task

__all__ = ["fitted_temperature", "negative_log_likelihood", "operating_point", "refusal_point", "softmax"]

Floats = npt.NDArray[np.floating]
Ints = npt.NDArray[np.integer]

_LEAST, _MOST = 0.05, 20.0
"""Bounds of the temperature: a validation split that is classified without error would want 0."""

_GOLDEN = (math.sqrt(5) - 1) / 2
_ROUNDS = 60
"""Golden sections; each keeps 0.62 of the bracket, so these leave 1e-12 of it."""


def softmax(logits: Floats, temperature: float = 1.0) -> npt.NDArray[np.float64]:
    """(n, K) probabilities of (n, K) logits divided by the temperature."""
    scaled = np.asarray(logits, dtype=np.float64) / temperature
    powers = np.exp(scaled - scaled.max(axis=1, keepdims=True))
    probabilities: npt.NDArray[np.float64] = powers / powers.sum(axis=1, keepdims=True)
    return probabilities


def negative_log_likelihood(logits: Floats, grades: Ints, temperature: float) -> float:
    """Mean over photographs of -log p(label), natural logarithm."""
    scaled = np.asarray(logits, dtype=np.float64) / temperature
    top = scaled.max(axis=1)
    partition = top + np.log(np.exp(scaled - top[:, None]).sum(axis=1))
    return float((partition - scaled[np.arange(len(grades)), grades]).mean())


def fitted_temperature(logits: Floats, grades: Ints) -> float:
    """The temperature with the least negative log-likelihood (Guo et al. 2017, arXiv 1706.04599).

    The likelihood is convex in 1/T, so it has one minimum along log T and a golden-section search finds it.

    Args:
        logits: (n, K) raw logits of the validation split.
        grades: (n,) labels, all known.
    """
    low, high = math.log(_LEAST), math.log(_MOST)
    for _ in range(_ROUNDS):
        left, right = high - _GOLDEN * (high - low), low + _GOLDEN * (high - low)
        loss_left = negative_log_likelihood(logits, grades, math.exp(left))
        loss_right = negative_log_likelihood(logits, grades, math.exp(right))
        low, high = (low, right) if loss_left <= loss_right else (left, high)
    return math.exp((low + high) / 2)


def operating_point(task: Task, grades: Ints, probs: Floats, wanted_sensitivity: float) -> float:
    """The highest threshold on the probability of a referable grade that reaches the wanted sensitivity.

    It lies midway between two photographs' probabilities, so that the last digits of another runtime decide nothing.

    Args:
        task: Says which grades are referable.
        grades: (n,) labels, all known.
        probs: (n, K) calibrated probabilities.
        wanted_sensitivity: Share of referable photographs to be called.

    Raises:
        TrainingError: No photograph is referable.
    """
    scores = referable_probability(probs, task)
    referable = np.sort(scores[grades >= task.referable_from])[::-1]
    if len(referable) == 0:
        why = f"a threshold needs photographs of grade {task.referable_from} or more, and the validation split has none"
        raise TrainingError(f"no operating point for {task.name}", why, "add such photographs to the split `val`")
    # 0.9 * 10 must be 9 photographs, whatever the last bit of the product is.
    needed = max(1, math.ceil(wanted_sensitivity * len(referable) - 1e-9))
    last_called = float(referable[needed - 1])
    lower = scores[scores < last_called]
    return (last_called + float(lower.max(initial=0.0))) / 2


def refusal_point(task: Task, grades: Ints, probs: Floats, most_refused: float) -> float:
    """The threshold of a quality task: it refuses as many ungradable photographs as its cost allows, and no more good.

    A disease is missed where a threshold is too high, so its threshold is chosen by sensitivity. A retake that is not
    needed costs a patient a second flash, so here the share of refused gradable photographs is bound. Of the thresholds
    within it, the highest that refuses no fewer ungradable ones is taken, midway between two photographs'
    probabilities; where none refuses any, it lies above all of them.

    Args:
        task: Says from which grade on a photograph must not be graded.
        grades: (n,) labels, all known, gradable ones among them.
        probs: (n, K) calibrated probabilities.
        most_refused: Share of the gradable photographs that may be refused.
    """
    scores = referable_probability(probs, task)
    is_bad = grades >= task.referable_from
    good = np.sort(scores[~is_bad])[::-1]
    allowed = math.floor(most_refused * len(good) + 1e-9)
    kept = float(good[allowed]) if allowed < len(good) else -math.inf
    refused = scores[is_bad & (scores > kept)]
    last_refused = float(refused.min()) if len(refused) else 1.0
    lower = scores[scores < last_refused]
    return (last_refused + float(lower.max(initial=0.0))) / 2
