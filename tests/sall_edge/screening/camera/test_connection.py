import threading
import time

import pytest
from fakes.camera_device import FakeDevice

from sall_edge.errors import CameraError
from sall_edge.screening.camera.connection import Connection
from sall_edge.screening.camera.raw_frame import RawFrame

SOON_S = 5.0


def _started(device: FakeDevice) -> tuple[Connection, list[RawFrame]]:
    frames: list[RawFrame] = []
    connection = Connection(device.open, lambda _, raw: frames.append(raw), name="fake")
    connection.start()
    return connection, frames


def test_frames_are_delivered_until_it_is_given_up_and_the_device_is_let_go() -> None:
    device = FakeDevice()
    connection, frames = _started(device)
    assert connection.wait_until_open(SOON_S)
    while len(frames) < 3:
        time.sleep(0.01)
    assert connection.hangs_for_s(time.monotonic()) < 1.0
    connection.give_up()
    assert connection.join(SOON_S)
    assert connection.is_over
    assert connection.failure is None
    assert device.closed == 1


def test_what_breaks_it_is_kept() -> None:
    device = FakeDevice()
    connection, _ = _started(device)
    assert connection.wait_until_open(SOON_S)
    device.is_plugged = False
    assert connection.join(SOON_S)
    assert isinstance(connection.failure, CameraError)
    assert device.closed == 1


def test_an_opening_that_fails_is_not_waited_for() -> None:
    device = FakeDevice()
    device.is_plugged = False
    connection, _ = _started(device)
    start_s = time.monotonic()
    assert not connection.wait_until_open(60.0)
    assert time.monotonic() - start_s < SOON_S
    assert device.closed == 0


def test_a_read_that_hangs_is_measured_and_delivers_nothing_once_it_is_given_up() -> None:
    device = FakeDevice()
    connection, frames = _started(device)
    assert connection.wait_until_open(SOON_S)
    device.goes_on.clear()
    time.sleep(0.3)
    assert connection.hangs_for_s(time.monotonic()) > 0.2
    connection.give_up()
    assert not connection.join(0.1)
    count = len(frames)
    device.goes_on.set()
    assert connection.join(SOON_S)
    assert len(frames) == count


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_defect_is_kept_too_and_ends_the_connection() -> None:
    def broken() -> FakeDevice:
        raise ZeroDivisionError("a defect")

    hook, seen = threading.excepthook, []
    threading.excepthook = lambda what: seen.append(what.exc_type)
    try:
        connection = Connection(broken, lambda *_: None, name="fake")  # type: ignore[arg-type]
        connection.start()
        assert connection.join(SOON_S)
    finally:
        threading.excepthook = hook
    assert seen == [ZeroDivisionError]
    assert isinstance(connection.failure, ZeroDivisionError)
