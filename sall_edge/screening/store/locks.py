"""Two locks of a store, both on files that stay: the kernel lets go of them when a process dies, however it dies."""

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from enum import Enum
from pathlib import Path

from sall_edge.errors import StoreError
from sall_edge.writing import PRIVATE

__all__ = ["PATIENCE_S", "Hold", "Lock", "locked"]

PATIENCE_S = 30.0
POLL_S = 0.005


class Lock(Enum):
    """What is held, in this order where both are.

    Attributes:
        KEEPING: Shared while files have to stay (backup, verification), exclusive while some are deleted.
        WRITING: Exclusive while a photograph, its row, its entry and the head of the log are written: one at a time,
            whichever process or thread.
    """

    KEEPING = "keeping.lock"
    WRITING = "writing.lock"


class Hold(Enum):
    """Whether others may hold the lock at the same time."""

    ALONE = fcntl.LOCK_EX
    SHARED = fcntl.LOCK_SH


@contextmanager
def locked(folder: Path, lock: Lock, *, how: Hold = Hold.ALONE, patience_s: float | None = None) -> Iterator[None]:
    """Holds a lock for the block.

    Raises:
        StoreError: Another process held it for all of `patience_s`, `PATIENCE_S` if that is None; or the file cannot
            be opened.
    """
    try:
        descriptor = os.open(folder / lock.value, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, PRIVATE)
    except OSError as cause:
        fix = "check that the folder may be written by this user"
        raise StoreError(f"the store {folder} cannot be used", cause.strerror or str(cause), fix) from cause
    try:
        _take(descriptor, how, folder, time.monotonic() + (PATIENCE_S if patience_s is None else patience_s))
        yield
    finally:
        os.close(descriptor)


def _take(descriptor: int, how: Hold, folder: Path, until_s: float) -> None:
    while not _is_taken(descriptor, how):
        if time.monotonic() > until_s:
            why = "another process is writing to it, or backs it up"
            raise StoreError(f"the store {folder} is busy", why, "wait for it, or end it")
        time.sleep(POLL_S)


def _is_taken(descriptor: int, how: Hold) -> bool:
    try:
        fcntl.flock(descriptor, how.value | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
