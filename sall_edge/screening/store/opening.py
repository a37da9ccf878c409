"""A new store, and one that is there: migrated, its log's head checked, and tidied after a process that died."""

import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path

from sqlalchemy import select
from sqlalchemy.orm import Session

from sall_edge import __version__
from sall_edge.errors import StoreError
from sall_edge.screening.store.audit import Kind, append
from sall_edge.screening.store.database import DATABASE_NAME
from sall_edge.screening.store.files import RESERVE_BYTES, make_photograph_folders, put, storage_error
from sall_edge.screening.store.head import HEAD_NAME, head_bytes
from sall_edge.screening.store.header import HEADER_NAME, new_header
from sall_edge.screening.store.key import Key
from sall_edge.screening.store.migrate import REVISION, check_known, keep_copy, make_tables, revision_of
from sall_edge.screening.store.store import Store
from sall_edge.screening.store.tables import AuditRow, PhotographRow
from sall_edge.writing import PRIVATE, flush

__all__ = ["create_store", "folder_appearing", "open_store"]


def create_store(folder: Path, key: Key | None = None) -> Path:
    """A new, empty store; encrypted if there is a key.

    Raises:
        StoreError: The folder is not empty, or cannot be written.
    """
    header = new_header(key)
    with folder_appearing(folder) as new:
        make_photograph_folders(new)
        header_bytes = header.model_dump_json(indent=2).encode()
        put(new / HEADER_NAME, header_bytes)
        os.close(os.open(new / DATABASE_NAME, os.O_CREAT | os.O_WRONLY, PRIVATE))
        facts = {
            "store_id": header.store_id,
            "header_sha256": sha256(header_bytes).hexdigest(),
            "encrypted": key is not None,
            "tables": REVISION,
            "software": __version__,
        }
        with Store(new, key) as store:
            with store.session() as session:
                make_tables(session.connection())
                head = append(session, store.seal, Kind.CREATED, facts)
            put(new / HEAD_NAME, head_bytes(head, store.seal))
    return folder


def open_store(folder: Path, key: Key | None = None, *, reserve_bytes: int = RESERVE_BYTES) -> Store:
    """A store to be written to; an older one is migrated, after a copy of its database was put beside it.

    Raises:
        StoreError: There is none, it is of a newer program, or is busy for long.
        StoreLocked: The key is missing or another one.
        AuditBroken: The end of the log is not what the store last wrote.
    """
    store = Store(folder, key, reserve_bytes=reserve_bytes)
    try:
        with store.turn():
            _migrate(store)
            with store.change() as session:
                append(session, store.seal, Kind.OPENED, {"software": __version__})
            store.files.remove_unfinished()
            with store.session() as session:
                _remove_unreferenced(store, session)
    except BaseException:
        store.close()
        raise
    return store


def _migrate(store: Store) -> None:
    with store.session() as session:
        revision = revision_of(session.connection())
    if revision == REVISION:
        return
    check_known(store.folder, revision)
    keep_copy(store.folder, store.engine, revision)
    with store.change() as session:
        make_tables(session.connection())
        append(session, store.seal, Kind.MIGRATED, {"from": revision, "to": REVISION, "software": __version__})


def _remove_unreferenced(store: Store, session: Session) -> None:
    """Removes files that no row refers to, and that the log does not speak of as being there.

    A file whose row alone is gone is evidence: it stays, and `verify` says what is missing.
    """
    strays = set(store.files.digests()) - set(session.scalars(select(PhotographRow.sha256)))
    if not strays:
        return
    kinds = (Kind.PHOTOGRAPH.value, Kind.DELETED.value)
    logged = session.scalars(select(AuditRow).where(AuditRow.kind.in_(kinds)).order_by(AuditRow.seq))
    kept: set[str] = set()
    for entry in logged:
        facts = json.loads(entry.payload)
        if entry.kind == Kind.DELETED.value:
            kept.difference_update(facts["photographs"].values())
        else:
            kept.add(facts["image_sha256"])
    for digest in strays - kept:
        store.files.remove(digest)


@contextmanager
def folder_appearing(folder: Path) -> Iterator[Path]:
    """A temporary folder beside `folder`, for its owner only, that takes its place when the block ends well.

    Raises:
        StoreError: `folder` is there and not empty, or the place cannot be written.
    """
    temporary = None
    try:
        if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
            raise StoreError(f"cannot make the store {folder}", "it is there and not empty", "name another folder")
        folder.parent.mkdir(parents=True, exist_ok=True)
        temporary = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", suffix=".tmp", dir=folder.parent))
        yield temporary
        flush(temporary)
        temporary.rename(folder)
        flush(folder.parent)
    except OSError as cause:
        raise storage_error(cause, folder) from cause
    finally:
        if temporary is not None:
            shutil.rmtree(temporary, ignore_errors=True)
