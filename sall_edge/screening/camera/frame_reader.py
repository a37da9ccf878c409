"""What a driver has to offer to become a live camera."""

from collections.abc import Callable
from typing import Protocol

from sall_edge.errors import CameraError
from sall_edge.screening.camera.raw_frame import RawFrame

__all__ = ["READ_WAIT_S", "FrameReader", "OpensReader", "StreamEnded"]

READ_WAIT_S = 0.1
"""For how long a read that can wait for less waits, so that a camera is closed soon."""


class FrameReader(Protocol):
    """An open stream of frames, used by one thread."""

    def read(self) -> RawFrame | None:
        """The next frame, in the order of the driver; None when there was none within `READ_WAIT_S`.

        Raises:
            CameraError: The stream broke; nothing more comes from this reader.
            StreamEnded: It was a recording, and it is over.
        """

    def close(self) -> None:
        """Lets the device go; called once, by the thread that reads."""


OpensReader = Callable[[], FrameReader]
"""Opens the stream, again after every loss.

Raises:
    CameraError: It cannot be opened now.
    BackendMissing: What reads it is not installed.
"""


class StreamEnded(CameraError):
    """A recording is over: nothing to reconnect to."""
