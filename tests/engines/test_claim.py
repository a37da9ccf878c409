import os
from pathlib import Path

import pytest

from engines.claim import claimed
from sall_edge.errors import BuildError, OutputError


def test_the_second_is_told_and_the_third_comes_when_the_first_has_finished(tmp_path: Path) -> None:
    engine = tmp_path / "engine"
    with claimed(engine):
        with pytest.raises(BuildError, match="is being rebuilt already") as error, claimed(engine):
            pass
        assert error.value.fix == "wait until it has finished"
        with claimed(tmp_path / "other"):
            pass
    with claimed(engine):
        pass
    assert not list(tmp_path.iterdir())


def test_an_error_lets_go(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt), claimed(tmp_path / "engine"):
        raise KeyboardInterrupt
    assert not list(tmp_path.iterdir())


def test_what_a_killed_rebuild_left_behind_is_removed_by_the_next(tmp_path: Path) -> None:
    (tmp_path / ".engine.abc.tmp").mkdir()
    (tmp_path / ".engine.abc.tmp" / "model.onnx").touch()
    (tmp_path / ".engine.rebuild").write_text(".engine.abc.tmp")  # nobody locks it any more
    with claimed(tmp_path / "engine") as remember:
        assert not (tmp_path / ".engine.abc.tmp").exists()
        remember(tmp_path / ".engine.longer-than-before.tmp")
        assert (tmp_path / ".engine.rebuild").read_text() == ".engine.longer-than-before.tmp"
        remember(tmp_path / ".engine.x.tmp")
        assert (tmp_path / ".engine.rebuild").read_text() == ".engine.x.tmp"


@pytest.mark.parametrize("name", ["engine", "../photographs", ".engine./../../x.tmp", "", ".other.abc.tmp", "\0\xff"])
def test_nothing_else_is_ever_removed(tmp_path: Path, name: str) -> None:
    for folder in ("engine", ".other.abc.tmp", "photographs", ".engine."):
        (tmp_path / "sub" / folder).mkdir(parents=True)
    (tmp_path / "photographs").mkdir()
    (tmp_path / "x.tmp").mkdir()
    (tmp_path / "sub" / ".engine.rebuild").write_text(name, encoding="latin-1")
    with claimed(tmp_path / "sub" / "engine"):
        pass
    assert {file.name for file in tmp_path.iterdir()} == {"sub", "photographs", "x.tmp"}
    assert {file.name for file in (tmp_path / "sub").iterdir()} == {
        "engine",
        ".other.abc.tmp",
        "photographs",
        ".engine.",
    }


def test_a_lock_file_that_its_holder_removed_meanwhile_is_no_lock(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between our open and our flock the holder finishes and removes the file: the next who comes makes a new one."""
    place, honest, opened = tmp_path / ".engine.rebuild", os.open, []

    def slow_open(path: Path, *options: int) -> int:
        descriptor = honest(path, *options)
        if not opened:
            place.unlink()
        opened.append(descriptor)
        return descriptor

    monkeypatch.setattr("engines.claim.os.open", slow_open)
    with claimed(tmp_path / "engine"):
        assert len(opened) == 2
        assert os.path.samestat(os.fstat(opened[1]), place.stat())


def test_a_folder_that_may_not_be_written_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match="cannot write beside") as error, claimed(tmp_path / "file" / "engine"):
        pass
    assert "write access" in error.value.fix
