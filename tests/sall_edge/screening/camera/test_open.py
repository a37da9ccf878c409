import subprocess
import sys
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from fakes.camera_device import FakeDevice, noisy_picture

from sall_edge.errors import CameraError
from sall_edge.screening.camera.dicom_scp import DicomCamera
from sall_edge.screening.camera.health import HealthLimits
from sall_edge.screening.camera.hot_folder import HotFolder
from sall_edge.screening.camera.live import LiveCamera
from sall_edge.screening.camera.open import SOURCES, open_camera
from sall_edge.screening.camera.playback import Playback
from sall_edge.screening.camera.source import Moment
from sall_edge.screening.camera.v4l2 import Stamps

CAMERA = "sall_edge.screening.camera"


class _Opened:
    """What an opener was called with; the fake device stands in for what it would have opened."""

    def __init__(self) -> None:
        self.arguments: tuple[Any, ...] = ()
        self.options: dict[str, Any] = {}

    def __call__(self, *arguments: Any, **options: Any) -> Any:
        self.arguments, self.options = arguments, options
        return FakeDevice().open()


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> _Opened:
    opener = _Opened()
    for name in ("v4l2.open_v4l2", "gstreamer.open_gstreamer", "video.open_rtsp", "video.open_video"):
        monkeypatch.setattr(f"{CAMERA}.{name}", opener)
    monkeypatch.setattr(f"{CAMERA}.recorded.open_recorded", opener)
    return opener


def _open(source: str, **options: Any) -> LiveCamera:
    camera = open_camera(source, **options)
    assert isinstance(camera, LiveCamera)
    camera.close()
    return camera


@pytest.mark.parametrize("source", ["/dev/video3", "v4l2:/dev/video3"])
def test_a_device_is_a_v4l2_camera(opened: _Opened, source: str) -> None:
    assert _open(source).name == "/dev/video3"
    assert opened.arguments == ("/dev/video3",)
    assert opened.options == {"size_px": None, "fps": None, "stamps": Stamps.USED}


def test_a_device_takes_its_options_after_a_question_mark(opened: _Opened) -> None:
    source = "v4l2:/dev/v4l/by-id/usb-a:b?size=3264x2448&fps=15&stamps=ignored"
    assert _open(source, name="left").name == "left"
    assert opened.arguments == ("/dev/v4l/by-id/usb-a:b",)
    assert opened.options == {"size_px": (3264, 2448), "fps": 15.0, "stamps": Stamps.IGNORED}


def test_the_size_that_is_asked_for_is_the_size_that_frames_must_have(opened: _Opened) -> None:
    for source, limits in (
        ("/dev/video0?size=640x480", None),
        ("/dev/video0", HealthLimits(size_px=(640, 480))),
        ("argus:0?size=640x480", None),
    ):
        with (
            open_camera(source, limits=limits) as camera,
            pytest.raises(CameraError, match=r"gives 320x256 pixels\n  why: 640x480 was asked for"),
        ):
            camera.capture(Moment.now(), timeout_s=0.2)


def test_a_sensor_of_a_jetson_is_a_pipeline(opened: _Opened) -> None:
    camera = _open("argus:1")
    assert camera.name == "argus:1"
    assert "sensor-id=1 " in opened.arguments[0]
    assert "width=1920,height=1080,framerate=30/1" in opened.arguments[0]
    _open("argus:0?size=3840x2160&fps=15")
    assert "width=3840,height=2160,framerate=15/1" in opened.arguments[0]


def test_a_pipeline_is_taken_as_it_stands(opened: _Opened) -> None:
    assert _open("gst:videotestsrc ! video/x-raw,format=BGR").name == "gstreamer"
    assert opened.arguments == ("videotestsrc ! video/x-raw,format=BGR",)


def test_a_network_camera_keeps_its_password_out_of_names_and_records(opened: _Opened) -> None:
    source = "rtsp://me:se@cret@10.0.0.2:554/live?channel=1"
    with open_camera(source, delay_s=0.3) as camera:
        assert opened.arguments == (source,)
        assert opened.options == {"delay_s": 0.3}
        assert camera.name == "rtsp://10.0.0.2:554/live?channel=1"
        capture = camera.capture(Moment.now(), timeout_s=5)
        assert capture is not None
        assert "cret" not in str(capture.origin)


