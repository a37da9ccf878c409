"""What is stored is read back, and nothing that was not asked for."""

import os
import re
import shutil
import threading
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest
from fakes.stored_examination import FILE_NAME, NAME, REFERENCE, begun, ended, put_examination, with_photograph
from sqlalchemy import event

from sall_edge.errors import StoreError, StoreFull
from sall_edge.screening.examination.record import Examination
from sall_edge.screening.store.key import Key
from sall_edge.screening.store.opening import open_store
from sall_edge.screening.store.reader import read_store
from sall_edge.screening.store.store import Store
from sall_edge.screening.store.verify import verify
from sall_edge.spec import Eye


def test_an_examination_comes_back_as_it_was_stored(either_store: Store) -> None:
    examination = put_examination(either_store)
    assert either_store.examination(examination.examination_id) == examination
    assert either_store.examinations() == (examination,)
    assert either_store.unfinished() == ()
    assert verify(either_store).photographs == 3


def test_a_photograph_comes_back_byte_by_byte(either_store: Store) -> None:
    examination, data = begun(), os.urandom(5000)
    either_store.begin(examination)
    examination, photograph = with_photograph(examination, data)
    either_store.add_photograph(examination, photograph, data)
    assert either_store.photograph_bytes(photograph.sha256) == data
    assert either_store.unfinished() == (examination,)


def test_examinations_are_found_by_person_and_by_time(either_store: Store) -> None:
    now = datetime.now(timezone.utc)
    old = begun(reference="A", started_at=now - timedelta(days=3))
    new = begun(reference="B", started_at=now)
    for one in (new, old):
        either_store.begin(one)
    assert either_store.examinations() == (old, new)
    assert either_store.examinations(reference="A") == (old,)
    assert either_store.examinations(since=now - timedelta(days=1)) == (new,)
    assert either_store.examinations(reference="a") == ()


def test_a_photograph_is_known_by_its_hash_and_by_whose_it_is(either_store: Store) -> None:
    digest = put_examination(either_store).photographs[0].sha256
    assert either_store.is_stored(digest)
    assert either_store.is_stored(digest, reference=REFERENCE)
    assert not either_store.is_stored(digest, reference="somebody else")
    assert not either_store.is_stored("0" * 64)


def test_an_encrypted_store_holds_neither_names_nor_photographs_in_the_clear(store: Store) -> None:
    examination, data = begun(), b"a photograph that says what it is" * 50
    store.begin(examination)
    examination, photograph = with_photograph(examination, data)
    store.add_photograph(examination, photograph, data)
    files = [path for path in store.folder.rglob("*") if path.is_file()]
    assert {"store.db", "store.db-wal"} <= {path.name for path in files}
    secret = [text.encode() for text in (REFERENCE, NAME, FILE_NAME, "Operator Olga", "a photograph that says")]
    for path in files:
        content = path.read_bytes()
        assert not [text for text in secret if text in content], path
        assert path.stat().st_mode & 0o077 == 0, path


def test_the_log_names_nobody_even_without_a_key(either_store: Store) -> None:
    put_examination(either_store)
    with either_store.session() as session:
        rows = session.connection().exec_driver_sql("SELECT * FROM audit").all()
    log = str([tuple(row) for row in rows])
    assert "image_sha256" in log
    assert not [text for text in (REFERENCE, NAME, FILE_NAME, "Olga") if text in log]


def test_what_was_found_on_a_stored_photograph_may_be_corrected(store: Store) -> None:
    examination, data = begun(), b"jpeg"
    store.begin(examination)
    examination, photograph = with_photograph(examination, data)
    store.add_photograph(examination, photograph, data)
    corrected = photograph.model_copy(update={"eye_seen": Eye.RIGHT})
    changed = examination.model_copy(update={"photographs": (corrected,)})
    store.save(changed)
    assert store.examination(examination.examination_id) == changed
    verify(store)


def test_the_same_saved_twice_is_one_entry(store: Store, stored: Examination) -> None:
    before = verify(store).head
    store.save(stored)
    store.finish(stored)
    assert verify(store).head == before


def test_the_same_photograph_twice_is_one_file_and_two_rows(store: Store) -> None:
    examination, data = begun(), b"the same bytes"
    store.begin(examination)
    for _ in range(2):
        examination, photograph = with_photograph(examination, data)
        store.add_photograph(examination, photograph, data)
    found = verify(store)
    assert (found.photographs, found.files) == (2, 1)


def test_a_copy_of_a_store_without_its_empty_folders_goes_on(store: Store) -> None:
    shutil.rmtree(store.folder / "photographs")
    put_examination(store)
    assert verify(store).files == 3
    for path in (store.folder / "photographs").rglob("*"):
        assert path.stat().st_mode & 0o077 == 0, path
    assert (store.folder / "photographs").stat().st_mode & 0o077 == 0


