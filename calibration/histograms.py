"""Histograms of |x| that grow with the data, and the largest magnitude that INT8 should represent.

The extremes are those of all values; of large maps only some rows are counted. Exact zeros are left out: every scale
represents them without an error, and after a ReLU they would outweigh the rest.
"""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from sall_edge.spec import RangeMethod

__all__ = ["BINS", "COUNTED", "LEVELS", "Histogram", "amax_from_histogram"]

BINS = 2048
COUNTED = 2**12
"""Values of an array that are counted; a network has maps of a million, and neighbours say nearly the same."""

LEVELS = 127
"""Steps of symmetric INT8 on either side of zero; -128 is not used."""

PERCENTILE = 99.99
_CANDIDATES = 256
_ENTROPY_STRIDE = 8

Float64s = NDArray[np.float64]


@dataclass(slots=True)
class Histogram:
    """A histogram of |x| over [0, limit) whose limit, a power of two, doubles when a larger value comes.

    Attributes:
        limit: Upper edge of the last bin; 0 while nothing was added.
        counts: (BINS,) counts of values that are not 0.
        low, high: The smallest and the largest value seen, with sign.
    """

    limit: float = 0.0
    counts: NDArray[np.int64] = field(default_factory=lambda: np.zeros(BINS, np.int64))
    low: float = np.inf
    high: float = -np.inf

    @property
    def largest(self) -> float:
        """The largest magnitude seen."""
        return max(abs(self.low), abs(self.high))

    def add(self, values: NDArray[np.float32], *, turn: int = 0) -> None:
        """Adds an array of any shape: its extremes, and the counts of about `COUNTED` of its values.

        Args:
            values: Where one is not finite, `largest` is not either, and nothing is counted.
            turn: Of an array with more values every so many rows are counted, from the row of this number on.
        """
        self._reach(float(values.min()), float(values.max()))
        if self.largest == 0 or not np.isfinite(self.largest):
            return
        rows = values.reshape(-1, values.shape[-1])
        step = max(1, min(values.size // COUNTED, len(rows)))
        magnitudes = np.abs(rows[turn % step :: step])
        # BINS / limit is a power of two, so the bin of a value is exact and does not depend on the order of images.
        bins = (magnitudes * np.float32(BINS / self.limit)).astype(np.uint16)
        self.counts += np.bincount(bins.ravel(), minlength=BINS)
        self.counts[0] -= magnitudes.size - np.count_nonzero(magnitudes)

    def merge(self, other: "Histogram") -> None:
        """Adds what another histogram has seen."""
        self._reach(other.low, other.high)
        self.counts += other._up_to(self.limit)

    def _reach(self, low: float, high: float) -> None:
        """Widens the extremes, and the limit to hold them."""
        self.low, self.high = float(np.minimum(self.low, low)), float(np.maximum(self.high, high))  # nan stays nan
        if not 0 < self.largest < np.inf:
            return
        if self.limit <= self.largest:
            limit = _power_of_two_above(self.largest)
            self.counts, self.limit = self._up_to(limit), limit

    def _up_to(self, limit: float) -> NDArray[np.int64]:
        """(BINS,) the counts as they are under a limit that is no smaller."""
        factor = round(limit / self.limit) if self.limit else 1
        merged = np.zeros(BINS, np.int64)
        if factor <= BINS:
            merged[: BINS // factor] = self.counts.reshape(-1, factor).sum(axis=1)
        else:
            merged[0] = self.counts.sum()
        return merged


def amax_from_histogram(histogram: Histogram, method: RangeMethod) -> float:
    """The largest magnitude that INT8 should represent; greater ones are clipped to it.

    Args:
        histogram: Of values that are not all zero.
        method: See `RangeMethod`.
    """
    match method:
        case RangeMethod.MINMAX:
            return histogram.largest
        case RangeMethod.PERCENTILE:
            return min(_percentile(histogram), histogram.largest)
        case RangeMethod.ENTROPY:
            return min(_least_divergence(histogram), histogram.largest)
        case RangeMethod.MSE:
            return _least_squares(histogram)


def _power_of_two_above(value: float) -> float:
    return float(2.0 ** (np.floor(np.log2(value)) + 1))


def _percentile(histogram: Histogram) -> float:
    cumulative = np.cumsum(histogram.counts)
    index = int(np.searchsorted(cumulative, cumulative[-1] * PERCENTILE / 100))
    return histogram.limit * (index + 1) / BINS


def _least_squares(histogram: Histogram) -> float:
    """The candidate with the least squared error, values taken at the middle of their bins."""
    middles = (np.arange(BINS) + 0.5) * (histogram.limit / BINS)
    used = histogram.counts > 0
    middles, counts = middles[used], histogram.counts[used].astype(np.float64)
    candidates = histogram.largest * np.arange(_CANDIDATES // 8, _CANDIDATES + 1) / _CANDIDATES
    errors = []
    for amax in candidates:
        scale = amax / LEVELS
        rounded = np.clip(np.rint(middles / scale), 0, LEVELS) * scale
        errors.append(float(np.sum(counts * (rounded - middles) ** 2)))
    return float(candidates[int(np.argmin(errors))])


def _least_divergence(histogram: Histogram) -> float:
    """The cut whose 128-level version diverges least from the clipped distribution."""
    counts = histogram.counts.astype(np.float64)
    last = int(np.flatnonzero(counts)[-1]) + 1
    levels = LEVELS + 1
    ends = np.unique(np.append(np.arange(levels, last, _ENTROPY_STRIDE), max(last, levels)))
    divergences = [_divergence(counts, int(end), levels) for end in ends]
    best = int(ends[int(np.argmin(divergences))])
    return histogram.limit * best / BINS


def _divergence(counts: Float64s, end: int, levels: int) -> float:
    """KL divergence between counts clipped at bin `end` and the same in `levels` equal steps."""
    inside = counts[:end]
    reference = inside.copy()
    reference[-1] += counts[end:].sum()
    step = np.minimum(np.arange(end) * levels // end, levels - 1)
    sums = np.bincount(step, weights=inside, minlength=levels)
    filled = np.bincount(step, weights=(reference > 0).astype(np.float64), minlength=levels)
    spread = np.divide(sums, filled, out=np.zeros(levels), where=filled > 0)[step]
    quantized = np.where(reference > 0, spread, 0.0)
    total = quantized.sum()
    if total == 0:
        return np.inf
    p, q = reference / reference.sum(), quantized / total
    some = p > 0
    # A bin that only clipping filled has no quantized mass: a tiny one keeps the divergence large but finite.
    return float(np.sum(p[some] * np.log(p[some] / np.maximum(q[some], 1e-12))))
