"""What else computed on this machine while something was measured."""

import os
import time
from dataclasses import dataclass
from pathlib import Path

__all__ = ["Neighbours"]

PROC_STAT = Path("/proc/stat")
SHORTEST_S = 1.0
"""The kernel counts in hundredths of a second: a shorter time says nothing."""
COUNTED = slice(0, 7)
"""user, nice, system, idle, iowait, irq, softirq (proc_stat(5)); guest time is in user already, and steal time is the
monitors'."""
IDLE = (3, 4)


@dataclass(frozen=True, slots=True, kw_only=True)
class Neighbours:
    """The clocks at one moment: the machine's busy seconds, summed over its cores, beside this process's own.

    Attributes:
        at_s: By `time.perf_counter`.
        busy_s: Of the machine; None where /proc/stat is missing or counts nothing.
        own_s: Of this process, with its children that have ended.
    """

    at_s: float
    busy_s: float | None
    own_s: float

    @classmethod
    def now(cls, source: Path = PROC_STAT) -> "Neighbours":
        """This moment."""
        times = os.times()
        own_s = times.user + times.system + times.children_user + times.children_system
        return cls(at_s=time.perf_counter(), busy_s=_busy_s(source), own_s=own_s)

    def cores_since(self, earlier: "Neighbours") -> float | None:
        """How many cores the others kept busy on average; None where that is not known, or the time was too short."""
        elapsed = self.at_s - earlier.at_s
        if self.busy_s is None or earlier.busy_s is None or elapsed < SHORTEST_S:
            return None
        return max(0.0, (self.busy_s - earlier.busy_s) - (self.own_s - earlier.own_s)) / elapsed


def _busy_s(source: Path) -> float | None:
    try:
        fields = source.read_text(encoding="ascii").splitlines()[0].split()
    except FileNotFoundError:
        return None
    ticks = [int(field) for field in fields[1:]][COUNTED]
    if not any(ticks):
        return None  # some sandboxes show the file and count nothing
    return (sum(ticks) - sum(ticks[place] for place in IDLE)) / os.sysconf("SC_CLK_TCK")
