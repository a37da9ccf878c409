"""Histograms of |x| that grow with the data, and the largest magnitude that INT8 should represent.

Exact zeros are left out: every scale represents them without an error, and after a ReLU they would outweigh the rest.
"""

from dataclasses import dataclass, field

import cv2
import numpy as np
from numpy.typing import NDArray

from sall_edge.spec import RangeMethod

__all__ = ["BINS", "Histogram", "amax_from_histogram"]

BINS = 2048
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

    def add(self, values: NDArray[np.float32]) -> None:
        """Counts all values of an array of any shape. The caller has checked that they are finite."""
        self.low = min(self.low, float(values.min()))
        self.high = max(self.high, float(values.max()))
        if self.largest == 0:
            return
        if self.limit == 0:
            self.limit = _power_of_two_above(self.largest)
        while self.limit <= self.largest:
            merged = self.counts.reshape(-1, 2).sum(axis=1)
            self.counts = np.concatenate([merged, np.zeros(BINS // 2, np.int64)])
            self.limit *= 2
        # BINS / limit is a power of two, so the bin of a value is exact and does not depend on the order of images.
        magnitudes = np.abs(values).reshape(-1, values.shape[-1])
        counts = cv2.calcHist([magnitudes], [0], None, [BINS], [0, self.limit]).ravel().astype(np.int64)
        counts[0] -= magnitudes.size - np.count_nonzero(magnitudes)
        self.counts += counts


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
