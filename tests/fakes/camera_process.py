"""`sall-edge camera` as a process of its own, and what an integrator does with it: reads events, writes wishes."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from queue import Empty, Queue
from threading import Thread
from types import TracebackType
from typing import Any

__all__ = ["CameraProcess", "free_port", "sall_edge_process"]

PATIENCE_S = 60.0
"""For one event: several test processes may share the machine."""

Happening = dict[str, Any]


class CameraProcess:
    """`python -m sall_edge camera …  --json`, in a `with` block that kills what is left of it.

    Attributes:
        events: All that it said until now, without the guidance.
    """

    def __init__(self, *arguments: object, home: Path) -> None:
        self._process = _started("camera", *arguments, "--json", home=home)
        self._lines: Queue[str | None] = Queue()
        self.events: list[Happening] = []
        Thread(target=self._read, daemon=True).start()

    def until(self, *kinds: str, where: Callable[[Happening], bool] = lambda _: True) -> Happening:
        """The next event of one of these kinds that is like this."""
        deadline = time.monotonic() + PATIENCE_S
        while True:
            try:
                line = self._lines.get(timeout=max(deadline - time.monotonic(), 0))
            except Empty:
                raise AssertionError(f"no {kinds} in {PATIENCE_S} s after {self.events}") from None
            if line is None:
                self._lines.put(None)
                raise AssertionError(f"it ended before {kinds}: {self.events} {self.ended()}")
            event: Happening = json.loads(line)
            if event["event"] != "aiming":
                self.events.append(event)
            if event["event"] in kinds and where(event):
                return event

    def says(self, wish: str) -> None:
        """A line on its stdin."""
        assert self._process.stdin is not None
        self._process.stdin.write(wish + "\n")
        self._process.stdin.flush()

    def signalled(self, number: signal.Signals) -> None:
        """A signal, to it alone."""
        self._process.send_signal(number)

    def ended(self) -> tuple[int, str]:
        """Exit code and stderr, once it ended by itself; the events until then are taken in."""
        code = self._process.wait(PATIENCE_S)
        while (line := self._lines.get(timeout=PATIENCE_S)) is not None:
            event = json.loads(line)
            if event["event"] != "aiming":
                self.events.append(event)
        self._lines.put(None)
        assert self._process.stderr is not None
        return code, self._process.stderr.read()

    def of(self, kind: str) -> list[Happening]:
        """Events of one kind."""
        return [event for event in self.events if event["event"] == kind]

    def __enter__(self) -> "CameraProcess":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.kill()
        self._process.wait()
        for stream in (self._process.stdin, self._process.stderr):
            assert stream is not None
            stream.close()

    def _read(self) -> None:
        assert self._process.stdout is not None
        with self._process.stdout as lines:
            for line in lines:
                self._lines.put(line)
        self._lines.put(None)


def free_port() -> int:
    """Nobody listens on it at this moment."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


def sall_edge_process(*arguments: object, home: Path) -> tuple[int, str, str]:
    """Exit code, stdout and stderr of another command, at its end."""
    process = _started(*arguments, home=home)
    out, err = process.communicate(timeout=PATIENCE_S)
    return process.returncode, out, err


def _started(*arguments: object, home: Path) -> "subprocess.Popen[str]":
    folders = {"XDG_DATA_HOME": str(home / "data"), "XDG_CACHE_HOME": str(home / "cache")}
    return subprocess.Popen(
        [sys.executable, "-m", "sall_edge", *map(str, arguments)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, **folders},
        cwd=Path(__file__).parents[2],
    )
