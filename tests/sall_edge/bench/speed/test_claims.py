"""Every reason not to quote a speed, in the words that a user reads."""

from typing import Any

import pytest

from sall_edge.bench.speed.claims import MOST_CORES_OF_OTHERS, not_for_claims
from sall_edge.bench.speed.clinic import Clinic, Runs
from sall_edge.bench.speed.latency import Latency, Throughput
from sall_edge.bench.speed.loadgen_log import EarlyStopping, LoadgenRun
from sall_edge.spec import Profile


def _run(scenario: str, invalid_because: tuple[str, ...] = (), *, is_valid: bool = True) -> LoadgenRun:
    return LoadgenRun(
        version="6",
        scenario=scenario,
        seeds={},
        settings={},
        min_duration_s=600,
        queries=1000,
        is_valid=is_valid,
        invalid_because=invalid_because,
        p50_ms=10,
        images_per_s=None,
        early_stopping=EarlyStopping(p90_ms=None, p99_ms=None, said=""),
    )


LATENCY = Latency(
    scenario="SingleStream",
    n=1000,
    p50_ms=10,
    p90_ms=11,
    p99_ms=12,
    inside_timer=(),
    estimator="LoadGen",
    loadgen=_run("SingleStream"),
    loadgen_overhead_ms=0.004,
)
THROUGHPUT = Throughput(images_per_s=100, batch=8, estimator="LoadGen", loadgen=_run("Offline"))


def _reasons(
    latency: Latency = LATENCY, throughput: Throughput = THROUGHPUT, seconds: float = 600, **others: Any
) -> tuple[str, ...]:
    return not_for_claims(
        Profile.STANDARD, seconds, latency, throughput, **({"cores_of_others": MOST_CORES_OF_OTHERS} | others)
    )


def _clinic(gaps_s: tuple[float, ...]) -> Clinic:
    runs = Runs(name="after a gap", n=1, p50_ms=2, p90_ms=None, largest_ms=2, parts_ms={})
    return Clinic(
        photographs=1, after_gap=runs, back_to_back=runs, ratio=1, gaps_s=gaps_s, page_cache="", ended_early=False
    )


def test_a_long_run_of_loadgen_on_an_idle_machine_may_be_quoted() -> None:
    assert _reasons(clinic=_clinic((100.0,) * 18)) == ()


def test_an_unknown_neighbour_is_no_reason() -> None:
    assert _reasons(cores_of_others=None) == ()


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"seconds": 60}, "latency was timed for 60 s (standard profile): MLPerf asks for 600 s"),
        (
            {"cores_of_others": 0.25},
            "other processes kept 0.25 cores busy meanwhile: more than 0.1",
        ),
        (
            {"latency": LATENCY.model_copy(update={"loadgen": None, "estimator": "plain loop: it is missing"})},
            "latency is not LoadGen's: plain loop: it is missing",
        ),
        (
            {"throughput": THROUGHPUT.model_copy(update={"loadgen": None, "estimator": "plain loop"})},
            "throughput is not LoadGen's: plain loop",
        ),
        (
            {"latency": LATENCY.model_copy(update={"loadgen": _run("SingleStream", ("Too few.",), is_valid=False)})},
            "LoadGen calls its SingleStream run invalid: Too few.",
        ),
        (
            {"throughput": THROUGHPUT.model_copy(update={"loadgen": _run("Offline", is_valid=False)})},
            "LoadGen calls its Offline run invalid: it gives no reason",
        ),
        (
            {"latency": LATENCY.model_copy(update={"loadgen_overhead_ms": 0.6})},
            "LoadGen itself takes 0.600 of 10.000 ms: more than 5 % of a query",
        ),
        (
            {"clinic": _clinic((2.0, 3.0))},
            "the clinic's gaps add up to 5.0 s, the shortest has 2.0 s: the profile has 1800 s of 30 to 120 s each",
        ),
        ({"throttled": ("the CPU was too hot",)}, "the CPU was too hot"),
    ],
)
def test_each_reason_is_named_and_no_other(changed: dict[str, Any], reason: str) -> None:
    assert _reasons(**changed) == (reason,)
