"""Why nobody should quote a speed."""

from collections.abc import Iterator, Sequence

from sall_edge.bench.speed.clinic import LONGEST_GAP_S, SHORTEST_GAP_S, Clinic
from sall_edge.bench.speed.latency import Latency, Throughput
from sall_edge.spec import Profile

__all__ = ["not_for_claims"]

LEAST_S = 600.0
"""MLPerf's least duration of SingleStream (MLPerf Inference rules, scenarios)."""
MOST_CORES_OF_OTHERS = 0.1
"""On average. A network waits for its slowest thread, so one core that is taken for a tenth of the time can slow a
tenth of the queries, however many cores there are: the p90 then is no longer the engine's. An idle system takes a few
hundredths."""
MOST_OVERHEAD = 0.05
"""LoadGen's own part of a query's median. It takes some microseconds, so more means a network that is too small for it,
or a machine that is busy."""


def not_for_claims(
    profile: Profile,
    seconds: float,
    latency: Latency,
    throughput: Throughput,
    *,
    cores_of_others: float | None,
    clinic: Clinic | None = None,
    throttled: Sequence[str] = (),
) -> tuple[str, ...]:
    """Every reason, in words; empty when the speed may be quoted.

    Args:
        profile: That was asked for.
        seconds: That SingleStream was asked to last.
        latency: As measured.
        throughput: As measured.
        cores_of_others: Kept busy by other processes meanwhile, on average; None where nobody knows.
        clinic: As measured, where it was.
        throttled: How the machine slowed itself down, in words.
    """
    reasons = []
    if seconds < LEAST_S:
        reasons.append(f"latency was timed for {seconds:g} s ({profile.value} profile): MLPerf asks for {LEAST_S:g} s")
    reasons += [*_of_loadgen(latency, "latency"), *_of_loadgen(throughput, "throughput"), *_of_overhead(latency)]
    if cores_of_others is not None and cores_of_others > MOST_CORES_OF_OTHERS:
        reasons.append(
            f"other processes kept {cores_of_others:.2f} cores busy meanwhile: more than {MOST_CORES_OF_OTHERS:g}"
        )
    return (*reasons, *(_of_clinic(clinic) if clinic else ()), *throttled)


def _of_loadgen(speed: Latency | Throughput, what: str) -> Iterator[str]:
    run = speed.loadgen
    if run is None:
        yield f"{what} is not LoadGen's: {speed.estimator}"
    elif not run.is_valid:
        yield f"LoadGen calls its {run.scenario} run invalid: {' '.join(run.invalid_because) or 'it gives no reason'}"


def _of_overhead(latency: Latency) -> Iterator[str]:
    overhead, median = latency.loadgen_overhead_ms, latency.p50_ms
    if overhead is not None and overhead > MOST_OVERHEAD * median:
        yield f"LoadGen itself takes {overhead:.3f} of {median:.3f} ms: more than {100 * MOST_OVERHEAD:g} % of a query"


def _of_clinic(clinic: Clinic) -> Iterator[str]:
    total, full = sum(clinic.gaps_s), Profile.CLINIC.seconds
    if total < full:
        yield (
            f"the clinic's gaps add up to {total:.1f} s, the shortest has {min(clinic.gaps_s):.1f} s: "
            f"the profile has {full:g} s of {SHORTEST_GAP_S:g} to {LONGEST_GAP_S:g} s each"
        )
