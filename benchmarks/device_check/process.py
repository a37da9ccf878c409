"""A step runs in a process of its own, so that whatever ends it ends nothing else, and is told."""

import contextlib
import os
import signal
import subprocess
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

__all__ = ["Ended", "run"]

POLL_S = 0.1
_TAIL_LINES = 30
MEMINFO = Path("/proc/meminfo")


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """How a process ended.

    Attributes:
        exit_code: Negative: the signal that ended it.
        reason: In words, empty when it ended by itself.
        seconds: From start to end.
        peak_resident_mib: The most memory that it had in the CPU's sight; 0 when it was too short to be looked at.
        least_available_mib: The least memory that the system had left meanwhile, whoever took it.
        available_before_mib: The same when it started.
        tail: Its last lines.
    """

    exit_code: int
    reason: str
    seconds: float
    peak_resident_mib: float
    least_available_mib: float
    available_before_mib: float
    tail: tuple[str, ...]


def run(command: Sequence[str], *, timeout_s: float) -> Ended:
    """Runs it to its end, or to ours: nothing of it goes on after that.

    Raises:
        KeyboardInterrupt: Ctrl-C; the process has ended.
    """
    before = available_mib()
    peak, least, start = 0.0, before, time.perf_counter()
    with tempfile.TemporaryFile() as output:
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT, start_new_session=True
        )
        is_late = False
        try:
            while process.poll() is None and not is_late:
                peak, least = max(peak, _peak_resident_mib(process.pid)), min(least, available_mib())
                is_late = time.perf_counter() - start > timeout_s
                time.sleep(POLL_S)
        finally:
            _end(process)
        output.seek(0)
        tail = output.read().decode(errors="replace").splitlines()[-_TAIL_LINES:]
    return Ended(
        exit_code=process.returncode,
        reason=f"it was ended after {timeout_s:.0f} s" if is_late else _reason(process.returncode),
        seconds=round(time.perf_counter() - start, 1),
        peak_resident_mib=round(peak, 1),
        least_available_mib=round(least, 1),
        available_before_mib=round(before, 1),
        tail=tuple(tail),
    )


def _end(process: "subprocess.Popen[bytes]") -> None:
    """Ends the process and whatever it has started."""
    with contextlib.suppress(ProcessLookupError):  # all of them have ended
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def _reason(code: int) -> str:
    if code >= 0:
        return ""
    number = signal.Signals(-code)
    told = {
        signal.SIGKILL: "the kernel does that when memory runs out",
        signal.SIGSEGV: "a native library crashed",
        signal.SIGABRT: "a native library gave up",
        signal.SIGBUS: "a native library read memory that is not there",
    }.get(number, "nobody here sent it")
    return f"it was ended by {number.name}: {told}"


def available_mib() -> float:
    """Memory that the system can still give; 0 where the kernel does not tell."""
    return _from_kib(MEMINFO, "MemAvailable")


def _peak_resident_mib(pid: int) -> float:
    return _from_kib(Path(f"/proc/{pid}/status"), "VmHWM")


def _from_kib(path: Path, key: str) -> float:
    try:
        text = path.read_text(encoding="utf-8")
    except OSError:
        return 0.0
    line = next((line for line in text.splitlines() if line.startswith(f"{key}:")), None)
    return int(line.split()[1]) / 1024 if line else 0.0
