"""The tables brought to this program's form, by alembic and its steps in `migrations`."""

import sqlite3
from pathlib import Path
from typing import cast

from sqlalchemy import Connection, Engine, inspect, text

from sall_edge.errors import AuditBroken, StoreError
from sall_edge.screening.store.audit import FROM_A_BACKUP
from sall_edge.screening.store.database import DATABASE_NAME
from sall_edge.writing import PRIVATE, flush

__all__ = [
    "REVISION",
    "check_known",
    "copy_database",
    "keep_copy",
    "make_tables",
    "migration_copies",
    "remove_copies",
    "revision_of",
]

MIGRATIONS = Path(__file__).parent / "migrations"
REVISION = "r0001"
"""The newest step; a test holds it against the folder, so that opening a store need not load alembic."""


def revision_of(connection: Connection) -> str | None:
    """The step that the tables have; None before the first."""
    if not inspect(connection).has_table("alembic_version"):
        return None
    return connection.execute(text("SELECT version_num FROM alembic_version")).scalar_one_or_none()


def check_known(folder: Path, revision: str | None) -> None:
    """Nothing, where this program knows the step.

    Raises:
        StoreError: It does not: the store is of a newer program.
        AuditBroken: There are no tables: an empty file stands where the database was.
    """
    if revision is None:
        raise AuditBroken(f"the database of the store {folder} is damaged", "it holds no tables", FROM_A_BACKUP)
    from alembic.script import ScriptDirectory

    steps = [step.revision for step in ScriptDirectory(str(MIGRATIONS)).walk_revisions()]
    if revision not in steps:
        why = f"its tables are at step {revision}; this program knows steps up to {REVISION}"
        fix = "upgrade sall-edge; a store is never taken back to an older form"
        raise StoreError(f"the store {folder} was written by a newer sall-edge", why, fix)


def make_tables(connection: Connection) -> None:
    """Runs the steps that are missing, in the connection's transaction: all or none."""
    from alembic import command
    from alembic.config import Config

    settings = Config()
    settings.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    settings.set_main_option("path_separator", "os")
    settings.attributes["connection"] = connection
    command.upgrade(settings, "head")


def keep_copy(folder: Path, engine: Engine, revision: str | None) -> Path:
    """A copy of the database as it is, beside it, before its tables are changed."""
    path = folder / f"{DATABASE_NAME}.before-{REVISION}-was-{revision}"
    copy_database(engine, path)
    return path


def migration_copies(folder: Path) -> list[Path]:
    """What `keep_copy` left in this store."""
    return sorted(folder.glob(f"{DATABASE_NAME}.before-*"))


def remove_copies(folder: Path) -> None:
    """Removes what `keep_copy` left, for good: it still holds whoever is about to be deleted."""
    copies = migration_copies(folder)
    for copy in copies:
        copy.unlink()
    if copies:
        flush(folder)


def copy_database(engine: Engine, path: Path) -> None:
    """The committed state of a database that may be in use, as one file (SQLite's online backup, in one step)."""
    path.unlink(missing_ok=True)
    path.touch(mode=PRIVATE)
    source = engine.raw_connection()
    target = sqlite3.connect(path)
    try:
        cast(sqlite3.Connection, source.driver_connection).backup(target)
    finally:
        target.close()
        source.close()
