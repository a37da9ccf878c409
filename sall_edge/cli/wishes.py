"""What an operator or an integrator says to `sall-edge camera` on stdin."""

import os
import select
import sys
import termios
import threading
import tty
from collections.abc import Iterator
from contextlib import contextmanager

from sall_edge.screening.station.controls import Command, Controls

__all__ = ["KEYS", "wishes_from_stdin"]

KEYS = {" ": Command.RELEASE, "g": Command.GIVE_UP, "s": Command.OTHER_EYE, "q": Command.LEAVE}
"""On a terminal one key is enough; from a pipe a line with the command's name is read."""

WAIT_S = 0.2
"""How long the end of the block may wait for the reader, which must not take what a later question is answered with."""


@contextmanager
def wishes_from_stdin(controls: Controls) -> Iterator[None]:
    """Passes on what is said during the block; a terminal shows no keys meanwhile, and is as before afterwards."""
    if sys.stdin is None or sys.stdin.closed:
        yield
        return
    descriptor, is_over = sys.stdin.fileno(), threading.Event()
    before = termios.tcgetattr(descriptor) if os.isatty(descriptor) else None
    if before is not None:
        tty.setcbreak(descriptor)
    reader = threading.Thread(target=_read, args=(descriptor, controls, is_over, before is not None), daemon=True)
    reader.start()
    try:
        yield
    finally:
        is_over.set()
        reader.join()
        if before is not None:
            termios.tcsetattr(descriptor, termios.TCSADRAIN, before)


def _read(descriptor: int, controls: Controls, is_over: threading.Event, is_terminal: bool) -> None:
    said = b""
    while not is_over.is_set():
        if not select.select([descriptor], [], [], WAIT_S)[0]:
            continue
        part = os.read(descriptor, 1 if is_terminal else 1024)
        if not part:
            return
        if is_terminal:
            _wish(KEYS.get(part.decode(errors="replace").lower()), controls)
            continue
        *lines, said = (said + part).split(b"\n")
        for line in lines:
            word = line.decode(errors="replace").strip()
            _wish(Command(word) if word in set(Command) else None, controls)


def _wish(command: Command | None, controls: Controls) -> None:
    if command is not None:
        controls.wish(command)
