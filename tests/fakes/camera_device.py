"""Cameras without hardware: a device whose faults a test decides, and a V4L2 driver with buffers.

They show what the engine and the readers do with frames, times and faults. They cannot show how a real driver stamps
its frames, how many it holds back, what it does when its cable is pulled, or whether OpenCV's settings reach it.
"""

import threading
import time
from collections import deque
from typing import Any

import cv2
import numpy as np

from sall_edge.errors import CameraError
from sall_edge.screening.camera.health import HealthLimits
from sall_edge.screening.camera.live import Patience
from sall_edge.screening.camera.raw_frame import Layout, RawFrame

SIZE_PX = (320, 256)

SOON_S = 5.0
"""Far above what anything takes here, for a machine that is busy."""

QUICK = Patience(open_s=0.5, hang_s=0.7, still_s=1.0, first_pause_s=0.05, most_pause_s=0.2, close_s=0.5)
LIMITS = HealthLimits(frozen_s=0.4)


def noisy_picture(rng: np.random.Generator, size_px: tuple[int, int] = SIZE_PX, *, light: int = 120) -> Any:
    """(H, W, 3) uint8 with the noise of a sensor."""
    grain = rng.integers(-6, 7, (size_px[1], size_px[0], 3))
    ramp = np.linspace(0.5, 1.5, size_px[0])[None, :, None] * light
    return np.clip(ramp + grain, 0, 255).astype(np.uint8)


class FakeDevice:
    """A camera that can be unplugged, frozen, covered, resized, silenced and hung while it runs; `open` opens it."""

    def __init__(self, *, fps: float = 50.0) -> None:
        self.fps = fps
        self.is_plugged = True
        self.is_frozen = False
        self.is_silent = False
        self.is_covered = False
        self.size_px = SIZE_PX
        self.goes_on = threading.Event()  # cleared: every read hangs
        self.goes_on.set()
        self.opened = 0
        self.closed = 0
        self.rng = np.random.default_rng(0)
        self.picture = noisy_picture(self.rng)

    def open(self) -> "FakeReader":
        self.opened += 1
        if not self.is_plugged:
            raise CameraError("the fake is gone", "it is unplugged", "plug it in")
        return FakeReader(self)


class FakeReader:
    """One opening of a `FakeDevice`."""

    def __init__(self, device: FakeDevice) -> None:
        self._device = device

    def read(self) -> RawFrame | None:
        device = self._device
        time.sleep(1 / device.fps)
        device.goes_on.wait()
        if not device.is_plugged:
            raise CameraError("the fake gives no frame", "it was unplugged", "plug it in")
        if device.is_silent:
            return None
        if not device.is_frozen:
            device.picture = noisy_picture(device.rng, device.size_px, light=0 if device.is_covered else 120)
        return RawFrame(data=device.picture, layout=Layout.RGB, exposed_s=time.monotonic() - 1 / device.fps)

    def close(self) -> None:
        self._device.closed += 1


class FakeV4l2:
    """A `cv2.VideoCapture` over a sensor that runs by itself and a queue that fills while nobody reads.

    Frames are exposed one after the other, each for the whole `frame_s`. When all buffers are full the newest is
    dropped, and a read gives the oldest: so does a V4L2 driver.

    Args:
        buffers: Real depth of the queue.
        admits: What the driver says of it.
        stamps: Whether it tells when a frame was read out.
        read_takes_s: What a read costs beside waiting: a slow reader keeps the queue full.
    """

    frame_s = 0.02

    def __init__(self, *, buffers: int, admits: int | None = None, stamps: bool = True, read_takes_s: float = 0.0):
        self.settings: dict[int, float] = {
            cv2.CAP_PROP_FOURCC: cv2.VideoWriter.fourcc(*"YUYV"),
            cv2.CAP_PROP_BUFFERSIZE: admits or buffers,
            cv2.CAP_PROP_CONVERT_RGB: 1,
        }
        self.has_jpeg = True
        self.is_open = True
        self.is_plugged = True
        self.began_of: dict[bytes, float] = {}
        self.read_order: list[bytes] = []
        self._buffers, self._stamps, self._read_takes_s = buffers, stamps, read_takes_s
        self._queue: deque[tuple[float, Any]] = deque()
        self._start_s = time.monotonic()
        self._exposed = 0
        self._stamp_s = 0.0
        self._rng = np.random.default_rng(1)

    def isOpened(self) -> bool:  # noqa: N802  # OpenCV's name
        return self.is_open

    def set(self, setting: int, value: float) -> bool:
        if setting == cv2.CAP_PROP_FOURCC and not self.has_jpeg:
            return False
        if setting != cv2.CAP_PROP_BUFFERSIZE:  # drivers go their own way
            self.settings[setting] = value
        return True

    def get(self, setting: int) -> float:
        if setting == cv2.CAP_PROP_POS_MSEC:
            return self._stamp_s * 1e3 if self._stamps else 0.0
        return self.settings.get(setting, 0.0)

    def read(self) -> tuple[bool, Any]:
        if not self.is_plugged:
            return False, None
        time.sleep(self._read_takes_s)
        self._run_sensor()
        while not self._queue:
            time.sleep(self.frame_s / 4)
            self._run_sensor()
        began_s, picture = self._queue.popleft()
        self._stamp_s = began_s + self.frame_s
        data = self._as_it_comes(picture)
        self.began_of[data.tobytes()] = began_s
        self.read_order.append(data.tobytes())
        return True, data

    def release(self) -> None:
        self.is_open = False

    def _run_sensor(self) -> None:
        """What happened since the last call: frames that were read out went into a free buffer, or were dropped."""
        while self._start_s + (self._exposed + 1) * self.frame_s <= time.monotonic():
            if len(self._queue) < self._buffers:
                self._queue.append((self._start_s + self._exposed * self.frame_s, noisy_picture(self._rng)))
            self._exposed += 1

    def _as_it_comes(self, picture: Any) -> Any:
        if self.settings[cv2.CAP_PROP_FOURCC] == cv2.VideoWriter.fourcc(*"MJPG"):
            return cv2.imencode(".jpg", picture)[1].reshape(1, -1)
        return picture[:, :, :2] if not self.settings[cv2.CAP_PROP_CONVERT_RGB] else picture
