"""Files and folders that appear whole or not at all.

Everything is written beside its place and renamed into it. A folder that replaces another changes places with it in one
step (Linux 3.15 and later, on the usual file systems), so a power cut leaves the old one or the new one; where a file
system cannot do that there are two renames, and a power cut between them leaves the old one as `.NAME.old`.
"""

import ctypes
import errno
import os
import secrets
import shutil
import tempfile
from collections.abc import Container, Iterator
from contextlib import contextmanager
from pathlib import Path

from sall_edge.errors import OutputError

__all__ = [
    "NO_ROOM",
    "PRIVATE",
    "check_writable",
    "file_being_written",
    "flush",
    "folder_being_written",
    "make_folder",
]

PRIVATE = 0o600
"""Mode of a file that says who somebody is: its owner reads it, nobody else."""

NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
"""What is about the place and not about what is written there."""

_AT_FDCWD, _RENAME_EXCHANGE = -100, 2  # linux/fcntl.h, linux/fs.h


@contextmanager
def folder_being_written(path: Path) -> Iterator[Path]:
    """A temporary folder beside `path` that takes its place when the block ends well, and vanishes when it does not.

    Raises:
        OutputError: The place cannot be written.
    """
    with _output_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = Path(tempfile.mkdtemp(prefix=f".{path.name}.", suffix=".tmp", dir=path.parent))
    try:
        with _output_errors(path, only=NO_ROOM):
            yield temporary
        with _output_errors(path):
            temporary.chmod(0o755)
            _replace_folder(temporary, path)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


@contextmanager
def file_being_written(path: Path, *, mode: int = 0o644) -> Iterator[Path]:
    """A temporary file beside `path`, with its suffix, that takes its place when the block ends well.

    Args:
        path: Its place.
        mode: Who may do what with it, from its first byte on; the umask, or the folder's default access control list,
            may take more away.

    Raises:
        OutputError: The place cannot be written.
    """
    temporary = path.with_name(f".{path.stem}.{secrets.token_hex(8)}{path.suffix}")
    with _output_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        os.close(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode))
    try:
        with _output_errors(path, only=NO_ROOM):
            yield temporary
        with _output_errors(path):
            flush(temporary)
            temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def make_folder(folder: Path, *, mode: int) -> None:
    """The folder, made with this mode (less the umask) if it is not there; one that is there stays as it is.

    Raises:
        OutputError: It cannot be made.
    """
    with _output_errors(folder):
        folder.mkdir(mode=mode, parents=True, exist_ok=True)


def check_writable(path: Path) -> None:
    """Whether a file can be written, asked before anything is computed that would be lost; makes the folder.

    Raises:
        OutputError: The place cannot be written.
    """
    with _output_errors(path):
        if path.is_dir():
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(prefix=f".{path.stem}.", suffix=path.suffix, dir=path.parent):
            pass


def flush(path: Path) -> None:
    """Returns when a file's bytes, or a folder's names, are on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def _output_errors(path: Path, *, only: Container[int] | None = None) -> Iterator[None]:
    try:
        yield
    except OSError as cause:
        if only is not None and cause.errno not in only:
            raise
        fix = "check that the folder exists, may be written and has room"
        raise OutputError(f"cannot write {path}", cause.strerror or str(cause), fix) from cause


def _replace_folder(new: Path, path: Path) -> None:
    for file in new.iterdir():
        flush(file)
    if path.exists() and _exchange(new, path):  # `new` is now the old one, which the caller removes
        flush(path.parent)
        return
    old = path.with_name(f".{path.name}.old")
    shutil.rmtree(old, ignore_errors=True)
    if path.exists():
        path.rename(old)
    new.rename(path)
    flush(path.parent)
    shutil.rmtree(old, ignore_errors=True)


def _exchange(one: Path, other: Path) -> bool:
    """Whether the two changed places; False where the system or the file system has no such step."""
    rename = getattr(ctypes.CDLL(None, use_errno=True), "renameat2", None)
    if rename is None:
        return False
    if rename(_AT_FDCWD, os.fsencode(one), _AT_FDCWD, os.fsencode(other), _RENAME_EXCHANGE) == 0:
        return True
    code = ctypes.get_errno()
    if code in (errno.EINVAL, errno.ENOSYS, errno.ENOTSUP):
        return False
    raise OSError(code, os.strerror(code), str(other))