@pytest.mark.parametrize(("option", "playback"), [("", Playback.ENDLESS), ("?play=once", Playback.ONCE)])
def test_videos_and_recordings_say_how_they_end(
    opened: _Opened, tmp_path: Path, option: str, playback: Playback
) -> None:
    assert _open(f"{tmp_path}/eye.mp4{option}").name == "eye.mp4"
    assert (opened.arguments, opened.options) == ((tmp_path / "eye.mp4",), {"playback": playback})
    _open(f"frames:{tmp_path}{option}")
    assert (opened.arguments, opened.options) == ((tmp_path,), {"playback": playback})
    (tmp_path / "frames.csv").touch()
    _open(f"{tmp_path}{option}")
    assert opened.arguments == (tmp_path,)


def test_a_recording_really_plays(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    files = [tmp_path / "0.png", tmp_path / "1.png"]
    for file in files:
        cv2.imwrite(str(file), noisy_picture(rng))
    (tmp_path / "frames.csv").write_text("file,at_s\n0.png,0\n1.png,0.1\n", encoding="utf-8")
    with open_camera(str(tmp_path)) as camera:
        capture = camera.capture(Moment.now(), timeout_s=2)
    assert capture is not None
    assert capture.data in [file.read_bytes() for file in files]


def test_cameras_that_deliver_are_opened_by_their_own_modules(tmp_path: Path) -> None:
    with open_camera(f"folder:{tmp_path}", name="fundus") as camera:
        assert isinstance(camera, HotFolder)
        assert camera.name == "fundus"
    with open_camera("dicom:0/CLINIC", inbox=tmp_path / "inbox") as camera:
        assert isinstance(camera, DicomCamera)


def _message(source: str) -> str:
    with pytest.raises(CameraError) as caught:
        open_camera(source)
    return str(caught.value)


def test_what_is_no_source_is_answered_with_all_that_are() -> None:
    for source in ("webcam", "", "v4l2:", "/home/nobody/here", "0"):
        message = _message(source)
        assert message.startswith(f"{source!r} is no camera\n  why: it is none of the forms of a source")
        assert all(form in message for form in SOURCES)


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("/dev/video0?size=big", "has no size\n  why: size=big is not width x height in pixels\n  fix: size=1920x1080"),
        ("/dev/video0?fps=0", "has no frame rate\n  why: fps=0 is not 1 to 999\n  fix: fps=30"),
        ("/dev/video0?zoom=2", "has no option zoom\n  why: its options are size=, fps=, stamps=\n  fix: leave it out"),
        ("/dev/video0?stamps=no", "why: stamps=no is not known\n  fix: stamps=used or stamps=ignored"),
        ("eye.mp4?play=twice", "why: play=twice is not known\n  fix: play=endless or play=once"),
        ("argus:front", "'front' is no sensor\n  why: sensors are numbered from 0\n  fix: argus:0"),
        ("dicom:CLINIC", "has no port\n  why: a camera sends to a port of this device\n  fix: dicom:11112/"),
        ("dicom:70000", "has no port"),
        ("dicom:11112", "has no folder\n  why: what arrives is kept until it is stored\n  fix: name one: inbox=FOLDER"),
    ],
)
def test_a_source_that_is_written_wrongly_says_how_it_should_be(source: str, said: str) -> None:
    assert said in _message(source)


def test_opening_a_device_loads_no_library_of_the_other_cameras() -> None:
    code = (
        "import sys\n"
        "from sall_edge.errors import CameraError\n"
        "from sall_edge.screening.camera.open import open_camera\n"
        "try:\n    open_camera('/dev/video77')\nexcept CameraError:\n    pass\n"
        "print([name for name in ('gi', 'pynetdicom', 'pydicom', 'watchfiles', 'openvino') if name in sys.modules])\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
