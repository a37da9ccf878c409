"""A camera without a device: frames of a recorded aiming at their own times, as fast as they are asked for."""

from collections.abc import Callable, Iterable, Sequence
from types import TracebackType

import cv2
import numpy as np

from sall_edge.errors import CameraError
from sall_edge.fundus.phantom.aiming import Still, aiming_frames
from sall_edge.screening.camera.source import CameraState, Capture, Frame, Moment, Origin, SetAside

__all__ = ["FakeCamera", "aiming_at"]


class FakeCamera:
    """Shows frames, or delivers; its clock is that of its frames, so a test of ten seconds takes one.

    Attributes:
        problems: Raised by the next captures, one each.
        kept: What it was told is stored.
        next_state: Asked for the state.
    """

    name = "fake camera"

    def __init__(
        self,
        frames: Sequence[tuple[float, np.ndarray]] = (),
        *,
        deliveries: Iterable[Capture | None] = (),
        at_end: Callable[[], None] = lambda: None,
    ) -> None:
        self._frames = list(frames)
        self._deliveries = list(deliveries)
        self._at_end = at_end
        self._shown = -1
        self._start = Moment.now()
        self.problems: list[CameraError] = []
        self.kept: list[Capture] = []
        self.aside: list[SetAside] = []
        self.next_state: Callable[[], CameraState] = lambda: CameraState.READY

    @staticmethod
    def delivery(data: bytes, *, origin: Origin | None = None) -> Capture:
        """A photograph that arrives."""
        return Capture(
            data=data, suffix=".jpg", triggered=Moment.now(), origin=origin or Origin(camera=FakeCamera.name)
        )

    @property
    def is_live(self) -> bool:
        return bool(self._frames)

    @property
    def state(self) -> CameraState:
        return self.next_state()

    @property
    def awaited_since(self) -> Moment:
        return self._start

    def frame(self, *, newer_than: int = -1, timeout_s: float = 0.0) -> Frame | None:
        if self._shown + 1 >= len(self._frames):
            self._at_end()
            return None
        self._shown += 1
        return self._frame()

    def capture(self, since: Moment, *, timeout_s: float) -> Capture | None:
        if self.problems:
            raise self.problems.pop(0)
        if not self.is_live:
            return self._deliveries.pop(0) if self._deliveries else None
        frame = self._frame()
        data = bytes(cv2.imencode(".png", frame.pixels[..., ::-1], [cv2.IMWRITE_PNG_COMPRESSION, 1])[1])
        triggered = Moment(utc=Moment.now().utc, monotonic_s=frame.exposed_s)
        return Capture(data=data, suffix=".png", triggered=triggered, origin=Origin(camera=self.name))

    def set_aside(self) -> tuple[SetAside, ...]:
        aside, self.aside = tuple(self.aside), []
        return aside

    def stored(self, capture: Capture) -> None:
        self.kept.append(capture)

    def close(self) -> None:
        pass

    def __enter__(self) -> "FakeCamera":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _frame(self) -> Frame:
        at_s, pixels = self._frames[max(self._shown, 0)]
        return Frame(pixels=pixels, exposed_s=self._start.monotonic_s + at_s, number=self._shown)


def aiming_at(stills: Sequence[Still], *, at_end: Callable[[], None] = lambda: None) -> FakeCamera:
    """A live camera that is aimed at these."""
    size = {"width_px": 640, "height_px": 360}
    return FakeCamera(list(aiming_frames(stills, np.random.default_rng(0), frames_per_s=10, **size)), at_end=at_end)
