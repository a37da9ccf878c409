"""Every latency of a run in the order in which it was measured, and what of it fits into a report."""

import math
from array import array
from collections.abc import Sequence

import numpy as np
from pydantic import BaseModel, ConfigDict

__all__ = ["Moment", "Trace"]

MOST_POINTS = 300
"""Of a distribution or of a course: more than a plot can show."""
SHORTEST_MOMENT_S = 1.0


class Moment(BaseModel):
    """Latency at one time of a run: the queries since the moment before.

    Attributes:
        at_s: Since the run began.
        n: Queries.
        p50_ms, largest_ms: Of those.
    """

    model_config = ConfigDict(frozen=True)

    at_s: float
    n: int
    p50_ms: float
    largest_ms: float


class Trace:
    """Calls, each with its end and its length, 16 bytes a call; `add` takes well under a microsecond."""

    def __init__(self) -> None:
        self._began: float | None = None
        self._ends = array("d")
        self._milliseconds = array("d")

    def add(self, start: float, end: float) -> None:
        """One call, by two readings of `time.perf_counter`."""
        if self._began is None:
            self._began = start
        self._ends.append(end)
        self._milliseconds.append((end - start) * 1e3)

    @property
    def count(self) -> int:
        """How many calls."""
        return len(self._milliseconds)

    @property
    def milliseconds(self) -> Sequence[float]:
        """Of every call, in order."""
        return self._milliseconds

    @property
    def median_ms(self) -> float:
        """Of all calls, by nearest rank. Of none there is no median: ValueError."""
        if not self.count:
            raise ValueError("a trace of no call has no median")
        return sorted(self._milliseconds)[math.ceil(self.count / 2) - 1]

    def distribution_ms(self) -> tuple[float, ...]:
        """At most 300 latencies in order, the smallest and the largest among them, equally many between any two."""
        ordered = np.sort(np.array(self._milliseconds))
        if len(ordered) > MOST_POINTS:
            ordered = ordered[np.linspace(0, len(ordered) - 1, MOST_POINTS).round().astype(np.int64)]
        return tuple(round(one, 6) for one in ordered.tolist())

    def over_time(self) -> tuple[Moment, ...]:
        """One moment a second, at most 300; a moment in which no call ended is left out."""
        if self._began is None:
            return ()
        ends, milliseconds = np.array(self._ends) - self._began, np.array(self._milliseconds)
        width = max(SHORTEST_MOMENT_S, float(ends[-1]) / MOST_POINTS)
        bins = np.minimum((ends / width).astype(np.int64), MOST_POINTS - 1)
        _, starts = np.unique(bins, return_index=True)  # the ends ascend, so a moment's calls are neighbours
        return tuple(
            Moment(at_s=float(last), n=len(part), p50_ms=float(np.median(part)), largest_ms=float(part.max()))
            for part, last in zip(
                np.split(milliseconds, starts[1:]), ends[np.append(starts[1:], len(ends)) - 1], strict=True
            )
        )
