"""Where the command line keeps what it may not lose."""

from pathlib import Path

import pytest

from sall_edge.cli.data import data_folder, store_there
from sall_edge.errors import StoreLocked
from sall_edge.screening.store.key import Key


def test_the_data_folder_is_where_the_desktop_says_or_in_the_home(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    assert data_folder() == tmp_path / "data" / "sall-edge"
    monkeypatch.delenv("XDG_DATA_HOME")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert data_folder() == tmp_path / ".local" / "share" / "sall-edge"
    assert not data_folder().exists()


def test_a_store_is_made_once_and_that_it_is_not_encrypted_is_said(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "store"
    store_there(folder, None).close()
    assert capsys.readouterr().err == (
        f"note: made the store {folder}: without --key persons and photographs lie in it unencrypted\n"
    )
    store_there(folder, None).close()
    assert capsys.readouterr().err == ""


def test_a_store_with_a_key_opens_with_it_alone(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "store"
    store_there(folder, Key(secret=bytes(range(32)))).close()
    assert capsys.readouterr().err == f"note: made the store {folder}\n"
    with pytest.raises(StoreLocked, match="no key was given"):
        store_there(folder, None)
