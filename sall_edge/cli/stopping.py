"""Ctrl-C and SIGTERM: a program that loops ends between two steps, and says so by its exit code."""

import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

__all__ = ["Stopping"]

SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Stopping:
    """Used in a `with` block, from the main thread; handlers are as before afterwards.

    Outside of `noted` a signal ends the program at once, by SystemExit, so that what is open is closed. Inside it is
    only remembered, for the loop to look at; the second one ends at once there too. The exit code is 128 and the
    signal's number, as a shell has it: 130 after Ctrl-C, 143 after SIGTERM.
    """

    def __init__(self) -> None:
        self._signal: int | None = None
        self._are_noted = False

    @property
    def exit_code(self) -> int | None:
        """Of a program that was told to stop; None while it was not."""
        return None if self._signal is None else 128 + self._signal

    @contextmanager
    def noted(self) -> Iterator[None]:
        """For a loop that asks for `exit_code` often."""
        self._are_noted = True
        try:
            yield
        finally:
            self._are_noted = False

    def __enter__(self) -> "Stopping":
        self._before = {number: signal.signal(number, self._told) for number in SIGNALS}
        return self

    def __exit__(self, *raised: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _told(self, number: int, frame: FrameType | None) -> None:
        is_second = self._signal is not None
        self._signal = number
        if is_second or not self._are_noted:
            sys.exit(128 + number)
