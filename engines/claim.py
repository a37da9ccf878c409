"""One rebuild of a bundle at a time, and what a killed one left behind is cleared away by the next."""

import fcntl
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from sall_edge.errors import BuildError, OutputError

__all__ = ["claimed"]


@contextmanager
def claimed(path: Path) -> Iterator[Callable[[Path], None]]:
    """Holds `.NAME.rebuild` beside the bundle; the lock is the kernel's, so a killed process lets go of it.

    Yields:
        Takes the temporary folder that is written: if this process is killed, the next claim removes it.

    Raises:
        BuildError: Another process holds it.
        OutputError: The folder that holds the bundle cannot be written.
    """
    place = path.with_name(f".{path.name}.rebuild")
    descriptor = _locked(path, place)
    try:
        _clear_away(path, os.read(descriptor, 4096).decode(errors="replace"))

        def remember(folder: Path) -> None:
            os.ftruncate(descriptor, 0)
            os.pwrite(descriptor, folder.name.encode(), 0)

        yield remember
    finally:
        place.unlink(missing_ok=True)  # before the lock goes, see _locked
        os.close(descriptor)


def _locked(path: Path, place: Path) -> int:
    while True:
        try:
            descriptor = os.open(place, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        except OSError as cause:
            fix = "give this user write access there: a rebuilt engine takes the place of the old one"
            raise OutputError(f"cannot write beside {path}", cause.strerror or str(cause), fix) from cause
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as cause:
            os.close(descriptor)
            why = f"another process holds {place}"
            raise BuildError(f"{path} is being rebuilt already", why, "wait until it has finished") from cause
        if _is_at(place, descriptor):
            return descriptor
        os.close(descriptor)  # between our open and our lock its holder removed it: another one may be there by now


def _is_at(place: Path, descriptor: int) -> bool:
    try:
        return os.path.samestat(os.fstat(descriptor), place.stat())
    except FileNotFoundError:
        return False


def _clear_away(path: Path, name: str) -> None:
    """Removes the folder of a rebuild that was killed, if the name is one that `folder_being_written` makes."""
    if name.startswith(f".{path.name}.") and name.endswith(".tmp") and "/" not in name:
        shutil.rmtree(path.with_name(name), ignore_errors=True)
