import numpy as np
import pytest

from calibration.histograms import BINS, COUNTED, LEVELS, PERCENTILE, Histogram, amax_from_histogram
from sall_edge.spec import RangeMethod


def _histogram(*parts: np.ndarray) -> Histogram:
    histogram = Histogram()
    for part in parts:
        histogram.add(part.astype(np.float32))
    return histogram


def _error(values: np.ndarray, amax: float) -> float:
    scale = amax / LEVELS
    rounded = np.clip(np.rint(values / scale), -LEVELS, LEVELS) * scale
    return float(np.mean((rounded - values) ** 2))


def test_a_histogram_that_grew_equals_one_that_was_wide_from_the_start() -> None:
    rng = np.random.default_rng(0)
    small, large = rng.normal(0, 0.1, 1000), rng.normal(0, 50, 1000)
    grown, wide = _histogram(small, large), _histogram(large, small)
    assert grown.limit == wide.limit
    assert np.array_equal(grown.counts, wide.counts)


def test_the_limit_is_the_power_of_two_above_the_largest_value() -> None:
    assert _histogram(np.array([0.3, -3.9])).limit == 4
    assert _histogram(np.array([0.3, -4.0])).limit == 8


@pytest.mark.parametrize("scales", [(1, 1), (1, 1e5), (1e5, 1), (0, 1), (1, 0), (0, 0)])
def test_histograms_of_two_halves_merge_into_that_of_the_whole(scales: tuple[float, float]) -> None:
    rng = np.random.default_rng(0)
    halves = [rng.normal(0, 1, 1000) * scale for scale in scales]
    whole, merged = _histogram(*halves), _histogram(halves[0])
    merged.merge(_histogram(halves[1]))
    assert (merged.limit, merged.low, merged.high) == (whole.limit, whole.low, whole.high)
    assert np.array_equal(merged.counts, whole.counts)


def test_of_a_large_map_every_row_gets_its_turn() -> None:
    rows = np.repeat(np.arange(1, 1025, dtype=np.float32)[:, None], 64, axis=1)
    histogram, turns = Histogram(), rows.size // COUNTED
    for turn in range(turns):
        histogram.add(rows, turn=turn)
        assert histogram.counts.sum() == (turn + 1) * rows.size / turns
    assert np.array_equal(histogram.counts[1:1025], np.full(1024, 64))


def test_the_extremes_are_those_of_all_values() -> None:
    rows = np.ones((4096, 64), np.float32)
    rows[3, 7], rows[9, 9] = 50.0, -60.0
    histogram = Histogram()
    histogram.add(rows)
    assert (histogram.low, histogram.high) == (-60, 50)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_a_value_that_is_not_finite_shows_and_is_not_counted(bad: float) -> None:
    histogram = _histogram(np.array([1.0, 2.0]), np.array([3.0, bad, 4.0]), np.array([5.0]))
    assert not np.isfinite(histogram.largest)
    assert histogram.counts.sum() == 2


def test_zeros_are_not_counted() -> None:
    histogram = _histogram(np.array([0.0, 0.0, 1.0]))
    assert histogram.counts.sum() == 1
    assert histogram.low == 0


def test_zeros_alone_leave_the_histogram_empty() -> None:
    histogram = _histogram(np.zeros(10))
    assert histogram.counts.sum() == 0
    assert histogram.low == histogram.high == 0


def test_minmax_is_the_largest_magnitude() -> None:
    assert amax_from_histogram(_histogram(np.array([1.0, -7.0])), RangeMethod.MINMAX) == 7


def test_percentile_cuts_one_outlier_of_a_hundred_thousand() -> None:
    values = np.append(np.random.default_rng(0).uniform(-1, 1, 100_000), 100.0)
    amax = amax_from_histogram(_histogram(values), RangeMethod.PERCENTILE)
    exact = float(np.percentile(np.abs(values), PERCENTILE))
    assert exact <= amax <= exact + 2 * 128 / BINS


def test_mse_is_close_to_the_best_of_all_ranges() -> None:
    values = np.random.default_rng(0).standard_t(3, 50_000)
    amax = amax_from_histogram(_histogram(values), RangeMethod.MSE)
    best = min(_error(values, candidate) for candidate in np.linspace(1, np.abs(values).max(), 400))
    assert _error(values, amax) < best * 1.05  # bins and candidates are coarser than an exhaustive search


# The squared error of two outliers weighs as much as the rounding of everything else: MSE cuts less than the others.
@pytest.mark.parametrize(
    ("method", "bound"), [(RangeMethod.PERCENTILE, 10), (RangeMethod.ENTROPY, 10), (RangeMethod.MSE, 30)]
)
def test_long_tails_are_cut(method: RangeMethod, bound: float) -> None:
    values = np.append(np.random.default_rng(0).normal(0, 1, 200_000), [40.0, -40.0])
    assert amax_from_histogram(_histogram(values), method) < bound


@pytest.mark.parametrize("method", list(RangeMethod))
def test_a_uniform_distribution_is_kept_whole(method: RangeMethod) -> None:
    values = np.random.default_rng(0).uniform(-1, 1, 200_000)
    assert amax_from_histogram(_histogram(values), method) == pytest.approx(1, rel=0.02)  # a cut would lose mass


@pytest.mark.parametrize("method", list(RangeMethod))
def test_a_single_magnitude_has_a_range(method: RangeMethod) -> None:
    assert amax_from_histogram(_histogram(np.array([0.0, 0.75])), method) == pytest.approx(0.75, rel=0.01)
