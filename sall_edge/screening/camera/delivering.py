"""What the cameras that have their own shutter share: they show nothing, and their photographs arrive in a folder."""

from abc import ABC, abstractmethod
from collections.abc import Iterable
from pathlib import Path
from types import TracebackType
from typing import TypeVar

from sall_edge.screening.camera.arrivals import Arrivals
from sall_edge.screening.camera.source import CameraState, Capture, Frame, Moment, SetAside

__all__ = ["DeliveringCamera"]

DeliveringT = TypeVar("DeliveringT", bound="DeliveringCamera")


class DeliveringCamera(ABC):
    """What every `Camera` without a live view has in common: its photographs arrive in a folder.

    Args:
        folder: Watched with what is below it.
        name: For records.
        suffixes: Of photographs, in lower case.
    """

    is_live = False

    def __init__(self, folder: Path, *, name: str, suffixes: Iterable[str]) -> None:
        self.name = name
        self._arrivals = Arrivals(folder, suffixes=suffixes, read=self._read)

    @abstractmethod
    def _read(self, path: Path, arrived: Moment) -> Capture:
        """The capture of a file, see `arrivals.ReadCapture`."""

    @property
    def state(self) -> CameraState:
        """READY while the folder is there; whether a camera is switched on cannot be seen from here."""
        return CameraState.READY if self._arrivals.is_watching else CameraState.LOST

    def frame(self, *, newer_than: int = -1, timeout_s: float = 0.0) -> Frame | None:
        """None: there is no live view."""
        return None

    def set_aside(self) -> tuple[SetAside, ...]:
        """What is older than asked for, and what never became a whole photograph; it stays where it is."""
        return self._arrivals.set_aside()

    def close(self) -> None:
        """Stops watching."""
        self._arrivals.close()

    def __enter__(self: DeliveringT) -> DeliveringT:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
