"""The tables and their steps: what the classes say is what the steps make, and no store is taken back."""

import shutil
import sqlite3
from contextlib import closing
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from fakes.stored_examination import put_examination

from sall_edge.errors import AuditBroken, StoreError
from sall_edge.screening.examination.record import Examination
from sall_edge.screening.store import migrate, opening, reader
from sall_edge.screening.store.key import Key
from sall_edge.screening.store.migrate import MIGRATIONS, REVISION, migration_copies
from sall_edge.screening.store.opening import create_store, open_store
from sall_edge.screening.store.reader import read_store
from sall_edge.screening.store.retention import retain
from sall_edge.screening.store.store import Store
from sall_edge.screening.store.tables import Table
from sall_edge.screening.store.verify import verify

NEXT_STEP = '''
"""A step that a later program might have."""
import sqlalchemy as sa
from alembic import op
revision, down_revision = "r9999", "{before}"
def upgrade():
    op.add_column("examinations", sa.Column("room", sa.String))
    {more}
'''


@pytest.fixture
def next_program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A program that knows one step more; the step's file."""
    steps = tmp_path / "migrations"
    shutil.copytree(MIGRATIONS, steps, ignore=shutil.ignore_patterns("__pycache__"))
    step = steps / "versions" / "r9999_room.py"
    step.write_text(NEXT_STEP.format(before=REVISION, more=""))
    monkeypatch.setattr(migrate, "MIGRATIONS", steps)
    for module in (migrate, opening, reader):
        monkeypatch.setattr(module, "REVISION", "r9999")
    return step


def test_the_newest_step_is_the_one_that_the_program_expects() -> None:
    assert ScriptDirectory(str(MIGRATIONS)).get_current_head() == REVISION


def test_the_steps_make_the_tables_that_the_classes_say(store: Store) -> None:
    with store.session() as session:
        context = MigrationContext.configure(session.connection())
        assert compare_metadata(context, Table.metadata) == []


def test_the_database_is_kept_safe_against_power_cuts(store: Store) -> None:
    with store.session() as session:
        asked = {
            name: session.connection().exec_driver_sql(f"PRAGMA {name}").scalar()
            for name in ("journal_mode", "synchronous", "foreign_keys", "secure_delete")
        }
    assert asked == {"journal_mode": "wal", "synchronous": 2, "foreign_keys": 1, "secure_delete": 1}


def test_an_older_store_is_migrated_after_a_copy(
    store: Store, stored: Examination, key: Key, request: pytest.FixtureRequest
) -> None:
    store.close()
    request.getfixturevalue("next_program")
    with pytest.raises(StoreError, match="was written by an older sall-edge") as said:
        read_store(store.folder, key)
    assert said.value.fix == "sall-edge store migrate"
    with open_store(store.folder, key) as opened:
        assert opened.examinations() == (stored,)
        verify(opened)
        with opened.session() as session:
            kinds = session.connection().exec_driver_sql("SELECT kind, payload FROM audit ORDER BY seq DESC").all()
            session.connection().exec_driver_sql("SELECT room FROM examinations")
    assert [kind for kind, _ in kinds[:2]] == ["opened", "migrated"]
    assert f'"from":"{REVISION}"' in kinds[1][1]
    (copy,) = migration_copies(store.folder)
    assert copy.stat().st_mode & 0o077 == 0
    with closing(sqlite3.connect(copy)) as before:
        assert before.execute("SELECT version_num FROM alembic_version").fetchone() == (REVISION,)
        assert before.execute("SELECT count(*) FROM photographs").fetchone() == (3,)


def test_a_step_that_fails_changes_nothing(
    store: Store, stored: Examination, key: Key, next_program: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    next_program.write_text(NEXT_STEP.format(before=REVISION, more='op.execute("no SQL")'))
    with pytest.raises(StoreError, match="syntax error"):
        open_store(store.folder, key)
    monkeypatch.undo()
    assert verify(store).examinations == 1
    open_store(store.folder, key).close()


def test_a_newer_store_is_refused(
    tmp_path: Path, key: Key, next_program: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = create_store(tmp_path / "store", key)
    open_store(folder, key).close()
    monkeypatch.undo()
    for opening_it in (open_store, read_store):
        with pytest.raises(StoreError, match="was written by a newer sall-edge") as said:
            opening_it(folder, key)
        assert said.value.why == f"its tables are at step r9999; this program knows steps up to {REVISION}"
        assert "upgrade sall-edge" in said.value.fix


def test_a_database_without_tables_is_damage_and_no_older_store(tmp_path: Path) -> None:
    folder = create_store(tmp_path / "store")
    (folder / "store.db").write_bytes(b"")
    for opening_it in (open_store, read_store):
        with pytest.raises(AuditBroken, match="it holds no tables") as said:
            opening_it(folder)
        assert "restore a backup" in said.value.fix
    assert not migration_copies(folder)


def test_the_copy_goes_with_what_retention_deletes(store: Store, key: Key) -> None:
    put_examination(store)
    copy = migrate.keep_copy(store.folder, store.engine, "r0000")
    retain(store, keep_days=1)
    assert copy.exists()
    retain(store, keep_days=1, now=datetime.now(timezone.utc) + timedelta(days=2))
    assert not copy.exists()
