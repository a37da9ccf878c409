"""What a recording does at its end."""

from enum import Enum

__all__ = ["Playback"]


class Playback(str, Enum):
    """What a recording does at its end.

    Attributes:
        ENDLESS: Starts again, as a camera that never stops.
        ONCE: Is over; the camera is lost and stays so.
    """

    ENDLESS = "endless"
    ONCE = "once"
