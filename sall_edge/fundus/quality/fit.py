"""Limits of one camera, from photographs that somebody has called good or not.

A photograph is refused when any measure is beyond its limit, so the refusals of several limits add up. Starting from
the given limits, those that cost too many good photographs are loosened, worst first; then what is left of the
allowance is spent where it stops the most bad photographs for each good one.
"""

import math
from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt

from sall_edge.errors import LabelsError
from sall_edge.fundus.quality.assess import LIMITED, clutter_of
from sall_edge.fundus.quality.limits import Limit, QualityLimits

__all__ = ["LEAST_BAD", "LEAST_GOOD", "fit_limits"]

Measures = dict[str, float]
F64 = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]

LEAST_GOOD, LEAST_BAD = 30, 10
"""Photographs of each kind; below, a limit would follow single ones."""

SLACK = 0.1
"""A limit that no good photograph crosses keeps this share of the distance from their median to their worst."""

FITTED = (*LIMITED, "clutter")


def fit_limits(
    good: Sequence[Measures],
    bad: Sequence[Measures],
    *,
    camera: str,
    start: QualityLimits,
    most_refused: float,
) -> QualityLimits:
    """Limits that refuse at most a share of the good photographs, and of the bad ones as many as that allows.

    Args:
        good: `Quality.measures` of photographs that may be graded.
        bad: Of those that may not.
        camera: Name of the camera.
        start: The limits to begin with.
        most_refused: Share of the good ones, 0 to 1.

    Raises:
        LabelsError: There are too few of either kind.
    """
    if len(good) < LEAST_GOOD or len(bad) < LEAST_BAD:
        raise LabelsError(
            f"{len(good)} good and {len(bad)} other photographs",
            f"limits follow single photographs below {LEAST_GOOD} good and {LEAST_BAD} others",
            "label more photographs of this camera, or keep the default limits; check --split and --quality-column",
        )
    columns = [_Column(name, getattr(start, name), good, bad, start) for name in FITTED]
    refused_anyway = ~np.array([_shows_anything(one) for one in good])
    allowed = int(most_refused * len(good) + 1e-9)
    _loosen(columns, refused_anyway, allowed)
    _tighten(columns, refused_anyway, allowed)
    fitted = {column.name: column.limit() for column in columns if column.at != column.start}
    return start.model_copy(update={"camera": camera, **fitted})


class _Column:
    """One measure of all photographs, turned so that less is worse.

    Attributes:
        name: Of the limit.
        at: The limit; less is refused.
        start: What it was.
        good: (n,) its values on good photographs; infinite where it was not measured.
        bad: (m,) on the others.
    """

    def __init__(
        self, name: str, limit: Limit, good: Sequence[Measures], bad: Sequence[Measures], start: QualityLimits
    ) -> None:
        self.name = name
        self._limit = limit
        self._sign = 1.0 if limit.usual > limit.at else -1.0
        self.at = self.start = self._sign * limit.at
        self.good, self.bad = (self._values(measures, start) for measures in (good, bad))

    def _values(self, measures: Sequence[Measures], start: QualityLimits) -> F64:
        if self.name == "clutter":  # pictures without a surround keep the stricter limit that they have
            values = [clutter_of(one) if one.get("surround", 0) > start.surround else None for one in measures]
        else:
            values = [one.get(self.name) for one in measures]
        return np.array([np.inf if value is None else self._sign * value for value in values])

    def limit(self) -> Limit:
        """As it is written; what good photographs usually have keeps its distance where the median is none."""
        at = _rounded_down(self.at)
        usual = _rounded_down(float(np.median(self.good[np.isfinite(self.good)])))
        if usual <= at:
            usual = at + abs(self._limit.usual - self._limit.at)
        return Limit(at=self._sign * at, usual=self._sign * usual)

    def refuses_good(self) -> Mask:
        """(n,) whether it does."""
        return np.asarray(self.good < self.at)

    def refuses_bad(self) -> Mask:
        """(m,) whether it does."""
        return np.asarray(self.bad < self.at)

    def costing(self, count: int, spared: F64) -> float:
        """The limit that refuses so many more of the spared good photographs' sorted values."""
        if count:
            return float((spared[count - 1] + spared[count]) / 2)
        return float(spared[0] - SLACK * (np.median(spared) - spared[0]))


def _rounded_down(value: float) -> float:
    """Four digits for a person to read, and nothing refused that was not: less is the milder limit here."""
    if value == 0:
        return 0.0
    digits = 3 - math.floor(math.log10(abs(value)))
    return float(f"{math.floor(value * 10**digits) / 10**digits:.12g}")


def _shows_anything(measures: Measures) -> bool:
    return "detail" in measures


def _refused(columns: Sequence[_Column], of: Callable[[_Column], Mask], base: Mask) -> Mask:
    """Beyond any limit."""
    return np.asarray(np.logical_or.reduce([base, *map(of, columns)]))


def _loosen(columns: Sequence[_Column], anyway: Mask, allowed: int) -> None:
    """Moves the limit that refuses most good photographs past the mildest of them, until few enough are refused."""
    while np.count_nonzero(_refused(columns, _Column.refuses_good, anyway)) > allowed:
        worst = max(columns, key=lambda column: np.count_nonzero(column.refuses_good() & ~anyway))
        beyond = np.sort(worst.good[worst.refuses_good() & ~anyway])
        if not len(beyond):  # the rest shows nothing at all
            return
        milder = beyond[-1]
        worst.at = float((milder + beyond[-2]) / 2) if len(beyond) > 1 else float(milder - SLACK * abs(milder))


def _tighten(columns: Sequence[_Column], anyway: Mask, allowed: int) -> None:
    """Moves limits inwards, the best bargain first, while each good photograph buys at least one bad one."""
    while True:
        good = _refused(columns, _Column.refuses_good, anyway)
        bad = _refused(columns, _Column.refuses_bad, np.zeros(len(columns[0].bad), bool))
        left = allowed - np.count_nonzero(good)
        best: tuple[float, _Column, float] | None = None
        for column in columns:
            spared = np.sort(column.good[~good & np.isfinite(column.good)])
            for count in range(min(left, len(spared) - 1) + 1):
                at = column.costing(count, spared)
                gain = np.count_nonzero((column.bad < at) & ~bad)
                bargain = gain / count if count else gain * float(len(good))  # what costs nothing goes first
                if at > column.at and gain >= max(count, 1) and (best is None or bargain > best[0]):
                    best = bargain, column, at
        if best is None:
            return
        best[1].at = best[2]
