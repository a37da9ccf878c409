"""What a bench found, in one sentence for each engine: lost referrals, sensitivity, speed, and whether to quote it."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from sall_edge.bench.accuracy.grading import Flip
from sall_edge.bench.measure import BenchReport
from sall_edge.spec import Task, disease_tasks

__all__ = ["Conclusion", "conclude", "largest_rate", "names_of"]

CONFIDENCE = 0.95
NAMED = 5
"""Photographs that a sentence names; the table of flips names all."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Conclusion:
    """The verdict on one engine.

    Attributes:
        name: The engine, as short as it can be told from the others.
        referrals: Whether a photograph lost its referral against FP32, which, and how often others would.
        sensitivity: Of every task that has labels; empty without labels.
        speed: The latency that was measured, and whether it may be quoted.
        lost: Flips that lost a referral; None where nothing was compared.
        against_claims: Every reason why the speed must not be quoted.
    """

    name: str
    referrals: str
    sensitivity: str
    speed: str
    lost: tuple[Flip, ...] | None
    against_claims: tuple[str, ...]

    @property
    def sentence(self) -> str:
        """All of it."""
        text = "; ".join(part for part in (self.referrals, self.sensitivity, self.speed) if part)
        return text[0].upper() + text[1:] + "."


def conclude(report: BenchReport, tasks: Sequence[Task], *, name: str) -> Conclusion:
    """The verdict on one engine.

    Args:
        report: Its bench.
        tasks: For titles; all of the engine's.
        name: From `names_of`.
    """
    reasons = report.not_for_claims
    lost = None
    if report.reference is not None:
        lost = tuple(flip for flip in report.flips if flip.after == "not referable")
    latency = report.latency
    p90 = "" if latency.p90_ms is None else f", p90 {latency.p90_ms:.2f} ms"
    square = "photograph" if report.photographs else "square of noise"
    claim = "which must not be quoted, for the reasons below" if reasons else "which may be quoted"
    return Conclusion(
        name=name,
        referrals=_referrals(report, lost, tasks),
        sensitivity=_sensitivity(report, tasks),
        speed=f"one prepared {square} takes {latency.p50_ms:.2f} ms (p50{p90}), {claim}",
        lost=lost,
        against_claims=reasons,
    )


def names_of(reports: Sequence[BenchReport]) -> tuple[str, ...]:
    """The engines' folder names; whole paths where two are alike, numbered where even those are."""
    paths = [Path(report.engine) for report in reports]
    names = [path.name for path in paths]
    if len(set(names)) < len(names):
        names = [str(path) for path in paths]
    if len(set(names)) < len(names):
        names = [f"{name} ({position})" for position, name in enumerate(names, start=1)]
    return tuple(names)


def largest_rate(events: int, n: int) -> float:
    """The rate that is exceeded with 5 % probability at most: the one-sided upper bound of Clopper & Pearson (1934).

    The largest rate at which so few events among n independent trials still have a probability of 5 %. Without any
    event it is 1 - 0.05^(1/n), about 3/n.

    Args:
        events, n: 0 <= events <= n, n > 0.

    Raises:
        ValueError: They are not.
    """
    if not 0 <= events <= n or n == 0:
        raise ValueError(f"got {events} events among {n}: expected 0 <= events <= n, n > 0")
    if events == n:
        return 1.0
    low, high = events / n, 1.0
    for _ in range(60):  # halves a double's interval until nothing is left of it
        rate = (low + high) / 2
        low, high = (rate, high) if _at_most(events, n, rate) > 1 - CONFIDENCE else (low, rate)
    return high


def _at_most(events: int, n: int, rate: float) -> float:
    """Probability of at most so many events; 0 < rate < 1."""
    logs = (
        math.lgamma(n + 1)
        - math.lgamma(k + 1)
        - math.lgamma(n - k + 1)
        + k * math.log(rate)
        + (n - k) * math.log1p(-rate)
        for k in range(events + 1)
    )
    return sum(map(math.exp, logs))


def _referrals(report: BenchReport, lost: Sequence[Flip] | None, tasks: Sequence[Task]) -> str:
    if lost is None or report.reference is None:
        return "no photographs were given, so no referral was compared with FP32"
    photographs = list(dict.fromkeys(flip.image for flip in lost))
    among = f"{report.photographs:,}"
    if not photographs:
        text = f"no photograph lost its referral against FP32 among these {among}"
    else:
        shown = ", ".join(photographs[:NAMED])
        more = f" and {len(photographs) - NAMED} more" if len(photographs) > NAMED else ""
        verb = "photograph lost a referral" if len(photographs) == 1 else "photographs lost a referral"
        text = f"{len(photographs)} {verb} against FP32 among {among} ({shown}{more})"
    return f"{text}: {_bounds(report, lost, tasks)}"


def _bounds(report: BenchReport, lost: Sequence[Flip], tasks: Sequence[Task]) -> str:
    """How often it happens to others at most, of those that FP32 refers where they were counted."""
    counted = report.reference.referred if report.reference else {}
    parts = []
    for task in tasks:
        n = counted.get(task.name, 0)
        events = sum(flip.task == task.name for flip in lost)
        if n:
            parts.append(f"{task.title} {events} of {n:,} ({_bound(events, n)})")
        elif task.name in counted:
            parts.append(f"{task.title} none of none, which shows nothing")
    if parts:
        return "of those that FP32 refers, " + " and ".join(parts)
    return f"{_bound(len({flip.image for flip in lost}), report.photographs)} of all photographs"


def _bound(events: int, n: int) -> str:
    percent = 100 * largest_rate(events, n)
    return f"95 % upper bound {percent:.1f} %" if percent >= 1 else f"95 % upper bound {percent:.2g} %"


def _sensitivity(report: BenchReport, tasks: Sequence[Task]) -> str:
    return " and ".join(_sensitivity_of(report, task) for task in disease_tasks(tasks) if task.name in report.accuracy)


def _sensitivity_of(report: BenchReport, task: Task) -> str:
    accuracy = report.accuracy[task.name]
    if accuracy.sensitivity is None:
        return f"sensitivity for {task.title} undefined without a referable label"
    interval = _interval(accuracy.interval)
    reference = _reference_sensitivity(report, task)
    return f"sensitivity for {task.title} {accuracy.sensitivity:.3f}{interval}{reference}"


def _interval(intervals: Mapping[str, tuple[float, float]]) -> str:
    return " [{:.3f}, {:.3f}]".format(*intervals["sensitivity"]) if "sensitivity" in intervals else ""


def _reference_sensitivity(report: BenchReport, task: Task) -> str:
    before = report.reference.accuracy.get(task.name) if report.reference else None
    return "" if before is None or before.sensitivity is None else f" (FP32 {before.sensitivity:.3f})"
