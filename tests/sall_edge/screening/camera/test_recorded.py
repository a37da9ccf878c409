import time
from pathlib import Path

import cv2
import numpy as np
import pytest
from fakes.camera_device import noisy_picture

from sall_edge.errors import CameraError
from sall_edge.fundus.phantom.aiming import FRAMES_FILE, Still, write_aiming
from sall_edge.fundus.phantom.draw import draw_phantom
from sall_edge.screening.camera.frame_reader import StreamEnded
from sall_edge.screening.camera.live import LiveCamera
from sall_edge.screening.camera.playback import Playback
from sall_edge.screening.camera.raw_frame import Layout, RawFrame
from sall_edge.screening.camera.recorded import FRAMES_NAME, RecordedReader, open_recorded
from sall_edge.screening.camera.source import CameraState, Moment

STEP_S = 0.05


def _record(folder: Path, *, count: int, suffix: str = ".jpg") -> list[bytes]:
    rng = np.random.default_rng(0)
    rows, files = ["file,at_s"], []
    for number in range(count):
        cv2.imwrite(str(folder / f"{number}{suffix}"), noisy_picture(rng))
        files.append((folder / f"{number}{suffix}").read_bytes())
        rows.append(f"{number}{suffix},{3 + number * STEP_S:.3f}")
    (folder / FRAMES_NAME).write_text("\n".join(rows) + "\n", encoding="utf-8")
    return files


def _next(reader: RecordedReader) -> RawFrame:
    while (raw := reader.read()) is None:
        pass
    return raw


@pytest.mark.parametrize(("suffix", "layout"), [(".jpg", Layout.JPEG), (".png", Layout.PNG)])
def test_the_files_come_as_they_are_each_at_its_time_and_again(tmp_path: Path, suffix: str, layout: Layout) -> None:
    files = _record(tmp_path, count=3, suffix=suffix)
    reader = open_recorded(tmp_path, playback=Playback.ENDLESS)
    played = [_next(reader) for _ in range(7)]
    assert [raw.data.tobytes() for raw in played] == [files[number % 3] for number in range(7)]
    assert {raw.layout for raw in played} == {layout}
    times = [raw.exposed_s for raw in played]
    assert np.diff(times) == pytest.approx(STEP_S)
    assert times[-1] <= time.monotonic()
    reader.close()


def test_played_once_it_is_over(tmp_path: Path) -> None:
    _record(tmp_path, count=2)
    reader = open_recorded(tmp_path, playback=Playback.ONCE)
    _next(reader)
    _next(reader)
    with pytest.raises(StreamEnded, match=r"is over\n  why: it is a recording, played once\n  fix: .*play=endless"):
        reader.read()


def test_a_reader_that_is_late_leaves_out_what_is_over(tmp_path: Path) -> None:
    files = _record(tmp_path, count=20)
    reader = open_recorded(tmp_path, playback=Playback.ONCE)
    _next(reader)
    time.sleep(6.5 * STEP_S)
    assert _next(reader).data.tobytes() in files[6:9]


def test_a_single_picture_is_shown_again_and_again(tmp_path: Path) -> None:
    _record(tmp_path, count=1)
    reader = open_recorded(tmp_path, playback=Playback.ENDLESS)
    assert _next(reader).exposed_s < _next(reader).exposed_s


def test_a_recording_that_is_over_is_lost_for_good(tmp_path: Path) -> None:
    _record(tmp_path, count=4)
    opened = []

    def opens() -> RecordedReader:
        opened.append(open_recorded(tmp_path, playback=Playback.ONCE))
        return opened[-1]

    with LiveCamera(opens, name="recording") as camera:
        assert camera.frame(timeout_s=2) is not None
        time.sleep(1.0)
        assert camera.state is CameraState.LOST
        assert camera.frame() is None
        assert len(opened) == 1
        with pytest.raises(CameraError, match=r"recording is lost\n  why: .*is over: it is a recording"):
            camera.capture(Moment.now(), timeout_s=0.1)


def test_a_recorded_aiming_plays_as_a_camera(tmp_path: Path) -> None:
    eye = draw_phantom(np.random.default_rng(5), side_px=384, dr_grade=0, amd_grade=0, eye="R").pixels
    write_aiming([Still(pixels=eye)], tmp_path / "aiming", seed=0, width_px=640, height_px=480)
    assert FRAMES_FILE == FRAMES_NAME
    with LiveCamera(lambda: open_recorded(tmp_path / "aiming", playback=Playback.ENDLESS), name="aiming") as camera:
        frame = camera.frame(timeout_s=2)
        assert frame is not None
        assert frame.pixels.shape == (480, 640, 3)


@pytest.mark.parametrize(
    ("content", "why"),
    [
        ("file,at_s\n", "it has no frames"),
        ("file,at_s\n../0.jpg,0\n", "line 2: '../0.jpg' is not the name of a JPEG or PNG in the folder"),
        ("file,at_s\n0.bmp,0\n", "line 2: '0.bmp' is not the name"),
        ("file,at_s\n0.jpg,soon\n", "line 2: at_s is 'soon', but times are numbers that grow"),
        ("file,at_s\n0.jpg,nan\n", "line 2: at_s is 'nan'"),
        ("file,at_s\n0.jpg,1\n0.jpg,1\n", "line 3: at_s is '1', but times are numbers that grow"),
        ("a,b\n1,2\n", "line 2: '' is not the name"),
        ("file,at_s\n\xff", "it is no CSV in UTF-8"),
    ],
)
def test_a_list_of_frames_that_breaks_a_rule_says_where(tmp_path: Path, content: str, why: str) -> None:
    (tmp_path / FRAMES_NAME).write_bytes(content.encode("latin-1"))
    with pytest.raises(CameraError, match=f"frames.csv cannot be played\n  why: {why}") as caught:
        open_recorded(tmp_path, playback=Playback.ONCE)
    assert caught.value.fix == "two columns, file and at_s, with one line a picture"


def test_a_folder_without_a_list_and_a_picture_that_is_gone_are_named(tmp_path: Path) -> None:
    with pytest.raises(CameraError, match=r"cannot read .*frames.csv\n  why: No such file.*\n  fix: name a folder"):
        open_recorded(tmp_path, playback=Playback.ONCE)
    _record(tmp_path, count=1)
    (tmp_path / "0.jpg").unlink()
    with pytest.raises(
        CameraError, match=r"cannot read .*0.jpg\n  why: No such file.*\n  fix: record the folder again"
    ):
        _next(open_recorded(tmp_path, playback=Playback.ONCE))
