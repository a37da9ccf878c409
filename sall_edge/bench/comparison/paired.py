"""Two runs on the same photographs: which metrics and which referrals moved, and whether chance moves them as far."""

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict

from sall_edge.bench.accuracy.grading import Flip
from sall_edge.bench.accuracy.metrics import Change, measure_change, measure_task, referable_probability
from sall_edge.bench.accuracy.side_by_side import Answer
from sall_edge.screening.quality_head import QualityHead
from sall_edge.spec import Task

__all__ = [
    "METRICS",
    "NOT_TESTED",
    "Pairs",
    "ReferralChange",
    "Shift",
    "count_referrals",
    "exact_mcnemar",
    "graded_pairs",
    "measure_shifts",
    "pair_answers",
]

F32 = npt.NDArray[np.float32]

NOISE_P = 0.05
"""Two-sided, to match the 95 % intervals."""

METRICS = ("referable_auc", "quadratic_weighted_kappa", "accuracy", "sensitivity", "specificity", "ece")
"""Of `TaskAccuracy`, in the order of reading; ECE is not resampled and so not tested."""

PAIRED_BOOTSTRAP = "paired bootstrap by patient"
NOT_TESTED = "not tested"


class Shift(BaseModel):
    """A number of two runs.

    Attributes:
        before, after: In either; null where it is undefined or missing.
        change: after - before, or after / before of a speed; null where it has no meaning.
        low, high: 95 % interval of the change; null where nothing was tested.
        is_noise: Whether the interval holds "no change"; null where nothing was tested.
        test: How that was decided, or why it was not.
    """

    model_config = ConfigDict(frozen=True)

    before: float | None
    after: float | None
    change: float | None = None
    low: float | None = None
    high: float | None = None
    is_noise: bool | None = None
    test: str = NOT_TESTED


class ReferralChange(BaseModel):
    """Referrals of one task that only one of two runs makes.

    Attributes:
        n: Photographs that both graded.
        lost: Referred before, not after.
        gained: The other way.
        p_value: Exact McNemar, two-sided: how often chance alone parts that many so unevenly. It takes photographs for
            independent, which the two eyes of a patient are not quite.
        is_noise: Whether p_value is at least 0.05. It says that neither run refers more; `lost` are lost all the same.
    """

    model_config = ConfigDict(frozen=True)

    n: int
    lost: int
    gained: int
    p_value: float
    is_noise: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Pairs:
    """Photographs that two runs graded, in the order of the first.

    Attributes:
        before, after: Equally many answers.
        only_before, only_after: How many photographs one of the runs alone graded.
    """

    before: tuple[Answer, ...]
    after: tuple[Answer, ...]
    only_before: int
    only_after: int


def pair_answers(before: Sequence[Answer], after: Sequence[Answer]) -> Pairs:
    """The photographs with the same bytes, whatever they are called; equal copies are paired in their order."""
    theirs = dict(zip(_keys(after), after, strict=True))
    found = [(answer, theirs[key]) for key, answer in zip(_keys(before), before, strict=True) if key in theirs]
    return Pairs(
        before=tuple(pair[0] for pair in found),
        after=tuple(pair[1] for pair in found),
        only_before=len(before) - len(found),
        only_after=len(after) - len(found),
    )


def graded_pairs(pairs: Pairs, before: QualityHead | None, after: QualityHead | None) -> Pairs:
    """The pairs that both runs graded: whatever the quality task of a run refuses has no grade of any disease there.

    Args:
        pairs: Photographs that both engines were asked about.
        before, after: The quality tasks of the runs.
    """
    kept = list(zip(_are_graded(pairs.before, before), _are_graded(pairs.after, after), strict=True))
    return Pairs(
        before=tuple(answer for answer, is_graded in zip(pairs.before, kept, strict=True) if all(is_graded)),
        after=tuple(answer for answer, is_graded in zip(pairs.after, kept, strict=True) if all(is_graded)),
        only_before=pairs.only_before + kept.count((True, False)),
        only_after=pairs.only_after + kept.count((False, True)),
    )


