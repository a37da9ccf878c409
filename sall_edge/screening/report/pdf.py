"""A document as one page of PDF/UA-1 and PDF/A-2a: tagged, with alternative texts, readable in fifty years.

Typst sets it. The template is code, everything of the examination is data beside it: a name cannot become markup, and
nothing of a person is written to a temporary file. The same content gives the same bytes.
"""

import json
from datetime import datetime
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
import typst

from sall_edge.errors import BackendMissing, DocumentError
from sall_edge.screening.examination.record import Outcome
from sall_edge.screening.report.content import Content, EyeContent, Finding, Shown, Standing

__all__ = ["TEMPLATE", "pdf_of"]

U8 = npt.NDArray[np.uint8]

TEMPLATE = Path(__file__).with_name("report.typ")
STANDARDS = ["ua-1", "a-2a"]
FONTS = "font_source_sans_pro"
"""Package of the fonts; typst brings Libertinus Serif for what they lack."""
LABELS = (
    "disease",
    "grade",
    "identity",
    "no_picture",
    "not_assessed",
    "not_photographed",
    "operating_points",
    "result",
    "retaken",
)
LOOKS = {Standing.URGENT: Outcome.URGENT_REFERRAL.value, Standing.REFERABLE: Outcome.REFERRAL.value}
"""Of which outcome a finding has the colour; every other one has none."""
JPEG_QUALITY = 92
"""Of the photographs on the page, at which nobody sees a difference; DICOM holds them without loss."""


def pdf_of(content: Content, *, template: Path = TEMPLATE) -> bytes:
    """The page, as the bytes of a PDF file.

    Args:
        content: What it says.
        template: A typst file that reads `data.json`, as the one that ships does.

    Raises:
        DocumentError: The template cannot be read or breaks, or no font has a character of the content.
        BackendMissing: The fonts are not installed.
    """
    try:
        source = template.read_bytes()
    except OSError as cause:
        raise DocumentError(f"cannot read {template}", str(cause.strerror or cause), "check the path") from cause
    data = json.dumps(_data(content), ensure_ascii=False, separators=(",", ":")).encode()
    folder = _font_folder()
    try:
        return _typeset(source, data, content.dated, typst.Fonts(include_system_fonts=False, font_paths=[folder]))
    except typst.TypstError as cause:
        if "could not be displayed" not in cause.message:
            raise DocumentError(
                f"{template.name} cannot be typeset", _in_words(cause), "correct the template"
            ) from cause
    try:  # a character of a name that neither font has: the system may have one that does
        return _typeset(source, data, content.dated, typst.Fonts(include_system_fonts=True, font_paths=[folder]))
    except typst.TypstError as cause:
        fix = "install a font that has the character, such as those of Debian's fonts-noto"
        raise DocumentError("the report cannot be typeset", _in_words(cause), fix) from cause


def _typeset(source: bytes, data: bytes, dated: datetime, fonts: typst.Fonts) -> bytes:
    made = typst.compile(  # type: ignore[call-overload]  # its stub leaves out the dict of files that it takes
        {"main": source, "data.json": data},
        format="pdf",
        pdf_standards=STANDARDS,
        font_paths=fonts,
        timestamp=int(dated.timestamp()),
    )
    return bytes(made)


def _in_words(cause: typst.TypstError) -> str:
    return " - ".join([cause.message, *cause.hints])


def _font_folder() -> str:
    found = find_spec(FONTS)
    if found is None or not found.submodule_search_locations:
        raise BackendMissing(
            f"{FONTS} is not installed", "the report is set in it", "pip install 'sall-edge[screening]'"
        )
    return str(Path(found.submodule_search_locations[0]) / "files")


