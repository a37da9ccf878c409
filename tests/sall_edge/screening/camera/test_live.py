import threading
import time
from collections.abc import Callable, Iterator

import cv2
import numpy as np
import pytest
from fakes.camera_device import SIZE_PX, FakeDevice

from sall_edge.errors import CameraError
from sall_edge.screening.camera.health import HealthLimits
from sall_edge.screening.camera.live import MOST_HANGING, LiveCamera, Patience
from sall_edge.screening.camera.raw_frame import Layout, RawFrame
from sall_edge.screening.camera.source import Camera, CameraState, Moment

SOON_S = 5.0
"""Far above what anything takes here, for a machine that is busy."""

QUICK = Patience(open_s=0.5, hang_s=0.7, still_s=1.0, first_pause_s=0.05, most_pause_s=0.2, close_s=0.5)
LIMITS = HealthLimits(frozen_s=0.4)


@pytest.fixture
def device() -> Iterator[FakeDevice]:
    made = FakeDevice()
    yield made
    made.goes_on.set()  # no thread hangs beyond its test


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


def test_the_newest_frame_is_shown_and_numbers_grow(device: FakeDevice) -> None:
    with _opened(device) as camera:
        assert camera.is_live
        assert camera.name == "fake"
        first = camera.frame(timeout_s=SOON_S)
        assert first is not None
        second = camera.frame(newer_than=first.number, timeout_s=SOON_S)
        assert second is not None
        assert second.number > first.number
        assert second.exposed_s > first.exposed_s
        assert second.pixels.shape == (SIZE_PX[1], SIZE_PX[0], 3)
        assert not second.pixels.flags.writeable
        assert camera.state is CameraState.READY
        assert camera.frame(newer_than=second.number + 1000) is None


def test_a_frame_is_turned_into_rgb_once_and_only_when_it_is_asked_for(
    device: FakeDevice, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[RawFrame] = []

    def counted(raw: RawFrame) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
        made.append(raw)
        return np.zeros((2, 2, 3), np.uint8)

    monkeypatch.setattr("sall_edge.screening.camera.live.rgb_from", counted)
    with _opened(device) as camera:
        time.sleep(0.2)
        assert made == []
        device.is_silent = True
        time.sleep(0.1)
        assert camera.frame() is not None
        assert camera.frame() is not None
        assert len(made) == 1


def test_a_photograph_is_a_frame_from_after_its_trigger_without_a_bit_lost(device: FakeDevice) -> None:
    with _opened(device) as camera:
        trigger = Moment.now()
        capture = camera.capture(trigger, timeout_s=SOON_S)
        assert capture is not None
        assert capture.triggered is trigger
        assert capture.suffix == ".tif"
        assert capture.origin.camera == "fake"
        details = capture.origin.details
        assert details["source"] == "fake:0"
        assert details["size_px"] == "320x256"
        assert float(details["exposed_after_trigger_ms"]) >= 0
        pixels = cv2.imdecode(np.frombuffer(capture.data, np.uint8), cv2.IMREAD_COLOR_RGB)
        assert pixels.std() > 1
        assert camera.set_aside() == ()
        camera.stored(capture)


def test_no_photograph_in_time_is_none_while_the_camera_is_well(device: FakeDevice) -> None:
    with _opened(device) as camera:
        later = Moment(utc=Moment.now().utc, monotonic_s=time.monotonic() + 60)
        assert camera.capture(later, timeout_s=0.1) is None


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


def test_closing_returns_while_the_driver_hangs(device: FakeDevice) -> None:
    camera = _opened(device)
    device.goes_on.clear()
    time.sleep(0.1)
    start = time.monotonic()
    camera.close()
    camera.close()
    assert time.monotonic() - start < 2 * QUICK.close_s + 1
    assert camera.state is CameraState.LOST


def test_closing_lets_the_device_go_and_wakes_who_waits(device: FakeDevice) -> None:
    camera = _opened(device)
    device.is_silent = True
    time.sleep(0.1)
    seen: list[object] = []
    waiting = threading.Thread(target=lambda: seen.append(camera.frame(newer_than=10**9, timeout_s=60)))
    waiting.start()
    camera.close()
    waiting.join(SOON_S)
    assert seen == [None]
    assert device.closed == device.opened
    assert camera.frame() is None
    with pytest.raises(
        CameraError, match=r"fake is closed\n  why: it was let go by this program\n  fix: open it again"
    ):
        camera.capture(Moment.now(), timeout_s=60)


def test_a_camera_that_cannot_be_opened_at_first_says_why(device: FakeDevice) -> None:
    device.is_plugged = False
    with pytest.raises(CameraError, match=r"the fake is gone"):
        _opened(device)


def test_a_driver_that_hangs_while_it_opens_is_not_waited_for() -> None:
    goes_on = threading.Event()

    def hangs() -> FakeDevice:
        goes_on.wait()
        raise CameraError("late", "late", "late")

    with pytest.raises(
        CameraError, match=r"fake does not answer\n  why: its driver did not open it within 0.3 s\n  fix: see"
    ):
        LiveCamera(hangs, name="fake", patience=Patience(open_s=0.3))  # type: ignore[arg-type]
    goes_on.set()


def test_half_a_jpeg_is_never_shown_nor_taken(device: FakeDevice) -> None:
    whole = [cv2.imencode(".jpg", device.picture + np.uint8(shade))[1].reshape(-1) for shade in range(0, 60, 2)]
    number = 0

    class Reader:
        def read(self) -> RawFrame:
            nonlocal number
            time.sleep(0.01)
            number += 1
            jpeg = whole[number % len(whole)]
            data = jpeg if number % 2 else jpeg[: len(jpeg) // 2]
            return RawFrame(data=data, layout=Layout.JPEG, exposed_s=time.monotonic())

        def close(self) -> None: ...

    with LiveCamera(Reader, name="usb", limits=LIMITS) as camera:
        for _ in range(10):
            frame = camera.frame(timeout_s=SOON_S)
            assert frame is not None
            assert frame.pixels.shape == (SIZE_PX[1], SIZE_PX[0], 3)
            capture = camera.capture(Moment.now(), timeout_s=SOON_S)
            assert capture is not None
            assert capture.suffix == ".jpg"
            assert any(capture.data == one.tobytes() for one in whole)
