"""Percentiles that the sample can carry, and none that it cannot. Nothing here looks at a clock's value."""

from collections.abc import Mapping

import numpy as np
import pytest

from sall_edge.artifacts import Engine
from sall_edge.bench.speed.latency import LEAST_SAMPLES, WARM_UP_RUNS, measure_latency, measure_throughput, summarise
from sall_edge.runtime.session import Session


class _Counting:
    """A backend that computes nothing and counts: it shows what is asked of it, not how long anything takes."""

    version = "0"
    streams = 1

    def __init__(self, engine: Engine) -> None:
        self.batches: list[np.ndarray] = []
        self.tasks = engine.manifest.tasks

    def infer(self, squares: np.ndarray) -> Mapping[str, np.ndarray]:
        self.batches.append(squares.copy())
        probs = {f"{t.name}_probs": np.ones((len(squares), len(t.grades)), np.float32) for t in self.tasks}
        return probs | {f"{t.name}_cam": np.zeros((len(squares), 2, 2), np.float32) for t in self.tasks}

    def close(self) -> None:
        pass


@pytest.fixture
def runner(tiny_engine: Engine) -> _Counting:
    return _Counting(tiny_engine)


@pytest.fixture
def session(tiny_engine: Engine, runner: _Counting) -> Session:
    return Session(engine=tiny_engine, runner=runner)


@pytest.fixture
def squares(tiny_engine: Engine) -> np.ndarray:
    """Three squares that tell each other apart."""
    side = tiny_engine.manifest.image.side_px
    return np.stack([np.full((side, side, 3), k, np.uint8) for k in range(3)])


def _summary(count: int) -> object:
    shuffled = np.random.default_rng(0).permutation(np.arange(1, count + 1)).astype(float).tolist()
    return summarise(shuffled, scenario="SingleStream", inside_timer=("inference",))


def test_percentiles_are_those_of_nearest_rank() -> None:
    latency = _summary(1000)
    assert (latency.p50_ms, latency.p90_ms, latency.p99_ms) == (500, 900, 990)
    assert latency.n == 1000


@pytest.mark.parametrize("rank", [90, 99])
def test_a_percentile_appears_with_the_sample_that_can_carry_it(rank: int) -> None:
    least = LEAST_SAMPLES[rank]
    assert getattr(_summary(least - 1), f"p{rank}_ms") is None
    assert getattr(_summary(least), f"p{rank}_ms") is not None


def test_one_run_has_a_median_and_nothing_else() -> None:
    latency = summarise([4.0], scenario="SingleStream", inside_timer=())
    assert (latency.p50_ms, latency.p90_ms, latency.p99_ms) == (4.0, None, None)


def test_latency_is_measured_one_square_at_a_time_after_warming_up_and_over_all_squares(
    session: Session, runner: _Counting, squares: np.ndarray
) -> None:
    latency = measure_latency(session, squares, seconds=0.05)
    assert len(runner.batches) == WARM_UP_RUNS + latency.n
    assert {len(batch) for batch in runner.batches} == {1}
    assert {int(batch.max()) for batch in runner.batches[WARM_UP_RUNS : WARM_UP_RUNS + 3]} == set(
        range(min(3, latency.n))
    )
    assert latency.scenario == "SingleStream"


def test_even_no_time_gives_one_measurement(session: Session, squares: np.ndarray) -> None:
    assert measure_latency(session, squares, seconds=0).n == 1
    assert measure_throughput(session, squares, seconds=0, batch=2).images_per_s > 0


def test_throughput_repeats_few_squares_to_fill_its_batches(
    session: Session, runner: _Counting, squares: np.ndarray
) -> None:
    throughput = measure_throughput(session, squares, seconds=0, batch=5)
    assert throughput.batch == 5
    assert [int(square.max()) for square in runner.batches[0]] == [0, 1, 2, 0, 1]
