"""How long an engine takes, with no percentile that the sample is too small for."""

import math
import time
from collections.abc import Iterable

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict

from sall_edge.bench.speed.loadgen_log import LoadgenRun
from sall_edge.bench.speed.trace import Trace
from sall_edge.runtime.session import Session

__all__ = ["Latency", "Throughput", "measure_latency", "measure_throughput", "summarise"]

U8 = npt.NDArray[np.uint8]

WARM_UP_RUNS = 20
LEAST_SAMPLES = {90: 64, 99: 662}
"""Queries needed for a percentile at confidence 0.99 (MLPerf Inference rules, early stopping)."""
THROUGHPUT_SHARE = 0.25
"""Part of a profile's time that goes to throughput; it settles sooner than a p99."""
PLAIN_LOOP = "plain loop"
"""One call after the other with a clock around it, percentiles by nearest rank."""


class Latency(BaseModel):
    """Percentiles of one scenario; null where the sample is too small to state one.

    Attributes:
        scenario: MLPerf's name for how queries come.
        n: Queries.
        inside_timer: What the milliseconds hold.
        estimator: Who measured; where that is not LoadGen although it could be, why.
        loadgen: The run of LoadGen, where it measured.
        loadgen_overhead_ms: LoadGen's median minus that of the calls inside its own: what LoadGen adds to a query.
    """

    model_config = ConfigDict(frozen=True)

    scenario: str
    n: int
    p50_ms: float
    p90_ms: float | None
    p99_ms: float | None
    inside_timer: tuple[str, ...]
    estimator: str = PLAIN_LOOP
    loadgen: LoadgenRun | None = None
    loadgen_overhead_ms: float | None = None


class Throughput(BaseModel):
    """Prepared squares per second, in batches; `inside_timer`, `estimator` and `loadgen` as in `Latency`."""

    model_config = ConfigDict(frozen=True)

    images_per_s: float
    batch: int
    inside_timer: tuple[str, ...] = ()
    estimator: str = PLAIN_LOOP
    loadgen: LoadgenRun | None = None


def summarise(milliseconds: Iterable[float], *, scenario: str, inside_timer: tuple[str, ...]) -> Latency:
    """Percentiles (nearest rank) of a non-empty sample."""
    ordered = sorted(milliseconds)

    def percentile(rank: int) -> float | None:
        if len(ordered) < LEAST_SAMPLES.get(rank, 1):
            return None
        return ordered[math.ceil(rank / 100 * len(ordered)) - 1]

    return Latency(
        scenario=scenario,
        n=len(ordered),
        p50_ms=percentile(50) or 0.0,
        p90_ms=percentile(90),
        p99_ms=percentile(99),
        inside_timer=inside_timer,
    )


def measure_latency(session: Session, squares: U8, *, seconds: float, trace: Trace | None = None) -> Latency:
    """SingleStream: one square at a time, the next when the last is done.

    Args:
        session: An open engine.
        squares: (N, side, side, 3) uint8, taken in turn, so that no run meets only warm data.
        seconds: How long to go on.
        trace: Empty; takes every call that is timed.
    """
    for index in range(WARM_UP_RUNS):
        session.run(squares[index % len(squares)])
    samples = Trace() if trace is None else trace
    end = time.perf_counter() + seconds
    while (start := time.perf_counter()) < end or not samples.count:
        session.run(squares[samples.count % len(squares)])
        samples.add(start, time.perf_counter())
    return summarise(samples.milliseconds, scenario="SingleStream", inside_timer=("copy in", "inference", "copy out"))


def measure_throughput(
    session: Session, squares: U8, *, seconds: float, batch: int, trace: Trace | None = None
) -> Throughput:
    """Squares per second, `batch` at a time, one batch after the other; `trace` takes every batch."""
    batches = Trace() if trace is None else trace
    block = np.ascontiguousarray(squares[np.arange(batch) % len(squares)])
    session.run_batch(block)
    begin = time.perf_counter()
    while (start := time.perf_counter()) - begin < seconds or not batches.count:
        session.run_batch(block)
        batches.add(start, time.perf_counter())
    elapsed, done = time.perf_counter() - begin, batches.count * batch
    return Throughput(images_per_s=done / elapsed, batch=batch, inside_timer=("copy in", "inference", "copy out"))
