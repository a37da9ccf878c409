"""Why nobody should quote a speed."""

from collections.abc import Sequence

from sall_edge.bench.latency import Latency, Throughput
from sall_edge.spec import Profile

__all__ = ["not_for_claims"]

LEAST_S = 600.0
"""MLPerf's least duration of SingleStream (MLPerf Inference rules, scenarios)."""
MOST_CORES_OF_OTHERS = 0.1
"""On average. A network waits for its slowest thread, so one core that is taken for a tenth of the time can slow a
tenth of the queries, however many cores there are: the p90 then is no longer the engine's. An idle system takes a few
hundredths."""
MOST_OVERHEAD = 0.05
"""LoadGen's own part of a query's median: as far as `benchmark_app` may differ. LoadGen takes some microseconds, so more
means a network that is too small for it, or a machine that is busy."""


def not_for_claims(
    profile: Profile,
    seconds: float,
    latency: Latency,
    throughput: Throughput,
    *,
    cores_of_others: float | None,
    throttled: Sequence[str] = (),
) -> tuple[str, ...]:
    """Every reason, in words; empty when the speed may be quoted.

    Args:
        profile: That was asked for.
        seconds: That SingleStream was asked to last.
        latency: As measured.
        throughput: As measured.
        cores_of_others: Kept busy by other processes meanwhile, on average; None where nobody knows.
        throttled: How the machine slowed itself down, in words.
    """
    reasons = []
    if seconds < LEAST_S:
        reasons.append(f"latency was timed for {seconds:g} s ({profile.value} profile): MLPerf asks for {LEAST_S:g} s")
    for speed, what in ((latency, "latency"), (throughput, "throughput")):
        if speed.loadgen is None:
            reasons.append(f"{what} is not LoadGen's: {speed.estimator}")
        elif not speed.loadgen.is_valid:
            reasons.append(
                f"LoadGen calls its {speed.loadgen.scenario} run invalid: {_said(speed.loadgen.invalid_because)}"
            )
    overhead = latency.loadgen_overhead_ms
    if overhead is not None and overhead > MOST_OVERHEAD * latency.p50_ms:
        reasons.append(
            f"LoadGen itself takes {overhead:.3f} of {latency.p50_ms:.3f} ms: more than {MOST_OVERHEAD:.0%} of a query"
        )
    if cores_of_others is not None and cores_of_others > MOST_CORES_OF_OTHERS:
        reasons.append(
            f"other processes kept {cores_of_others:.2f} cores busy meanwhile: more than {MOST_CORES_OF_OTHERS:g}"
        )
    return (*reasons, *throttled)


def _said(complaints: Sequence[str]) -> str:
    return " ".join(complaints) or "it gives no reason"
