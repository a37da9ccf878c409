"""`sall-edge camera` at a real pseudo-terminal: the question for a person, the keys, Ctrl-C and Ctrl-D."""

import os
import pty
import subprocess
import sys
import termios
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

from sall_edge.artifacts import Engine
from sall_edge.fundus.phantom import draw_phantom
from sall_edge.fundus.phantom.aiming import Still, write_aiming

pytestmark = pytest.mark.slow

PATIENCE_S = 60.0
ROOT = Path(__file__).parents[3]


class Terminal:
    """The keyboard and the screen of a process.

    Attributes:
        process: What runs at it.
    """

    def __init__(self, process: "subprocess.Popen[bytes]", descriptor: int) -> None:
        self.process = process
        self._descriptor = descriptor
        self._shown = b""

    def types(self, keys: str) -> None:
        """As somebody at the keyboard."""
        os.write(self._descriptor, keys.encode())

    def until(self, words: str) -> None:
        """Reads the screen until it shows this, and forgets what was before."""
        deadline = time.monotonic() + PATIENCE_S
        while words.encode() not in self._shown:
            assert time.monotonic() < deadline, self._shown[-2000:]
            self._shown += os.read(self._descriptor, 4096)
        self._shown = self._shown.split(words.encode())[-1]

    @property
    def echoes(self) -> bool:
        """Whether keys are shown, and lines are edited."""
        wanted = termios.ECHO | termios.ICANON
        return termios.tcgetattr(self._descriptor)[3] & wanted == wanted


@contextmanager
def _terminal(*command: object) -> Iterator[Terminal]:
    keyboard, program = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "sall_edge", *map(str, command)],
        stdin=program,
        stdout=program,
        stderr=program,
        cwd=ROOT,
        start_new_session=True,
        preexec_fn=lambda: os.close(os.open(os.ttyname(0), os.O_RDWR)),  # its controlling terminal: Ctrl-C is a signal
        env={**os.environ, "COLUMNS": "100", "LINES": "40", "TERM": "xterm"},
    )
    try:
        yield Terminal(process, keyboard)
    finally:
        process.kill()
        process.wait()
        os.close(keyboard)
        os.close(program)


@pytest.fixture
def command(tiny_engine: Engine, tmp_path: Path) -> list[object]:
    pixels = draw_phantom(np.random.default_rng(8), side_px=512, dr_grade=0, amd_grade=0, eye="R").pixels
    write_aiming([Still(pixels=pixels)], tmp_path / "aiming", seed=1, width_px=640, height_px=360)
    source = ("--source", f"frames:{tmp_path / 'aiming'}", "--store", tmp_path / "store")
    return ["camera", tiny_engine.path, *source, "--programme", "icdr-one-photograph", "--shutter", "operator"]


def test_one_person_after_the_other_is_asked_for_and_examined_with_keys(command: list[object]) -> None:
    with _terminal(*command) as terminal:
        terminal.until("Person")
        terminal.types("4711\n")
        terminal.until("Right eye, centred on the macula")
        assert not terminal.echoes
        terminal.types("gg")
        terminal.until("Examination finished")
        terminal.until("Person")
        assert terminal.echoes
        terminal.types("4712\n")
        terminal.until("Right eye, centred on the macula")
        terminal.types("q")
        terminal.until("Person")
        terminal.types("\x04")
        assert terminal.process.wait(PATIENCE_S) == 1  # the last one was left
        assert terminal.echoes


def test_ctrl_c_ends_it_in_words_and_gives_the_terminal_back(command: list[object]) -> None:
    with _terminal(*command, "--person", "4711") as terminal:
        terminal.until("Right eye, centred on the macula")
        terminal.types("\x03")
        terminal.until("goes on when its person comes back")
        assert terminal.process.wait(PATIENCE_S) == 130
        assert terminal.echoes


def test_ctrl_c_at_the_question_ends_it_too(command: list[object]) -> None:
    with _terminal(*command) as terminal:
        terminal.until("Person")
        terminal.types("\x03")
        assert terminal.process.wait(PATIENCE_S) == 130
