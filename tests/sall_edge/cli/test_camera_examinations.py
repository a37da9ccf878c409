"""Whole examinations by a process of its own: two eyes, one retake, a report, the audit whole afterwards.

The engine's verdicts mean nothing, and phantoms stand in for retinas: what is shown is that everything holds together.
"""

import json
import shutil
import socket
import time
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
from fakes.camera_process import CameraProcess, Happening, free_port, sall_edge_process
from fakes.fundus_dicom import ophthalmic_photograph, send
from pypdf import PdfReader

from sall_edge.artifacts import Engine
from sall_edge.fundus.phantom import draw_phantom
from sall_edge.fundus.phantom.aiming import Still, write_aiming

pytestmark = pytest.mark.slow

PROGRAMME = "icdr-one-photograph"
SLOW_S = 0.05
"""Between two parts of a file: longer than a poll of the folder, shorter than a part takes on a bad network."""

Retina = Callable[[str], np.ndarray]


@pytest.fixture(scope="module")
def retina() -> Retina:
    rng = np.random.default_rng(21)
    return lambda eye: draw_phantom(rng, side_px=512, dr_grade=0, amd_grade=0, eye=eye).pixels


@pytest.fixture
def station(tiny_engine: Engine, tmp_path: Path) -> Callable[..., CameraProcess]:
    """Starts `sall-edge camera` with a store and a folder for reports."""

    def start(source: str, *more: object) -> CameraProcess:
        shared = ("--store", tmp_path / "store", "--report", tmp_path / "reports", "--programme", PROGRAMME, "--once")
        return CameraProcess(tiny_engine.path, "--source", source, *shared, *more, home=tmp_path)

    return start


def _dark(pixels: np.ndarray) -> np.ndarray:
    return cv2.convertScaleAbs(pixels, alpha=0.08)


def _jpeg(pixels: np.ndarray) -> bytes:
    return bytes(cv2.imencode(".jpg", pixels[..., ::-1])[1])


