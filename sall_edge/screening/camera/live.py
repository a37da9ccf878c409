"""A live camera: the newest frame, a photograph never older than its trigger, and what is wrong if there is none.

A connection reads the driver without pause, so that nothing waits in its buffers, and keeps only the newest frame. A
second thread watches the connection, gives up one that broke, hangs or froze, and makes a new one after a pause.
"""

import threading
import time
from dataclasses import dataclass
from types import TracebackType

from sall_edge.screening.camera.connection import Connection
from sall_edge.screening.camera.frame_reader import OpensReader, StreamEnded
from sall_edge.screening.camera.health import Health, HealthLimits, is_black
from sall_edge.screening.camera.photograph import photograph_from
from sall_edge.screening.camera.raw_frame import RawFrame, is_whole, rgb_from, size_px_of
from sall_edge.screening.camera.source import U8, CameraState, Capture, Frame, Moment, Origin, SetAside
from sall_edge.screening.camera.troubles import closed, hangs, not_answering, not_ready, stands_still

__all__ = ["LiveCamera", "Patience"]

WATCH_EVERY_S = 0.1

MOST_HANGING = 3
"""Threads that may hang in a driver at a time; each holds its device and a stack."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Patience:
    """How long a driver may take, and when it is tried again.

    Attributes:
        open_s: For the first opening and its first frame; a camera on a network or a sensor that starts takes seconds.
        hang_s: For one call. OpenCV waits ten seconds for V4L2, which is given up sooner.
        still_s: Without a new picture, before the stream is opened again.
        first_pause_s, most_pause_s: Between losses and tries: doubled each time, up to the most.
        close_s: For a driver that is let go; one that takes longer is left behind.
    """

    open_s: float = 10.0
    hang_s: float = 5.0
    still_s: float = 5.0
    first_pause_s: float = 0.25
    most_pause_s: float = 8.0
    close_s: float = 2.0


class _Numbered:
    """A frame with its number; its pixels are made once, when somebody asks."""

    def __init__(self, raw: RawFrame, number: int) -> None:
        self.raw = raw
        self.number = number
        self._making = threading.Lock()
        self._pixels: U8 | None = None

    def frame(self) -> Frame | None:
        with self._making:
            if self._pixels is None:
                self._pixels = rgb_from(self.raw)
            if self._pixels is None:
                return None
            return Frame(pixels=self._pixels, exposed_s=self.raw.exposed_s, number=self.number)


class LiveCamera:
    """A `Camera` on any reader of frames.

    Args:
        opens: Opens the stream, and opens it again after a loss.
        name: For records and messages.
        limits: When it is not well.
        patience: How long its driver may take.
        details: For the record of each photograph.

    Raises:
        CameraError: It cannot be opened now, or does not answer.
        BackendMissing: What reads it is not installed.
    """

    def __init__(
        self,
        opens: OpensReader,
        *,
        name: str,
        limits: HealthLimits | None = None,
        patience: Patience | None = None,
        details: dict[str, str] | None = None,
    ) -> None:
        self._opens, self._name, self._details = opens, name, details or {}
        self._limits, self._patience = limits or HealthLimits(), patience or Patience()
        self._changed = threading.Condition()
        self._closing = threading.Event()
        self._newest: _Numbered | None = None
        self._health = Health(self._limits)  # for life: a picture from before a loss is no newer after it
        self._count = 0
        self._failure: Exception | None = None
        self._left_hanging: list[Connection] = []
        self._opened = Moment.now()
        self._connect()
        self._await_opening()
        self._watch = threading.Thread(target=self._keep, name=f"watch {name}", daemon=True)
        self._watch.start()

    @property
    def name(self) -> str:
        """For records, messages and the camera's quality limits."""
        return self._name

    @property
    def is_live(self) -> bool:
        """True."""
        return True

    @property
    def state(self) -> CameraState:
        """Now; a loss or a driver that stands still is known within about a second."""
        connection, now_s = self._connection, time.monotonic()
        if self._closing.is_set() or connection.is_over or connection.is_given_up:
            return CameraState.LOST
        if self._newest is not None:
            return self._health.state(now_s)
        opened_s = connection.opened_s
        is_silent = opened_s is not None and now_s - opened_s > self._limits.frozen_s
        return CameraState.FROZEN if is_silent else CameraState.LOST

    @property
    def awaited_since(self) -> Moment:
        """The opening."""
        return self._opened

    def frame(self, *, newer_than: int = -1, timeout_s: float = 0.0) -> Frame | None:
        """The newest frame, if its number is above `newer_than` by then; None otherwise. Never an older one."""
        deadline_s = time.monotonic() + timeout_s
        while (numbered := self._next(newer_than, deadline_s)) is not None:
            frame = numbered.frame()
            if frame is not None:
                return frame
            newer_than = numbered.number  # damaged
        return None

    def capture(self, since: Moment, *, timeout_s: float) -> Capture | None:
        """The first whole frame whose light fell at `since` or later; None if there was none in time.

        Raises:
            CameraError: The camera is lost, frozen, black, or of a wrong size, and was still so at the time-out.
        """
        deadline_s = time.monotonic() + timeout_s
        number = -1
        while (numbered := self._next(number, deadline_s)) is not None:
            number, raw = numbered.number, numbered.raw
            if raw.exposed_s < since.monotonic_s or not self._is_fit(raw):
                continue
            packed = photograph_from(raw)
            if packed is not None:
                origin = Origin(camera=self._name, details=self._details | _facts(raw, since))
                return Capture(data=packed[0], suffix=packed[1], triggered=since, origin=origin)
        if self._closing.is_set():
            raise closed(self._name)
        state = self.state
        if state is not CameraState.READY:
            failure = self._connection.failure or self._failure
            asked_px, size_px = self._limits.size_px, self._health.size_px
            raise not_ready(self._name, state, failure, asked_px=asked_px, size_px=size_px)
        return None

    def set_aside(self) -> tuple[SetAside, ...]:
        """Nothing: a live camera delivers no files."""
        return ()

    def stored(self, capture: Capture) -> None:
        """Nothing to let go."""

    def close(self) -> None:
        """Lets the camera go within `Patience.close_s`, also when its driver hangs; a second call does nothing."""
        self._closing.set()
        with self._changed:
            self._newest = None
            self._changed.notify_all()
        deadline_s = time.monotonic() + self._patience.close_s
        self._watch.join(self._patience.close_s)
        self._connection.give_up()
        self._connection.join(max(deadline_s - time.monotonic(), 0))

    def __enter__(self) -> "LiveCamera":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _next(self, newer_than: int, deadline_s: float) -> _Numbered | None:
        with self._changed:
            while not self._closing.is_set():
                if self._newest is not None and self._newest.number > newer_than:
                    return self._newest
                left_s = deadline_s - time.monotonic()
                if left_s <= 0:
                    return None
                self._changed.wait(left_s)
        return None

    def _is_fit(self, raw: RawFrame) -> bool:
        limits = self._limits
        return limits.size_px in (None, size_px_of(raw)) and not is_black(raw, limits)

    def _connect(self) -> None:
        with self._changed:
            self._newest = None
            self._connection = Connection(self._opens, self._deliver, name=self._name)
        self._connection.start()

    def _await_opening(self) -> None:
        connection, deadline_s = self._connection, time.monotonic() + self._patience.open_s
        if connection.wait_until_open(self._patience.open_s):
            self._next(-1, min(deadline_s, time.monotonic() + self._limits.frozen_s))
            return
        connection.give_up()
        raise connection.failure or not_answering(self._name, self._patience.open_s)

    def _deliver(self, connection: Connection, raw: RawFrame) -> None:
        if connection is not self._connection:
            return
        number, self._count = self._count, self._count + 1
        if not is_whole(raw):
            return
        raw = self._health.note(raw, now_s=time.monotonic())
        with self._changed:
            if connection is self._connection and not connection.is_given_up:
                self._newest = _Numbered(raw, number)
                self._changed.notify_all()

    def _keep(self) -> None:
        pause_s = self._patience.first_pause_s
        while not self._closing.wait(WATCH_EVERY_S):
            trouble = self._trouble()
            if trouble is None:
                if self.state is CameraState.READY:
                    pause_s = self._patience.first_pause_s
                continue
            self._let_go(trouble)
            if isinstance(trouble, StreamEnded) or self._closing.wait(pause_s):
                return
            pause_s = min(2 * pause_s, self._patience.most_pause_s)
            if len(self._left_hanging) < MOST_HANGING:
                self._connect()

    def _trouble(self) -> Exception | None:
        """Why the connection has to be made anew; None while it need not be."""
        connection, patience, now_s = self._connection, self._patience, time.monotonic()
        if connection.is_over or connection.is_given_up:
            return connection.failure or self._failure
        opened_s = connection.opened_s
        hang_s = patience.open_s if opened_s is None else patience.hang_s
        if connection.hangs_for_s(now_s) > hang_s:
            return hangs(self._name, hang_s)
        if opened_s is None or self.state is not CameraState.FROZEN:
            return None
        still_s = min(self._health.still_s(now_s), now_s - opened_s)
        return stands_still(self._name, patience.still_s) if still_s > patience.still_s else None

    def _let_go(self, trouble: Exception) -> None:
        connection, self._failure = self._connection, trouble
        connection.give_up()
        with self._changed:
            self._newest = None
        known = {id(one): one for one in (*self._left_hanging, connection)}
        self._left_hanging = [one for one in known.values() if not one.is_over]


def _facts(raw: RawFrame, since: Moment) -> dict[str, str]:
    width_px, height_px = size_px_of(raw)
    return {
        "size_px": f"{width_px}x{height_px}",
        "layout": raw.layout.value,
        "exposed_after_trigger_ms": f"{(raw.exposed_s - since.monotonic_s) * 1e3:.1f}",
    }
