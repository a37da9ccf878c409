"""What is said when a live camera gives no photograph."""

import re

from sall_edge.errors import CameraError, SallEdgeError
from sall_edge.screening.camera.source import CameraState

__all__ = ["closed", "hangs", "not_answering", "not_ready", "stands_still", "without_password"]


_SECRETS = re.compile(r"(?<=://)[^/\s]*@|(?<=user-pw=)\S+")
"""User and password of an address, and the password that GStreamer's rtspsrc takes apart from it."""


def without_password(text: str) -> str:
    """A source as it may stand in messages and records."""
    return _SECRETS.sub("", text)


def closed(name: str) -> CameraError:
    """The camera was closed by this program."""
    return CameraError(f"{name} is closed", "it was let go by this program", "open it again")


def not_answering(name: str, open_s: float) -> CameraError:
    """The first opening did not come to an end."""
    return CameraError(
        f"{name} does not answer",
        f"its driver did not open it within {open_s:g} s",
        "see whether another program uses it; unplug it and plug it in again",
    )


def hangs(name: str, hang_s: float) -> CameraError:
    """A call of the driver does not come back."""
    return CameraError(
        f"{name} hangs",
        f"its driver did not come back within {hang_s:g} s; it is opened again without it",
        "unplug the camera and plug it in again; if it stays away, restart this program",
    )


def stands_still(name: str, still_s: float) -> CameraError:
    """No new picture, so the stream is opened again."""
    return CameraError(
        f"{name} stood still",
        f"no new picture came for {still_s:g} s; it is opened again",
        "wait; unplug the camera and plug it in again if it stays away",
    )


def not_ready(
    name: str,
    state: CameraState,
    failure: Exception | None,
    *,
    asked_px: tuple[int, int] | None,
    size_px: tuple[int, int] | None,
) -> CameraError:
    """Why there is no photograph.

    Args:
        name: Of the camera.
        state: Any but READY.
        failure: Why the connection broke, if it did.
        asked_px, size_px: Width and height that were asked for, and that came.
    """
    if state is CameraState.WRONG_SIZE and asked_px and size_px:
        got, asked = "{}x{}".format(*size_px), "{}x{}".format(*asked_px)
        return CameraError(
            f"{name} gives {got} pixels",
            f"{asked} was asked for, and quality limits hold for one size",
            f"set the camera to {asked}, or ask for size={got}",
        )
    if state is CameraState.BLACK:
        return CameraError(f"{name} is black", "its frames show nothing at all", "take the lid off; turn the light on")
    if state is CameraState.FROZEN:
        return CameraError(
            f"{name} is frozen",
            "no new picture comes: none at all, or the same one again and again",
            "wait until it was opened again; unplug it and plug it in if it stays so",
        )
    if isinstance(failure, SallEdgeError):
        return CameraError(f"{name} is lost", f"{failure.what}: {failure.why}", failure.fix)
    return CameraError(f"{name} is lost", str(failure or "it is being connected"), "look at its cable")
