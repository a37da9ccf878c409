"""Making a store, opening it, and tidying what a process that died left."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from fakes.stored_examination import put_examination

from sall_edge.errors import StoreError
from sall_edge.screening.examination.record import Examination
from sall_edge.screening.store.key import Key
from sall_edge.screening.store.locks import Lock, locked
from sall_edge.screening.store.opening import create_store, open_store
from sall_edge.screening.store.reader import read_store
from sall_edge.screening.store.store import Store
from sall_edge.screening.store.verify import verify

ROOT = Path(__file__).parents[4]
STRAY = "ab" * 32


def test_a_new_store_is_for_its_owner_only(tmp_path: Path, key: Key) -> None:
    folder = create_store(tmp_path / "clinic" / "store", key)
    assert {path.name for path in folder.iterdir()} >= {"store.json", "store.db", "head.json", "photographs"}
    for path in (folder, *folder.iterdir()):
        assert path.stat().st_mode & 0o077 == 0, path
    assert [path.name for path in folder.parent.iterdir()] == ["store"]


def test_a_store_is_never_made_over_something(tmp_path: Path, key: Key) -> None:
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "eye.jpg").touch()
    for place in (tmp_path / "photos", tmp_path / "photos" / "eye.jpg"):
        with pytest.raises(StoreError, match="it is there and not empty"):
            create_store(place, key)


def test_a_place_that_cannot_be_written_is_said(key: Key) -> None:
    with pytest.raises(StoreError, match="cannot use /proc/sall-edge"):
        create_store(Path("/proc/sall-edge/store"), key)


def test_a_folder_that_is_no_store_is_said(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="is not a store") as said:
        open_store(tmp_path)
    assert said.value.why == "store.json: No such file or directory"
    header = tmp_path / "store.json"
    for content, words in (
        ("{}", "is of another program"),
        ("no JSON", "Expecting value"),
        ('{"format": "sall-edge store", "format_version": 2}', "format version 2; this program reads version 1"),
        (
            '{"format": "sall-edge store", "format_version": 1, "store_id": "x", "salt": "y"}',
            "salt: String",
        ),
    ):
        header.write_text(content)
        with pytest.raises(StoreError, match=words):
            open_store(tmp_path)


def test_what_a_process_that_died_left_is_tidied(store: Store, stored: Examination, key: Key) -> None:
    store.files.keep(STRAY, store.files.stage(STRAY, b"on the disk, and its row never committed"))
    half = store.files.path(STRAY).with_name(".half.sealed.x.tmp")
    half.touch()
    (store.folder / ".head.json.x.tmp").touch()
    read_store(store.folder, key).close()
    assert half.exists()  # reading changes nothing
    open_store(store.folder, key).close()
    assert not store.files.path(STRAY).exists()
    assert not list(store.folder.rglob("*.tmp"))
    assert verify(store).files == 3


def test_a_photograph_whose_row_was_taken_away_is_evidence_and_stays(
    store: Store, stored: Examination, key: Key
) -> None:
    digest = stored.photographs[0].sha256
    with store.session() as session:
        session.connection().exec_driver_sql("DELETE FROM photographs WHERE sha256 = ?", (digest,))
    open_store(store.folder, key).close()
    assert store.files.path(digest).is_file()
    with pytest.raises(StoreError, match="is missing"):
        verify(store)


def test_a_deletion_that_was_interrupted_is_completed(store: Store, key: Key) -> None:
    examination = put_examination(store, photographs=1)
    digest = examination.photographs[0].sha256
    file = store.files.path(digest).read_bytes()
    store.delete(examination.examination_id, why="asked for")
    store.files.path(digest).write_bytes(file)  # as if the process had died before it removed the file
    open_store(store.folder, key).close()
    assert not store.files.path(digest).exists()


def test_a_head_that_a_killed_process_left_behind_catches_up(store: Store, stored: Examination, key: Key) -> None:
    head = store.folder / "head.json"
    before = head.read_bytes()
    put_examination(store)
    head.write_bytes(before)
    verify(store)
    with open_store(store.folder, key) as opened:
        assert json.loads(head.read_bytes())["seq"] == verify(opened).head.seq


def test_opening_is_in_the_log_and_needs_no_migration_library(tmp_path: Path) -> None:
    folder = create_store(tmp_path / "store")
    program = (
        "import sys; from pathlib import Path; from sall_edge.screening.store.opening import open_store;"
        "open_store(Path(sys.argv[1])).close(); print('alembic' in sys.modules, 'openvino' in sys.modules)"
    )
    command = [sys.executable, "-c", program, str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=ROOT)
    assert done.stdout.split() == ["False", "False"]
    with read_store(folder) as reader, reader.session() as session:
        kinds = session.connection().exec_driver_sql("SELECT kind FROM audit ORDER BY seq").scalars().all()
    assert kinds == ["created", "opened"]


def test_a_store_that_is_busy_for_long_is_said(store: Store) -> None:
    holder = subprocess.Popen(
        [sys.executable, "-c", "import fcntl, sys; f = open(sys.argv[1]); fcntl.flock(f, fcntl.LOCK_EX);"
         "print('held', flush=True); sys.stdin.read()", str(store.folder / Lock.WRITING.value)],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    with holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        with (
            pytest.raises(StoreError, match="is busy"),
            locked(store.folder, Lock.WRITING, patience_s=0.05),
        ):
            pass
        holder.kill()
    with locked(store.folder, Lock.WRITING, patience_s=5):  # the kernel let go of it
        pass


def test_a_lock_that_cannot_be_made_is_said(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="No such file"), locked(tmp_path / "gone", Lock.WRITING):
        pass
