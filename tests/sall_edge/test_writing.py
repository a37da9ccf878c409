"""Whether a file can be written is known without writing it."""

from pathlib import Path

import pytest

from sall_edge.errors import OutputError
from sall_edge.writing import check_writable


def test_nothing_is_left_and_nothing_is_changed(tmp_path: Path) -> None:
    (tmp_path / "there").write_text("kept")
    check_writable(tmp_path / "there")
    check_writable(tmp_path / "new" / "file")
    assert (tmp_path / "there").read_text() == "kept"
    assert sorted(file.name for file in tmp_path.rglob("*")) == ["new", "there"]


def test_a_folder_in_its_place_is_said(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="Is a directory"):
        check_writable(tmp_path)


def test_a_file_where_its_folder_should_be_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match="cannot write"):
        check_writable(tmp_path / "file" / "page.html")
