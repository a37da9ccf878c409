"""A folder of pictures with their times, played as a camera: recorded aimings for the demo and for tests."""

import csv
import math
import time
from pathlib import Path

import numpy as np

from sall_edge.errors import CameraError
from sall_edge.screening.camera.frame_reader import READ_WAIT_S, StreamEnded
from sall_edge.screening.camera.playback import Playback
from sall_edge.screening.camera.raw_frame import Layout, RawFrame

__all__ = ["FRAMES_NAME", "RecordedReader", "open_recorded"]

FRAMES_NAME = "frames.csv"
"""Columns `file,at_s`: a JPEG or PNG of the folder, and seconds from the start of the recording, growing."""

_LAYOUTS = {".jpg": Layout.JPEG, ".jpeg": Layout.JPEG, ".png": Layout.PNG}

ONE_FRAME_S = 1 / 15
"""How long a single picture is shown before it is shown again."""


class RecordedReader:
    """The pictures of a folder, each at its time.

    Args:
        folder: Where they are.
        frames: File name and time, in order; not empty.
        playback: What happens at the end.
    """

    def __init__(self, folder: Path, frames: list[tuple[str, float]], *, playback: Playback) -> None:
        self._folder, self._frames, self._playback = folder, frames, playback
        self._start_s = time.monotonic() - frames[0][1]
        self._next = 0

    def read(self) -> RawFrame | None:
        """The picture whose time has come; those that are over already are left out.

        Raises:
            CameraError: A picture cannot be read.
            StreamEnded: The last one was shown.
        """
        if self._next == len(self._frames):
            self._rewind()
        last = len(self._frames) - 1
        while self._next < last and self._start_s + self._frames[self._next + 1][1] <= time.monotonic():
            self._next += 1
        name, at_s = self._frames[self._next]
        due_s = self._start_s + at_s
        left_s = due_s - time.monotonic()
        if left_s > READ_WAIT_S:
            time.sleep(READ_WAIT_S)
            return None
        time.sleep(max(left_s, 0))
        self._next += 1
        return RawFrame(data=self._bytes(name), layout=_LAYOUTS[Path(name).suffix.lower()], exposed_s=due_s)

    def close(self) -> None:
        """Nothing is held."""

    def _bytes(self, name: str) -> np.ndarray[tuple[int], np.dtype[np.uint8]]:
        try:
            return np.frombuffer((self._folder / name).read_bytes(), np.uint8)
        except OSError as cause:
            why = cause.strerror or type(cause).__name__
            fix = "record the folder again"
            raise CameraError(f"cannot read {self._folder / name}", why, fix) from cause

    def _rewind(self) -> None:
        if self._playback is Playback.ONCE:
            raise StreamEnded(
                f"{self._folder} is over", "it is a recording, played once", "play it again: play=endless"
            )
        first_s, last_s = self._frames[0][1], self._frames[-1][1]
        gap_s = (last_s - first_s) / (len(self._frames) - 1) if len(self._frames) > 1 else ONE_FRAME_S
        self._start_s += last_s - first_s + gap_s
        self._next = 0


def open_recorded(folder: Path, *, playback: Playback) -> RecordedReader:
    """A recording that plays as a camera; its frames are of the moment at which they are shown.

    Raises:
        CameraError: There is no `frames.csv`, or it breaks a rule.
    """
    return RecordedReader(folder, _frames(folder), playback=playback)


def _frames(folder: Path) -> list[tuple[str, float]]:
    path = folder / FRAMES_NAME
    try:
        with path.open(newline="", encoding="utf-8") as file:
            rows = list(csv.DictReader(file))
    except OSError as cause:
        raise CameraError(
            f"cannot read {path}", cause.strerror or type(cause).__name__, "name a folder with frames.csv in it"
        ) from cause
    except (UnicodeDecodeError, csv.Error) as cause:
        raise _broken(path, "it is no CSV in UTF-8") from cause
    frames: list[tuple[str, float]] = []
    for number, row in enumerate(rows, 2):
        name, at_s = row.get("file") or "", _seconds(row.get("at_s"))
        if Path(name).suffix.lower() not in _LAYOUTS or Path(name).name != name:
            raise _broken(path, f"line {number}: {name!r} is not the name of a JPEG or PNG in the folder")
        if at_s is None or (frames and at_s <= frames[-1][1]):
            raise _broken(path, f"line {number}: at_s is {row.get('at_s')!r}, but times are numbers that grow")
        frames.append((name, at_s))
    if not frames:
        raise _broken(path, "it has no frames")
    return frames


def _seconds(text: str | None) -> float | None:
    try:
        value = float(text or "")
    except ValueError:
        return None
    return value if math.isfinite(value) else None


def _broken(path: Path, why: str) -> CameraError:
    return CameraError(f"{path} cannot be played", why, "two columns, file and at_s, with one line a picture")
