"""`sall-edge report`: the documents of an examination that is in the store."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from fakes.camera import FakeCamera
from fakes.stored_examination import begun, ended, with_photograph
from pypdf import PdfReader

from sall_edge.artifacts import Engine
from sall_edge.errors import ExaminationError
from sall_edge.fundus.phantom import draw_phantom
from sall_edge.runtime.session import open_session
from sall_edge.screening.examination.programme import load_programme
from sall_edge.screening.examination.record import Person
from sall_edge.screening.station.controls import Controls
from sall_edge.screening.station.correcting import correct_side
from sall_edge.screening.station.station import Station
from sall_edge.screening.store.opening import create_store, open_store
from sall_edge.screening.store.reader import read_store

Run = Callable[..., Any]  # the fixture of tests/conftest.py
PROGRAMME = "icdr-one-photograph"


@pytest.fixture(scope="module")
def examined(tiny_engine: Engine, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """A store and the number of its examination."""
    folder, rng = create_store(tmp_path_factory.mktemp("report") / "store"), np.random.default_rng(2)
    drawn = [draw_phantom(rng, side_px=320, dr_grade=0, amd_grade=0, eye=eye).pixels for eye in "RL"]
    camera = FakeCamera(
        deliveries=[FakeCamera.delivery(bytes(cv2.imencode(".jpg", one[..., ::-1])[1])) for one in drawn]
    )
    with open_session(tiny_engine) as session, open_store(folder) as store:
        station = Station(
            camera=camera, session=session, store=store, programme=load_programme(PROGRAMME), controls=Controls()
        )
        list(station.examine(Person(reference="4711", name="Doe^Jane")))
        return folder, store.examinations()[0].examination_id


def _asked(sall_edge: Run, examined: tuple[Path, str], engine: Engine, output: Path, *more: object) -> Any:
    folder, number = examined
    return sall_edge("report", folder, number, "--engine", engine.path, "-o", output, "--programme", PROGRAMME, *more)


def test_a_report_is_written_again_in_another_language(
    sall_edge: Run, examined: tuple[Path, str], tiny_engine: Engine, tmp_path: Path
) -> None:
    titles = {}
    for language in ("en", "de", "es", "fr"):
        done = _asked(sall_edge, examined, tiny_engine, tmp_path / language, "--language", language)
        assert done.code == 0, done.err
        (path,) = map(Path, done.out.split())
        assert path == tmp_path / language / f"{examined[1]}.pdf"
        assert path.stat().st_mode & 0o077 == 0
        (page,) = PdfReader(path).pages
        assert "4711" in page.extract_text()
        titles[language] = page.extract_text().splitlines()[0]
    assert len(set(titles.values())) == len(titles)
    assert titles["en"] == "Retinal screening report"


def test_every_format_that_is_asked_for_is_written(
    sall_edge: Run, examined: tuple[Path, str], tiny_engine: Engine, tmp_path: Path
) -> None:
    done = _asked(sall_edge, examined, tiny_engine, tmp_path, "--format", "fhir", "--format", "pdf")
    assert done.code == 0, done.err
    assert {Path(line).suffix for line in done.out.split()} == {".json", ".pdf"}


def test_another_engine_than_the_one_that_graded_is_refused(
    sall_edge: Run, examined: tuple[Path, str], int8_engine: Engine, tmp_path: Path
) -> None:
    done = _asked(sall_edge, examined, int8_engine, tmp_path / "out")
    assert done.code == 1
    assert "was graded by the engine" in done.err
    assert "fix: give the engine that graded the examination" in done.err
    assert not (tmp_path / "out").exists()


def test_an_examination_that_is_not_there_and_a_language_that_nobody_speaks_are_said(
    sall_edge: Run, examined: tuple[Path, str], tiny_engine: Engine, tmp_path: Path
) -> None:
    done = _asked(sall_edge, (examined[0], "0000"), tiny_engine, tmp_path)
    assert done.code == 1
    assert "no examination 0000" in done.err
    done = _asked(sall_edge, examined, tiny_engine, tmp_path, "--language", "tlh")
    assert done.code == 1
    assert "tlh" in done.err


def test_a_side_is_corrected_afterwards_and_the_report_says_so(
    sall_edge: Run, examined: tuple[Path, str], tiny_engine: Engine, tmp_path: Path
) -> None:
    folder, number = tmp_path / "store", examined[1]
    shutil.copytree(examined[0], folder)
    with read_store(folder) as store:
        before = store.examination(number)
    one = before.photographs[0].photograph_id
    told = ("--engine", tiny_engine.path, "--programme", PROGRAMME)
    done = sall_edge("store", "correct-side", folder, one, *told, "--by", "Dr Grader")
    assert done.code == 0, done.err
    with read_store(folder) as store:
        after = store.examination(number)
    assert done.out == f"{one}  R -> L  {after.outcome.value}\n"
    assert (after.corrections[0].by, after.corrections[0].replaced) == ("Dr Grader", before.outcome)
    assert after.photographs == before.photographs
    assert f"{one}  corrected to L" in sall_edge("store", "show", folder, number).out
    assert sall_edge("audit", "verify", folder).code == 0
    assert _asked(sall_edge, (folder, number), tiny_engine, tmp_path / "again").code == 0
    (page,) = PdfReader(tmp_path / "again" / f"{number}.pdf").pages
    assert "it had been taken for the other eye" in " ".join(page.extract_text().split())


def test_a_side_is_not_corrected_by_another_engine_or_while_the_examination_goes_on(
    tiny_engine: Engine, tmp_path: Path
) -> None:
    programme = load_programme(PROGRAMME)
    with open_store(create_store(tmp_path / "store")) as store:
        examination = begun()
        store.begin(examination)
        examination, photograph = with_photograph(examination, b"one")
        store.add_photograph(examination, photograph, b"one")
        for finished, why in ((False, "is not finished"), (True, "the engine eeeeeeeeeeee graded it")):
            if finished:
                store.finish(ended(examination))
            with pytest.raises(ExaminationError, match="cannot be corrected") as refused:
                correct_side(store, photograph.photograph_id, programme=programme, engine=tiny_engine)
            assert why in refused.value.why


def test_the_group_reads_it_if_it_is_told_so(
    sall_edge: Run, examined: tuple[Path, str], tiny_engine: Engine, tmp_path: Path
) -> None:
    done = _asked(sall_edge, examined, tiny_engine, tmp_path / "drop", "--readable-by", "group")
    assert done.code == 0, done.err
    assert Path(done.out.strip()).stat().st_mode & 0o777 == 0o640
    assert (tmp_path / "drop").stat().st_mode & 0o777 == 0o750
