"""Real files, real notifications of the system, real time."""

import os
import shutil
import threading
import time
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from pathlib import Path

import cv2
import numpy as np
import pytest

from sall_edge.errors import CameraError
from sall_edge.fundus.phantom import draw_phantom
from sall_edge.screening.camera import arrivals
from sall_edge.screening.camera.hot_folder import HotFolder, eye_of_name, open_hot_folder
from sall_edge.screening.camera.source import CameraState, Capture, Moment, WhySetAside
from sall_edge.spec import Eye

SOON_S = 5.0


@pytest.fixture(scope="module")
def jpeg() -> bytes:
    pixels = draw_phantom(np.random.default_rng(3), side_px=512, dr_grade=0, amd_grade=0, eye="R").pixels
    return bytes(cv2.imencode(".jpg", pixels[..., ::-1])[1])


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "camera").mkdir()
    return tmp_path / "camera"


@pytest.fixture
def camera(folder: Path) -> Iterator[HotFolder]:
    with open_hot_folder(folder) as opened:
        yield opened


def _names(camera: HotFolder, since: Moment, count: int) -> list[str]:
    captures = [camera.capture(since, timeout_s=SOON_S) for _ in range(count)]
    return [capture.origin.details["file"] for capture in captures if capture is not None]


def test_a_file_is_given_as_it_is_and_once(camera: HotFolder, folder: Path, jpeg: bytes) -> None:
    since = Moment.now()
    (folder / "4711_OD.JPG").write_bytes(jpeg)
    capture = camera.capture(since, timeout_s=SOON_S)
    assert isinstance(capture, Capture)
    assert (capture.data, capture.suffix, capture.origin.eye) == (jpeg, ".jpg", Eye.RIGHT)
    assert since.utc <= capture.triggered.utc <= Moment.now().utc
    assert camera.capture(since, timeout_s=0.8) is None
    assert (folder / "4711_OD.JPG").read_bytes() == jpeg


