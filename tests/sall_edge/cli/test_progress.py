"""Progress belongs to stderr, and says a file's name as it is."""

import pytest

from sall_edge.cli.progress import ProgressBar, progress_bar


def test_nothing_of_it_reaches_stdout(capfd: pytest.CaptureFixture[str]) -> None:
    with progress_bar("drawing", 3) as bar:
        bar.advance(3)
    captured = capfd.readouterr()
    assert captured.out == ""
    assert "drawing" in captured.err
    assert "3/3" in captured.err


def test_a_note_is_printed_whole_and_is_no_markup(capfd: pytest.CaptureFixture[str]) -> None:
    note = f"left out: folder [red]/{'long ' * 40}.jpg: it is empty"
    with ProgressBar() as progress:
        progress.note(note)
    assert note in capfd.readouterr().err


def test_advance_moves_the_newest_stage(capfd: pytest.CaptureFixture[str]) -> None:
    with ProgressBar() as progress:
        progress.advance()  # before any stage it means nothing
        progress.stage("first", 2)
        progress.stage("second", 4)
        progress.advance(4)
    shown = capfd.readouterr().err
    assert "0/2" in shown
    assert "4/4" in shown
