"""From a wanted photograph to a capture: the live view with its guidance, or waiting for what a camera delivers."""

import math
import time
from collections.abc import Generator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from sall_edge.errors import CameraError
from sall_edge.screening.camera.guidance import Guidance, Guide, likeness
from sall_edge.screening.camera.source import Camera, CameraState, Capture, Frame, Moment
from sall_edge.screening.events import Aiming, CameraChanged, Event, Failed, PhotographSetAside, Waiting
from sall_edge.screening.station.controls import Command, Controls, Shutter

__all__ = ["Aimed", "Aimer"]

F32 = npt.NDArray[np.float32]

WAIT_S = 0.1
"""How long to wait for a frame or a delivery before wishes are looked at again."""

CAPTURE_S = 3.0
"""How long a live camera may take for a photograph once the shutter is released."""

PATIENCE_S = 6.0
"""Of a retina in view that does not become good: then the photograph is taken, and the quality gate decides."""

RETAKE_S = 2.0
"""After a photograph that has to be taken again: time to do something about the reason."""

SAME_VIEW = 0.55
"""Likeness above which the live view still is the photograph that was just taken, see `guidance.likeness`."""

INTERRUPTING = (Command.GIVE_UP, Command.OTHER_EYE, Command.LEAVE)
"""Wishes that end the aiming without a photograph."""

Aimed = Generator[Event, None, Capture | Command]
"""Events while it lasts; in the end the photograph, or a wish that ends the aiming without one."""


@dataclass(slots=True)
class _View:
    """What is remembered of the live view between two photographs.

    Attributes:
        number: Of the last frame.
        retina_since_s: Since when a retina is in view.
        taken: Signature of the last photograph; None once the retina was out of view.
        taken_s: When it was taken.
    """

    number: int = -1
    retina_since_s: float | None = None
    taken: F32 | None = None
    taken_s: float = -math.inf


class Aimer:
    """Aims one camera, photograph after photograph.

    Args:
        camera: Open.
        controls: Wishes.
        shutter: Who releases it.
    """

    def __init__(self, camera: Camera, controls: Controls, *, shutter: Shutter) -> None:
        self._camera = camera
        self._controls = controls
        self._shutter = shutter
        self._state = CameraState.READY
        self._view = _View()

    def aim(self, since: Moment, *, attempt: int) -> Aimed:
        """The next photograph.

        Args:
            since: Of a delivering camera: what is older belongs to nobody here. A live one takes it when released.
            attempt: Above 1 the same view is wanted again; at 1 it has to be another one than the last.
        """
        if not self._camera.is_live:
            return self._await_delivery(since)
        if attempt > 1:
            self._view.taken = None
        return self._aim_live()

    def wish_within(self, seconds: float) -> Generator[Event, None, Command | None]:
        """The next wish; None when nobody says one in this time."""
        end_s = time.monotonic() + seconds
        while (wish := self._controls.next()) is None and time.monotonic() < end_s:
            yield from self._changes()
            yield Waiting()
            time.sleep(WAIT_S)
        return wish

    def _aim_live(self) -> Aimed:
        guide = Guide()
        self._view.retina_since_s = None
        while True:
            wish = self._controls.next()
            if wish in INTERRUPTING:
                return wish
            yield from self._changes()
            frame = self._camera.frame(newer_than=self._view.number, timeout_s=WAIT_S)
            guidance = None
            if frame is None:
                yield Waiting()
            else:
                self._view.number = frame.number
                guidance = guide.look(frame)
                yield _aiming(guidance)
            if wish is Command.RELEASE or (guidance is not None and frame is not None and self._fires(guidance, frame)):
                try:
                    capture = self._camera.capture(Moment.now(), timeout_s=CAPTURE_S)
                except CameraError as problem:
                    yield Failed.of(problem)
                    continue
                if capture is not None:
                    self._view.taken = None if guidance is None else guidance.signature
                    self._view.taken_s = capture.triggered.monotonic_s
                    return capture

    def _fires(self, guidance: Guidance, frame: Frame) -> bool:
        """Whether the device releases the shutter now: once for each view, however long it is held."""
        view = self._view
        if guidance.signature is None:
            view.retina_since_s, view.taken = None, None
            return False
        if view.retina_since_s is None:
            view.retina_since_s = frame.exposed_s
        if self._shutter is Shutter.OPERATOR or frame.exposed_s - view.taken_s < RETAKE_S:
            return False
        if view.taken is not None and likeness(view.taken, guidance.signature) > SAME_VIEW:
            return False
        return guidance.is_steady or frame.exposed_s - view.retina_since_s >= PATIENCE_S

    def _await_delivery(self, since: Moment) -> Aimed:
        while True:
            wish = self._controls.next()
            if wish in INTERRUPTING:
                return wish
            yield from self._changes()
            try:
                capture = self._camera.capture(since, timeout_s=WAIT_S)
            except CameraError as problem:
                yield Failed.of(problem)
                time.sleep(WAIT_S)
                continue
            for one in self._camera.set_aside():
                yield PhotographSetAside(name=one.name, why=one.why, taken_at=one.taken_at, detail=one.detail)
            if capture is not None:
                return capture
            yield Waiting()

    def _changes(self) -> Generator[Event, None, None]:
        state = self._camera.state
        if state is not self._state:
            self._state = state
            yield CameraChanged(camera=self._camera.name, state=state)


def _aiming(guidance: Guidance) -> Aiming:
    return Aiming(
        field_found=guidance.field is not None,
        offset_x=guidance.offset_x,
        offset_y=guidance.offset_y,
        focus=guidance.focus,
        exposure=guidance.exposure,
        hints=guidance.hints,
        is_steady=guidance.is_steady,
    )
