import pytest

from sall_edge.errors import CameraError
from sall_edge.screening.camera.source import CameraState
from sall_edge.screening.camera.troubles import not_ready, stands_still, without_password


def test_a_picture_that_stands_still_is_said_with_how_long() -> None:
    assert str(stands_still("usb", 5.0)) == (
        "usb stood still\n  why: no new picture came for 5 s; it is opened again\n"
        "  fix: wait; unplug the camera and plug it in again if it stays away"
    )


@pytest.mark.parametrize(
    ("failure", "why", "fix"),
    [
        (CameraError("a", "b", "c"), "a: b", "c"),
        (RuntimeError("odd"), "odd", "look at its cable"),
        (None, "it is being connected", "look at its cable"),
    ],
)
def test_a_loss_says_what_broke_it(failure: Exception | None, why: str, fix: str) -> None:
    said = not_ready("usb", CameraState.LOST, failure, asked_px=None, size_px=None)
    assert (said.what, said.why, said.fix) == ("usb is lost", why, fix)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("rtsp://me:secret@host:554/a?b=c@d", "rtsp://host:554/a?b=c@d"),
        ("rtsp://me:se@cret@host/a", "rtsp://host/a"),
        ("rtsp://host/a", "rtsp://host/a"),
        (
            "gst:rtspsrc location=rtsp://me:secret@host user-pw=secret ! x",
            "gst:rtspsrc location=rtsp://host user-pw= ! x",
        ),
        ("v4l2:/dev/v4l/by-id/a@b", "v4l2:/dev/v4l/by-id/a@b"),
    ],
)
def test_only_user_and_password_are_taken_out(text: str, shown: str) -> None:
    assert without_password(text) == shown
