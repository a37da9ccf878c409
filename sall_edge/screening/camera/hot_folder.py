"""A camera that drops files into a folder, as most fundus cameras do."""

import re
from pathlib import Path

from sall_edge.errors import CameraError
from sall_edge.fundus.decode import check_whole, read_bytes
from sall_edge.screening.camera.delivering import DeliveringCamera
from sall_edge.screening.camera.source import Capture, Moment, Origin
from sall_edge.spec import Eye

__all__ = ["HotFolder", "eye_of_name", "open_hot_folder"]

SUFFIXES = (".jpg", ".jpeg", ".png", ".tif", ".tiff", ".dcm")

_EYES = {"od": Eye.RIGHT, "r": Eye.RIGHT, "right": Eye.RIGHT, "os": Eye.LEFT, "l": Eye.LEFT, "left": Eye.LEFT}


class HotFolder(DeliveringCamera):
    """A `Camera` whose photographs are the files that arrive in a folder; files are read and never touched.

    Args:
        folder: Watched with what is below it.
        name: For records.
    """

    def __init__(self, folder: Path, *, name: str) -> None:
        self._opened = Moment.now()
        super().__init__(folder, name=name, suffixes=SUFFIXES)

    @property
    def awaited_since(self) -> Moment:
        """The opening: a folder may hold the photographs of years."""
        return self._opened

    def capture(self, since: Moment, *, timeout_s: float) -> Capture | None:
        """The next file that arrived at `since` or later, whole; see `Camera.capture`."""
        arrival = self._arrivals.next(since, timeout_s=timeout_s)
        return None if arrival is None else arrival.capture

    def stored(self, capture: Capture) -> None:
        """The folder belongs to the camera: nothing is removed."""

    def _read(self, path: Path, arrived: Moment) -> Capture:
        data = read_bytes(path)
        if path.suffix.lower() == ".dcm":
            from sall_edge.screening.camera.dicom_photograph import capture_of_dicom

            return capture_of_dicom(data, arrived=arrived, camera=self.name, name=path.name)
        check_whole(data, name=path.name)
        origin = Origin(camera=self.name, eye=eye_of_name(path.stem), details={"file": path.name})
        return Capture(data=data, suffix=path.suffix.lower(), triggered=arrived, origin=origin)


def eye_of_name(stem: str) -> Eye | None:
    """The eye that a file's name says: OD, R or right; OS, L or left, as a word of its own. None if none or both."""
    said = {_EYES[word] for word in re.split(r"[^a-z]+", stem.lower()) if word in _EYES}
    return said.pop() if len(said) == 1 else None


def open_hot_folder(folder: Path, *, name: str | None = None) -> HotFolder:
    """The folder as a camera.

    Raises:
        CameraError: There is no such folder.
    """
    if not folder.is_dir():
        what = f"{folder} is no folder"
        raise CameraError(what, "a hot folder is there before the camera writes to it", f"make it: mkdir -p {folder}")
    return HotFolder(folder, name=name or f"folder {folder.name}")
