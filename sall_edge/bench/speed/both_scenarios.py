"""How fast an engine is: by MLPerf's load generator, or by a plain loop that says why it stood in."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from sall_edge.bench.speed.latency import (
    PLAIN_LOOP,
    THROUGHPUT_SHARE,
    Latency,
    Throughput,
    measure_latency,
    measure_throughput,
)
from sall_edge.bench.speed.loadgen import loadgen_latency, loadgen_library, loadgen_throughput
from sall_edge.bench.speed.trace import Trace
from sall_edge.errors import BackendMissing
from sall_edge.runtime.session import Session

__all__ = ["PILOT_SHARE", "Pilot", "Speed", "fly_pilot", "measure_speed"]

U8 = npt.NDArray[np.uint8]

PILOT_SHARE = 0.02
"""Part of a profile's time for a first look, in each scenario."""
HEADROOM = 1.1
"""Offline ends with the squares that were asked for: asking for more keeps a run that speeds up long enough."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pilot:
    """A short plain run of each scenario: it warms the engine up, and LoadGen has to be told what to expect.

    Attributes:
        fastest_ms: Of the calls with one square. Not their median: where another program slowed the pilot, LoadGen
            would prepare too few queries for a run without it.
        fastest_batch_ms: Of the calls with a batch.
        batch: Its squares.
    """

    fastest_ms: float
    fastest_batch_ms: float
    batch: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Speed:
    """Both scenarios; `trace` holds every call of SingleStream."""

    latency: Latency
    throughput: Throughput
    trace: Trace


def fly_pilot(session: Session, squares: U8, *, seconds: float, batch: int) -> Pilot:
    """A first look.

    Args:
        session: An open engine.
        squares: (N, side, side, 3) uint8.
        seconds: Of the run that comes afterwards.
        batch: How many squares go to the engine at once.
    """
    short, singles, batches = seconds * PILOT_SHARE, Trace(), Trace()
    measure_latency(session, squares, seconds=short, trace=singles)
    measure_throughput(session, squares, seconds=short, batch=batch, trace=batches)
    return Pilot(fastest_ms=min(singles.milliseconds), fastest_batch_ms=min(batches.milliseconds), batch=batch)


def measure_speed(session: Session, squares: U8, pilot: Pilot, *, seconds: float) -> Speed:
    """SingleStream for `seconds`, then Offline for a quarter of them; by a plain loop where LoadGen is missing.

    Args:
        session: An open engine.
        squares: (N, side, side, 3) uint8.
        pilot: From `fly_pilot` on this session.
        seconds: How long.

    Returns:
        Both say in `estimator` who measured, and why that was not LoadGen.
    """
    batch, share, trace = pilot.batch, seconds * THROUGHPUT_SHARE, Trace()
    try:
        loadgen = loadgen_library()
    except BackendMissing as missing:
        instead = {"estimator": f"{PLAIN_LOOP}: {missing.what}"}
        latency = measure_latency(session, squares, seconds=seconds, trace=trace).model_copy(update=instead)
        throughput = measure_throughput(session, squares, seconds=share, batch=batch).model_copy(update=instead)
    else:
        latency = loadgen_latency(loadgen, session, squares, trace, seconds=seconds, expected_ms=pilot.fastest_ms)
        # Whichever is faster: a short pilot of batches may have been disturbed all the time, the long run was not.
        per_s = 1e3 * max(batch / pilot.fastest_batch_ms, 1 / min(trace.milliseconds)) * HEADROOM
        throughput = loadgen_throughput(loadgen, session, squares, seconds=share, expected_per_s=per_s, batch=batch)
    return Speed(latency=latency, throughput=throughput, trace=trace)
