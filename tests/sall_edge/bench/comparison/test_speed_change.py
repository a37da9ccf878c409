"""Faster or slower: only where both runs may be compared, and only beyond what a run does by itself."""

from typing import Any

import pytest
from fakes.benched import benched
from hypothesis import given
from hypothesis import strategies as st

from sall_edge.bench.comparison.speed_change import flattened, measure_speed_change, speed_obstacles
from sall_edge.spec import Profile


@given(st.integers(0, 1000))
def test_a_run_against_itself_is_noise(seed: int) -> None:
    report = benched(seed)
    shift = measure_speed_change(report, report)["p50_over_time_ms"]
    assert shift.change == 1
    assert shift.is_noise is True


def test_another_run_of_the_same_engine_is_noise_nearly_always() -> None:
    """The interval is of 95 %; of 100 pairs of runs that differ by chance some 5 miss."""
    verdicts = [
        measure_speed_change(benched(2 * i), benched(2 * i + 1))["p50_over_time_ms"].is_noise for i in range(100)
    ]
    assert verdicts.count(False) <= 12
    assert None not in verdicts


def test_a_planted_tenth_is_found_and_lies_in_the_interval() -> None:
    shift = measure_speed_change(benched(0), benched(1, p50_ms=5.5))["p50_over_time_ms"]
    assert shift.is_noise is False
    assert shift.low is not None
    assert shift.high is not None
    assert 1 < shift.low < 1.1 < shift.high
    assert "batch means" in shift.test


def test_percentiles_without_a_course_over_time_are_shown_and_not_tested() -> None:
    shifts = measure_speed_change(benched(0), benched(1))
    for name in ("p50_ms", "p90_ms", "images_per_s", "peak_rss_mb"):
        assert shifts[name].change is not None
        assert shifts[name].is_noise is None
    assert (shifts["p99_ms"].before, shifts["p99_ms"].change) == (None, None)


def test_the_change_that_is_tested_is_the_one_in_the_middle_of_its_interval() -> None:
    """A run whose second half is twice as slow has a p50 of its own; the tested figure must not borrow it."""
    fast = benched(0)
    halves = fast.over_time[:20] + benched(3, p50_ms=10.0).over_time[20:]
    shift = measure_speed_change(fast, fast.model_copy(update={"over_time": halves}))["p50_over_time_ms"]
    assert shift.before is not None
    assert shift.after is not None
    assert shift.low is not None
    assert shift.high is not None
    assert shift.change == pytest.approx(shift.after / shift.before)
    assert shift.change == pytest.approx((shift.low * shift.high) ** 0.5)
    assert shift.before == pytest.approx(5.0, rel=0.02)


def test_a_short_run_is_not_tested_and_says_how_short() -> None:
    short = benched(0).model_copy(update={"over_time": benched(0).over_time[:19]})
    shift = measure_speed_change(short, benched(1))["p50_over_time_ms"]
    assert shift.is_noise is None
    assert shift.test == "not tested: 19 moments of latency over time, 20 are needed"


@pytest.mark.parametrize(
    ("update", "said"),
    [
        ({"device": {"cpu": "another CPU", "cores": 2}}, "other machines or settings of one: cpu differ"),
        ({"device": {"cpu": "a CPU", "cores": 2, "jetson": {"mode": "15W"}}}, "jetson.mode"),
        ({"profile": Profile.QUICK}, "other profiles: standard -> quick"),
        (
            {"throughput": benched().throughput.model_copy(update={"batch": 1})},
            "other batch sizes: 8 -> 1",
        ),
        (
            {"latency": benched().latency.model_copy(update={"inside_timer": ("copy in", "inference")})},
            "other timers: inference -> copy in, inference",
        ),
        ({"latency": benched().latency.model_copy(update={"estimator": "x"})}, "other latency estimators"),
    ],
)
def test_runs_that_measured_something_else_are_not_compared_for_speed(update: dict[str, Any], said: str) -> None:
    before, after = benched(0), benched(1, p50_ms=50).model_copy(update=update)
    (obstacle,) = speed_obstacles(before, after)
    assert said in obstacle
    assert measure_speed_change(before, after)["p50_over_time_ms"].is_noise is None


def test_another_python_is_no_other_machine() -> None:
    after = benched(1)
    assert not speed_obstacles(benched(0), after.model_copy(update={"device": {**after.device, "python": "3.12"}}))


def test_nested_facts_have_dotted_names() -> None:
    assert flattened({"a": {"b": 1, "c": {"d": None}}, "e": [1]}) == {"a.b": "1", "a.c.d": "None", "e": "[1]"}
