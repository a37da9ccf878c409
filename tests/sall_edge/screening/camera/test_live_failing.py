"""What a live camera says when it is unplugged, frozen, black, resized or hung, and how it comes back."""

import threading
import time
from collections.abc import Callable

import cv2
import numpy as np
import pytest
from fakes.camera_device import LIMITS, QUICK, SIZE_PX, SOON_S, FakeDevice

from sall_edge.errors import CameraError
from sall_edge.screening.camera.health import HealthLimits
from sall_edge.screening.camera.live import MOST_HANGING, LiveCamera, Patience
from sall_edge.screening.camera.source import Camera, CameraState, Moment


def _opened(device: FakeDevice, *, limits: HealthLimits = LIMITS, patience: Patience = QUICK) -> LiveCamera:
    return LiveCamera(device.open, name="fake", limits=limits, patience=patience, details={"source": "fake:0"})


def _until(is_so: Callable[[], bool]) -> float:
    """Seconds that it took."""
    start = time.monotonic()
    while not is_so():
        assert time.monotonic() - start < SOON_S, "it did not happen"
        time.sleep(0.005)
    return time.monotonic() - start


def _is(camera: Camera, state: CameraState) -> Callable[[], bool]:
    return lambda: camera.state is state


def test_unplugged_is_said_at_once_and_the_camera_comes_back(device: FakeDevice) -> None:
    with _opened(device) as camera:
        before = camera.frame(timeout_s=SOON_S)
        assert before is not None
        device.is_plugged = False
        assert _until(_is(camera, CameraState.LOST)) < 1.0
        _until(lambda: camera.frame() is None)
        with pytest.raises(
            CameraError,
            match=r"fake is lost\n  why: the fake (is gone: it is|gives no frame: it was) unplugged\n  fix: plug it in",
        ):
            camera.capture(Moment.now(), timeout_s=0.1)
        device.is_plugged = True
        _until(_is(camera, CameraState.READY))
        after = camera.frame(timeout_s=SOON_S)
        assert after is not None
        assert after.number > before.number
        assert device.opened > 1
        assert device.closed >= 1


def test_pauses_between_tries_grow_up_to_the_most(device: FakeDevice) -> None:
    patience = Patience(first_pause_s=0.05, most_pause_s=0.4, close_s=0.5)
    with _opened(device, patience=patience) as camera:
        device.is_plugged = False
        _until(_is(camera, CameraState.LOST))
        time.sleep(2.0)
        tries = device.opened
        assert 3 <= tries <= 8  # every 0.1 s it would be 20
        assert camera.state is CameraState.LOST


def test_a_photograph_that_is_asked_for_while_the_cable_is_out_is_taken_when_it_is_back(device: FakeDevice) -> None:
    with _opened(device) as camera:
        device.is_plugged = False
        _until(_is(camera, CameraState.LOST))
        trigger = Moment.now()
        threading.Timer(0.3, lambda: setattr(device, "is_plugged", True)).start()
        capture = camera.capture(trigger, timeout_s=SOON_S)
        assert capture is not None
        assert float(capture.origin.details["exposed_after_trigger_ms"]) > 100


def test_the_same_picture_again_and_again_is_frozen_and_no_photograph(device: FakeDevice) -> None:
    with _opened(device) as camera:
        device.is_frozen = True
        time.sleep(0.1)
        trigger = Moment.now()
        assert _until(_is(camera, CameraState.FROZEN)) < 1.5
        with pytest.raises(CameraError, match=r"fake is (frozen|lost)"):
            camera.capture(trigger, timeout_s=0.2)
        _until(lambda: device.opened >= 3)  # opened again, and still the same picture
        with pytest.raises(CameraError, match=r"no new picture"):
            camera.capture(trigger, timeout_s=0.5)
        device.is_frozen = False
        _until(_is(camera, CameraState.READY))
        assert camera.capture(trigger, timeout_s=SOON_S) is not None


def test_a_driver_that_gives_nothing_is_frozen_and_opened_again(device: FakeDevice) -> None:
    with _opened(device) as camera:
        device.is_silent = True
        assert _until(_is(camera, CameraState.FROZEN)) < 1.5
        _until(lambda: device.opened >= 2)
        device.is_silent = False
        _until(_is(camera, CameraState.READY))


def test_black_is_said_and_no_photograph_until_there_is_light(device: FakeDevice) -> None:
    with _opened(device) as camera:
        device.is_covered = True
        assert _until(_is(camera, CameraState.BLACK)) < 1.5
        trigger = Moment.now()
        with pytest.raises(CameraError, match=r"fake is black\n  why: .*nothing at all\n  fix: take the lid off"):
            camera.capture(trigger, timeout_s=0.2)
        opened = device.opened
        time.sleep(1.0)
        assert device.opened == opened  # a lid is no reason to open the device again
        device.is_covered = False
        _until(_is(camera, CameraState.READY))
        capture = camera.capture(trigger, timeout_s=SOON_S)
        assert capture is not None
        assert cv2.imdecode(np.frombuffer(capture.data, np.uint8), cv2.IMREAD_GRAYSCALE).mean() > 50


def test_a_black_frame_is_no_photograph_before_the_state_says_so(device: FakeDevice) -> None:
    with _opened(device) as camera:
        device.is_covered = True
        time.sleep(0.06)
        trigger = Moment.now()
        threading.Timer(0.1, lambda: setattr(device, "is_covered", False)).start()
        capture = camera.capture(trigger, timeout_s=SOON_S)
        assert capture is not None
        assert cv2.imdecode(np.frombuffer(capture.data, np.uint8), cv2.IMREAD_GRAYSCALE).mean() > 50


def test_a_size_that_changes_is_said_with_both_sizes(device: FakeDevice) -> None:
    with _opened(device, limits=HealthLimits(frozen_s=0.4, size_px=SIZE_PX)) as camera:
        _until(_is(camera, CameraState.READY))
        device.size_px = (400, 300)
        assert _until(_is(camera, CameraState.WRONG_SIZE)) < 1.5
        message = (
            "fake gives 400x300 pixels\n  why: 320x256 was asked for.*\n  fix: set the camera to 320x256, or .*400x300"
        )
        with pytest.raises(CameraError, match=message):
            camera.capture(Moment.now(), timeout_s=0.1)
        device.size_px = SIZE_PX
        _until(_is(camera, CameraState.READY))


def test_a_read_that_hangs_is_given_up_and_what_it_brings_later_is_not_shown(device: FakeDevice) -> None:
    with _opened(device) as camera:
        device.goes_on.clear()
        assert _until(_is(camera, CameraState.FROZEN)) < 1.5
        _until(_is(camera, CameraState.LOST))
        with pytest.raises(CameraError, match=r"did not come back within 0.7 s"):
            camera.capture(Moment.now(), timeout_s=0.05)
        _until(lambda: device.opened >= 2)
        device.goes_on.set()
        _until(_is(camera, CameraState.READY))
        _until(lambda: device.closed == device.opened - 1)  # the hanging ones let their device go


def test_only_so_many_threads_may_hang(device: FakeDevice) -> None:
    with _opened(device) as camera:
        device.goes_on.clear()
        _until(lambda: device.opened == MOST_HANGING)
        time.sleep(1.5)
        assert device.opened == MOST_HANGING
        assert camera.state is CameraState.LOST
        device.goes_on.set()
        _until(_is(camera, CameraState.READY))
