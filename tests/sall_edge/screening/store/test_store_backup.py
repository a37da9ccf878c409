"""Backups made while others write, and stores made of them."""

import os
import tarfile
import threading
from io import BytesIO
from pathlib import Path

import pytest
from fakes.stored_examination import NAME, put_examination

from sall_edge.artifacts import sha256_of_file
from sall_edge.errors import AuditBroken, OutputError, SallEdgeError, StoreError, StoreFull, StoreLocked
from sall_edge.screening.examination.record import Examination
from sall_edge.screening.store import backup, locks
from sall_edge.screening.store.backup import restore, write_backup
from sall_edge.screening.store.key import Key
from sall_edge.screening.store.locks import Hold, Lock, locked
from sall_edge.screening.store.opening import open_store
from sall_edge.screening.store.reader import read_store
from sall_edge.screening.store.store import Store
from sall_edge.screening.store.verify import verify


def _key_of(store: Store, key: Key) -> Key | None:
    return key if store.header.key_check else None


def test_a_backup_becomes_a_store_with_the_same_content(either_store: Store, key: Key, tmp_path: Path) -> None:
    examination = put_examination(either_store)
    done = write_backup(either_store, tmp_path / "backup.tar")
    assert done.photographs == 3
    assert done.sha256 == sha256_of_file(done.path)
    assert done.path.stat().st_mode & 0o077 == 0
    folder = restore(done.path, tmp_path / "restored", _key_of(either_store, key))
    with open_store(folder, _key_of(either_store, key)) as restored:
        assert restored.examinations() == (examination,)
        assert verify(restored).files == 3
        put_examination(restored)  # it goes on
        with restored.session() as session:
            entry = "SELECT payload FROM audit WHERE kind = 'restored'"
            assert done.sha256 in session.connection().exec_driver_sql(entry).scalar_one()
    with either_store.session() as session:
        entry = "SELECT payload FROM audit WHERE kind = 'backup'"
        assert done.sha256 in session.connection().exec_driver_sql(entry).scalar_one()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["backup.tar", "restored", "store"]


def test_a_backup_is_as_encrypted_as_the_store(store: Store, stored: Examination, tmp_path: Path) -> None:
    assert NAME.encode() not in write_backup(store, tmp_path / "backup.tar").path.read_bytes()


def test_a_backup_made_while_others_write_is_whole(store: Store, key: Key, tmp_path: Path) -> None:
    is_over = threading.Event()

    def examine() -> None:
        while not is_over.is_set():
            put_examination(store, photographs=1)

    put_examination(store)
    writer = threading.Thread(target=examine)
    writer.start()
    try:
        with open_store(store.folder, key) as other:
            paths = [write_backup(other, tmp_path / f"{number}.tar").path for number in range(2)]
    finally:
        is_over.set()
        writer.join()
    for path in paths:
        with read_store(restore(path, tmp_path / path.stem, key), key) as restored:
            assert verify(restored).examinations >= 1


