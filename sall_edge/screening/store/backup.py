"""One file that holds a whole store, made while others write to it; and a store made of such a file."""

import os
import re
import shutil
import tarfile
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import IO

from sqlalchemy import URL, create_engine, select
from sqlalchemy.orm import Session

from sall_edge.artifacts import sha256_of_file
from sall_edge.errors import OutputError, StoreError, StoreFull, StoreLocked
from sall_edge.screening.store.audit import Kind
from sall_edge.screening.store.database import DATABASE_NAME, database_errors
from sall_edge.screening.store.files import PHOTOGRAPHS, make_photograph_folders
from sall_edge.screening.store.head import HEAD_NAME, head_bytes, read_head
from sall_edge.screening.store.header import HEADER_NAME
from sall_edge.screening.store.key import Key
from sall_edge.screening.store.locks import Hold, Lock, locked
from sall_edge.screening.store.migrate import copy_database
from sall_edge.screening.store.opening import folder_appearing
from sall_edge.screening.store.reader import StoreReader, read_store
from sall_edge.screening.store.store import Store
from sall_edge.screening.store.tables import PhotographRow
from sall_edge.screening.store.verify import verify
from sall_edge.writing import PRIVATE, flush

__all__ = ["Backup", "restore", "write_backup"]

_MEMBER = re.compile(
    rf"{re.escape(HEADER_NAME)}|{re.escape(HEAD_NAME)}|{re.escape(DATABASE_NAME)}"
    rf"|{PHOTOGRAPHS}/[0-9a-f]{{2}}/[0-9a-f]{{64}}\.(?:sealed|plain)"
)
"""What a backup may hold; anything else in a tar file could be written anywhere."""

ANOTHER_COPY = "take another copy of it, or an older backup"


@dataclass(frozen=True, slots=True, kw_only=True)
class Backup:
    """A backup that was written.

    Attributes:
        path: A tar file, for its owner only; as encrypted as the store is.
        sha256: Of the file; the store's log holds it.
        photographs: Files in it.
        size_bytes: Of the file.
    """

    path: Path
    sha256: str
    photographs: int
    size_bytes: int


def write_backup(store: Store, path: Path) -> Backup:
    """A backup of the store as it is at one moment; the log notes it.

    Args:
        store: May be written to meanwhile, by this process or another; deleting waits.
        path: Replaced if it is there; whole or not at all.

    Raises:
        OutputError: The file cannot be written, or would lie in the store itself.
        StoreError: A photograph cannot be read, or the store is busy deleting for long.
        AuditBroken: The head of the log is gone, or not the store's.
    """
    if store.folder.resolve() in path.resolve().parents:
        why = "it lies in the store: it could replace one of its files, and is lost with its disk"
        raise OutputError(f"cannot write the backup {path}", why, "name a place outside the store, on another disk")
    with locked(store.folder, Lock.KEEPING, how=Hold.SHARED), _private_file(path) as (file, temporary):
        head = read_head(store.folder, store.seal)  # before the copy, which holds it and may hold more
        snapshot = temporary.with_suffix(".db")
        try:
            digests = _snapshot(store, snapshot, path)
            with tarfile.open(fileobj=file, mode="w:", format=tarfile.PAX_FORMAT) as tar:
                _add(tar, HEADER_NAME, (store.folder / HEADER_NAME).read_bytes())
                _add(tar, HEAD_NAME, head_bytes(head, store.seal))
                with snapshot.open("rb") as database:
                    tar.addfile(_member(DATABASE_NAME, snapshot.stat().st_size), database)
                for digest in digests:
                    _add_photograph(tar, store, digest)
        finally:
            for left in temporary.parent.glob(f"{snapshot.name}*"):
                left.unlink()
    size_bytes = path.stat().st_size
    done = Backup(path=path, sha256=sha256_of_file(path), photographs=len(digests), size_bytes=size_bytes)
    facts = {"sha256": done.sha256, "size_bytes": done.size_bytes, "photographs": done.photographs}
    store.note(Kind.BACKUP, facts)
    return done


