"""V4L2 without a device: the fake takes the place of `cv2.VideoCapture`, and says what it cannot show."""

import time
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
from fakes.camera_device import FakeV4l2

from sall_edge.errors import CameraError
from sall_edge.screening.camera import v4l2
from sall_edge.screening.camera.live import LiveCamera
from sall_edge.screening.camera.raw_frame import Layout
from sall_edge.screening.camera.source import Moment
from sall_edge.screening.camera.v4l2 import V4l2Reader, open_v4l2

A_DEVICE = "/dev/null"  # any character device passes for one


@pytest.fixture
def opened_with(monkeypatch: pytest.MonkeyPatch) -> Callable[[FakeV4l2], list[tuple[object, ...]]]:
    """Puts the fake behind OpenCV's name, and gives what it was called with."""

    def put(fake: FakeV4l2) -> list[tuple[object, ...]]:
        calls: list[tuple[object, ...]] = []

        def made(*arguments: object) -> FakeV4l2:
            calls.append(arguments)
            return fake

        monkeypatch.setattr(cv2, "VideoCapture", made)
        return calls

    return put


@pytest.mark.parametrize(
    ("buffers", "admits", "stamps"),
    [
        pytest.param(4, 4, True, id="stamped"),
        pytest.param(4, 4, False, id="no stamps"),
        pytest.param(8, 2, True, id="stamped, and deeper than it says"),
        pytest.param(10, 10, False, id="deep, no stamps"),
    ],
)
def test_no_photograph_shows_light_from_before_its_trigger(buffers: int, admits: int, stamps: bool) -> None:
    """The reader is slower than the sensor, so every frame waited in the queue: opencv/opencv#13281."""
    fake = FakeV4l2(buffers=buffers, admits=admits, stamps=stamps, read_takes_s=0.03)
    fake.settings[cv2.CAP_PROP_FOURCC] = cv2.VideoWriter.fourcc(*"MJPG")
    stale = 0
    with LiveCamera(lambda: V4l2Reader(fake, "fake"), name="usb") as camera:
        time.sleep(0.4)  # the queue is full
        for _ in range(4):
            trigger, read = Moment.now(), len(fake.read_order)
            capture = camera.capture(trigger, timeout_s=5.0)
            assert capture is not None
            assert fake.began_of[capture.data] >= trigger.monotonic_s
            stale += sum(fake.began_of[one] < trigger.monotonic_s for one in fake.read_order[read:])
    assert stale > 4  # the first frame that came after the trigger would have been wrong


def test_a_stamped_camera_gives_the_first_or_second_frame_after_the_trigger() -> None:
    fake = FakeV4l2(buffers=4)
    with LiveCamera(lambda: V4l2Reader(fake, "fake"), name="usb") as camera:
        time.sleep(0.2)
        delays = []
        for _ in range(5):
            trigger = Moment.now()
            assert camera.capture(trigger, timeout_s=5.0) is not None
            delays.append(time.monotonic() - trigger.monotonic_s)
    assert min(delays) < 5 * FakeV4l2.frame_s


def test_a_camera_that_makes_jpegs_is_taken_at_its_word(opened_with: Callable[[FakeV4l2], list[object]]) -> None:
    fake = FakeV4l2(buffers=2)
    calls = opened_with(fake)
    reader = open_v4l2(A_DEVICE, size_px=(1920, 1080), fps=15)
    assert calls == [(A_DEVICE, cv2.CAP_V4L2)]
    assert fake.settings[cv2.CAP_PROP_FRAME_WIDTH] == 1920
    assert fake.settings[cv2.CAP_PROP_FRAME_HEIGHT] == 1080
    assert fake.settings[cv2.CAP_PROP_FPS] == 15
    assert fake.settings[cv2.CAP_PROP_CONVERT_RGB] == 0
    raw = reader.read()
    assert raw is not None
    assert raw.layout is Layout.JPEG
    assert raw.data.ndim == 1
    assert raw.data.tobytes() == fake.read_order[-1]
    reader.close()
    assert not fake.is_open


def test_a_camera_without_jpeg_gives_yuyv_as_it_comes(opened_with: Callable[[FakeV4l2], list[object]]) -> None:
    fake = FakeV4l2(buffers=2)
    fake.has_jpeg = False
    opened_with(fake)
    raw = open_v4l2(A_DEVICE).read()
    assert raw is not None
    assert raw.layout is Layout.YUYV
    assert raw.data.shape[2] == 2


def test_other_formats_are_left_to_opencv(opened_with: Callable[[FakeV4l2], list[object]]) -> None:
    fake = FakeV4l2(buffers=2)
    fake.has_jpeg = False
    fake.settings[cv2.CAP_PROP_FOURCC] = cv2.VideoWriter.fourcc(*"NV12")
    opened_with(fake)
    raw = open_v4l2(A_DEVICE).read()
    assert raw is not None
    assert raw.layout is Layout.BGR
    assert fake.settings[cv2.CAP_PROP_CONVERT_RGB] == 1


def test_an_unplugged_device_is_an_error_with_its_name(opened_with: Callable[[FakeV4l2], list[object]]) -> None:
    fake = FakeV4l2(buffers=2)
    opened_with(fake)
    reader = open_v4l2(A_DEVICE)
    fake.is_plugged = False
    with pytest.raises(
        CameraError, match=r"/dev/null gives no frame\n  why: it was unplugged.*\n  fix: plug it in again"
    ):
        reader.read()


def test_what_opencv_throws_is_an_error_of_the_camera() -> None:
    class Broken(FakeV4l2):
        def read(self) -> tuple[bool, object]:
            cv2.resize(np.zeros((2, 2), np.uint8), (0, 0))
            raise AssertionError

    with pytest.raises(CameraError, match="usb gives no frame"):
        V4l2Reader(Broken(buffers=2), "usb").read()


def test_a_device_that_opencv_cannot_open(opened_with: Callable[[FakeV4l2], list[object]]) -> None:
    fake = FakeV4l2(buffers=2)
    fake.is_open = False
    opened_with(fake)
    with pytest.raises(
        CameraError, match=r"/dev/null cannot be opened as a camera\n  why: another program .*\n  fix: close"
    ):
        open_v4l2(A_DEVICE)


def test_a_device_that_is_not_there_names_those_that_are(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "video7").touch()
    monkeypatch.setattr(v4l2, "DEVICES", tmp_path)
    with pytest.raises(
        CameraError, match=r"/dev/video77 is not there\n  why: video devices here: .*video7\n  fix: plug"
    ):
        open_v4l2("/dev/video77")
    (tmp_path / "video7").unlink()
    with pytest.raises(CameraError, match="video devices here: none"):
        open_v4l2("/dev/video77")


def test_a_file_is_no_device(tmp_path: Path) -> None:
    (tmp_path / "video0").touch()
    with pytest.raises(CameraError, match=r"video0 is no device\n  why: .*node.*\n  fix: name the device"):
        open_v4l2(str(tmp_path / "video0"))


def test_a_device_without_permission_says_which_group(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(v4l2.os, "access", lambda *_: False)
    with pytest.raises(
        CameraError, match=r"/dev/null may not be used\n  why: its permissions.*\n  fix: sudo usermod -aG video"
    ):
        open_v4l2(A_DEVICE)


def test_opencv_itself_refuses_a_device_that_is_no_camera() -> None:
    """Through the real backend: /dev/null is a device, and no camera."""
    with pytest.raises(CameraError, match="cannot be opened as a camera"):
        open_v4l2(A_DEVICE)
