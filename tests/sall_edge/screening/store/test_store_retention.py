"""What is old enough goes, with everything that names the person; the log stays whole."""

from contextlib import closing
from datetime import datetime, timedelta, timezone

import pytest
from fakes.stored_examination import FILE_NAME, NAME, REFERENCE, begun, ended, put_examination, with_photograph

from sall_edge.errors import StoreError
from sall_edge.screening.store.key import Key
from sall_edge.screening.store.migrate import keep_copy
from sall_edge.screening.store.reader import read_store
from sall_edge.screening.store.retention import expired, retain
from sall_edge.screening.store.store import Store
from sall_edge.screening.store.verify import verify

NOW = datetime.now(timezone.utc)


def test_only_finished_examinations_of_long_ago_go(either_store: Store) -> None:
    old = put_examination(either_store, finished_at=NOW - timedelta(days=31))
    new = put_examination(either_store, finished_at=NOW - timedelta(days=29))
    unfinished = begun(started_at=NOW - timedelta(days=90))
    either_store.begin(unfinished)
    head = verify(either_store).head
    (named,) = expired(either_store, keep_days=30, now=NOW)
    assert (named.examination_id, named.photographs) == (old.examination_id, 3)
    assert verify(either_store).head == head  # asking deletes nothing
    assert retain(either_store, keep_days=30, now=NOW) == (named,)
    assert {one.examination_id for one in either_store.examinations()} == {
        new.examination_id,
        unfinished.examination_id,
    }
    found = verify(either_store)
    assert (found.examinations, found.files, found.head.seq) == (2, 3, head.seq + 1)
    assert retain(either_store, keep_days=30, now=NOW) == ()


def test_nothing_that_names_the_person_is_left(either_store: Store) -> None:
    examination = put_examination(either_store, finished_at=NOW - timedelta(days=31))
    retain(either_store, keep_days=30, now=NOW)
    with pytest.raises(StoreError, match="or has been deleted"):
        either_store.examination(examination.examination_id)
    secret = [text.encode() for text in (REFERENCE, NAME, FILE_NAME, "Olga")]
    for path in either_store.folder.rglob("*"):
        if path.is_file():
            content = path.read_bytes()
            assert not [text for text in secret if text in content], path


def test_a_reader_that_keeps_what_was_deleted_in_the_write_ahead_log_is_said(store: Store, key: Key) -> None:
    examination = put_examination(store)
    with closing(store.engine.raw_connection()) as connection:
        connection.cursor().execute("PRAGMA busy_timeout=50")
    log = store.folder / "store.db-wal"
    with read_store(store.folder, key) as reader, reader.session() as session:
        session.connection().exec_driver_sql("SELECT count(*) FROM examinations")
        with pytest.raises(StoreError, match="is still in the write-ahead log") as said:
            store.delete(examination.examination_id, why="asked for")
        assert said.value.fix == "end that process: the log goes when the last one closes the store"
        assert store.examinations() == ()
    store.close()
    assert not log.exists()


def test_what_migrations_copied_goes_with_the_first_examination_that_is_deleted(store: Store) -> None:
    examination = put_examination(store)
    copy = keep_copy(store.folder, store.engine, "r0000")
    with pytest.raises(StoreError):
        store.delete("another", why="asked for")
    assert copy.exists()
    store.delete(examination.examination_id, why="asked for")
    assert not copy.exists()


def test_a_file_that_another_examination_has_too_stays(store: Store) -> None:
    for days in (31, 1):
        examination = begun()
        store.begin(examination)
        examination, photograph = with_photograph(examination, b"the same bytes")
        store.add_photograph(examination, photograph, b"the same bytes")
        store.finish(ended(examination, finished_at=NOW - timedelta(days=days)))
    retain(store, keep_days=30, now=NOW)
    assert store.photograph_bytes(photograph.sha256) == b"the same bytes"
    assert verify(store).examinations == 1


def test_less_than_a_day_is_a_mistake(store: Store) -> None:
    with pytest.raises(ValueError, match="keep_days is 0; it is at least 1"):
        expired(store, keep_days=0)
