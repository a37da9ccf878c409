"""A USB or other V4L2 camera through OpenCV: its own JPEGs where it makes them, and the driver's time of each frame."""

import os
import stat
import time
from enum import Enum
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from sall_edge.errors import CameraError
from sall_edge.screening.camera.exposure import ExposureClock
from sall_edge.screening.camera.raw_frame import Layout, RawFrame

__all__ = ["Stamps", "V4l2Reader", "open_v4l2"]

DEVICES = Path("/dev")

BUFFERS = 2
"""One that the driver fills while the other is copied. With a single one the driver drops what comes meanwhile."""

_LAYOUTS = {"MJPG": Layout.JPEG, "JPEG": Layout.JPEG, "YUYV": Layout.YUYV}
"""Formats that are taken as they come; OpenCV turns the others into BGR."""


class Stamps(str, Enum):
    """What is made of the driver's time of a frame.

    Attributes:
        USED: It says how old the frame is, if it can be on our clock.
        IGNORED: For a driver whose clock runs behind, so that no frame ever seems new: its buffers are counted instead.
    """

    USED = "used"
    IGNORED = "ignored"


class V4l2Reader:
    """Frames of an open device.

    Args:
        capture: An opened `cv2.VideoCapture` of the V4L2 backend.
        path: Its device, for messages.
        stamps: Whether its times are believed.
    """

    def __init__(self, capture: Any, path: str, *, stamps: Stamps = Stamps.USED) -> None:
        self._capture, self._path, self._stamps = capture, path, stamps
        self._layout = _LAYOUTS.get(_fourcc(capture), Layout.BGR)
        if self._layout is not Layout.BGR:
            capture.set(cv2.CAP_PROP_CONVERT_RGB, 0)
        buffers = int(capture.get(cv2.CAP_PROP_BUFFERSIZE))
        self._clock = ExposureClock(opened_s=time.monotonic(), buffers=max(buffers, BUFFERS))

    def read(self) -> RawFrame | None:
        """The oldest frame that waits in the driver; the next one if none does.

        Raises:
            CameraError: The device is gone, or gave nothing for ten seconds.
        """
        began_s = time.monotonic()
        try:
            done, data = self._capture.read()
        except cv2.error as cause:
            raise self._lost(str(cause.err)) from cause
        if not done or data is None:
            raise self._lost("it was unplugged, or its driver gave nothing")
        stamp_s = self._capture.get(cv2.CAP_PROP_POS_MSEC) / 1e3 if self._stamps is Stamps.USED else None
        exposed_s = self._clock.earliest_s(stamp_s, began_s=began_s, arrived_s=time.monotonic())
        if self._layout is Layout.JPEG:
            data = np.ascontiguousarray(data).reshape(-1)
        return RawFrame(data=data, layout=self._layout, exposed_s=exposed_s)

    def close(self) -> None:
        """Lets the device go."""
        self._capture.release()

    def _lost(self, why: str) -> CameraError:
        return CameraError(f"{self._path} gives no frame", why, "plug it in again; look at its cable and its power")


def open_v4l2(
    path: str,
    *,
    size_px: tuple[int, int] | None = None,
    fps: float | None = None,
    stamps: Stamps = Stamps.USED,
) -> V4l2Reader:
    """An open camera, in motion JPEG if it has that: uncompressed, USB carries few megapixels at few frames.

    Args:
        path: `/dev/video0`, or better a name below `/dev/v4l/by-id`, which stays when it is plugged in elsewhere.
        size_px: Width and height to ask for; a driver that has not that size takes another, which is seen later.
        fps: Frames a second to ask for.
        stamps: Whether the driver's times are believed.

    Raises:
        CameraError: There is no such device, it is not allowed, used by somebody else, or no camera.
    """
    _check(path)
    capture = cv2.VideoCapture(path, cv2.CAP_V4L2)
    if not capture.isOpened():
        raise CameraError(
            f"{path} cannot be opened as a camera",
            "another program uses it, or it is not the video node of the camera (one camera often has several)",
            "close the other program, or name another node; v4l2-ctl --list-devices shows them",
        )
    capture.set(cv2.CAP_PROP_FOURCC, cv2.VideoWriter.fourcc(*"MJPG"))
    if size_px is not None:
        capture.set(cv2.CAP_PROP_FRAME_WIDTH, size_px[0])
        capture.set(cv2.CAP_PROP_FRAME_HEIGHT, size_px[1])
    if fps is not None:
        capture.set(cv2.CAP_PROP_FPS, fps)
    capture.set(cv2.CAP_PROP_BUFFERSIZE, BUFFERS)
    return V4l2Reader(capture, path, stamps=stamps)


def _check(path: str) -> None:
    """Said in our words before OpenCV only says that it failed."""
    try:
        mode = Path(path).stat().st_mode
    except OSError as cause:
        found = ", ".join(sorted(str(one) for one in DEVICES.glob("video*"))) or "none"
        raise CameraError(
            f"{path} is not there", f"video devices here: {found}", "plug the camera in, or name another device"
        ) from cause
    if not stat.S_ISCHR(mode):
        raise CameraError(f"{path} is no device", "a V4L2 camera is a node such as /dev/video0", "name the device")
    if not os.access(path, os.R_OK | os.W_OK):
        raise CameraError(
            f"{path} may not be used",
            "its permissions do not allow it",
            "sudo usermod -aG video $USER, and log in again",
        )


def _fourcc(capture: Any) -> str:
    code = int(capture.get(cv2.CAP_PROP_FOURCC))
    return bytes((code >> shift) & 0xFF for shift in (0, 8, 16, 24)).decode("ascii", "replace")
