"""What the host of a virtual machine took from it (/proc/stat, see proc_stat(5)); and whether this process computes."""

import os
import resource
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from sall_edge.bench.monitors.files import text
from sall_edge.bench.monitors.monitor import Seen

__all__ = ["Guest", "own_cpu_seconds"]

MOST_STEAL = 0.02
"""Of the CPU time that was asked for; the kernel counts in hundredths of a second, so that less is noise."""

LEAST_ASKED_S = 1.0
"""CPU time of a run that can be judged: a hundred of those hundredths."""

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


class Guest:
    """Steal time, which only a virtual machine has.

    Args:
        stat: `/proc/stat`.
        ticks_per_s: Of its numbers.
        own_seconds: CPU time of what is measured.
    """

    name = "/proc/stat"
    power_of = ""

    def __init__(
        self,
        stat: Path,
        *,
        ticks_per_s: int = os.sysconf("SC_CLK_TCK"),
        own_seconds: Callable[[], float] = own_cpu_seconds,
    ) -> None:
        self.silent: dict[str, str] = {}
        self._stat, self._ticks_per_s, self._own_seconds = stat, ticks_per_s, own_seconds
        self._first: _Ticks | None = None
        self._own_last = 0.0

    @property
    def tells(self) -> bool:
        """Whether the file can be read."""
        return not self.silent

    def start(self) -> None:
        """Notes the counters."""
        self._first = self._ticks()
        if self._first is None:
            self.silent["time that the host took (steal)"] = f"{self._stat} cannot be read, or counts nothing"
        self._own_last = self._own_seconds()

    def read(self, elapsed_s: float) -> Seen:
        """Whether this process computes."""
        own = self._own_seconds()
        cores = (own - self._own_last) / elapsed_s
        self._own_last = own
        return Seen(load=min(1.0, cores / FULL_LOAD_CORES))

    def slowed(self) -> tuple[str, ...]:
        """Steal time, where it is more than a little of what was asked for, which idle time is not."""
        last = self._ticks()
        if self._first is None or last is None:
            return ()
        steal = last.steal - self._first.steal
        asked = last.busy - self._first.busy + steal
        if asked < LEAST_ASKED_S * self._ticks_per_s or steal <= MOST_STEAL * asked:
            return ()
        return (f"the host took {100 * steal / asked:.1f} % of the CPU time that was asked for here (steal)",)

    def close(self) -> None:
        """Nothing is held."""

    def _ticks(self) -> _Ticks | None:
        fields = text(self._stat).partition("\n")[0].split()
        try:
            user, nice, system, idle, _wait, irq, softirq, steal = map(int, fields[1:9])
        except ValueError:
            return None
        busy = user + nice + system + irq + softirq
        return _Ticks(busy=busy, steal=steal) if busy + idle else None  # some sandboxes count nothing
