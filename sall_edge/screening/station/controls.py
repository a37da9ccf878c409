"""What people at the device want, from whichever thread they say it."""

from enum import Enum
from queue import Empty, SimpleQueue

__all__ = ["Command", "Controls", "Shutter"]


class Command(str, Enum):
    """One wish.

    Attributes:
        RELEASE: Take the photograph now.
        GIVE_UP: This photograph cannot be taken; the eye is referred for it.
        OTHER_EYE: The last photograph is of the other eye than it was taken for; said again, it is not.
        LEAVE: Stop the examination here; it is kept and can be taken up again.
    """

    RELEASE = "release"
    GIVE_UP = "give_up"
    OTHER_EYE = "other_eye"
    LEAVE = "leave"


class Shutter(str, Enum):
    """Who releases a live camera's shutter.

    Attributes:
        AUTO: The device, when a photograph would be good, or after a while when it does not get any better.
        OPERATOR: Only `Command.RELEASE`.
    """

    AUTO = "auto"
    OPERATOR = "operator"


class Controls:
    """A queue of wishes; safe to use from several threads."""

    def __init__(self) -> None:
        self._wishes: SimpleQueue[Command] = SimpleQueue()

    def wish(self, command: Command) -> None:
        """Adds one; the examination takes it up within a moment."""
        self._wishes.put(command)

    def next(self) -> Command | None:
        """The oldest one, taken off the queue; None when there is none."""
        try:
            return self._wishes.get_nowait()
        except Empty:
            return None
