"""Network cameras (RTSP) and video files, through the FFmpeg that OpenCV's wheels bring."""

import time
from collections import deque
from pathlib import Path
from typing import Any

import cv2

from sall_edge.errors import CameraError
from sall_edge.screening.camera.frame_reader import READ_WAIT_S, StreamEnded
from sall_edge.screening.camera.playback import Playback
from sall_edge.screening.camera.raw_frame import Layout, RawFrame
from sall_edge.screening.camera.troubles import without_password

__all__ = ["NETWORK_DELAY_S", "RtspReader", "VideoReader", "open_rtsp", "open_video"]

NETWORK_DELAY_S = 1.0
"""Light to frame over a network: what encoder, network and decoder take is nowhere said, so it has to be assumed."""

OPEN_TIMEOUT_S, READ_TIMEOUT_S = 5.0, 3.0

SETTLING_S = 2.0
"""After connecting many servers send what they kept since the last key frame, at once."""

OFFSETS_FOR_S = 30.0
"""For how long the fastest frame counts: clocks of cameras run apart by milliseconds in that time."""

USUAL_FPS = 25.0


class RtspReader:
    """Frames of a network camera, each as old as its own time says and the assumed delay allows.

    Args:
        capture: An opened `cv2.VideoCapture` of the FFmpeg backend.
        url: For messages, without password.
        delay_s: Assumed longest time from light to arrival of a frame that waited nowhere.
    """

    def __init__(self, capture: Any, url: str, *, delay_s: float) -> None:
        self._capture, self._url, self._delay_s = capture, url, delay_s
        self._opened_s = time.monotonic()
        self._offsets: deque[tuple[float, float]] = deque()

    def read(self) -> RawFrame | None:
        """The next frame.

        Raises:
            CameraError: The stream broke, or nothing came within the time-out.
        """
        done, pixels = self._capture.read()
        arrived_s = time.monotonic()
        if not done:
            fix = "look at the camera's power and network"
            raise CameraError(f"{self._url} gives no frame", f"the stream ended, or {READ_TIMEOUT_S:g} s passed", fix)
        stamp_s = self._stamp_s(self._capture.get(cv2.CAP_PROP_POS_MSEC) / 1e3, arrived_s)
        settling_s = max(self._opened_s + SETTLING_S - arrived_s, 0)
        return RawFrame(data=pixels, layout=Layout.BGR, exposed_s=stamp_s - self._delay_s - settling_s)

    def close(self) -> None:
        """Ends the stream."""
        self._capture.release()

    def _stamp_s(self, position_s: float, arrived_s: float) -> float:
        """When the frame would have arrived, had it come as fast as the fastest of late: it may have waited here."""
        self._offsets.append((arrived_s, arrived_s - position_s))
        while self._offsets[0][0] < arrived_s - OFFSETS_FOR_S:
            self._offsets.popleft()
        return position_s + min(offset_s for _, offset_s in self._offsets)


def open_rtsp(url: str, *, delay_s: float = NETWORK_DELAY_S) -> RtspReader:
    """An open stream; FFmpeg takes TCP first, and one thread, because frames wait for each other in several.

    Raises:
        CameraError: Nobody answers within five seconds, the password is wrong, or there is no video.
    """
    options = [
        *(cv2.CAP_PROP_OPEN_TIMEOUT_MSEC, int(OPEN_TIMEOUT_S * 1e3)),
        *(cv2.CAP_PROP_READ_TIMEOUT_MSEC, int(READ_TIMEOUT_S * 1e3)),
        *(cv2.CAP_PROP_N_THREADS, 1),
    ]
    capture = cv2.VideoCapture(url, cv2.CAP_FFMPEG, options)
    if not capture.isOpened():
        raise CameraError(
            f"{without_password(url)} cannot be opened",
            "nobody answers there, the user or password is wrong, or it has no video",
            "try the address in another player, such as ffplay",
        )
    return RtspReader(capture, without_password(url), delay_s=delay_s)


class VideoReader:
    """A video file at its own speed.

    Args:
        path: The file.
        playback: What happens at its end.
    """

    def __init__(self, path: Path, *, playback: Playback) -> None:
        self._path, self._playback = path, playback
        self._capture = _opened(path)
        fps = self._capture.get(cv2.CAP_PROP_FPS)
        self._frame_s = 1 / fps if 0 < fps < 1000 else 1 / USUAL_FPS
        self._due_s = time.monotonic()
        self._grabbed = False

    def read(self) -> RawFrame | None:
        """The frame whose time has come; those that are over already are left out.

        Raises:
            StreamEnded: It was the last.
        """
        while True:
            if not self._grabbed:
                self._grab()
            left_s = self._due_s - time.monotonic()
            if left_s > READ_WAIT_S:
                time.sleep(READ_WAIT_S)
                return None
            if left_s > -self._frame_s:
                break
            self._grabbed = False
        time.sleep(max(left_s, 0))
        self._grabbed = False
        done, pixels = self._capture.retrieve()
        return RawFrame(data=pixels, layout=Layout.BGR, exposed_s=self._due_s) if done else None

    def close(self) -> None:
        """Closes the file."""
        self._capture.release()

    def _grab(self) -> None:
        if not self._capture.grab():
            if self._playback is Playback.ONCE:
                raise StreamEnded(
                    f"{self._path} is over", "it is a recording, played once", "play it again: play=endless"
                )
            self._capture.release()
            self._capture = _opened(self._path)
            if not self._capture.grab():
                raise _unreadable(self._path)
        self._due_s += self._frame_s
        self._grabbed = True


def open_video(path: Path, *, playback: Playback) -> VideoReader:
    """A file that plays as a camera; its frames are of the moment at which they are shown.

    Raises:
        CameraError: It is not there, or no video.
    """
    if not path.is_file():
        raise CameraError(f"{path} is not there", "a video is one file", "check the path")
    return VideoReader(path, playback=playback)


def _opened(path: Path) -> Any:
    capture = cv2.VideoCapture(str(path), cv2.CAP_FFMPEG)
    if not capture.isOpened():
        raise _unreadable(path)
    return capture


def _unreadable(path: Path) -> CameraError:
    return CameraError(f"{path} cannot be played", "FFmpeg finds no video in it", "convert it to MP4 with H.264")