def restore(archive: Path, folder: Path, key: Key | None = None) -> Path:
    """A store made of a backup; it appears when all of it was verified, or not at all.

    Args:
        archive: Of `write_backup`.
        folder: New, or empty.
        key: Of the store that was backed up.

    Raises:
        StoreError: The file is no backup, is damaged or incomplete, or the folder is not empty.
        StoreLocked: The key is missing or another one.
        AuditBroken: What is in it is not what the log in it says.
    """
    with folder_appearing(folder) as new:
        try:
            digest = _unpack(archive, new)
        except (tarfile.TarError, EOFError) as cause:
            why = f"it cannot be read to its end: {cause}"
            raise StoreError(f"{archive} is not a whole backup", why, ANOTHER_COPY) from cause
        with _said_of(archive, new), read_store(new, key) as reader:
            verify(reader)
        with Store(new, key) as store:
            store.note(Kind.RESTORED, {"sha256": digest})
    return folder


@contextmanager
def _said_of(archive: Path, unpacked: Path) -> Iterator[None]:
    """What is wrong with a store that has no name yet, as an error of the backup that it came out of."""
    try:
        yield
    except StoreLocked as problem:
        what = problem.what.replace(f"the store {unpacked}", f"the backup {archive}")
        raise StoreLocked(what, problem.why, problem.fix) from problem
    except StoreError as problem:
        why = f"{problem.what}: {problem.why}".replace(f"{unpacked}/", "").replace(str(unpacked), "what is in it")
        raise type(problem)(f"{archive} is not a whole backup", why, ANOTHER_COPY) from problem


def _unpack(archive: Path, folder: Path) -> str:
    """The files of a backup, each on the disk; the hash of the archive."""
    try:
        file = archive.open("rb")
    except OSError as cause:
        why = cause.strerror or str(cause)
        raise StoreError(f"cannot read the backup {archive}", why, "name a file that store backup wrote") from cause
    make_photograph_folders(folder)
    with file, tarfile.open(fileobj=file, mode="r:") as tar:
        for member in tar:
            if not member.isfile() or _MEMBER.fullmatch(member.name) is None:
                why = f"it holds {member.name!r}, which no backup does"
                raise StoreError(f"{archive} is not a backup", why, "name a file that store backup wrote")
            path = folder / member.name
            data = tar.extractfile(member)
            if data is not None:
                _write(path, data)
    for of_first_byte in (folder / PHOTOGRAPHS).iterdir():
        flush(of_first_byte)
    return sha256_of_file(archive)


def _write(path: Path, data: IO[bytes]) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, PRIVATE)
    with os.fdopen(descriptor, "wb") as file:
        shutil.copyfileobj(data, file, 1 << 20)
        file.flush()
        os.fsync(descriptor)


def _snapshot(store: Store, snapshot: Path, path: Path) -> list[str]:
    """Copies the database as it is now; the photographs that it speaks of."""
    try:
        with database_errors(store.folder):
            copy_database(store.engine, snapshot)
    except StoreFull as cause:
        raise OutputError(f"cannot write {path}", cause.why, "free room there, or name another place") from cause
    engine = create_engine(URL.create("sqlite", database=str(snapshot)))
    try:
        with database_errors(snapshot), Session(engine) as session:
            return sorted(session.scalars(select(PhotographRow.sha256).distinct()))
    finally:
        engine.dispose()


def _add_photograph(tar: tarfile.TarFile, store: StoreReader, digest: str) -> None:
    """The file as it lies in the store, once it was found whole: a backup that cannot be restored helps nobody."""
    store.photograph_bytes(digest)
    path = store.files.path(digest)
    _add(tar, str(path.relative_to(store.folder)), path.read_bytes())


def _add(tar: tarfile.TarFile, name: str, data: bytes) -> None:
    tar.addfile(_member(name, len(data)), BytesIO(data))


def _member(name: str, size_bytes: int) -> tarfile.TarInfo:
    member = tarfile.TarInfo(name)
    member.size, member.mode = size_bytes, PRIVATE
    return member


@contextmanager
def _private_file(path: Path) -> Iterator[tuple[IO[bytes], Path]]:
    """A file for its owner only that takes its place when the block ends well."""
    temporary = None
    try:
        descriptor, name = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".tmp", dir=path.parent)
        temporary = Path(name)
        with os.fdopen(descriptor, "wb") as file:
            yield file, temporary
            file.flush()
            os.fsync(descriptor)
        temporary.replace(path)
        flush(path.parent)
    except OSError as cause:
        fix = "check that the folder exists, may be written and has room"
        raise OutputError(f"cannot write {path}", cause.strerror or str(cause), fix) from cause
    finally:
        if temporary is not None:
            temporary.unlink(missing_ok=True)
