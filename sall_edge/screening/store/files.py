"""The photographs' files, and files that are on the disk for good before anything says that they are there."""

import os
import tempfile
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path

from sall_edge.errors import StoreError, StoreFull
from sall_edge.screening.store.seal import Seal
from sall_edge.writing import NO_ROOM, flush

__all__ = [
    "PHOTOGRAPHS",
    "RESERVE_BYTES",
    "PhotographFiles",
    "check_room",
    "place",
    "put",
    "staged",
    "storage_error",
]

PHOTOGRAPHS = "photographs"
TEMPORARY = ".tmp"
RESERVE_BYTES = 64 << 20
"""Left free by `check_room`: for the database, its write-ahead log, the audit log, and for deleting by retention."""


def storage_error(cause: OSError, path: Path) -> StoreError:
    """What the operating system says of a file, as an error that a person can act on."""
    why = cause.strerror or str(cause)
    if cause.errno in NO_ROOM:
        return StoreFull(f"there is no room for {path}", why, "free room on the store's disk")
    return StoreError(f"cannot use {path}", why, "check that the folder may be written, and that its disk works")


def check_room(folder: Path, needed_bytes: int, *, reserve_bytes: int = RESERVE_BYTES) -> None:
    """Nothing, where the disk holds that much and the reserve besides.

    Raises:
        StoreFull: It does not.
    """
    state = os.statvfs(folder)
    free_bytes = state.f_bavail * state.f_frsize
    if free_bytes - needed_bytes < reserve_bytes:
        free, needed, reserve = (round(size / 1e6, 1) for size in (free_bytes, needed_bytes, reserve_bytes))
        why = f"{free} MB are free; {needed} MB are needed, and {reserve} MB are kept free for the log"
        fix = "back up, then delete what is old enough: sall-edge store retain; or free room on its disk"
        raise StoreFull(f"the store {folder} has no room for another examination", why, fix)


def staged(path: Path, data: bytes) -> Path:
    """A file beside `path` with these bytes, on the disk, for its owner only; to be renamed or removed by the caller.

    Raises:
        StoreFull: No room; nothing is left behind.
        StoreError: It cannot be written.
    """
    temporary = None
    try:
        descriptor, name = tempfile.mkstemp(prefix=f".{path.name}.", suffix=TEMPORARY, dir=path.parent)
        temporary = Path(name)
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(descriptor)
    except OSError as cause:
        if temporary is not None:
            temporary.unlink(missing_ok=True)
        raise storage_error(cause, path) from cause
    return temporary


def put(path: Path, data: bytes) -> None:
    """These bytes at `path`, whole and on the disk; a power cut before leaves what was there.

    Raises:
        StoreFull: No room.
        StoreError: It cannot be written.
    """
    place(staged(path, data), path)


def place(temporary: Path, path: Path) -> None:
    """What was staged, at `path` and on the disk.

    Raises:
        StoreError: The folder cannot be written; what was staged is removed.
    """
    try:
        temporary.replace(path)
        flush(path.parent)
    except OSError as cause:
        temporary.unlink(missing_ok=True)
        raise storage_error(cause, path) from cause


def make_photograph_folders(folder: Path) -> None:
    """All 256 folders of a new store at once: one that is made later has to be flushed before its photograph counts."""
    root = folder / PHOTOGRAPHS
    root.mkdir(mode=0o700)
    for number in range(256):
        (root / f"{number:02x}").mkdir(mode=0o700)
    flush(root)


class PhotographFiles:
    """`photographs/ab/abcd….sealed`, by the hash of the plain bytes.

    Args:
        folder: The store's.
        seal: The store's.
    """

    def __init__(self, folder: Path, seal: Seal) -> None:
        self._root = folder / PHOTOGRAPHS
        self._seal = seal

    def path(self, digest: str) -> Path:
        """Where the file of this hash is, or would be."""
        return self._root / digest[:2] / f"{digest}{self._seal.suffix}"

    def stage(self, digest: str, data: bytes) -> Path:
        """The photograph, sealed and on the disk, beside its place: for `keep`, or to be removed by the caller.

        Raises:
            StoreFull: No room.
            StoreError: It cannot be written.
        """
        path = self.path(digest)
        if not path.parent.is_dir():  # a copy of the store by a tool that leaves empty folders out
            for folder in (self._root, path.parent):
                folder.mkdir(mode=0o700, exist_ok=True)
                flush(folder.parent)
        return staged(path, self._seal.close(data, about=_about(digest)))

    def keep(self, digest: str, temporary: Path) -> None:
        """What was staged, in its place; what was there under its name is replaced.

        Raises:
            StoreError: The folder cannot be written; what was staged is removed.
        """
        place(temporary, self.path(digest))

    def read(self, digest: str) -> bytes:
        """The photograph's own bytes.

        Raises:
            StoreError: It is missing, changed, or another one.
        """
        path = self.path(digest)
        try:
            stored = path.read_bytes()
        except OSError as cause:
            why = cause.strerror or str(cause)
            raise StoreError(f"cannot read the photograph {path.name}", why, "take it from a backup") from cause
        plain = self._seal.open(stored, about=_about(digest))
        if sha256(plain).hexdigest() != digest:
            why = "its hash is another one: the file was changed or exchanged"
            raise StoreError(f"{_about(digest)} is not what was stored", why, "take it from a backup")
        return plain

    def remove(self, digest: str) -> None:
        """No such file any more.

        Raises:
            StoreError: It cannot be removed.
        """
        path = self.path(digest)
        try:
            path.unlink(missing_ok=True)
        except OSError as cause:
            raise storage_error(cause, path) from cause

    def digests(self) -> Iterator[str]:
        """Hashes of the files that are there."""
        for path in self._root.glob(f"??/*{self._seal.suffix}"):
            yield path.name.removesuffix(self._seal.suffix)

    def remove_unfinished(self) -> None:
        """Removes what a process that died was writing."""
        for folder, pattern in ((self._root.parent, f".*{TEMPORARY}"), (self._root, f"??/.*{TEMPORARY}")):
            for path in folder.glob(pattern):
                path.unlink(missing_ok=True)


def _about(digest: str) -> str:
    return f"the photograph {digest}"
