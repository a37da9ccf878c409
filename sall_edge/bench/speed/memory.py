"""The most memory that this process held at once."""

import resource
from contextlib import suppress
from pathlib import Path

__all__ = ["forget_peak", "peak_rss_mb"]

PROC = Path("/proc/self")
KIB_PER_MIB = 1024


def forget_peak(proc: Path = PROC) -> float:
    """What the peak starts from, in MiB: what is held now, or where the kernel forgets no peak, the peak until now.

    Args:
        proc: This process's folder.
    """
    with suppress(OSError):  # the number that is returned is then the peak until now, and says so by its size
        (proc / "clear_refs").write_text("5", encoding="ascii")  # proc_pid_clear_refs(5): VmHWM becomes VmRSS
    return peak_rss_mb(proc)


def peak_rss_mb(proc: Path = PROC) -> float:
    """The most resident memory, in MiB, since `forget_peak`.

    Args:
        proc: This process's folder; where it tells no VmHWM, the C library's figure for the process's whole life.
    """
    kib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    status = proc / "status"
    lines = status.read_text(encoding="utf-8").splitlines() if status.is_file() else []
    for line in lines:
        if line.startswith("VmHWM:"):
            kib = int(line.split()[1])
    return round(kib / KIB_PER_MIB, 1)
