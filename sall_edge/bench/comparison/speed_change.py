"""Whether an engine became faster or slower between two runs, and what keeps anybody from saying so."""

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from sall_edge.bench.comparison.paired import NOT_TESTED, Shift
from sall_edge.bench.measure import BenchReport
from sall_edge.bench.speed.trace import Moment

__all__ = ["flattened", "measure_speed_change", "speed_obstacles"]

F64 = npt.NDArray[np.float64]

BATCHES = 5
"""Successive queries share clocks and temperature, so a run is cut into this many stretches (batch means, Law &
Kelton 1979), which are far less alike than queries. Simulated (autoregressive, 600 pairs of equal runs of 60 moments):
where neighbours correlate by 0.7, a difference is seen that is none in 5 % of pairs, and with 10 stretches in 11 %;
by 0.9 it is 12 % and 30 %."""

LEAST_MOMENTS = 4 * BATCHES
"""A stretch has to be longer than what makes neighbours alike."""

STUDENT_T = 2.776
"""97.5 % quantile for BATCHES - 1 degrees of freedom: Welch's interval with the fewest that it can have."""

BATCH_MEANS = f"within these runs: {BATCHES} stretches of each, batch means"

_ENVIRONMENT = frozenset({"python", "system"})
"""Of a machine's description: what may differ on the same machine; the other facts say which machine it is."""


def flattened(facts: Mapping[str, Any], prefix: str = "") -> dict[str, str]:
    """Nested facts as one level, with dotted names."""
    flat: dict[str, str] = {}
    for name, fact in facts.items():
        flat |= flattened(fact, f"{prefix}{name}.") if isinstance(fact, Mapping) else {f"{prefix}{name}": str(fact)}
    return flat


def speed_obstacles(before: BenchReport, after: BenchReport) -> tuple[str, ...]:
    """Why the speeds of two runs cannot be compared; empty if they can."""
    old, new = flattened(before.device), flattened(after.device)
    facts = sorted(n for n in old.keys() | new.keys() if n not in _ENVIRONMENT and old.get(n) != new.get(n))
    obstacles = [f"other machines or settings of one: {', '.join(facts)} differ"] if facts else []
    for what, was, is_now in (
        ("profiles", before.profile.value, after.profile.value),
        ("scenarios", before.latency.scenario, after.latency.scenario),
        ("timers", ", ".join(before.latency.inside_timer), ", ".join(after.latency.inside_timer)),
        ("latency estimators", before.latency.estimator, after.latency.estimator),
        ("throughput estimators", before.throughput.estimator, after.throughput.estimator),
        ("batch sizes", str(before.throughput.batch), str(after.throughput.batch)),
    ):
        if was != is_now:
            obstacles.append(f"other {what}: {was} -> {is_now}")
    return tuple(obstacles)


def measure_speed_change(before: BenchReport, after: BenchReport) -> dict[str, Shift]:
    """Percentiles, throughput and memory as ratios; and p50 over time, the only one that can be tested.

    p50_over_time_ms is the geometric mean over stretches of a run. Where the load changed in the middle it is not the
    p50 of all queries, and the two differ.
    """
    pairs = {
        "p50_ms": (before.latency.p50_ms, after.latency.p50_ms),
        "p90_ms": (before.latency.p90_ms, after.latency.p90_ms),
        "p99_ms": (before.latency.p99_ms, after.latency.p99_ms),
        "images_per_s": (before.throughput.images_per_s, after.throughput.images_per_s),
        "peak_rss_mb": (before.memory.get("peak_rss_mb"), after.memory.get("peak_rss_mb")),
    }
    shifts = {name: Shift(before=old, after=new, change=_ratio(old, new)) for name, (old, new) in pairs.items()}
    return {"p50_over_time_ms": _shift_of_stretches(before, after), **shifts}


def _shift_of_stretches(before: BenchReport, after: BenchReport) -> Shift:
    short = min(len(_moments(report)) for report in (before, after))
    if short < LEAST_MOMENTS:
        why = f"{NOT_TESTED}: {short} moments of latency over time, {LEAST_MOMENTS} are needed"
        return Shift(before=None, after=None, test=why)
    old, new = (_log_batches(report) for report in (before, after))
    change = float(new.mean() - old.mean())
    shift = Shift(before=math.exp(old.mean()), after=math.exp(new.mean()), change=math.exp(change))
    if speed_obstacles(before, after):
        return shift
    margin = STUDENT_T * math.sqrt((old.var(ddof=1) + new.var(ddof=1)) / BATCHES)
    low, high = math.exp(change - margin), math.exp(change + margin)
    return shift.model_copy(update={"low": low, "high": high, "is_noise": low <= 1 <= high, "test": BATCH_MEANS})


def _moments(report: BenchReport) -> list[Moment]:
    return [moment for moment in report.over_time if moment.n and moment.p50_ms > 0]


def _log_batches(report: BenchReport) -> F64:
    """(BATCHES,) logarithms of the mean p50 of successive stretches, each moment weighed by its queries."""
    parts = np.array_split(np.array([(moment.p50_ms, moment.n) for moment in _moments(report)]), BATCHES)
    means: F64 = np.array([np.average(part[:, 0], weights=part[:, 1]) for part in parts])
    return np.log(means)


def _ratio(before: float | None, after: float | None) -> float | None:
    return after / before if before and after is not None else None
