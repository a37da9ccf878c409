"""Who measures: LoadGen where it is, and a plain loop that says why where it is not."""

from collections.abc import Callable

import numpy as np
import pytest

from sall_edge.artifacts import Engine
from sall_edge.bench.speed.both_scenarios import HEADROOM, Pilot, fly_pilot, measure_speed
from sall_edge.bench.speed.trace import Trace
from sall_edge.errors import BackendMissing
from sall_edge.runtime.session import open_session

SECONDS = 0.2


@pytest.fixture
def squares(fp32_engine: Engine) -> np.ndarray:
    side = fp32_engine.manifest.image.side_px
    return np.random.default_rng(0).integers(0, 256, (3, side, side, 3), dtype=np.uint8)


def test_loadgen_measures_where_it_is_installed(fp32_engine: Engine, squares: np.ndarray) -> None:
    pytest.importorskip("mlperf_loadgen", reason="mlcommons-loadgen is not installed: the bench extra has it")
    with open_session(fp32_engine) as session:
        pilot = fly_pilot(session, squares, seconds=SECONDS, batch=4)
        speed = measure_speed(session, squares, pilot, seconds=SECONDS)
    assert speed.latency.loadgen is not None
    assert speed.throughput.loadgen is not None
    assert (speed.latency.scenario, speed.throughput.loadgen.scenario) == ("SingleStream", "Offline")
    assert speed.trace.count == speed.latency.n
    assert {"LoadGen's call", "inference"} <= set(speed.latency.inside_timer) & set(speed.throughput.inside_timer)


def test_without_loadgen_a_plain_loop_measures_and_says_why(
    fp32_engine: Engine, squares: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    def missing() -> None:
        raise BackendMissing("mlcommons-loadgen is not installed", "why", "fix")

    monkeypatch.setattr("sall_edge.bench.speed.both_scenarios.loadgen_library", missing)
    with open_session(fp32_engine) as session:
        pilot = fly_pilot(session, squares, seconds=SECONDS, batch=4)
        speed = measure_speed(session, squares, pilot, seconds=SECONDS)
    for measured in (speed.latency, speed.throughput):
        assert measured.loadgen is None
        assert measured.estimator == "plain loop: mlcommons-loadgen is not installed"
        assert measured.inside_timer == ("copy in", "inference", "copy out")
    assert speed.trace.count == speed.latency.n
    assert speed.throughput.batch == 4


def test_loadgen_is_told_of_the_fastest_calls_so_that_a_disturbed_pilot_does_not_starve_it(
    fp32_engine: Engine, squares: np.ndarray
) -> None:
    pytest.importorskip("mlperf_loadgen", reason="mlcommons-loadgen is not installed: the bench extra has it")
    with open_session(fp32_engine) as session:
        pilot = Pilot(fastest_ms=2.0, fastest_batch_ms=8.0, batch=4)
        speed = measure_speed(session, squares, pilot, seconds=SECONDS)
    assert speed.latency.loadgen is not None
    assert speed.throughput.loadgen is not None
    assert speed.latency.loadgen.settings["target_qps"] == pytest.approx(500)
    per_s = max(500, 1e3 / min(speed.trace.milliseconds))
    assert speed.throughput.loadgen.settings["target_qps"] == pytest.approx(per_s * HEADROOM, rel=1e-3)


def test_a_pilot_knows_the_fastest_call_of_each_kind_and_not_the_usual_one(
    fp32_engine: Engine, squares: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    def calls(*seconds: float) -> Callable[..., None]:
        def measure(*arguments: object, trace: Trace, **options: object) -> None:
            for length in seconds:
                trace.add(0.0, length)

        return measure

    monkeypatch.setattr("sall_edge.bench.speed.both_scenarios.measure_latency", calls(0.009, 0.002, 0.009))
    monkeypatch.setattr("sall_edge.bench.speed.both_scenarios.measure_throughput", calls(0.03, 0.01))
    with open_session(fp32_engine) as session:
        pilot = fly_pilot(session, squares, seconds=SECONDS, batch=4)
    assert (pilot.fastest_ms, pilot.fastest_batch_ms, pilot.batch) == pytest.approx((2.0, 10.0, 4))
