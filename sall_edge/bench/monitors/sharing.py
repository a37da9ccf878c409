"""Who else took the CPU: the host of a virtual machine, and other programs. From /proc/stat (man 5 proc_stat)."""

import os
import resource
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from sall_edge.bench.monitor import Seen
from sall_edge.bench.monitors.files import text

__all__ = ["Sharing", "own_cpu_seconds"]

MOST_STEAL = 0.02
"""Of the CPU time that was asked for; the kernel counts in hundredths of a second, so that less is noise."""

MOST_OTHERS_CORES = 0.1
"""Cores that other programs kept busy on average; an idle system's services take a few hundredths."""

LEAST_SECONDS = 1.0
"""A shorter run is a handful of ticks, too few to judge."""

FULL_LOAD_CORES = 0.5
"""This process computes when it takes half a core; it waits when it takes less."""


def own_cpu_seconds() -> float:
    """CPU time of this process, all its threads."""
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


@dataclass(frozen=True, slots=True, kw_only=True)
class _Ticks:
    """Since the system began, all cores together."""

    busy: int
    steal: int


class Sharing:
    """How much of the CPU went elsewhere.

    Args:
        stat: `/proc/stat`.
        ticks_per_s: Of its numbers.
        own_seconds: CPU time of what is measured.
        clock: Seconds.
    """

    name = "/proc/stat"
    power_of = ""

    def __init__(
        self,
        stat: Path,
        *,
        ticks_per_s: int = os.sysconf("SC_CLK_TCK"),
        own_seconds: Callable[[], float] = own_cpu_seconds,
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        self.silent: dict[str, str] = {}
        self._stat, self._ticks_per_s, self._own_seconds, self._clock = stat, ticks_per_s, own_seconds, clock
        self._first: _Ticks | None = None
        self._began_s = self._own_before = self._own_last = 0.0

    @property
    def tells(self) -> bool:
        """Whether the file can be read."""
        return not self.silent

    def start(self) -> None:
        """Notes the counters."""
        self._first = self._ticks()
        if self._first is None:
            self.silent["other users of the CPU"] = f"{self._stat} cannot be read"
        self._began_s, self._own_before = self._clock(), self._own_seconds()
        self._own_last = self._own_before

    def read(self, elapsed_s: float) -> Seen:
        """Whether this process computes."""
        own = self._own_seconds()
        cores = (own - self._own_last) / elapsed_s
        self._own_last = own
        return Seen(load=min(1.0, cores / FULL_LOAD_CORES))

    def slowed(self) -> tuple[str, ...]:
        """Steal time, and other programs, where they took more than a little."""
        last, seconds = self._ticks(), self._clock() - self._began_s
        if self._first is None or last is None or seconds < LEAST_SECONDS:
            return ()
        busy_s = (last.busy - self._first.busy) / self._ticks_per_s
        steal_s = (last.steal - self._first.steal) / self._ticks_per_s
        others_cores = (busy_s - (self._own_seconds() - self._own_before)) / seconds
        found = []
        steal = steal_s / (busy_s + steal_s) if busy_s + steal_s > 0 else 0.0
        if steal > MOST_STEAL:
            found.append(f"the host took {100 * steal:.1f} % of the CPU time that was asked for here (steal)")
        if others_cores > MOST_OTHERS_CORES:
            found.append(f"other programs kept {others_cores:.2f} cores busy")
        return tuple(found)

    def close(self) -> None:
        """Nothing is held."""

    def _ticks(self) -> _Ticks | None:
        fields = text(self._stat).partition("\n")[0].split()
        try:
            user, nice, system, _idle, _wait, irq, softirq, steal = map(int, fields[1:9])
        except ValueError:
            return None
        return _Ticks(busy=user + nice + system + irq + softirq, steal=steal)
