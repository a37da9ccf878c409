"""Memory that one step frees is kept for the next."""

import ctypes
import sys

__all__ = ["keep_freed_memory"]

_M_TRIM_THRESHOLD = -1
_M_MMAP_MAX = -4
_NEVER = 2**31 - 1


def keep_freed_memory() -> None:
    """Tells glibc to keep what this process frees; elsewhere it does nothing.

    Training and calibration ask for every map anew. glibc takes blocks of more than 32 MB from the kernel and gives
    them back at once, so each pass pays for pages that the kernel clears (docs/adr/0006 has what that costs). The
    process keeps its peak of memory until it ends. Source: mallopt(3).
    """
    if not sys.platform.startswith("linux"):
        return
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)  # musl has none
    if mallopt is not None:
        mallopt(_M_MMAP_MAX, 0)
        mallopt(_M_TRIM_THRESHOLD, _NEVER)