def _copied_slowly(data: bytes, path: Path) -> None:
    """As a camera writes to a network share."""
    with path.open("wb") as file:
        for start in range(0, len(data), len(data) // 8):
            file.write(data[start : start + len(data) // 8])
            file.flush()
            time.sleep(SLOW_S)


def _judged(process: CameraProcess) -> Happening:
    return process.until("photograph_judged", "photograph_set_aside", "failed")


def _check_examination(process: CameraProcess, folder: Path, *, person: str) -> None:
    """The right eye taken twice, the left one once, with a report about that, in a store that is whole."""
    process.until("report_written", "failed")
    code, stderr = process.ended()
    assert code == 0, stderr
    taken = [(event["eye"], event["attempt"]) for event in process.of("captured")]
    assert taken == [("R", 1), ("R", 2), ("L", 1)]
    judged = [(event["gradable"], event["reasons"]) for event in process.of("photograph_judged")]
    assert judged == [(False, ["too_dark"]), (True, []), (True, [])]
    (finished,) = process.of("examination_finished")
    number = finished["examination_id"]
    (report,) = process.of("report_written")
    (pdf,) = map(Path, report["files"])
    _check_pdf(pdf, person=person, number=number)
    code, out, stderr = sall_edge_process("audit", "verify", folder / "store", "--json", home=folder)
    assert code == 0, stderr
    found = json.loads(out)
    assert (found["whole"], found["examinations"], found["photographs"], found["files"]) == (True, 1, 3, 3)
    _, out, _ = sall_edge_process("store", "show", folder / "store", number, "--json", home=folder)
    stored = json.loads(out)
    assert stored["person"]["reference"] == person
    assert stored["outcome"] == finished["outcome"]
    ids = [event["photograph_id"] for event in process.of("photograph_judged")]
    assert [one["photograph_id"] for one in stored["photographs"]] == ids


def _check_pdf(pdf: Path, *, person: str, number: str) -> None:
    assert pdf.stem == number
    (page,) = PdfReader(pdf).pages
    text = " ".join(page.extract_text().split())
    for words in (person, "Right eye", "Left eye", "Not a medical device", number):
        assert words in text
    assert "too dark" in text.lower()  # why the first was taken again


def test_a_recorded_aiming_is_examined(station: Callable[..., CameraProcess], retina: Retina, tmp_path: Path) -> None:
    right, left = retina("R"), retina("L")
    stills = [Still(pixels=right, gain=0.12), Still(pixels=right, held_s=1.0), Still(pixels=left, held_s=1.0)]
    write_aiming(stills, tmp_path / "aiming", seed=1, width_px=640, height_px=360)
    with station(f"frames:{tmp_path / 'aiming'}", "--person", "4711") as process:
        process.until("aiming", where=lambda event: event["field_found"] and event["exposure"] < 0.2)
        process.says("release")
        assert _judged(process)["reasons"] == ["too_dark"]
        process.until("examination_finished")
        _check_examination(process, tmp_path, person="4711")


def test_what_is_copied_into_a_hot_folder_is_examined(
    station: Callable[..., CameraProcess], retina: Retina, tmp_path: Path
) -> None:
    (tmp_path / "hot").mkdir()
    right = retina("R")
    with station(f"folder:{tmp_path / 'hot'}", "--person", "4711") as process:
        process.until("photograph_wanted")
        for name, pixels in (("1_OD.jpg", _dark(right)), ("2_OD.jpg", right), ("3_OS.jpg", retina("L"))):
            _copied_slowly(_jpeg(pixels), tmp_path / "hot" / name)
            assert _judged(process)["event"] == "photograph_judged"
        _check_examination(process, tmp_path, person="4711")
    assert len(list((tmp_path / "hot").iterdir())) == 3  # the camera's folder is left alone


def test_photographs_that_arrive_at_once_without_a_person_are_one_persons(
    station: Callable[..., CameraProcess], retina: Retina, tmp_path: Path
) -> None:
    hot, batch = tmp_path / "hot", tmp_path / "batch"
    hot.mkdir()
    batch.mkdir()
    right = retina("R")
    for name, pixels in (("1_OD.jpg", _dark(right)), ("2_OD.jpg", right), ("3_OS.jpg", retina("L"))):
        (batch / name).write_bytes(_jpeg(pixels))
    (hot / "0_OD.jpg").write_bytes(_jpeg(retina("R")))  # somebody else's, from before
    with station(f"folder:{hot}") as process:
        assert process.until("photograph_set_aside")["name"] == "0_OD.jpg"
        for path in sorted(batch.iterdir()):
            shutil.move(path, hot / path.name)
        started = process.until("examination_started")
        process.until("examination_finished")
        code, out, _ = sall_edge_process(
            "store", "show", tmp_path / "store", started["examination_id"], "--json", home=tmp_path
        )
        assert code == 0
        person = json.loads(out)["person"]["reference"]
        assert person.startswith("unnamed 20")
        _check_examination(process, tmp_path, person=person)


def _wait_until_listening(port: int) -> None:
    deadline = time.monotonic() + 30
    while True:
        with socket.socket() as trying:
            if trying.connect_ex(("127.0.0.1", port)) == 0:
                return
        assert time.monotonic() < deadline
        time.sleep(0.1)


def test_what_a_camera_sends_by_dicom_is_examined_with_its_person(
    station: Callable[..., CameraProcess], retina: Retina, tmp_path: Path
) -> None:
    port, right = free_port(), retina("R")
    with station(f"dicom:{port}", "--inbox", tmp_path / "inbox") as process:
        _wait_until_listening(port)
        for pixels, eye in ((_dark(right), "R"), (right, "R"), (retina("L"), "L")):
            assert send(ophthalmic_photograph(pixels, person="4712", eye=eye), port=port) == 0
            assert _judged(process)["event"] == "photograph_judged"
        _check_examination(process, tmp_path, person="4712")
    assert not list((tmp_path / "inbox").iterdir())  # what is stored is let go
