"""The page: one, tagged, with alternative texts, in every language, whatever a person is called."""

import io
import re
from collections.abc import Iterator
from datetime import timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
from fakes.made_up_examination import DOUBTFUL_AMD, FAR, MODERATE_DR
from fakes.reported_examination import (
    DARK,
    LEFT_DISC,
    LEFT_MACULA,
    MARIA,
    RIGHT_DISC,
    RIGHT_MACULA,
    Told,
    content_of,
    examination,
    examined,
)
from pypdf import PdfReader

from sall_edge.errors import BackendMissing, DocumentError
from sall_edge.screening.examination.record import Outcome, Person
from sall_edge.screening.messages import languages, load_language
from sall_edge.screening.report import pdf
from sall_edge.screening.report.content import Content, Letterhead
from sall_edge.screening.report.pdf import pdf_of
from sall_edge.spec import Eye

ALL_REASONS = Told(
    besides={
        RIGHT_MACULA: [DARK, DARK, {"dr": MODERATE_DR, "amd": DOUBTFUL_AMD, "familiarity": FAR}],
        RIGHT_DISC: [DARK] * 3,
        LEFT_MACULA: [DARK, DARK, {"dr": (0.3, 0.3, 0.3, 0.1, 0.0), "amd": DOUBTFUL_AMD, "eye_seen": Eye.RIGHT}],
        LEFT_DISC: [DARK] * 3,
    }
)
LOGO = b'<svg xmlns="http://www.w3.org/2000/svg" width="90" height="30"><rect width="90" height="30"/></svg>'
LETTERHEAD = Letterhead(clinic="Example Eye Clinic\n1 Sample Street\n12345 Anytown\nTel. 01234 56789", logo=LOGO)
LONG = Person(
    reference="A-VERY-LONG-REFERENCE-OF-A-CLINIC/0000000000000000000000042",
    name="Wolfeschlegelsteinhausenbergerdorff^Hubert Blaine Adolph Charles David Earl Frederick Gerald",
    birth_date=MARIA.birth_date,
    sex="O",
)


def _read(data: bytes) -> PdfReader:
    return PdfReader(io.BytesIO(data))


def _text(data: bytes) -> str:
    return " ".join(_read(data).pages[0].extract_text().split())


def _elements(node: Any) -> Iterator[Any]:
    """The structure elements below a node, in the order in which they are read."""
    node = node.get_object()
    kids = node.get("/K", [])
    for kid in kids if isinstance(kids, list) else [kids]:
        element = kid.get_object()
        if hasattr(element, "get") and "/S" in element:
            yield element
            yield from _elements(element)


def _structure(data: bytes) -> list[Any]:
    return list(_elements(_read(data).trailer["/Root"]["/StructTreeRoot"]))


@pytest.fixture(scope="module")
def page() -> bytes:
    return pdf_of(content_of(examination(Outcome.REFERRAL)))


def test_the_page_holds_everything_that_the_content_says(page: bytes) -> None:
    content, text = content_of(examination(Outcome.REFERRAL)), _text(page)
    said = [content.outcome_title, content.follow_up, *content.reasons, *content.retaken, *content.not_assessed]
    said += [*content.operating_points, content.label("research_use"), content.programme, content.examination_id]
    said += [content.person.name, content.person.reference, "1961-05-17", "female", "Phantom 45", "Nurse One"]
    for eye in content.eyes:
        said += [eye.title, eye.outcome_title, *(shown.title for shown in eye.photographs)]
        said += [word for one in eye.findings for word in (one.title, one.grade_title, one.standing_title)]
    assert [word for word in said if word and word not in text] == []
    assert content.made_by.engine_sha256[:12] in text
    assert content.made_by.engine_sha256 not in text


def test_it_is_tagged_titled_and_says_its_language(page: bytes) -> None:
    reader = _read(page)
    root = reader.trailer["/Root"]
    assert root["/MarkInfo"]["/Marked"]
    assert root["/Lang"] == "en"
    assert reader.metadata is not None
    assert reader.metadata.title == "Retinal screening report"
    assert root["/ViewerPreferences"]["/DisplayDocTitle"]
    identity = root["/Metadata"].get_object().get_data().decode()
    assert re.search(r"pdfuaid:part>1<|pdfuaid:part=\"1\"", identity)
    assert re.search(r"pdfaid:part>2<|pdfaid:part=\"2\"", identity)


def test_every_picture_has_an_alternative_text(page: bytes) -> None:
    figures = [str(one.get("/Alt", "")) for one in _structure(page) if one["/S"] == "/Figure"]
    shown = [one for eye in content_of(examination(Outcome.REFERRAL)).eyes for one in eye.photographs]
    wanted = [text for one in shown for text in (one.alt, one.evidence_alt) if one.picture]
    assert figures
    assert set(figures) <= set(wanted)
    assert {one.alt for one in shown} <= set(figures)
    assert "Retinal photograph, Left eye, macula: gradable" in figures


def test_a_screen_reader_meets_the_verdict_first_then_the_eyes(page: bytes) -> None:
    kinds = [str(one["/S"]) for one in _structure(page)]
    assert kinds.index("/H1") < kinds.index("/H2") < kinds.index("/Table") < kinds.index("/Figure")
    assert kinds.count("/TH") == 6
    text = _text(page)
    assert text.index("Signs of disease") < text.index("Right eye") < text.index("Not assessed")


