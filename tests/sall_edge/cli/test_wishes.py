"""Keys on a real pseudo-terminal, lines from a real pipe."""

import os
import pty
import sys
import termios
import time
from collections.abc import Iterator

import pytest

from sall_edge.cli.wishes import wishes_from_stdin
from sall_edge.screening.station.controls import Command, Controls

SOON_S = 5.0


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> Iterator[int]:
    """The keyboard's end of a terminal that is stdin."""
    keyboard, program = pty.openpty()
    with os.fdopen(program) as stdin:
        monkeypatch.setattr(sys, "stdin", stdin)
        yield keyboard
    os.close(keyboard)


@pytest.fixture
def pipe(monkeypatch: pytest.MonkeyPatch) -> Iterator[int]:
    """The writing end of a pipe that is stdin."""
    read_end, write_end = os.pipe()
    with os.fdopen(read_end) as stdin:
        monkeypatch.setattr(sys, "stdin", stdin)
        yield write_end


def _wishes(controls: Controls, count: int) -> list[Command]:
    """That many, or those that came soon."""
    found: list[Command] = []
    deadline = time.monotonic() + SOON_S
    while len(found) < count and time.monotonic() < deadline:
        if (wish := controls.next()) is not None:
            found.append(wish)
        else:
            time.sleep(0.01)
    return found


def test_keys_are_wishes_without_return_and_others_are_nothing(terminal: int) -> None:
    controls = Controls()
    with wishes_from_stdin(controls):
        os.write(terminal, b" xG\xc3\xa4sq")
        assert _wishes(controls, 4) == [Command.RELEASE, Command.GIVE_UP, Command.OTHER_EYE, Command.LEAVE]
    assert controls.next() is None


def test_the_terminal_shows_no_keys_meanwhile_and_is_as_before_afterwards(terminal: int) -> None:
    before = termios.tcgetattr(sys.stdin.fileno())
    with wishes_from_stdin(Controls()):
        during = termios.tcgetattr(sys.stdin.fileno())
    assert before[3] & (termios.ECHO | termios.ICANON) == termios.ECHO | termios.ICANON
    assert during[3] & (termios.ECHO | termios.ICANON) == 0
    assert during[3] & termios.ISIG  # Ctrl-C still is one
    assert termios.tcgetattr(sys.stdin.fileno()) == before


def test_the_terminal_is_as_before_after_an_error_too(terminal: int) -> None:
    before = termios.tcgetattr(sys.stdin.fileno())
    with pytest.raises(SystemExit), wishes_from_stdin(Controls()):
        sys.exit(130)
    assert termios.tcgetattr(sys.stdin.fileno()) == before


def test_what_is_typed_after_the_block_answers_the_next_question(terminal: int) -> None:
    for person in ("4711", "4712"):
        with wishes_from_stdin(Controls()):
            pass
        os.write(terminal, f"{person}\n".encode())
        assert input() == person


def test_lines_of_a_pipe_are_wishes_also_when_they_come_in_parts(pipe: int) -> None:
    controls = Controls()
    with wishes_from_stdin(controls):
        os.write(pipe, b"rele")
        time.sleep(0.05)
        os.write(pipe, b"ase\nnonsense\n give_up \r\nleave\n")
        assert _wishes(controls, 3) == [Command.RELEASE, Command.GIVE_UP, Command.LEAVE]
        assert controls.next() is None
    os.close(pipe)


def test_the_end_of_a_pipe_is_no_wish(pipe: int) -> None:
    os.close(pipe)
    controls = Controls()
    with wishes_from_stdin(controls):
        time.sleep(0.05)
    assert controls.next() is None


@pytest.mark.parametrize("stdin", ["none", "closed"])
def test_a_service_without_stdin_has_no_wishes(monkeypatch: pytest.MonkeyPatch, stdin: str) -> None:
    closed = open(os.devnull)  # noqa: PTH123, SIM115  # closed at once: that is what is tried
    closed.close()
    monkeypatch.setattr(sys, "stdin", None if stdin == "none" else closed)
    with wishes_from_stdin(Controls()):
        pass
