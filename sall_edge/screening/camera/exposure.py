"""How old a frame may be: the earliest moment at which its light can have fallen.

A driver hands out the oldest frame that waits in its buffers, so the frame read after the trigger may show what was
before it (opencv/opencv#13281). Two things bound its age:

- Drivers stamp a frame when it has been read out, or when that starts. Its light fell after the frame before was.
- A driver with n buffers hands out at most n frames that were complete when a read began. The one after those may have
  been in the making, and the light of the next one may have fallen while that was read out: n + 2 reads.

The second is only used where there are no stamps: what a camera itself holds back stands in no count of buffers.
"""

from collections import deque

__all__ = ["ExposureClock"]

IN_THE_MAKING = 2
"""Frames that are neither in a buffer nor surely exposed after the read began."""


class ExposureClock:
    """Earliest exposure of one frame after the other, on the clock of `time.monotonic()`.

    Args:
        opened_s: When the stream was opened: no buffer holds light from before.
        buffers: How many frames can wait between sensor and read; None if nobody knows.
    """

    def __init__(self, *, opened_s: float, buffers: int | None) -> None:
        self._opened_s = opened_s
        self._stamp_s: float | None = None
        self._reads: deque[float] | None = None if buffers is None else deque(maxlen=buffers + IN_THE_MAKING + 1)

    def earliest_s(self, stamp_s: float | None, *, began_s: float, arrived_s: float) -> float:
        """The earliest exposure of the frame that was just read.

        Args:
            stamp_s: The driver's time for it. One that lies in the future or before the opening is on another clock,
                and one that does not grow is none; they are not used.
            began_s, arrived_s: When the read began and ended.
        """
        bound_s: float | None = self._before_s(began_s)
        if stamp_s is not None and self._is_plausible(stamp_s, arrived_s):
            bound_s, self._stamp_s = self._stamp_s, stamp_s
        else:
            self._stamp_s = None
        return self._opened_s if bound_s is None else max(bound_s, self._opened_s)

    def _before_s(self, began_s: float) -> float | None:
        """When the read began before which the driver cannot have held this frame."""
        if self._reads is None:
            return None
        self._reads.append(began_s)
        return self._reads[0] if len(self._reads) == self._reads.maxlen else None

    def _is_plausible(self, stamp_s: float, arrived_s: float) -> bool:
        return self._opened_s <= stamp_s <= arrived_s and (self._stamp_s is None or stamp_s > self._stamp_s)