def test_a_photograph_that_cannot_be_written_or_removed_is_named(
    store: Store, stored: Examination, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.rmtree(store.folder / "photographs")
    (store.folder / "photographs").touch()
    with pytest.raises(StoreError, match=r"cannot use .*/photographs") as said:
        put_examination(store)
    assert said.value.why == "Not a directory"

    def refuse(self: Path, missing_ok: bool = False) -> None:
        raise PermissionError(13, "Permission denied", str(self))

    monkeypatch.setattr(Path, "unlink", refuse)
    path = store.files.path(stored.photographs[0].sha256)
    with pytest.raises(StoreError, match="Permission denied") as said:
        store.files.remove(stored.photographs[0].sha256)
    assert said.value.what == f"cannot use {path}"


def test_an_examination_is_begun_once(store: Store) -> None:
    examination = begun()
    store.begin(examination)
    with pytest.raises(StoreError, match="an examination with this number is stored"):
        store.begin(examination)


def test_a_photograph_of_an_unknown_examination_is_refused_and_leaves_nothing(store: Store) -> None:
    examination, photograph = with_photograph(begun(), b"jpeg")
    with pytest.raises(StoreError, match="it was not begun in this store, or has been deleted"):
        store.add_photograph(examination, photograph, b"jpeg")
    assert verify(store).photographs == 0
    assert not list(store.files.digests())


def test_a_photograph_is_added_once(store: Store) -> None:
    examination = begun()
    store.begin(examination)
    examination, photograph = with_photograph(examination, b"jpeg")
    store.add_photograph(examination, photograph, b"jpeg")
    with pytest.raises(StoreError, match=f"photograph {photograph.photograph_id} is stored already"):
        store.add_photograph(examination, photograph, b"jpeg")


def test_a_finished_examination_changes_no_more(store: Store, stored: Examination) -> None:
    changed = stored.model_copy(update={"reasons": ()})
    with pytest.raises(StoreError, match="it was finished at 20"):
        store.save(changed)
    more, photograph = with_photograph(stored, b"late")
    with pytest.raises(StoreError, match="begin another examination"):
        store.add_photograph(more, photograph, b"late")
    assert store.examination(stored.examination_id) == stored


def test_an_examination_is_not_saved_with_photographs_that_were_not_added(store: Store) -> None:
    examination = begun()
    store.begin(examination)
    examination, _ = with_photograph(examination, b"jpeg")
    with pytest.raises(StoreError, match="it has 1 photographs, and they are not the 0 that were added"):
        store.save(examination)


def test_bad_arguments_are_named(store: Store) -> None:
    examination = begun()
    more, photograph = with_photograph(examination, b"jpeg")
    with pytest.raises(ValueError, match="begin stores none"):
        store.begin(more)
    store.begin(examination)
    with pytest.raises(ValueError, match="that of its bytes is"):
        store.add_photograph(more, photograph, b"other")
    with pytest.raises(ValueError, match="is not the last one"):
        store.add_photograph(examination, photograph, b"jpeg")
    with pytest.raises(ValueError, match="finished_at is None"):
        store.finish(examination)
    with pytest.raises(ValueError, match="has no time zone"):
        store.finish(ended(examination, finished_at=datetime(2026, 1, 1)))
    unreadable = photograph.model_copy(
        update={"screened": photograph.screened.model_copy(update={"quality": {"focus": float("nan")}})}
    )
    with pytest.raises(ValueError, match="focus"):
        store.add_photograph(more.model_copy(update={"photographs": (unreadable,)}), unreadable, b"jpeg")
    assert store.unfinished() == (examination,)


def test_what_is_not_there_is_said(store: Store) -> None:
    with pytest.raises(StoreError, match="no examination nobody"):
        store.examination("nobody")
    with pytest.raises(StoreError, match=re.escape("cannot read the photograph " + "0" * 64)):
        store.photograph_bytes("0" * 64)


def test_room_is_asked_for_before_a_photograph_is_taken(store: Store) -> None:
    store.check_room(1000)
    with pytest.raises(StoreFull, match="no room for another examination") as said:
        store.check_room(1 << 60)
    assert "67.1 MB are kept free for the log" in said.value.why
    assert "sall-edge store retain" in said.value.fix


def test_two_writers_and_a_reader_do_not_meet(store: Store, key: Key) -> None:
    def examine(writer: Store) -> None:
        for _ in range(5):
            put_examination(writer, photographs=1)

    with open_store(store.folder, key) as other:
        threads = [threading.Thread(target=examine, args=[writer]) for writer in (store, other, store)]
        for thread in threads:
            thread.start()
        with read_store(store.folder, key) as reader:
            while any(thread.is_alive() for thread in threads):
                verify(reader)
        for thread in threads:
            thread.join()
    assert verify(store).examinations == 15


def test_a_store_that_cannot_be_written_says_so(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(self: Path, target: Path) -> Path:
        raise PermissionError(13, "Permission denied", str(target))

    examination = begun()
    store.begin(examination)
    monkeypatch.setattr(Path, "replace", refuse)
    examination, photograph = with_photograph(examination, b"jpeg")
    with pytest.raises(StoreError, match="Permission denied"):
        store.add_photograph(examination, photograph, b"jpeg")
    monkeypatch.undo()
    assert not list(store.folder.rglob("*.tmp"))
    store.add_photograph(examination, photograph, b"jpeg")


def test_everything_is_flushed_before_it_is_promised(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """The order of what a power cut could take back; no power is cut here."""
    happened: list[str] = []
    flush, replace = os.fsync, Path.replace

    def name(path: Path) -> str:
        return re.sub(r"^\.(.*)\.[^.]+\.tmp$", r"\1 being written", path.name)

    def noted_flush(descriptor: int) -> None:
        happened.append(f"flush {name(Path(f'/proc/self/fd/{descriptor}').readlink())}")
        flush(descriptor)

    def noted_replace(self: Path, target: Path) -> Path:
        happened.append(f"rename {name(self)}")
        return replace(self, target)

    examination = begun()
    store.begin(examination)
    examination, photograph = with_photograph(examination, b"jpeg")
    monkeypatch.setattr(os, "fsync", noted_flush)
    monkeypatch.setattr(Path, "replace", noted_replace)
    event.listen(store.engine, "commit", lambda connection: happened.append("commit"))
    store.add_photograph(examination, photograph, b"jpeg")
    file = store.files.path(photograph.sha256)
    assert happened == [
        f"flush {file.name} being written",
        f"rename {file.name} being written",
        f"flush {file.parent.name}",
        "flush head.json being written",
        "commit",
        "rename head.json being written",
    ]
