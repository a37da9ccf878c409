"""A photograph is written while it is judged, and what becomes of the file when that goes otherwise than well."""

import errno
import threading
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path

import pytest
from fakes.stored_examination import begun, with_photograph

from sall_edge.errors import StoreFull
from sall_edge.screening.examination.record import Examination
from sall_edge.screening.store.files import staged
from sall_edge.screening.store.key import Key
from sall_edge.screening.store.opening import open_store
from sall_edge.screening.store.store import Store
from sall_edge.screening.store.verify import verify

DATA = b"jpeg"
DIGEST = sha256(DATA).hexdigest()


@pytest.fixture
def examination(store: Store) -> Examination:
    """Begun in `store`."""
    examination = begun()
    store.begin(examination)
    return examination


@pytest.fixture
def until_written(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """Waits until the photograph is on the disk, beside its place."""
    written = threading.Event()

    def noted(path: Path, data: bytes) -> Path:
        temporary = staged(path, data)
        written.set()
        return temporary

    monkeypatch.setattr("sall_edge.screening.store.files.staged", noted)

    def wait() -> None:
        assert written.wait(10)

    return wait


def _temporary(store: Store) -> list[Path]:
    return list(store.folder.rglob("*.tmp"))


def test_the_file_is_on_the_disk_before_the_verdict_is_known(
    store: Store, examination: Examination, until_written: Callable[[], None]
) -> None:
    with store.receiving(DATA, sha256=DIGEST) as received:
        until_written()  # judging takes as long as it takes
        assert len(_temporary(store)) == 1
        more, photograph = with_photograph(examination, DATA)
        store.add_received(more, photograph, received)
    assert verify(store).files == 1
    assert not _temporary(store)


def test_a_store_that_is_opened_meanwhile_costs_the_photograph_nothing(
    store: Store, examination: Examination, key: Key, until_written: Callable[[], None]
) -> None:
    with store.receiving(DATA, sha256=DIGEST) as received:
        until_written()
        open_store(store.folder, key).close()
        assert not _temporary(store)  # taken for what a dead process had left
        more, photograph = with_photograph(examination, DATA)
        store.add_received(more, photograph, received)
    assert verify(store).files == 1
    assert store.photograph_bytes(DIGEST) == DATA
    assert not _temporary(store)


def test_a_photograph_that_is_not_judged_leaves_nothing(store: Store, examination: Examination) -> None:
    with pytest.raises(KeyboardInterrupt), store.receiving(DATA, sha256=DIGEST):
        raise KeyboardInterrupt
    assert not _temporary(store)
    assert not list(store.files.digests())
    assert verify(store).photographs == 0


def test_a_disk_that_fills_up_meanwhile_is_said_when_it_is_stored(
    store: Store, examination: Examination, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    more, photograph = with_photograph(examination, DATA)
    monkeypatch.setattr("sall_edge.screening.store.files.os.fsync", full)
    with (
        pytest.raises(StoreFull, match=f"there is no room for .*{DIGEST}"),
        store.receiving(DATA, sha256=DIGEST) as received,
    ):
        store.add_received(more, photograph, received)
    monkeypatch.undo()
    assert not _temporary(store)
    assert verify(store).photographs == 0
    store.add_photograph(more, photograph, DATA)
    assert verify(store).photographs == 1
