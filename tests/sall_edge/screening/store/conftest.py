"""Stores with and without a key."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from fakes.stored_examination import put_examination

from sall_edge.screening.examination.record import Examination
from sall_edge.screening.store.key import Key
from sall_edge.screening.store.opening import create_store, open_store
from sall_edge.screening.store.store import Store

SECRET = bytes(range(32))


@pytest.fixture
def key() -> Key:
    """A key that everybody knows."""
    return Key(secret=SECRET)


@pytest.fixture
def store(tmp_path: Path, key: Key) -> Iterator[Store]:
    """An encrypted store, open."""
    with open_store(create_store(tmp_path / "store", key), key) as opened:
        yield opened


@pytest.fixture(params=["with a key", "without a key"])
def either_store(request: pytest.FixtureRequest, tmp_path: Path, key: Key) -> Iterator[Store]:
    """A store, open; every test with it runs twice."""
    given = key if request.param == "with a key" else None
    with open_store(create_store(tmp_path / "store", given), given) as opened:
        yield opened


@pytest.fixture
def stored(store: Store) -> Examination:
    """A finished examination of three photographs in `store`."""
    return put_examination(store)
