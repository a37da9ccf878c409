"""`sall-edge camera`: how it is asked, how it ends, what it says when something is wrong."""

import io
import shutil
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from fakes.camera_process import CameraProcess

from sall_edge.artifacts import Engine
from sall_edge.fundus.phantom import draw_phantom
from sall_edge.fundus.phantom.aiming import Still, write_aiming

Run = Callable[..., Any]  # the fixture of tests/conftest.py
Start = Callable[..., CameraProcess]


@pytest.fixture(scope="module")
def photographs() -> dict[str, bytes]:
    """A JPEG of each eye."""
    rng = np.random.default_rng(4)
    drawn = {eye: draw_phantom(rng, side_px=320, dr_grade=0, amd_grade=0, eye=eye).pixels for eye in "RL"}
    return {eye: bytes(cv2.imencode(".jpg", pixels[..., ::-1])[1]) for eye, pixels in drawn.items()}


@pytest.fixture
def hot(tmp_path: Path) -> Path:
    folder = tmp_path / "hot"
    folder.mkdir()
    return folder


@pytest.fixture
def asked(sall_edge: Run, tiny_engine: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Runs the command in this process; nobody sits at its stdin."""
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    monkeypatch.setattr(sys, "stdin", None)
    return lambda *more: sall_edge("camera", tiny_engine.path, "--store", tmp_path / "store", *more)


@pytest.fixture
def start(tiny_engine: Engine, tmp_path: Path) -> Start:
    """Starts the command as a process of its own."""
    shared = ("--store", tmp_path / "store", "--programme", "icdr-one-photograph")
    return lambda *more: CameraProcess(tiny_engine.path, *shared, *more, home=tmp_path)


def test_a_source_that_is_none_is_refused_with_those_that_are(asked: Run) -> None:
    done = asked("--source", "webcam", "--person", "4711")
    assert done.code == 1
    assert "error: 'webcam' is no camera" in done.err
    assert "folder:FOLDER" in done.err


def test_a_hot_folder_that_is_not_there_is_refused(asked: Run, tmp_path: Path) -> None:
    done = asked("--source", f"folder:{tmp_path / 'nowhere'}", "--person", "4711")
    assert done.code == 1
    assert f"fix: make it: mkdir -p {tmp_path / 'nowhere'}" in done.err


def test_a_live_camera_needs_a_person_whom_nobody_could_be_asked_for(
    sall_edge: Run, tiny_engine: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, photographs: dict[str, bytes]
) -> None:
    (tmp_path / "0.jpg").write_bytes(photographs["R"])
    (tmp_path / "frames.csv").write_text("file,at_s\n0.jpg,0\n")
    monkeypatch.setattr(sys, "stdin", io.StringIO())
    done = sall_edge(
        "camera", tiny_engine.path, "--source", f"frames:{tmp_path}", "--store", tmp_path / "store", "--json"
    )
    assert done.code == 2
    assert "--person is needed" in done.err


@pytest.mark.parametrize(
    ("more", "words"),
    [
        (("--person", "1", "--not-examined", "L"), "'L': write the eye and the reason"),
        (("--person", "1", "--not-examined", "L= "), "write the eye and the reason"),
        (("--person", "1", "--not-examined", "X=lost"), "'X=lost': write the eye and the reason"),
        (("--not-examined", "L=lost"), "--not-examined needs --person"),
        (("--person", " "), "it is empty"),
    ],
)
def test_what_is_asked_wrongly_is_said_at_once(asked: Run, hot: Path, more: tuple[str, ...], words: str) -> None:
    done = asked("--source", f"folder:{hot}", *more)
    assert done.code == 2
    assert words in " ".join(done.err.replace("│", " ").split())


def test_both_eyes_cannot_be_left_out(asked: Run, hot: Path) -> None:
    left_out = ("--not-examined", "L=prosthesis", "--not-examined", "R=prosthesis")
    done = asked("--source", f"folder:{hot}", "--person", "1", *left_out)
    assert done.code == 1
    assert "no eye is left to examine" in done.err


def test_a_locked_store_is_said_before_the_camera_opens(sall_edge: Run, asked: Run, tmp_path: Path) -> None:
    sall_edge("store", "new-key", tmp_path / "key")
    sall_edge("store", "new", tmp_path / "store", "--key", tmp_path / "key")
    done = asked("--source", "folder:/nowhere", "--person", "1")
    assert done.code == 1
    assert "no key was given" in done.err
    assert "fix:" in done.err


def test_a_full_disk_is_said_before_anything_is_begun(
    asked: Run, sall_edge: Run, hot: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sall_edge.screening.station.station.LARGEST_PHOTOGRAPH_BYTES", 1 << 60)
    done = asked("--source", f"folder:{hot}", "--person", "1", "--json")
    assert (done.code, done.out) == (1, "")
    assert "has no room for another examination" in done.err
    assert "sall-edge store retain" in done.err
    assert sall_edge("store", "list", tmp_path / "store").out == ""


def test_an_examination_that_goes_on_does_not_leave_out_another_eye(start: Start, hot: Path) -> None:
    source = ("--source", f"folder:{hot}", "--person", "1")
    with start(*source) as process:
        process.until("photograph_wanted")
        process.says("leave")
        assert process.ended()[0] == 1
    with start(*source, "--not-examined", "L=prosthesis") as process:
        code, err = process.ended()
    assert code == 1
    assert "was begun without --not-examined" in err
    assert "give_up" in err


@pytest.mark.slow
@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_an_examination_that_a_signal_ends_goes_on_with_the_next_process(
    start: Start, hot: Path, photographs: dict[str, bytes], number: signal.Signals, code: int
) -> None:
    source = ("--source", f"folder:{hot}", "--person", "4711", "--once")
    with start(*source) as process:
        examination = process.until("examination_started")["examination_id"]
        process.until("photograph_wanted")
        (hot / "1_OD.jpg").write_bytes(photographs["R"])
        process.until("photograph_wanted", where=lambda event: event["eye"] == "L")
        process.signalled(number)
        ended, err = process.ended()
    assert ended == code
    assert f"stopped; examination {examination} is kept, and goes on when its person comes back" in err
    assert "Traceback" not in err
    with start(*source) as process:
        assert process.until("examination_started")["examination_id"] == examination
        assert process.until("photograph_wanted")["eye"] == "L"
        assert process.until("photograph_set_aside")["why"] == "already_stored"
        (hot / "2_OS.jpg").write_bytes(photographs["L"])
        assert process.until("examination_finished")["examination_id"] == examination
        assert process.ended()[0] == 0


@pytest.mark.slow
def test_a_device_that_attends_is_stopped_without_an_examination(
    start: Start, hot: Path, photographs: dict[str, bytes]
) -> None:
    (hot / "old.jpg").write_bytes(photographs["R"])
    with start("--source", f"folder:{hot}") as process:
        assert process.until("photograph_set_aside")["name"] == "old.jpg"
        process.signalled(signal.SIGTERM)
        code, err = process.ended()
    assert code == 143
    assert err.endswith("stopped\n")


@pytest.mark.slow
def test_a_folder_that_goes_and_comes_back_is_said_and_used_again(
    start: Start, hot: Path, photographs: dict[str, bytes]
) -> None:
    with start("--source", f"folder:{hot}", "--person", "1") as process:
        process.until("photograph_wanted")
        shutil.rmtree(hot)
        assert process.until("camera_changed")["state"] == "lost"
        hot.mkdir()
        assert process.until("camera_changed")["state"] == "ready"
        (hot / "1.jpg").write_bytes(photographs["R"])
        assert process.until("photograph_judged")["gradable"]


@pytest.mark.slow
def test_a_live_camera_that_is_lost_is_said_with_what_to_do_and_used_when_it_is_back(
    start: Start, tmp_path: Path
) -> None:
    pixels = draw_phantom(np.random.default_rng(8), side_px=512, dr_grade=0, amd_grade=0, eye="R").pixels
    recording, away = tmp_path / "aiming", tmp_path / "away"
    write_aiming([Still(pixels=pixels)], recording, seed=1, width_px=640, height_px=360)
    with start("--source", f"frames:{recording}", "--person", "1", "--shutter", "operator") as process:
        process.until("aiming")
        recording.rename(away)
        assert process.until("camera_changed")["state"] == "lost"
        process.says("release")
        failed = process.until("failed")
        assert failed["what"] == "aiming is lost"
        assert failed["why"]
        assert failed["fix"]
        away.rename(recording)
        process.until("camera_changed", where=lambda event: event["state"] == "ready")
        process.until("aiming", where=lambda event: event["is_steady"])
        process.says("release")
        assert process.until("photograph_judged")["gradable"]
        process.says("leave")
        assert process.ended()[0] == 1


@pytest.mark.slow
def test_what_cannot_be_taken_is_given_up_and_referred(start: Start, hot: Path) -> None:
    with start("--source", f"folder:{hot}", "--person", "1") as process:
        process.says("give_up\ngive_up")
        assert process.until("examination_finished")["outcome"] == "ungradable_referral"
        assert process.ended()[0] == 0