def _are_graded(answers: Sequence[Answer], head: QualityHead | None) -> list[bool]:
    if head is None:
        return [True] * len(answers)
    name = head.task.name
    return [not head.refuses(head.task.referable_probability(answer.probs[name])) for answer in answers]


def measure_shifts(
    pairs: Pairs, task: Task, points: tuple[float, float], *, rng: np.random.Generator, rounds: int = 1000
) -> dict[str, Shift]:
    """By metric, on the photographs that carry the same label in both runs; empty if there are none.

    Args:
        pairs: Of both runs.
        task: The same in both.
        points: Operating points before and after.
        rng: Draws patients.
        rounds: Bootstrap samples.
    """
    same = [
        i
        for i, (old, new) in enumerate(zip(pairs.before, pairs.after, strict=True))
        if old.labels[task.name] is not None and old.labels[task.name] == new.labels[task.name]
    ]
    if not same:
        return {}
    grades = np.array([pairs.before[i].labels[task.name] for i in same], dtype=np.int64)
    patients = [str(pairs.before[i].patient) for i in same]
    old, new = (_probs(answers, task)[same] for answers in (pairs.before, pairs.after))
    changes = measure_change(
        task, grades, old, new, points[0], patients, rng=rng, operating_point_after=points[1], rounds=rounds
    )
    first, second = (
        measure_task(task, grades, probs, point, patients, rng=rng, rounds=1)
        for probs, point in zip((old, new), points, strict=True)
    )
    return {name: _shift(getattr(first, name), getattr(second, name), changes.get(name)) for name in METRICS}


def _shift(before: float | None, after: float | None, change: Change | None) -> Shift:
    if change is None:
        difference = None if before is None or after is None else after - before
        return Shift(before=before, after=after, change=difference)
    is_noise = change.low <= 0 <= change.high
    return Shift(
        before=before,
        after=after,
        change=change.value,
        low=change.low,
        high=change.high,
        is_noise=is_noise,
        test=PAIRED_BOOTSTRAP,
    )


def count_referrals(pairs: Pairs, task: Task, points: tuple[float, float]) -> tuple[ReferralChange, tuple[Flip, ...]]:
    """How many referrals differ, and each of them, lost ones first; labels play no part.

    Args:
        pairs: Of both runs; at least one.
        task: The same in both.
        points: Operating points before and after.
    """
    old, new = (referable_probability(_probs(answers, task), task) for answers in (pairs.before, pairs.after))
    was, is_now = old >= points[0], new >= points[1]
    lost, gained = int((was & ~is_now).sum()), int((~was & is_now).sum())
    p_value = exact_mcnemar(lost, gained)
    words = {True: "referable", False: "not referable"}
    flips = [
        Flip(
            image=pairs.after[i].image,
            task=task.name,
            before=words[bool(was[i])],
            after=words[bool(is_now[i])],
            probability_before=float(old[i]),
            probability_after=float(new[i]),
            label=pairs.after[i].labels[task.name],
        )
        for i in np.flatnonzero(was != is_now).tolist()
    ]
    change = ReferralChange(n=len(old), lost=lost, gained=gained, p_value=p_value, is_noise=p_value >= NOISE_P)
    return change, tuple(sorted(flips, key=lambda flip: (flip.after == "referable", flip.image)))


def exact_mcnemar(lost: int, gained: int) -> float:
    """Two-sided probability that `lost + gained` fair coins fall as unevenly as this or more so (McNemar 1947)."""
    count = lost + gained
    tail = sum(math.comb(count, k) for k in range(min(lost, gained) + 1))
    p_value: float = 2 * tail / 2**count  # whole numbers of any size until here
    return min(1.0, p_value)


def _keys(answers: Sequence[Answer]) -> list[tuple[str, int]]:
    seen: Counter[str] = Counter()
    keys = []
    for answer in answers:
        keys.append((answer.sha256, seen[answer.sha256]))
        seen[answer.sha256] += 1
    return keys


def _probs(answers: Sequence[Answer], task: Task) -> F32:
    return np.array([answer.probs[task.name] for answer in answers], dtype=np.float32)
