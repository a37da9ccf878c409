"""What a camera is to the rest of the device: live frames to aim by, and photographs that are never older than asked.

Two kinds of camera share the protocol. A live camera (V4L2, GStreamer, RTSP, a video) shows frames, and a photograph is
one of them. A delivering camera (hot folder, DICOM) has its own shutter and shows nothing; its photographs arrive.
"""

import time
from dataclasses import dataclass, field
from datetime import datetime, timezone
from enum import Enum
from types import TracebackType
from typing import Protocol

import numpy as np
import numpy.typing as npt

from sall_edge.spec import Eye

__all__ = ["Camera", "CameraState", "Capture", "Frame", "Moment", "Origin", "SetAside", "WhySetAside"]

U8 = npt.NDArray[np.uint8]


@dataclass(frozen=True, slots=True, kw_only=True)
class Moment:
    """A point in time by both clocks: the one that people read and the one that never jumps.

    Attributes:
        utc: Aware datetime, UTC: for records.
        monotonic_s: `time.monotonic()`: for what is older than what.
    """

    utc: datetime
    monotonic_s: float

    @classmethod
    def now(cls) -> "Moment":
        """This moment."""
        return cls(utc=datetime.now(timezone.utc), monotonic_s=time.monotonic())

    def when(self, utc: datetime) -> "Moment":
        """Another time, by both clocks, seen from this moment."""
        return Moment(utc=utc, monotonic_s=self.monotonic_s - (self.utc - utc).total_seconds())


@dataclass(frozen=True, slots=True, kw_only=True)
class Frame:
    """One picture of the live view.

    Attributes:
        pixels: (H, W, 3) uint8, RGB; never written to again by who made it.
        exposed_s: Earliest `time.monotonic()` at which its light can have fallen: a frame that may have waited in a
            buffer is as old as the buffer allows.
        number: Counts up from 0 while the camera is open; gaps are frames that nobody took.
    """

    pixels: U8
    exposed_s: float
    number: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """What a camera says of a photograph; None where it says nothing.

    Attributes:
        camera: Name of the camera, for records and for its quality limits.
        person_reference: Who it is of, as a DICOM file or a file name has it.
        eye: Which eye, as the camera was told.
        details: Further facts for the record, such as the SOP instance UID.
    """

    camera: str
    person_reference: str | None = None
    eye: Eye | None = None
    details: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Capture:
    """A photograph as the camera gave it.

    Attributes:
        data: Bytes of a JPEG, PNG, TIFF or DICOM file; of a live frame the camera's own JPEG, or a lossless TIFF.
        suffix: ".jpg", ".png", ".tif" or ".dcm".
        triggered: When it was asked for; for a delivering camera when it was taken, or arrived if that is unknown.
        origin: What the camera says of it.
    """

    data: bytes
    suffix: str
    triggered: Moment
    origin: Origin


class WhySetAside(str, Enum):
    """Why a photograph is not graded; keys of the message catalogues' section `set_aside`.

    Attributes:
        EARLIER: Taken before this examination began.
        UNREADABLE: Not a whole photograph, and it did not become one.
        ANOTHER_PERSON: The camera says that it is of somebody else than who is examined.
        EYE_NOT_EXAMINED: Of an eye that is left out, or that the programme does not ask for.
        ALREADY_STORED: An examination of this person holds it.
    """

    EARLIER = "earlier"
    UNREADABLE = "unreadable"
    ANOTHER_PERSON = "another_person"
    EYE_NOT_EXAMINED = "eye_not_examined"
    ALREADY_STORED = "already_stored"


@dataclass(frozen=True, slots=True, kw_only=True)
class SetAside:
    """A file that arrived and is not graded; it stays where it is.

    Attributes:
        name: Of the file.
        why: Why.
        taken_at: Of one that is too early; UTC.
        detail: Of one that is unreadable: what the error says, in English as all errors are.
    """

    name: str
    why: WhySetAside
    taken_at: datetime | None = None
    detail: str | None = None


class CameraState(str, Enum):
    """How a camera is.

    Attributes:
        READY: Frames arrive, or deliveries would be noticed.
        LOST: Unplugged, or the stream ended; being reconnected.
        FROZEN: Frames arrive and are all the same, or none arrives.
        BLACK: Frames are black: a lid, no light, no signal.
        WRONG_SIZE: Frames have another size than asked for.
    """

    READY = "ready"
    LOST = "lost"
    FROZEN = "frozen"
    BLACK = "black"
    WRONG_SIZE = "wrong_size"


class Camera(Protocol):
    """A source of photographs; open once made, closed by `with` or `close`."""

    @property
    def name(self) -> str:
        """For records, messages and the camera's quality limits."""

    @property
    def is_live(self) -> bool:
        """Whether it shows frames before the photograph; if not, `frame` is always None."""

    @property
    def state(self) -> CameraState:
        """Now; asked often, answers at once."""

    @property
    def awaited_since(self) -> Moment:
        """From when on its photographs are waited for, whoever they are of: what is older belongs to nobody here."""

    def frame(self, *, newer_than: int = -1, timeout_s: float = 0.0) -> Frame | None:
        """The newest frame, if its number is above `newer_than` by then; None otherwise. Never an older one."""

    def capture(self, since: Moment, *, timeout_s: float) -> Capture | None:
        """The next photograph that was taken at `since` or later; None if none came in time.

        A live camera takes it now: `since` is the trigger. A delivering one gives what has arrived for this
        examination, oldest first, each once; nothing that arrives is ever lost, what is older than `since` is set
        aside and named.

        Raises:
            CameraError: The camera is lost, frozen, black, or of a wrong size, and was still so at the time-out.
        """

    def set_aside(self) -> tuple[SetAside, ...]:
        """What was set aside since the last call; a live camera sets nothing aside."""

    def stored(self, capture: Capture) -> None:
        """Told when a photograph of this camera is safe in the store: what only held it until then may go."""

    def close(self) -> None:
        """Lets the camera go; a second call does nothing."""

    def __enter__(self) -> "Camera": ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...
