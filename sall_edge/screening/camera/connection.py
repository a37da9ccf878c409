"""One opened stream and the thread that reads it: given up when its driver hangs, and never waited for.

A thread is enough. A read that hangs in OpenCV or GStreamer holds no lock of ours, so the camera goes on
without it; a process could be killed, but not while it hangs inside the kernel, which is where drivers hang, and every
frame would be copied once more. What a thread cannot do is free the device it hangs on: see `LiveCamera`.
"""

import threading
import time
from collections.abc import Callable

from sall_edge.errors import SallEdgeError
from sall_edge.screening.camera.frame_reader import OpensReader
from sall_edge.screening.camera.raw_frame import RawFrame

__all__ = ["Connection"]


class Connection:
    """Opens a stream and delivers its frames until it breaks or is given up.

    Args:
        opens: Opens the stream, in the thread of this connection.
        deliver: Takes each frame, in that thread.
        name: Of the camera, for the thread's name.
    """

    def __init__(self, opens: OpensReader, deliver: "Callable[[Connection, RawFrame], None]", *, name: str) -> None:
        self._opens = opens
        self._deliver = deliver
        self._given_up = threading.Event()
        self._opened = threading.Event()
        self._over = threading.Event()
        self._called_s: float | None = None
        self.failure: Exception | None = None
        self.opened_s: float | None = None
        self._thread = threading.Thread(target=self._run, name=f"camera {name}", daemon=True)

    def start(self) -> None:
        """Opens the stream, in the thread."""
        self._called_s = time.monotonic()
        self._thread.start()

    @property
    def is_over(self) -> bool:
        """Whether nothing more comes from it, and its device is free; `failure` says why unless it was given up."""
        return self._over.is_set()

    @property
    def is_given_up(self) -> bool:
        """Whether nothing more is wanted of it."""
        return self._given_up.is_set()

    def hangs_for_s(self, now_s: float) -> float:
        """Seconds since the driver was called without coming back; 0 while it is not called."""
        called_s = self._called_s
        return 0.0 if called_s is None else now_s - called_s

    def wait_until_open(self, timeout_s: float) -> bool:
        """Whether it is open by then; one that failed is not, and is not waited for."""
        deadline = time.monotonic() + timeout_s
        while not self._opened.wait(0.02):
            if self._over.is_set() or time.monotonic() > deadline:
                return False
        return True

    def give_up(self) -> None:
        """Delivers nothing more; the device is let go as soon as its driver comes back."""
        self._given_up.set()

    def join(self, timeout_s: float) -> bool:
        """Whether its thread has ended by then."""
        self._thread.join(timeout_s)
        return not self._thread.is_alive()

    def _run(self) -> None:
        try:
            reader = self._opens()
            try:
                self.opened_s = time.monotonic()
                self._opened.set()
                while not self._given_up.is_set():
                    self._called_s = time.monotonic()
                    raw = reader.read()
                    self._called_s = None
                    if raw is not None and not self._given_up.is_set():
                        self._deliver(self, raw)
            finally:
                self._called_s = time.monotonic()
                reader.close()
        except Exception as problem:  # kept for whoever asks: a thread has nobody to raise to
            self.failure = problem
            if not isinstance(problem, SallEdgeError):
                raise  # a defect of ours is also shown with its traceback
        finally:
            self._called_s = None
            self._over.set()
