"""Real files written by OpenCV, and a real RTSP server: GStreamer's, in another process, on this machine."""

import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest
from fakes import rtsp_server
from fakes.system_gi import gi_folder, why_no_gstreamer

from sall_edge.errors import CameraError
from sall_edge.fundus.phantom.draw import draw_phantom
from sall_edge.screening.camera.frame_reader import StreamEnded
from sall_edge.screening.camera.live import LiveCamera, Patience
from sall_edge.screening.camera.playback import Playback
from sall_edge.screening.camera.raw_frame import RawFrame, rgb_from
from sall_edge.screening.camera.source import CameraState, Moment
from sall_edge.screening.camera.video import SETTLING_S, RtspReader, VideoReader, open_rtsp, open_video

FPS = 20
NO_SERVER = "sudo apt install python3-gi gir1.2-gst-rtsp-server-1.0 gstreamer1.0-plugins-base gstreamer1.0-plugins-good"


@pytest.fixture(scope="module")
def phantom_video(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Thirty frames of a phantom that moves; the brightness of the left edge counts them."""
    path = tmp_path_factory.mktemp("video") / "aiming.avi"
    eye = draw_phantom(np.random.default_rng(0), side_px=300, dr_grade=1, amd_grade=0, eye="R").pixels
    frame = np.zeros((300, 480, 3), np.uint8)
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), FPS, (480, 300))
    for number in range(30):
        frame[:, 60:360] = cv2.cvtColor(cv2.resize(eye, (300, 300)), cv2.COLOR_RGB2BGR)
        frame = np.roll(frame, 2, axis=1)
        frame[:, :40] = number * 8
        writer.write(frame)
    writer.release()
    return path


def _number_of(raw: RawFrame) -> int:
    pixels = rgb_from(raw)
    assert pixels is not None
    return round(float(pixels[:, 5:35].mean()) / 8)


def _next(reader: VideoReader | RtspReader) -> RawFrame:
    while (raw := reader.read()) is None:
        pass
    return raw


def test_a_video_plays_at_its_own_speed(phantom_video: Path) -> None:
    reader = open_video(phantom_video, playback=Playback.ENDLESS)
    start_s = time.monotonic()
    frames = [_next(reader) for _ in range(40)]
    took_s = time.monotonic() - start_s
    reader.close()
    assert took_s == pytest.approx(40 / FPS, rel=0.25)
    numbers = [_number_of(raw) for raw in frames]
    assert numbers[:3] == [0, 1, 2]
    assert numbers[-5:] == [(numbers[-1] - back) % 30 for back in (4, 3, 2, 1, 0)]  # it has started again
    assert all(raw.exposed_s <= start_s + took_s for raw in frames)


def test_a_reader_that_is_late_skips_to_where_the_video_is(phantom_video: Path) -> None:
    reader = open_video(phantom_video, playback=Playback.ONCE)
    _next(reader)
    time.sleep(0.5)
    assert _number_of(_next(reader)) in range(9, 13)
    reader.close()


def test_a_video_that_is_played_once_is_lost_at_its_end(phantom_video: Path) -> None:
    reader = open_video(phantom_video, playback=Playback.ONCE)
    played = []
    with pytest.raises(StreamEnded, match=r"aiming.avi is over\n  why: it is a recording.*\n  fix: play it again"):
        played.extend(raw for _ in range(100) if (raw := reader.read()) is not None)
    reader.close()


def test_a_frame_of_a_video_is_a_photograph_of_now(phantom_video: Path) -> None:
    with LiveCamera(lambda: open_video(phantom_video, playback=Playback.ENDLESS), name="video") as camera:
        trigger = Moment.now()
        capture = camera.capture(trigger, timeout_s=2)
        assert capture is not None
        assert capture.suffix == ".tif"
        assert camera.state is CameraState.READY


def test_what_is_no_video_is_named(tmp_path: Path) -> None:
    with pytest.raises(CameraError, match=r"gone.mp4 is not there\n  why: a video is one file\n  fix: check the path"):
        open_video(tmp_path / "gone.mp4", playback=Playback.ONCE)
    (tmp_path / "text.mp4").write_text("no video", encoding="utf-8")
    with pytest.raises(
        CameraError, match=r"text.mp4 cannot be played\n  why: FFmpeg finds no video.*\n  fix: convert it"
    ):
        open_video(tmp_path / "text.mp4", playback=Playback.ONCE)


class _FakeStream:
    """A stream whose frames arrive when it is told; it cannot show what FFmpeg or a network do."""

    def __init__(self) -> None:
        self.position_s = 0.0
        self.gives = True

    def read(self) -> tuple[bool, object]:
        return self.gives, np.zeros((4, 4, 3), np.uint8)

    def get(self, setting: int) -> float:
        assert setting == cv2.CAP_PROP_POS_MSEC
        return self.position_s * 1e3

    def release(self) -> None: ...


def test_a_network_frame_is_as_old_as_the_assumed_delay_and_its_waiting_here(monkeypatch: pytest.MonkeyPatch) -> None:
    now_s = [100.0]
    monkeypatch.setattr("sall_edge.screening.camera.video.time.monotonic", lambda: now_s[0])
    stream = _FakeStream()
    reader = RtspReader(stream, "rtsp://a", delay_s=0.5)

    def age_s(*, arrives_s: float, position_s: float) -> float:
        now_s[0], stream.position_s = 100 + arrives_s, position_s
        return now_s[0] - _next(reader).exposed_s

    assert age_s(arrives_s=0.1, position_s=0.0) == pytest.approx(0.5 + SETTLING_S - 0.1)  # kept by the server, perhaps
    assert age_s(arrives_s=5.0, position_s=5.0) == pytest.approx(0.5)
    assert age_s(arrives_s=9.0, position_s=7.0) == pytest.approx(2.5)  # we were busy, and it waited
    assert age_s(arrives_s=50.0, position_s=49.5) == pytest.approx(0.5)  # the camera's clock runs slower than ours
    stream.gives = False
    with pytest.raises(
        CameraError, match=r"rtsp://a gives no frame\n  why: the stream ended, or 3 s passed\n  fix: look"
    ):
        reader.read()


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """Starts the server, in its own process; it says its port on its standard output."""
    why = why_no_gstreamer(tmp_path, "Gst", "GstRtspServer")
    if why:
        pytest.skip(f"{why}; {NO_SERVER}")
    started: list[subprocess.Popen[str]] = []

    def start(port: int = 0) -> subprocess.Popen[str]:
        command = [sys.executable, rtsp_server.__file__, str(port), str(FPS)]
        paths = str(gi_folder(tmp_path))
        server = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env={"PYTHONPATH": paths})
        started.append(server)
        return server

    yield start
    for server in started:
        server.kill()
        server.wait()
        assert server.stdout is not None
        server.stdout.close()


def _port(server: subprocess.Popen[str]) -> int:
    assert server.stdout is not None
    return int(server.stdout.readline())


@pytest.mark.slow
def test_a_network_camera_that_goes_away_is_lost_and_comes_back(
    serve: Callable[..., subprocess.Popen[str]],
) -> None:
    first = serve()
    port = _port(first)
    url = f"rtsp://127.0.0.1:{port}/camera"
    patience = Patience(first_pause_s=0.1, most_pause_s=0.5)
    with LiveCamera(lambda: open_rtsp(url, delay_s=0.2), name="network", patience=patience) as camera:
        frame = camera.frame(timeout_s=10)
        assert frame is not None
        assert frame.pixels.shape == (480, 640, 3)
        assert camera.state is CameraState.READY
        trigger = Moment.now()
        capture = camera.capture(trigger, timeout_s=10)
        assert capture is not None
        assert float(capture.origin.details["exposed_after_trigger_ms"]) >= 0

        first.send_signal(signal.SIGSTOP)  # the network is there, and nothing comes
        _until_state(camera, CameraState.FROZEN, within_s=2.0)
        first.kill()
        first.wait()
        _until_state(camera, CameraState.LOST, within_s=5.0)
        _port(serve(port))
        _until_state(camera, CameraState.READY, within_s=15.0)
        again = camera.frame(newer_than=frame.number, timeout_s=5)
        assert again is not None


def _until_state(camera: LiveCamera, state: CameraState, *, within_s: float) -> None:
    deadline_s = time.monotonic() + within_s
    while camera.state is not state:
        assert time.monotonic() < deadline_s, f"{camera.state} and not {state}"
        time.sleep(0.01)


def test_an_address_where_nobody_answers_is_named_without_its_password() -> None:
    with pytest.raises(
        CameraError, match=r"rtsp://127.0.0.1:9/a cannot be opened\n  why: nobody.*\n  fix: .*ffplay"
    ) as caught:
        open_rtsp("rtsp://me:secret@127.0.0.1:9/a")
    assert "secret" not in str(caught.value)