@pytest.mark.parametrize("language", languages())
@pytest.mark.parametrize("outcome", Outcome)
def test_it_is_one_page_in_every_language_and_says_the_outcome(language: str, outcome: Outcome) -> None:
    content = content_of(examination(outcome), catalogue=load_language(language))
    data = pdf_of(content)
    assert len(_read(data).pages) == 1
    assert content.outcome_title in _text(data)
    assert _read(data).trailer["/Root"]["/Lang"] == language


def _crowded(language: str) -> Content:
    record = examined(ALL_REASONS, person=LONG)
    return content_of(record, catalogue=load_language(language), letterhead=LETTERHEAD)


@pytest.mark.parametrize("language", languages())
def test_it_is_one_page_with_long_names_and_all_reasons(language: str) -> None:
    content = _crowded(language)
    assert len(content.reasons) >= 8
    assert len(content.retaken) == 4
    data = pdf_of(content)
    assert len(_read(data).pages) == 1
    text = _text(data)
    assert "Wolfeschlegelsteinhausenbergerdorff" in text
    assert [reason for reason in (*content.reasons, *content.retaken) if reason not in text] == []
    assert "Example Eye Clinic" in text


def test_a_person_without_a_name_is_called_by_the_reference_once() -> None:
    text = _text(pdf_of(content_of(examination(Outcome.NO_REFERRAL, person=Person(reference="4711")))))
    assert "Reference 4711" in text
    assert text.count("4711") == 1


def test_probabilities_are_written_as_the_language_writes_them_and_explained() -> None:
    content = content_of(examination(Outcome.REFERRAL), catalogue=load_language("de"))
    text = _text(pdf_of(content))
    assert "überweisen P 0,90" in text
    assert "P: Wahrscheinlichkeit eines solchen Grades" in text


def test_the_same_content_gives_the_same_bytes(page: bytes) -> None:
    assert pdf_of(content_of(examination(Outcome.REFERRAL))) == page


HOSTILE = '#panic("x") *bold* $1/0$ \\ " </script> @ref <label> // #image("/etc/passwd") %'


def test_a_name_is_never_markup_or_code() -> None:
    person = MARIA.model_copy(update={"name": HOSTILE, "reference": "#read"})
    text = _text(pdf_of(content_of(examination(Outcome.NO_REFERRAL, person=person))))
    assert HOSTILE in text
    assert "#read" in text


@pytest.mark.parametrize("name", ["Łódź^Škoda Ångström", "Παπαδόπουλος^Ελένη", "Иванов^Пётр", "Nguyễn^Thị Hằng"])
def test_names_of_many_alphabets_are_set_in_the_fonts_that_come_along(name: str) -> None:
    family = name.partition("^")[0]
    assert family in _text(
        pdf_of(content_of(examination(Outcome.NO_REFERRAL, person=Person(reference="1", name=name))))
    )


def test_a_character_that_no_font_has_is_an_error_and_no_box() -> None:
    person = Person(reference="1", name="\U000e0fff\u0378")
    with pytest.raises(DocumentError, match="cannot be typeset") as problem:
        pdf_of(content_of(examination(Outcome.NO_REFERRAL, person=person)))
    assert "could not be displayed" in problem.value.why
    assert "fonts-noto" in problem.value.fix


def test_what_is_undecided_shows_neither_grade_nor_probability() -> None:
    content = content_of(examination(Outcome.HUMAN_GRADING))
    text = _text(pdf_of(content))
    decided = [one for eye in content.eyes for one in eye.findings if one.probability is not None]
    assert text.count("undecided") == 2
    assert "undecided P" not in text
    assert len(re.findall(r"\bP \d\.\d\d", text.partition("Not assessed")[0])) == len(decided) == 2


def test_an_unfinished_page_never_says_that_there_is_no_referral() -> None:
    for language in languages():
        catalogue = load_language(language)
        text = _text(pdf_of(content_of(examination(Outcome.INCOMPLETE), catalogue=catalogue)))
        assert catalogue.text("outcome.no_referral") not in text
        assert catalogue.text("standing.not_referable") not in text


def test_the_clock_of_the_clinic_is_shown() -> None:
    letterhead = Letterhead(zone=timezone(timedelta(hours=5, minutes=30), "IST"))
    text = _text(pdf_of(content_of(examination(Outcome.NO_REFERRAL), letterhead=letterhead)))
    assert "2026-03-02 17:37 IST" in text


def test_a_clinic_may_bring_its_own_template(tmp_path: Path) -> None:
    own = tmp_path / "ours.typ"
    own.write_text('#let data = json("data.json")\n#set document(title: "Ours")\n= #data.outcome.title\n')
    assert _text(pdf_of(content_of(examination(Outcome.REFERRAL)), template=own)) == "Refer"


@pytest.mark.parametrize(
    ("text", "why"), [("#nothing", "unknown variable: nothing"), ("= Untitled", "missing document title")]
)
def test_a_template_that_breaks_is_an_error_that_says_where(tmp_path: Path, text: str, why: str) -> None:
    own = tmp_path / "ours.typ"
    own.write_text(text)
    with pytest.raises(DocumentError, match=r"ours.typ cannot be typeset") as problem:
        pdf_of(content_of(examination(Outcome.REFERRAL)), template=own)
    assert why in problem.value.why


def test_a_template_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(DocumentError, match="cannot read") as problem:
        pdf_of(content_of(examination(Outcome.REFERRAL)), template=tmp_path / "none.typ")
    assert problem.value.why == "No such file or directory"


def test_without_its_fonts_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pdf, "FONTS", "no_such_fonts")
    with pytest.raises(BackendMissing, match="no_such_fonts is not installed") as problem:
        pdf_of(content_of(examination(Outcome.REFERRAL)))
    assert "sall-edge[screening]" in problem.value.fix