def test_a_file_that_is_still_being_written_is_never_given(camera: HotFolder, folder: Path, jpeg: bytes) -> None:
    since, path = Moment.now(), folder / "slow.jpg"
    given: list[Capture | None] = []
    waiting = threading.Thread(target=lambda: given.append(camera.capture(since, timeout_s=4 * SOON_S)))
    waiting.start()
    with path.open("wb", buffering=0) as file:
        for place in range(0, len(jpeg), len(jpeg) // 8):
            file.write(jpeg[place : place + len(jpeg) // 8])
            time.sleep(0.4)  # longer than a file has to settle
            assert given == [] or place + len(jpeg) // 8 >= len(jpeg)
    waiting.join()
    assert given[0] is not None
    assert given[0].data == jpeg


def test_a_photograph_that_is_written_over_its_preview_is_given_as_it_is_in_the_end(
    camera: HotFolder, folder: Path, jpeg: bytes
) -> None:
    since, small = Moment.now(), np.zeros((300, 300, 3), np.uint8)
    (folder / "a.jpg").write_bytes(bytes(cv2.imencode(".jpg", small)[1]))
    time.sleep(0.05)
    (folder / "a.jpg").write_bytes(jpeg)
    capture = camera.capture(since, timeout_s=SOON_S)
    assert capture is not None
    assert capture.data == jpeg


def test_none_of_many_is_lost_and_they_keep_their_order(camera: HotFolder, folder: Path, jpeg: bytes) -> None:
    since = Moment.now()
    (folder / "sub").mkdir()
    for number in range(40):
        (folder / ("sub" if number % 2 else ".") / f"{number:02d}.jpg").write_bytes(jpeg)
    assert _names(camera, since, 40) == [f"{number:02d}.jpg" for number in range(40)]


def test_a_renamed_file_is_given_under_its_last_name(camera: HotFolder, folder: Path, jpeg: bytes) -> None:
    since = Moment.now()
    (folder / "photo.jpg.part").write_bytes(jpeg)
    (folder / ".hidden.jpg").write_bytes(jpeg)
    (folder / "photo.jpg.part").rename(folder / "photo.jpg")
    assert _names(camera, since, 1) == ["photo.jpg"]
    assert camera.capture(since, timeout_s=0.8) is None


def test_what_was_there_before_is_set_aside_and_named(folder: Path, jpeg: bytes) -> None:
    (folder / "old.jpg").write_bytes(jpeg)
    yesterday = (datetime.now(timezone.utc) - timedelta(days=1)).timestamp()
    os.utime(folder / "old.jpg", (yesterday, yesterday))
    with open_hot_folder(folder) as camera:
        (folder / "new.jpg").write_bytes(jpeg)
        begun = Moment(utc=datetime.now(timezone.utc) - timedelta(minutes=1), monotonic_s=time.monotonic() - 60)
        assert _names(camera, begun, 1) == ["new.jpg"]
        aside = camera.set_aside()
    (old,) = aside
    assert (old.name, old.why) == ("old.jpg", WhySetAside.EARLIER)
    assert old.taken_at is not None
    assert old.taken_at.timestamp() == pytest.approx(yesterday, abs=1)
    assert camera.set_aside() == ()


def test_an_examination_that_is_taken_up_again_gets_what_came_meanwhile(folder: Path, jpeg: bytes) -> None:
    begun = Moment.now()
    (folder / "meanwhile.jpg").write_bytes(jpeg)
    with open_hot_folder(folder) as camera:
        assert _names(camera, begun, 1) == ["meanwhile.jpg"]


def test_a_file_that_never_becomes_whole_is_set_aside(
    monkeypatch: pytest.MonkeyPatch, folder: Path, jpeg: bytes
) -> None:
    monkeypatch.setattr(arrivals, "PATIENCE_S", 0.5)
    with open_hot_folder(folder) as camera:
        since = Moment.now()
        (folder / "half.jpg").write_bytes(jpeg[: len(jpeg) // 2])
        (folder / "whole.jpg").write_bytes(jpeg)
        assert _names(camera, since, 1) == ["whole.jpg"]
        assert camera.capture(since, timeout_s=2.0) is None
        (aside,) = camera.set_aside()
    assert aside.name == "half.jpg"
    assert aside.why is WhySetAside.UNREADABLE
    assert "truncated" in str(aside.detail)


def test_a_folder_that_goes_away_is_said_and_comes_back(camera: HotFolder, folder: Path, jpeg: bytes) -> None:
    assert camera.state is CameraState.READY
    shutil.rmtree(folder)
    assert camera.state is CameraState.LOST
    time.sleep(0.7)
    folder.mkdir()
    since = Moment.now()
    (folder / "back.jpg").write_bytes(jpeg)
    assert camera.state is CameraState.READY
    assert _names(camera, since, 1) == ["back.jpg"]


def test_a_folder_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CameraError, match="is no folder"):
        open_hot_folder(tmp_path / "nowhere")


@pytest.mark.parametrize(
    ("stem", "eye"),
    [
        ("4711_OD_20260101", Eye.RIGHT),
        ("smith-left-2", Eye.LEFT),
        ("12L", Eye.LEFT),
        ("R_macula", Eye.RIGHT),
        ("lord", None),
        ("L_R", None),
        ("0001", None),
    ],
)
def test_an_eye_is_read_from_a_name_only_where_it_is_a_word(stem: str, eye: Eye | None) -> None:
    assert eye_of_name(stem) == eye


def test_a_defect_that_ends_the_watching_is_raised_to_whoever_waits(folder: Path, jpeg: bytes) -> None:
    def defective(path: Path, arrived: Moment) -> Capture:
        raise ZeroDivisionError

    watched = arrivals.Arrivals(folder, suffixes=[".jpg"], read=defective)
    try:
        (folder / "one.jpg").write_bytes(jpeg)
        with pytest.raises(ZeroDivisionError):
            watched.next(Moment.now(), timeout_s=SOON_S)
        assert not watched.is_watching
    finally:
        watched.close()
