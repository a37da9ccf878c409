"""A disk that is full: refused before a photograph is taken, and nothing is damaged by what is tried all the same."""

import errno
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from fakes import filling_process
from fakes.stored_examination import begun, with_photograph

from sall_edge.errors import StoreFull
from sall_edge.screening.store.key import write_new_key
from sall_edge.screening.store.store import Store
from sall_edge.screening.store.verify import verify

UNSHARED = ("unshare", "--user", "--map-root-user", "--mount")
MOUNT = 'mount -t tmpfs -o size=6m sall-edge-test "$0" && exec "$@"'


@pytest.fixture
def small_disk(tmp_path: Path) -> list[str]:
    """What to put before a command so that `tmp_path / "disk"` is a file system of 6 MiB for it."""
    (tmp_path / "disk").mkdir()
    command = [*UNSHARED, "sh", "-c", MOUNT, str(tmp_path / "disk")]
    try:
        done = subprocess.run([*command, "true"], capture_output=True, text=True, check=False)
    except FileNotFoundError:
        pytest.skip("no unshare(1) here, which gives a test a file system of its own")
    if done.returncode != 0:
        pytest.skip(f"this machine lets nobody mount a tmpfs in a user namespace: {done.stderr.strip()}")
    return command


def test_a_full_disk_refuses_and_damages_nothing(small_disk: list[str], tmp_path: Path) -> None:
    key = write_new_key(tmp_path / "key")
    tests = Path(filling_process.__file__).parent.parent
    command = [*small_disk, sys.executable, filling_process.__file__, str(tmp_path / "disk"), str(key)]
    environment = {**os.environ, "PYTHONPATH": f"{tests}:{tests.parent}"}
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    assert "no room for another examination" in result["before_capture"][0]
    assert len(result["when_full"]) >= 12  # every size was refused three times
    assert all("no room" in what for what in result["when_full"])
    assert result["free_bytes"] < 20_000
    assert "no room" in result["opened_when_full"]
    assert result["whole_when_full"]
    assert result["whole_after"]
    assert result["files"]
    assert result["temporary"] == []


def test_a_database_that_finds_no_room_takes_the_photograph_back(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    examination = begun()
    store.begin(examination)
    examination, photograph = with_photograph(examination, b"jpeg")
    monkeypatch.setattr("sall_edge.screening.store.head.staged", full)  # the last thing before the commit
    with pytest.raises(StoreFull, match=r"there is no room for .*head\.json"):
        store.add_photograph(examination, photograph, b"jpeg")
    monkeypatch.undo()
    assert not list(store.files.digests())
    store.add_photograph(examination, photograph, b"jpeg")
    assert verify(store).photographs == 1