def _data(content: Content) -> dict[str, Any]:
    """What the template reads; only texts, numbers and bytes as lists of numbers."""
    letterhead = content.letterhead
    return {
        "language": content.language,
        "title": content.label("title"),
        "research_use": content.label("research_use"),
        "examination_id": content.examination_id,
        "page_of": content.label("page_of", page="{page}", pages="{pages}"),
        "labels": {name: content.label(name) for name in LABELS},
        "clinic": letterhead.clinic.splitlines() if letterhead.clinic else [],
        "logo": None if letterhead.logo is None else list(letterhead.logo),
        "logo_alt": letterhead.clinic.splitlines()[0] if letterhead.clinic else content.label("logo"),
        "person": {"headline": _headline(content), "facts": _facts(content)},
        "outcome": {
            "key": content.outcome.value,
            "title": content.outcome_title,
            "follow_up": content.follow_up,
            "reasons": content.reasons,
        },
        "eyes": [_eye(content, eye) for eye in content.eyes],
        "has_evidence": any(shown.picture and shown.picture.evidence is not None for shown in _photographs(content)),
        "evidence_scale": content.label("evidence_scale"),
        "retaken": content.retaken or [content.label("none_retaken")],
        "not_assessed": content.not_assessed,
        "operating_points": content.operating_points,
        "identity": _identity(content),
        "hashes": _hashes(content),
    }


def _photographs(content: Content) -> list[Shown]:
    return [shown for eye in content.eyes for shown in eye.photographs]


def _headline(content: Content) -> str:
    """What the person is called: a number alone says what number it is."""
    person = content.person
    return person.name or f"{content.label('reference')} {person.reference}"


def _facts(content: Content) -> list[tuple[str, str]]:
    person = content.person
    facts = {
        "reference": person.reference if person.name else None,
        "born": person.birth_date.isoformat() if person.birth_date else None,
        "sex": person.sex_title,
        "examined": f"{content.dated.astimezone(content.letterhead.zone):%Y-%m-%d %H:%M %Z}",
    }
    return [(content.label(name), value) for name, value in facts.items() if value]


def _identity(content: Content) -> list[str]:
    made_by = content.made_by
    software = content.label("software", version=made_by.software)
    lines = [f"{software}, {made_by.target}, {made_by.precision.upper()}"]
    lines.append(f"{content.label('programme')}: {content.programme}")
    if content.cameras:
        lines.append(f"{content.label('camera')}: {', '.join(content.cameras)}")
    if content.operator:
        lines.append(f"{content.label('operator')}: {content.operator}")
    return lines


def _hashes(content: Content) -> str:
    """The beginnings of what names engine, preparation and programme exactly."""
    made_by = content.made_by
    hashes = {
        "engine": made_by.engine_sha256,
        "image_spec": made_by.image_spec_sha256,
        "programme": content.programme_sha256,
    }
    return ", ".join(f"{content.label(name)} {sha[:12]}" for name, sha in hashes.items())


def _eye(content: Content, eye: EyeContent) -> dict[str, Any]:
    return {
        "title": eye.title,
        "outcome": {"key": eye.outcome.value if eye.outcome else "not_examined", "title": eye.outcome_title},
        "findings": [_finding(content, finding) for finding in eye.findings],
        "photographs": [_shown(shown) for shown in eye.photographs],
    }


def _finding(content: Content, finding: Finding) -> dict[str, Any]:
    probability = finding.probability
    short = content.label("probability_short")
    return {
        "title": finding.title,
        "grade": finding.grade_title or "–",
        "probability": None if probability is None else f"{short} {content.catalogue.number(probability)}",
        "standing": finding.standing_title,
        "look": LOOKS.get(finding.standing),
    }


def _shown(shown: Shown) -> dict[str, Any]:
    picture = shown.picture
    return {
        "title": shown.title,
        "quality": shown.quality,
        "is_gradable": shown.is_gradable,
        "is_taken": shown.photograph_id is not None,
        "attempts": shown.attempts_title,
        "picture": None if picture is None else _jpeg(picture.square),
        "evidence": None if picture is None or picture.evidence is None else _jpeg(picture.evidence),
        "alt": shown.alt,
        "evidence_alt": shown.evidence_alt,
    }


def _jpeg(pixels: U8) -> list[int]:
    """Bytes of a JPEG file: the smallest that typst takes."""
    blue_first = np.ascontiguousarray(pixels[..., ::-1])
    is_made, encoded = cv2.imencode(".jpg", blue_first, [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])
    if not is_made:
        raise DocumentError(
            "a photograph cannot be put on the page", "the JPEG encoder failed", "report this photograph"
        )
    levels: list[int] = encoded.ravel().tolist()
    return levels
