"""What is kept of a run: the ends of its distribution and every second of its course."""

import numpy as np
import pytest

from sall_edge.bench.speed.trace import MOST_POINTS, Trace


def _trace(milliseconds: list[float], ends: list[float]) -> Trace:
    trace = Trace()
    for length, end in zip(milliseconds, ends, strict=True):
        trace.add(end - length / 1e3, end)
    return trace


def test_a_distribution_is_in_order_and_keeps_its_smallest_and_largest() -> None:
    lengths = np.random.default_rng(0).permutation(np.arange(1.0, 5001.0)).tolist()
    shown = _trace(lengths, [float(k) for k in range(5000)]).distribution_ms()
    assert len(shown) == MOST_POINTS
    assert list(shown) == sorted(shown)
    assert (shown[0], shown[-1]) == pytest.approx((1.0, 5000.0))
    assert shown[MOST_POINTS // 2] == pytest.approx(2500, rel=0.01)


def test_few_latencies_are_all_shown() -> None:
    assert _trace([3.0, 1.0, 2.0], [1.0, 2.0, 3.0]).distribution_ms() == pytest.approx((1.0, 2.0, 3.0))


def test_a_moment_holds_the_calls_that_ended_in_its_second() -> None:
    moments = _trace([1.0, 3.0, 2.0, 9.0], [10.001, 10.4, 10.9, 12.5]).over_time()
    assert [moment.n for moment in moments] == [3, 1]
    assert (moments[0].p50_ms, moments[0].largest_ms) == pytest.approx((2.0, 3.0))
    assert [moment.at_s for moment in moments] == pytest.approx([0.9, 2.5])


def test_a_long_run_has_no_more_moments_than_a_plot_can_show_and_loses_no_call() -> None:
    moments = _trace([1.0] * 9000, [k * 0.2 for k in range(9000)]).over_time()
    assert len(moments) <= MOST_POINTS
    assert sum(moment.n for moment in moments) == 9000


def test_no_call_has_no_median_and_no_course() -> None:
    assert Trace().over_time() == ()
    assert Trace().distribution_ms() == ()
    with pytest.raises(ValueError, match="no median"):
        _ = Trace().median_ms
