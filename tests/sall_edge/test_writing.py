"""Whether a file can be written is known without writing it, and who may read it is said while it is written."""

from collections.abc import Callable
from pathlib import Path

import pytest

from sall_edge.errors import OutputError
from sall_edge.writing import PRIVATE, check_writable, file_being_written, make_folder


def _mode(path: Path) -> int:
    return path.stat().st_mode & 0o777


@pytest.mark.parametrize(
    ("mode", "mask", "left"),
    [(0o644, 0o022, 0o644), (0o644, 0o077, 0o600), (PRIVATE, 0o000, 0o600), (0o640, 0o022, 0o640)],
)
def test_a_file_has_its_mode_from_the_first_byte_on_and_the_umask_takes_away(
    tmp_path: Path, umask: Callable[[int], int], mode: int, mask: int, left: int
) -> None:
    umask(mask)
    with file_being_written(tmp_path / "file.txt", mode=mode) as temporary:
        assert _mode(temporary) == left
        temporary.write_text("whole")
    assert _mode(tmp_path / "file.txt") == left


def test_a_private_file_takes_the_place_of_one_that_all_could_read(tmp_path: Path) -> None:
    (tmp_path / "file.txt").write_text("old")
    (tmp_path / "file.txt").chmod(0o644)
    with file_being_written(tmp_path / "file.txt", mode=PRIVATE) as temporary:
        temporary.write_text("new")
    assert _mode(tmp_path / "file.txt") == 0o600


def test_a_folder_that_is_made_has_its_mode_and_one_that_is_there_keeps_its_own(
    tmp_path: Path, umask: Callable[[int], int]
) -> None:
    umask(0o022)
    (tmp_path / "there").mkdir()
    for name in ("made", "there"):
        make_folder(tmp_path / name, mode=0o700)
    assert (_mode(tmp_path / "made"), _mode(tmp_path / "there")) == (0o700, 0o755)


def test_a_folder_that_cannot_be_made_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match="cannot write"):
        make_folder(tmp_path / "file" / "folder", mode=0o700)


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