def test_deleting_waits_for_a_backup(store: Store, stored: Examination, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(locks, "PATIENCE_S", 0.05)
    with locked(store.folder, Lock.KEEPING, how=Hold.SHARED):
        with pytest.raises(StoreError, match="another process is writing to it, or backs it up"):
            store.delete(stored.examination_id, why="asked for")
        assert verify(store).examinations == 1  # both only want the files to stay
    store.delete(stored.examination_id, why="asked for")


def test_a_backup_and_a_verification_wait_for_deleting(
    store: Store, stored: Examination, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(locks, "PATIENCE_S", 0.05)
    with locked(store.folder, Lock.KEEPING):
        with pytest.raises(StoreError, match="is busy"):
            write_backup(store, tmp_path / "backup.tar")
        with pytest.raises(StoreError, match="is busy"):
            verify(store)
    assert [path.name for path in tmp_path.iterdir()] == ["store"]
    assert write_backup(store, tmp_path / "backup.tar").photographs == 3


def _with_members(archive: Path, **changed: bytes | None) -> Path:
    """The backup with other members: None takes one out."""
    path = archive.with_name("changed.tar")
    with tarfile.open(archive) as old, tarfile.open(path, "w") as new:
        for member in old:
            if member.name not in changed:
                new.addfile(member, old.extractfile(member))
        for name, data in changed.items():
            if data is not None:
                member = tarfile.TarInfo(name)
                member.size = len(data)
                new.addfile(member, BytesIO(data))
    return path


def test_a_backup_that_was_changed_is_refused_and_nothing_appears(
    store: Store, stored: Examination, key: Key, tmp_path: Path
) -> None:
    archive = write_backup(store, tmp_path / "backup.tar").path
    one, other = (str(store.files.path(p.sha256).relative_to(store.folder)) for p in stored.photographs[:2])
    sealed = (store.folder / other).read_bytes()
    cases: list[tuple[dict[str, bytes | None], type[SallEdgeError], str]] = [
        ({one: sealed}, AuditBroken, "is not what was stored"),
        ({one: None}, AuditBroken, "cannot read the photograph"),
        ({"head.json": None}, AuditBroken, "cannot be trusted"),
        ({"store.json": None}, StoreError, "is not a store"),
        ({"store.db": None}, StoreError, "store.db is missing"),
        ({"store.db": b""}, AuditBroken, "it holds no tables"),
        ({"../escaped": b""}, StoreError, "which no backup does"),
        ({"/tmp/escaped": b""}, StoreError, "which no backup does"),
    ]
    for changed, kind, words in cases:
        with pytest.raises(kind, match=words) as said:
            restore(_with_members(archive, **changed), tmp_path / "restored", key)
        assert said.value.what.startswith(str(tmp_path / "changed.tar"))
        assert ".tmp" not in str(said.value)
    link = tarfile.TarInfo("head.json")
    link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
    with tarfile.open(tmp_path / "link.tar", "w") as tar:
        tar.addfile(link)
    with pytest.raises(StoreError, match="is not a backup"):
        restore(tmp_path / "link.tar", tmp_path / "restored", key)
    assert {path.name for path in tmp_path.iterdir()} == {"store", "backup.tar", "changed.tar", "link.tar"}


@pytest.mark.parametrize("share", [0.0, 0.3, 0.8])
def test_a_backup_that_was_cut_short_is_refused(
    store: Store, stored: Examination, key: Key, tmp_path: Path, share: float
) -> None:
    archive = write_backup(store, tmp_path / "backup.tar").path
    whole = archive.read_bytes()
    archive.write_bytes(whole[: int(len(whole) * share)])
    with pytest.raises(StoreError):
        restore(archive, tmp_path / "restored", key)
    assert not (tmp_path / "restored").exists()


def test_restoring_needs_the_key_and_an_empty_place(
    store: Store, stored: Examination, key: Key, tmp_path: Path
) -> None:
    archive = write_backup(store, tmp_path / "backup.tar").path
    with pytest.raises(StoreLocked, match="is encrypted") as said:
        restore(archive, tmp_path / "restored", None)
    assert said.value.what == f"the backup {archive} is encrypted"
    with pytest.raises(StoreLocked, match="does not fit the backup"):
        restore(archive, tmp_path / "restored", Key(secret=bytes(32)))
    with pytest.raises(StoreError, match="not empty"):
        restore(archive, store.folder, key)
    with pytest.raises(StoreError, match="name a file that store backup wrote"):
        restore(tmp_path / "gone.tar", tmp_path / "restored", key)


def test_the_store_that_appears_is_on_the_disk(
    store: Store, stored: Examination, key: Key, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every file and, after it, every folder that has its name; no power is cut here."""
    archive = write_backup(store, tmp_path / "backup.tar").path
    flushed: list[str] = []

    def noted(descriptor: int) -> None:
        path = Path(f"/proc/self/fd/{descriptor}").readlink()
        flushed.append(path.name if path.is_file() else f"{path.name}/")

    monkeypatch.setattr(os, "fsync", noted)
    restore(archive, tmp_path / "restored", key)
    for photograph in stored.photographs:
        file = store.files.path(photograph.sha256)
        assert flushed.index("photographs/") < flushed.index(file.name) < flushed.index(f"{file.parent.name}/")
    assert flushed[-2].startswith(".restored.")
    assert flushed[-1] == f"{tmp_path.name}/"


def test_a_backup_does_not_lie_in_the_store(store: Store) -> None:
    before = (store.folder / "store.db").read_bytes()
    for place in (store.folder / "store.db", store.folder / "photographs" / ".." / "backup.tar"):
        with pytest.raises(OutputError, match="it lies in the store") as said:
            write_backup(store, place)
        assert said.value.fix == "name a place outside the store, on another disk"
    assert (store.folder / "store.db").read_bytes() == before


def test_damage_is_said_when_the_backup_is_made(store: Store, stored: Examination, tmp_path: Path) -> None:
    store.files.path(stored.photographs[0].sha256).write_bytes(b"damage")
    with pytest.raises(StoreError, match=stored.photographs[0].sha256):
        write_backup(store, tmp_path / "backup.tar")
    (store.folder / "head.json").unlink()
    with pytest.raises(AuditBroken, match="cannot be trusted"):
        write_backup(store, tmp_path / "backup.tar")
    assert [path.name for path in tmp_path.iterdir()] == ["store"]


def test_a_place_without_room_is_not_the_stores_fault(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(OutputError, match="No such file"):
        write_backup(store, tmp_path / "gone" / "backup.tar")

    def full(*_: object) -> None:
        raise StoreFull("the store has no room", "database or disk is full", "free room")

    monkeypatch.setattr(backup, "copy_database", full)
    with pytest.raises(OutputError, match="database or disk is full"):
        write_backup(store, tmp_path / "backup.tar")
    assert [path.name for path in tmp_path.iterdir()] == ["store"]
