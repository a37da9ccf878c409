"""Real pipelines, with GStreamer's test source in the place of a sensor: that cannot show what Argus does or stamps."""

import importlib
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from fakes import throwing_after_gstreamer
from fakes.camera_device import noisy_picture
from fakes.system_gi import gi_folder, why_no_gstreamer

from sall_edge.errors import BackendMissing, CameraError
from sall_edge.screening.camera.gstreamer import argus_pipeline, open_gstreamer
from sall_edge.screening.camera.live import LiveCamera, Patience
from sall_edge.screening.camera.raw_frame import Layout, RawFrame, is_whole, rgb_from
from sall_edge.screening.camera.source import CameraState, Moment

LIVE = "videotestsrc is-live=true pattern=snow"
SMALL = "video/x-raw,width=322,height=256,framerate=30/1"


@pytest.fixture(scope="module")
def gstreamer(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder to import `gi` from."""
    folder = tmp_path_factory.mktemp("gi")
    why = why_no_gstreamer(folder, "Gst", "GstVideo")
    if why:
        pytest.skip(f"{why}; sudo apt install python3-gi gir1.2-gst-plugins-base-1.0 gstreamer1.0-plugins-good")
    found = gi_folder(folder)
    assert found is not None
    return found


def _first(pipeline: str) -> RawFrame:
    reader = open_gstreamer(pipeline)
    try:
        deadline_s = time.monotonic() + 5
        while (raw := reader.read()) is None:
            assert time.monotonic() < deadline_s
        return raw
    finally:
        reader.close()


@pytest.mark.usefixtures("gstreamer")
@pytest.mark.parametrize(
    ("name", "layout"),
    [("BGR", Layout.BGR), ("RGB", Layout.RGB), ("BGRx", Layout.BGRX), ("RGBA", Layout.RGBX), ("GRAY8", Layout.GREY)],
)
def test_each_format_gives_the_colours_of_the_pipeline(name: str, layout: Layout) -> None:
    """322 pixels are no multiple of four, so rows of three bytes and of one are padded."""
    raw = _first(f"videotestsrc is-live=true pattern=red ! {SMALL},format={name}")
    assert raw.layout is layout
    pixels = rgb_from(raw)
    assert pixels is not None
    assert pixels.shape == (256, 322, 3)
    wanted = [76, 76, 76] if layout is Layout.GREY else [255, 0, 0]
    assert np.abs(pixels.reshape(-1, 3).astype(int) - wanted).max() <= 8  # grey by BT.601 or BT.709


@pytest.mark.usefixtures("gstreamer")
def test_jpeg_comes_as_it_is() -> None:
    raw = _first(f"{LIVE} ! {SMALL} ! jpegenc")
    assert raw.layout is Layout.JPEG
    assert is_whole(raw)


@pytest.mark.usefixtures("gstreamer")
def test_yuv_is_refused_with_what_to_put_in() -> None:
    with pytest.raises(
        CameraError, match=r"the pipeline does not run\n  why: .+\n  fix: .*videoconvert before its end"
    ):
        _first(f"{LIVE} ! {SMALL},format=NV12")
    assert _first(f"{LIVE} ! {SMALL},format=NV12 ! videoconvert").data.shape[:2] == (256, 322)


@pytest.mark.usefixtures("gstreamer")
def test_a_frame_is_as_old_as_its_time_says_however_long_the_pipeline_takes() -> None:
    """A queue holds every frame back for half a second, as a slow element would."""
    slow = "queue min-threshold-time=500000000 max-size-time=0 max-size-buffers=0 max-size-bytes=0"
    reader = open_gstreamer(f"{LIVE} ! {SMALL},format=GRAY8 ! {slow}")
    try:
        ages = []
        deadline_s = time.monotonic() + 5
        while len(ages) < 20 and time.monotonic() < deadline_s:
            raw = reader.read()
            if raw is not None:
                ages.append(time.monotonic() - raw.exposed_s)
    finally:
        reader.close()
    assert len(ages) == 20
    assert min(ages[1:]) > 0.45  # the first is as old as the opening


@pytest.mark.usefixtures("gstreamer")
def test_a_photograph_of_a_pipeline_is_newer_than_its_trigger() -> None:
    with LiveCamera(lambda: open_gstreamer(f"{LIVE} ! {SMALL} ! jpegenc"), name="pipeline") as camera:
        for _ in range(3):
            trigger = Moment.now()
            capture = camera.capture(trigger, timeout_s=5)
            assert capture is not None
            assert capture.suffix == ".jpg"
            assert 0 <= float(capture.origin.details["exposed_after_trigger_ms"]) < 1000
        assert camera.state is CameraState.READY


@pytest.mark.usefixtures("gstreamer")
def test_only_the_newest_frame_waits() -> None:
    reader = open_gstreamer(f"{LIVE} ! {SMALL},format=GRAY8 ! appsink drop=false max-buffers=100")
    try:
        while reader.read() is None:
            pass
        time.sleep(0.5)  # fifteen frames
        began_s = time.monotonic()
        for _ in range(5):
            reader.read()
        assert time.monotonic() - began_s > 0.07  # all but the first two had to be waited for
    finally:
        reader.close()


@pytest.mark.usefixtures("gstreamer")
def test_a_file_plays_at_its_own_speed_and_ends(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    for number in range(15):
        cv2.imwrite(str(tmp_path / f"{number:02d}.jpg"), noisy_picture(rng))
    reader = open_gstreamer(
        f"multifilesrc location={tmp_path}/%02d.jpg caps=image/jpeg,framerate=30/1 ! jpegdec ! videoconvert"
    )
    frames: list[RawFrame] = []
    start_s = time.monotonic()
    with pytest.raises(CameraError, match=r"the pipeline ended\n  why: its source has nothing more\n  fix: look at"):
        frames.extend(raw for _ in range(1000) if (raw := reader.read()) is not None)
    reader.close()
    assert 5 <= len(frames) <= 15
    assert 0.4 < time.monotonic() - start_s < 3


@pytest.mark.usefixtures("gstreamer")
@pytest.mark.parametrize("pipeline", ["nosuchelement", f"{LIVE} ! nosuchelement"])
def test_an_element_that_is_not_there_is_named(pipeline: str) -> None:
    with pytest.raises(
        CameraError, match=r"cannot build the pipeline .*\n  why: .*nosuchelement.*\n  fix: .*gst-inspect"
    ):
        open_gstreamer(pipeline)


@pytest.mark.usefixtures("gstreamer")
def test_passwords_in_a_pipeline_stay_out_of_messages() -> None:
    with pytest.raises(CameraError) as caught:
        open_gstreamer("rtspsrc location=rtsp://me:secret@host/a user-pw=hidden ! nosuchelement")
    assert "secret" not in str(caught.value)
    assert "hidden" not in str(caught.value)


@pytest.mark.usefixtures("gstreamer")
def test_two_sinks_are_one_too_many() -> None:
    with pytest.raises(CameraError, match=r"has 2 appsinks\n  why: frames come from one\n  fix: leave one"):
        open_gstreamer("videotestsrc ! appsink  videotestsrc ! appsink")


@pytest.mark.usefixtures("gstreamer")
def test_a_device_that_is_not_there_is_said_by_the_element() -> None:
    with pytest.raises(CameraError, match=r"the pipeline does not run\n  why: .*/dev/video77"):
        open_gstreamer("v4l2src device=/dev/video77 ! image/jpeg")


@pytest.mark.usefixtures("gstreamer")
def test_frames_without_a_time_are_refused(tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / "0.jpg"), noisy_picture(np.random.default_rng(0)))
    why = r"carry no time\n  why: .*older than its trigger\n  fix: add do-timestamp=true"
    with pytest.raises(CameraError, match=why):
        _first(f"multifilesrc loop=true location={tmp_path}/0.jpg caps=image/jpeg,framerate=30/1")


@pytest.mark.usefixtures("gstreamer")
def test_a_pipeline_that_breaks_is_lost_and_built_again(tmp_path: Path) -> None:
    built: list[Any] = []

    def opens() -> Any:
        built.append(open_gstreamer(f"{LIVE} num-buffers=20 ! {SMALL} ! jpegenc"))
        return built[-1]

    with LiveCamera(opens, name="pipeline", patience=Patience(first_pause_s=0.05)) as camera:
        deadline_s = time.monotonic() + 10
        while len(built) < 3:
            assert time.monotonic() < deadline_s
            time.sleep(0.05)
        assert camera.capture(Moment.now(), timeout_s=5) is not None


def test_without_pygobject_the_packages_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> None:
        raise ModuleNotFoundError(f"No module named {name!r}")

    monkeypatch.setattr(importlib, "import_module", missing)
    with pytest.raises(
        BackendMissing,
        match=r"cannot be used from Python\n  why: .*'gi'\n  fix: sudo apt install python3-gi .*--system-site",
    ):
        open_gstreamer("videotestsrc")


def test_the_pipeline_of_a_jetson_sensor_ends_in_memory_that_the_cpu_reads() -> None:
    pipeline = argus_pipeline(1, size_px=(3840, 2160), fps=30)
    assert pipeline.startswith(
        "nvarguscamerasrc sensor-id=1 ! video/x-raw(memory:NVMM),width=3840,height=2160,framerate=30/1"
    )
    assert pipeline.endswith("nvvidconv ! video/x-raw,format=BGRx")


def test_what_is_loaded_after_gstreamer_may_throw_exceptions(gstreamer: Path) -> None:
    """In a process of its own: without the compiler's unwinder in front of GStreamer's, it aborts."""
    script = Path(throwing_after_gstreamer.__file__)
    done = subprocess.run(
        [sys.executable, script, gstreamer],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
        env={**os.environ, "PYTHONPATH": f"{script.parents[1]}:{script.parents[2]}"},
    )
    assert (done.returncode, done.stdout) == (0, "RuntimeError"), done.stderr
