"""How a live camera is, from its frames: black, frozen, of another size. Cheap enough to run at every frame."""

from dataclasses import dataclass, replace

from sall_edge.screening.camera.raw_frame import RawFrame, grey_thumbnail, is_same_picture, size_px_of
from sall_edge.screening.camera.source import CameraState

__all__ = ["Health", "HealthLimits", "is_black"]

LOOK_EVERY_S = 0.2
"""Four looks take less than the second within which a state is to be said."""

BLACK_LOOKS = 4
"""Fewer black frames may be a blink, the dark before a flash, or a camera that is moved from eye to eye."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HealthLimits:
    """When a camera is not well.

    Attributes:
        frozen_s: So long without a frame that differs from the one before.
        black_mean: Mean luma, 0 to 255, up to which a frame is black; video black is 16 where the range is limited.
        black_spread: And its standard deviation after averaging over 8 by 8 pixels: a retina in poor light has more.
        size_px: Width and height that frames must have; None takes any.
    """

    frozen_s: float = 0.8
    black_mean: float = 20.0
    black_spread: float = 1.5
    size_px: tuple[int, int] | None = None


class Health:
    """What a camera's frames say, over all its connections.

    Args:
        limits: When it is not well.
    """

    def __init__(self, limits: HealthLimits) -> None:
        self._limits = limits
        self._last: RawFrame | None = None
        self._arrived_s = self._changed_s = self._looked_s = float("-inf")
        self._black_looks = 0
        self._size_px: tuple[int, int] | None = None

    @property
    def size_px(self) -> tuple[int, int] | None:
        """Width and height of the frames; None before the first."""
        return self._size_px

    def note(self, raw: RawFrame, *, now_s: float) -> RawFrame:
        """Takes a whole frame into account, and gives it back: the same picture again is as old as the first time."""
        if self._last is not None and is_same_picture(self._last, raw):
            raw = replace(raw, exposed_s=self._last.exposed_s)
        else:
            self._changed_s = now_s
        self._last, self._arrived_s = raw, now_s
        if now_s - self._looked_s >= LOOK_EVERY_S:
            self._looked_s = now_s
            self._size_px = size_px_of(raw)
            self._black_looks = self._black_looks + 1 if is_black(raw, self._limits) else 0
        return raw

    def state(self, now_s: float) -> CameraState:
        """FROZEN if nothing arrives; then WRONG_SIZE, BLACK, FROZEN with the same picture, or READY."""
        limits = self._limits
        if now_s - self._arrived_s > limits.frozen_s:
            return CameraState.FROZEN
        if limits.size_px not in (None, self._size_px):
            return CameraState.WRONG_SIZE
        if self._black_looks >= BLACK_LOOKS:  # before the same picture: a JPEG of black has no noise left
            return CameraState.BLACK
        return CameraState.FROZEN if self.still_s(now_s) > limits.frozen_s else CameraState.READY

    def still_s(self, now_s: float) -> float:
        """Seconds since the picture changed."""
        return now_s - self._changed_s


def is_black(raw: RawFrame, limits: HealthLimits) -> bool:
    """Whether a frame shows nothing at all; one that cannot be decoded does not count as black."""
    small = grey_thumbnail(raw)
    if small is None:
        return False
    return float(small.mean()) <= limits.black_mean and float(small.std()) <= limits.black_spread
