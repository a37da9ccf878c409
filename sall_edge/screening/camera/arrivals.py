"""Files that arrive in a folder while somebody still writes them: each is given once, whole, in order of arrival."""

import os
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path

from watchfiles import watch

from sall_edge.errors import PhotographError
from sall_edge.screening.camera.source import Capture, Moment, SetAside, WhySetAside

__all__ = ["Arrival", "Arrivals", "ReadCapture"]

RESCAN_MS = 500
"""However the system notifies of changes, some are lost: on network shares, and when very many come at once."""

SETTLE_S = 0.2
"""A file that is whole has to stay unchanged so long: some cameras write a preview first and the photograph over it."""

PATIENCE_S = 15.0
"""A file that is not whole and has not grown for so long will not become so."""

ReadCapture = Callable[[Path, Moment], Capture]
"""The capture of a file that arrived at a moment; raises PhotographError while the file is not whole."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Arrival:
    """A photograph that is whole.

    Attributes:
        path: Its file.
        arrived: When it was first seen; of a file that was there before, when it was written.
        capture: Its content.
    """

    path: Path
    arrived: Moment
    capture: Capture


@dataclass(slots=True)
class _Pending:
    """A file that is being watched until it is whole."""

    arrived: Moment
    state: tuple[int, int, int]
    unchanged_since_s: float


class Arrivals:
    """Watches a folder from a thread of its own until it is closed.

    Args:
        folder: And what is below it.
        suffixes: Of photographs, in lower case.
        read: Makes a capture of a file.
    """

    def __init__(self, folder: Path, *, suffixes: Iterable[str], read: ReadCapture) -> None:
        self._folder = folder
        self._suffixes = frozenset(suffixes)
        self._read = read
        self._pending: dict[Path, _Pending] = {}
        self._done: dict[Path, tuple[int, int, int]] = {}
        self._ready: deque[Arrival] = deque()
        self._aside: deque[SetAside] = deque()
        self._changed = threading.Condition()
        self._stop = threading.Event()
        self._failure: Exception | None = None
        self._is_opening = True
        self._look()
        self._is_opening = False
        self._thread = threading.Thread(target=self._watch, name=f"arrivals {folder.name}", daemon=True)
        self._thread.start()

    def next(self, since: Moment, *, timeout_s: float) -> Arrival | None:
        """The oldest that was taken at `since` or later and was not given yet; older ones are set aside.

        A defect that ended the watching is raised here: it would go unseen while photographs arrive.
        """
        deadline = time.monotonic() + timeout_s
        with self._changed:
            while True:
                while self._ready:
                    arrival = self._ready.popleft()
                    taken = arrival.capture.triggered.utc
                    if taken >= since.utc:
                        return arrival
                    self._aside.append(SetAside(name=arrival.path.name, why=WhySetAside.EARLIER, taken_at=taken))
                if self._failure is not None:
                    raise self._failure
                left_s = deadline - time.monotonic()
                if left_s <= 0 or not self._changed.wait(left_s):
                    return None

    def set_aside(self) -> tuple[SetAside, ...]:
        """What was set aside since the last call."""
        with self._changed:
            named = tuple(self._aside)
            self._aside.clear()
            return named

    @property
    def is_watching(self) -> bool:
        """Whether the folder is there, and looked at."""
        return self._failure is None and self._folder.is_dir()

    def close(self) -> None:
        """Stops watching."""
        self._stop.set()
        self._thread.join(timeout=5)

    def _watch(self) -> None:
        try:
            self._keep_looking()
        except Exception as defect:  # raised to whoever waits for a photograph, see `next`
            with self._changed:
                self._failure = defect
                self._changed.notify_all()

    def _keep_looking(self) -> None:
        while not self._stop.is_set():
            if not self._folder.is_dir():  # a share that was unmounted, a stick that was pulled: it may come back
                self._stop.wait(RESCAN_MS / 1000)
                continue
            changes = watch(
                self._folder,
                watch_filter=None,
                debounce=50,
                step=10,
                rust_timeout=RESCAN_MS,
                yield_on_timeout=True,
                stop_event=self._stop,
                raise_interrupt=False,
            )
            try:
                for _ in changes:
                    self._look_until_settled()
            except OSError:  # the folder went away while it was watched
                self._stop.wait(RESCAN_MS / 1000)

    def _look_until_settled(self) -> None:
        self._look()
        while self._settling() and not self._stop.wait(SETTLE_S / 4):
            self._look()

    def _settling(self) -> bool:
        """Whether a file changed so lately that it is worth to look again at once."""
        now = time.monotonic()
        return any(now - pending.unchanged_since_s < 2 * SETTLE_S for pending in self._pending.values())

    def _look(self) -> None:
        """One pass over the folder."""
        found = {path: state for path in self._files() if (state := _state(path)) is not None}
        now = Moment.now()
        for path in [path for path in self._pending if path not in found]:
            del self._pending[path]
        for path, state in sorted(found.items(), key=lambda item: (item[1][0], item[0])):
            if self._done.get(path) == state:
                continue
            pending = self._pending.get(path)
            if pending is None:
                arrived = _written(state, now) if self._is_opening else now
                self._pending[path] = _Pending(arrived=arrived, state=state, unchanged_since_s=now.monotonic_s)
            elif pending.state != state:
                pending.state, pending.unchanged_since_s = state, now.monotonic_s
            elif now.monotonic_s - pending.unchanged_since_s >= SETTLE_S:
                self._take(path, pending, now)

    def _take(self, path: Path, pending: _Pending, now: Moment) -> None:
        try:
            capture = self._read(path, pending.arrived)
        except PhotographError as problem:
            if now.monotonic_s - pending.unchanged_since_s < PATIENCE_S:
                return
            outcome: Arrival | SetAside = SetAside(
                name=path.name, why=WhySetAside.UNREADABLE, detail=f"{problem.what}: {problem.why}"
            )
        else:
            outcome = Arrival(path=path, arrived=pending.arrived, capture=capture)
        if _state(path) != pending.state:
            return  # it changed while it was read
        del self._pending[path]
        self._done[path] = pending.state
        with self._changed:
            if isinstance(outcome, Arrival):
                self._ready.append(outcome)
            else:
                self._aside.append(outcome)
            self._changed.notify_all()

    def _files(self) -> list[Path]:
        return [
            Path(folder) / name
            for folder, _, names in os.walk(self._folder)
            for name in names
            if not name.startswith(".") and Path(name).suffix.lower() in self._suffixes
        ]


def _state(path: Path) -> tuple[int, int, int] | None:
    """What changes when a file does; None where it is gone, or empty."""
    try:
        found = path.stat()
    except OSError:
        return None
    return (found.st_mtime_ns, found.st_size, found.st_ino) if found.st_size else None


def _written(state: tuple[int, int, int], now: Moment) -> Moment:
    """When a file that was there before was last written."""
    return now.when(datetime.fromtimestamp(state[0] / 1e9, tz=timezone.utc))
