"""Which eye, which view, or none of this examination; for photographs with made-up verdicts."""

import pytest
from fakes.camera import FakeCamera
from fakes.made_up_examination import ENGINE, NOON

from sall_edge.screening.camera.source import Capture, Origin, WhySetAside
from sall_edge.screening.examination.examination import begin, wanted
from sall_edge.screening.examination.programme import load_programme
from sall_edge.screening.examination.record import Examination, Person, View
from sall_edge.screening.station.belonging import belongs_elsewhere, holds, is_of_another, name_of, place_of
from sall_edge.spec import Eye

PROGRAMME = load_programme("icdr")


@pytest.fixture
def examination() -> Examination:
    return begin(PROGRAMME, Person(reference="4711"), ENGINE, examination_id="e1", at=NOON)


def _capture(**origin: object) -> Capture:
    return FakeCamera.delivery(b"a photograph", origin=Origin(camera="folder", **origin))  # type: ignore[arg-type]


def test_a_photograph_that_says_nothing_is_the_one_that_was_asked_for(examination: Examination) -> None:
    asked = wanted(examination, PROGRAMME)
    assert asked is not None
    place = place_of(_capture(), examination, PROGRAMME, asked, photograph_id="p1")
    assert (place.photograph_id, place.eye, place.view, place.attempt) == ("p1", Eye.RIGHT, View.MACULA, 1)


def test_a_photograph_that_says_its_eye_is_of_that_eye(examination: Examination) -> None:
    asked = wanted(examination, PROGRAMME)
    assert asked is not None
    place = place_of(_capture(eye=Eye.LEFT), examination, PROGRAMME, asked, photograph_id="p1")
    assert (place.eye, place.view, place.attempt) == (Eye.LEFT, View.MACULA, 1)


@pytest.mark.parametrize(("reference", "is_other"), [(None, False), ("4711", False), ("4712", True)])
def test_a_photograph_of_another_person_is_none_of_it(
    examination: Examination, reference: str | None, is_other: bool
) -> None:
    capture = _capture(person_reference=reference)
    assert is_of_another(capture, examination) is is_other
    why = belongs_elsewhere(capture, examination, PROGRAMME)
    assert why == (WhySetAside.ANOTHER_PERSON if is_other else None)


def test_a_photograph_of_an_eye_that_is_left_out_is_none_of_it() -> None:
    examination = begin(
        PROGRAMME,
        Person(reference="4711"),
        ENGINE,
        examination_id="e1",
        at=NOON,
        not_examined={Eye.LEFT: "prosthesis"},
    )
    assert belongs_elsewhere(_capture(eye=Eye.LEFT), examination, PROGRAMME) is WhySetAside.EYE_NOT_EXAMINED
    assert belongs_elsewhere(_capture(eye=Eye.RIGHT), examination, PROGRAMME) is None


def test_an_examination_without_photographs_holds_none(examination: Examination) -> None:
    assert not holds(examination, "0" * 64)


@pytest.mark.parametrize(
    ("details", "name"),
    [
        ({"file": "1.jpg", "SOPInstanceUID": "1.2"}, "1.jpg"),
        ({"SOPInstanceUID": "1.2"}, "1.2"),
        ({}, "folder"),
    ],
)
def test_a_photograph_is_named_by_what_finds_it(details: dict[str, str], name: str) -> None:
    assert name_of(_capture(details=details)) == name
