"""Reads monitors once a second, beside what is measured."""

import statistics
import threading
import time
from collections.abc import Sequence
from contextlib import ExitStack
from types import TracebackType

from sall_edge.bench.monitors.here import Monitors
from sall_edge.bench.monitors.monitor import Monitored, Reading, Seen, thinned

__all__ = ["MOST_READINGS", "Watch"]

EVERY_S = 1.0
MOST_READINGS = 600
"""Of a report: ten minutes a second apart; half an hour becomes one in three seconds."""

LEAST_CLOCK = 0.85
"""A median clock below this share of the first quarter's has fallen; turbo that settles costs less."""

QUARTERS = 4
LEAST_READINGS = 3
"""In each quarter, for a median."""

FULL_LOAD = 0.5


class Watch:
    """A thread that reads, from `with` to the end of its block; then `monitored` has what it saw.

    Args:
        monitors: From `monitors_here`; closed at the end.
        every_s: From one reading to the next.
    """

    def __init__(self, monitors: Monitors, *, every_s: float = EVERY_S) -> None:
        self._monitors = monitors
        self._every_s = every_s
        self._readings: list[Reading] = []
        self._loads: list[float | None] = []
        self._slowed: tuple[str, ...] = ()
        self._reading_s = 0.0
        self._problem: Exception | None = None
        self._stop = threading.Event()
        self._open = ExitStack()
        self._began_s = self._last_s = 0.0
        self._thread = threading.Thread(target=self._run, name="monitors", daemon=True)

    def __enter__(self) -> "Watch":
        with ExitStack() as on_failure:
            for source in self._monitors.sources:
                on_failure.callback(source.close)
                source.start()
            self._open = on_failure.pop_all()
        self._began_s = self._last_s = time.perf_counter()
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._open:
            self._stop.set()
            self._thread.join()
            if self._problem is None:
                self._read()  # what a counter has counted since the last reading belongs to the run
                self._slowed = tuple(words for source in self._monitors.sources for words in source.slowed())
        if self._problem is not None and error is None:
            raise self._problem

    def monitored(self, photographs: int) -> Monitored:
        """What was seen; call after the block.

        Args:
            photographs: That were answered in the block.
        """
        sources = self._monitors.sources
        silent = dict(self._monitors.silent)
        for source in sources:
            silent |= source.silent
        energy_j = _energy_j(self._readings)
        if energy_j is None:
            silent["energy per photograph"] = "power is not known for the whole run"
        return Monitored(
            sources=tuple(source.name for source in sources if source.tells),
            silent=silent,
            readings=thinned(self._readings, MOST_READINGS) if any(map(_tells, self._readings)) else (),
            energy_mj_per_photograph=energy_j * 1e3 / photographs if energy_j is not None and photographs else None,
            power_of=" and ".join(source.power_of for source in sources if source.power_of),
            throttled=(*self._slowed, *fallen_clock(self._readings, self._loads)),
            reading_ms=1e3 * self._reading_s / len(self._readings) if self._readings else 0.0,
        )

    def _run(self) -> None:
        try:
            while not self._stop.wait(self._every_s):
                self._read()
        except Exception as problem:  # told to whoever measures, at the end: a thread has nobody else
            self._problem = problem

    def _read(self) -> None:
        now = time.perf_counter()
        elapsed_s = now - self._last_s
        if elapsed_s <= 0:
            return
        self._last_s = now
        seen = [source.read(elapsed_s) for source in self._monitors.sources]
        self._readings.append(_together(seen, now - self._began_s))
        self._loads.append(next((one.load for one in seen if one.load is not None), None))
        self._reading_s += time.perf_counter() - now


def fallen_clock(readings: Sequence[Reading], loads: Sequence[float | None]) -> tuple[str, ...]:
    """Whether the clock under load fell well below that of the first quarter; in words.

    Args:
        readings: In order.
        loads: Of what computes, 0..1, one for each reading; one that is not known counts as full.
    """
    clocks = [
        one.clock_mhz
        for one, load in zip(readings, loads, strict=True)
        if one.clock_mhz is not None and (load is None or load >= FULL_LOAD)
    ]
    size = len(clocks) // QUARTERS
    if size < LEAST_READINGS:
        return ()
    first, *later = (statistics.median(clocks[quarter * size : (quarter + 1) * size]) for quarter in range(QUARTERS))
    lowest = min(later)
    return (f"the clock fell from {first:.0f} to {lowest:.0f} MHz",) if lowest < LEAST_CLOCK * first else ()


def _together(seen: Sequence[Seen], at_s: float) -> Reading:
    temperatures = [one.temperature_c for one in seen if one.temperature_c is not None]
    powers = [one.power_w for one in seen if one.power_w is not None]
    return Reading(
        at_s=at_s,
        temperature_c=max(temperatures, default=None),
        clock_mhz=next((one.clock_mhz for one in seen if one.clock_mhz is not None), None),
        power_w=sum(powers) if powers else None,
    )


def _tells(reading: Reading) -> bool:
    return (reading.temperature_c, reading.clock_mhz, reading.power_w) != (None, None, None)


def _energy_j(readings: Sequence[Reading]) -> float | None:
    """Power over time; None where a reading lacks it, since the rest would be a guess."""
    energy_j = last_s = 0.0
    for one in readings:
        if one.power_w is None:
            return None
        energy_j += one.power_w * (one.at_s - last_s)
        last_s = one.at_s
    return energy_j if readings else None
