"""The SQLite file: how it is opened, and what its errors mean."""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import URL, Engine, create_engine, event
from sqlalchemy.exc import DBAPIError

from sall_edge.errors import AuditBroken, StoreError, StoreFull
from sall_edge.screening.store.audit import FROM_A_BACKUP

__all__ = ["DATABASE_NAME", "database_errors", "open_database"]

DATABASE_NAME = "store.db"
BUSY_MS = 10_000

# SQLite's own words (sqlite3ErrStr in its main.c); Python tells the codes only from 3.11 on
_FULL = "database or disk is full"
_DAMAGED = ("database disk image is malformed", "file is not a database", "malformed database schema")

_ON_CONNECT = (
    "PRAGMA journal_mode=WAL",
    "PRAGMA synchronous=FULL",  # a commit that was acknowledged survives a power cut
    "PRAGMA foreign_keys=ON",
    "PRAGMA secure_delete=ON",  # what retention deletes is overwritten with zeros
    f"PRAGMA busy_timeout={BUSY_MS}",
)


def open_database(folder: Path) -> Engine:
    """The database of a store; a connection a thread at a time, transactions that begin where SQLAlchemy says."""
    url = URL.create("sqlite", database=str(folder / DATABASE_NAME))
    engine = create_engine(url)
    event.listen(engine, "connect", _on_connect)
    event.listen(engine, "begin", lambda connection: connection.exec_driver_sql("BEGIN"))
    return engine


def _on_connect(connection: sqlite3.Connection, _record: Any) -> None:
    connection.isolation_level = None  # or sqlite3 would begin, and commit before DDL, on its own account
    connection.text_factory = lambda raw: raw.decode("utf-8", "surrogateescape")  # a changed byte is shown by its hash
    for pragma in _ON_CONNECT:
        connection.execute(pragma)


@contextmanager
def database_errors(folder: Path) -> Iterator[None]:
    """What SQLite says, as errors that a person can act on.

    Raises:
        StoreFull: The disk is full.
        AuditBroken: The file is no database any more.
        StoreError: Whatever else.
    """
    try:
        yield
    except (DBAPIError, sqlite3.Error) as cause:
        why = str(cause.orig if isinstance(cause, DBAPIError) else cause)
        if _FULL in why:
            raise StoreFull(f"the store {folder} has no room", why, "free room on its disk") from cause
        if any(words in why for words in _DAMAGED):
            raise AuditBroken(f"the database of the store {folder} is damaged", why, FROM_A_BACKUP) from cause
        fix = "check that the folder may be written, and that its disk works"
        raise StoreError(f"the store {folder} cannot be used", why, fix) from cause
