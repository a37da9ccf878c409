"""How the page uses its room: large photographs, numbers if it has to be two pages; and colours that can be read."""

import io
import re
from typing import Any

import pytest
from fakes.made_up_examination import MODERATE_DR
from fakes.reported_examination import (
    DARK,
    LEFT_DISC,
    LEFT_MACULA,
    PROGRAMME,
    RIGHT_DISC,
    RIGHT_MACULA,
    Told,
    content_of,
    examination,
    examined,
)
from pypdf import PdfReader

from sall_edge.screening.examination.programme import Programme, load_programme
from sall_edge.screening.examination.record import Outcome, View
from sall_edge.screening.messages import languages, load_language
from sall_edge.screening.report.pdf import TEMPLATE, pdf_of
from sall_edge.spec import Eye

READABLE = 4.5
"""Contrast of text and background, by WCAG 2 at its level AA."""


def _read(data: bytes) -> PdfReader:
    return PdfReader(io.BytesIO(data))


def _sides_mm(data: bytes) -> list[int]:
    """How wide each picture of a page is shown."""
    sides = []

    def look(operator: bytes, operands: Any, matrix: list[float], _: Any) -> None:
        if operator == b"Do":
            sides.append(round(matrix[0] / 72 * 25.4))

    _read(data).pages[0].extract_text(visitor_operand_before=look)
    return sides


ONE_EACH = load_programme("icdr-one-photograph")
BOTH_DR: dict[tuple[Eye, View], Any] = {RIGHT_MACULA: [{"dr": MODERATE_DR}], LEFT_MACULA: [{"dr": MODERATE_DR}]}


@pytest.mark.parametrize("language", languages())
@pytest.mark.parametrize(
    ("told", "programme", "number", "at_least_mm"),
    [
        (Told(), ONE_EACH, 2, 80),
        (Told(besides=BOTH_DR), ONE_EACH, 4, 50),
        (Told(besides={RIGHT_MACULA: [DARK] * 3}), ONE_EACH, 2, 80),
        (Told(not_examined={Eye.LEFT: "prosthesis"}), ONE_EACH, 1, 80),
        (Told(), PROGRAMME, 4, 50),
        (Told(besides=BOTH_DR), PROGRAMME, 6, 38),
        (Told(besides={**BOTH_DR, LEFT_DISC: [DARK] * 3}), PROGRAMME, 6, 38),
    ],
)
def test_photographs_are_as_large_as_the_page_has_room_for(
    told: Told, programme: Programme, number: int, at_least_mm: int, language: str
) -> None:
    data = pdf_of(content_of(examined(told, programme=programme), catalogue=load_language(language)))
    assert len(_read(data).pages) == 1
    sides = _sides_mm(data)
    assert len(sides) == number
    assert min(sides) >= at_least_mm


def test_a_text_that_no_page_holds_goes_on_on_a_second_one_and_both_are_numbered() -> None:
    told = Told(besides={RIGHT_DISC: ()}, given_up=[RIGHT_DISC])
    record = examined(told)
    given_up = tuple(one.model_copy(update={"why": "cannot sit up " * 500}) for one in record.given_up)
    pages = _read(pdf_of(content_of(record.model_copy(update={"given_up": given_up})))).pages
    assert len(pages) > 1
    for number, page in enumerate(pages, start=1):
        assert f"Page {number} of {len(pages)}" in page.extract_text()


def test_a_page_that_is_alone_has_no_number() -> None:
    (page,) = _read(pdf_of(content_of(examination(Outcome.REFERRAL)))).pages
    assert "Page 1" not in page.extract_text()


def _luminance(colour: str) -> float:
    levels = [int(colour[place : place + 2], 16) / 255 for place in (0, 2, 4)]
    linear = [level / 12.92 if level <= 0.04045 else ((level + 0.055) / 1.055) ** 2.4 for level in levels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def _contrast(one: str, other: str) -> float:
    darker, lighter = sorted((_luminance(one), _luminance(other)))
    return (lighter + 0.05) / (darker + 0.05)


def test_every_colour_of_a_text_can_be_read_on_what_is_behind_it() -> None:
    template = TEMPLATE.read_text()
    looks = re.findall(r'colour: rgb\("#(\w{6})"\), tint: rgb\("#(\w{6})"\)', template)
    texts = re.findall(r'#let (?:ink|faint) = rgb\("#(\w{6})"\)', template)
    assert (len(looks), len(texts)) == (len(Outcome) + 1, 2)  # every outcome, and the eye that was left out
    on_white = [*texts, *(colour for colour, _ in looks)]
    assert [colour for colour in on_white if _contrast(colour, "ffffff") < READABLE] == []
    assert [colour for colour, tint in looks if _contrast(colour, tint) < READABLE] == []
