"""What an operator or an integrator says to `sall-edge camera` on stdin."""

import sys
import termios
import threading
import tty
from collections.abc import Iterator
from contextlib import contextmanager

from sall_edge.screening.station.controls import Command, Controls

__all__ = ["KEYS", "wishes_from_stdin"]

KEYS = {" ": Command.RELEASE, "g": Command.GIVE_UP, "q": Command.LEAVE}
"""On a terminal one key is enough; from a pipe a line with the command's name is read."""


@contextmanager
def wishes_from_stdin(controls: Controls) -> Iterator[None]:
    """Passes on what is said during the block; a terminal shows no keys meanwhile, and is as before afterwards."""
    if sys.stdin is None or sys.stdin.closed:
        yield
        return
    if not sys.stdin.isatty():
        threading.Thread(target=_lines, args=(controls,), name="wishes", daemon=True).start()
        yield
        return
    before = termios.tcgetattr(sys.stdin)
    tty.setcbreak(sys.stdin)
    threading.Thread(target=_keys, args=(controls,), name="wishes", daemon=True).start()
    try:
        yield
    finally:
        termios.tcsetattr(sys.stdin, termios.TCSADRAIN, before)


def _lines(controls: Controls) -> None:
    for line in sys.stdin:
        if (said := line.strip()) in set(Command):
            controls.wish(Command(said))


def _keys(controls: Controls) -> None:
    while key := sys.stdin.read(1):
        if (command := KEYS.get(key.lower())) is not None:
            controls.wish(command)
