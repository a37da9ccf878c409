import threading
import time

import cv2
import numpy as np
import pytest
from fakes.camera_device import LIMITS, QUICK, SIZE_PX, SOON_S, FakeDevice

from sall_edge.errors import CameraError
from sall_edge.screening.camera.live import LiveCamera, Patience
from sall_edge.screening.camera.raw_frame import Layout, RawFrame
from sall_edge.screening.camera.source import CameraState, Moment


def _opened(device: FakeDevice) -> LiveCamera:
    return LiveCamera(device.open, name="fake", limits=LIMITS, patience=QUICK, details={"source": "fake:0"})


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
