"""Everything that a document says of an examination, built once; PDF, DICOM and FHIR only render it.

Whatever is not known for certain is OPEN or NOT_GRADED here and has no grade, so that no document can show it as a
negative result.
"""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, fields, is_dataclass
from datetime import date, datetime, timezone, tzinfo
from enum import Enum
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from sall_edge.screening.examination.record import Outcome, View
from sall_edge.screening.messages import Catalogue
from sall_edge.spec import Eye

__all__ = ["Content", "EyeContent", "Finding", "Letterhead", "MadeBy", "Picture", "Shown", "Standing", "Subject"]

U8 = npt.NDArray[np.uint8]


class Standing(str, Enum):
    """What may be said of one disease in one eye.

    Attributes:
        URGENT: A grade that the programme calls urgent.
        REFERABLE: At or above the operating point.
        NOT_REFERABLE: Below it, and nothing puts that in doubt: the only negative result there is.
        OPEN: Below it, but a person has to decide: its grade is not told.
        NOT_GRADED: No photograph of this eye could be graded.
    """

    URGENT = "urgent"
    REFERABLE = "referable"
    NOT_REFERABLE = "not_referable"
    OPEN = "open"
    NOT_GRADED = "not_graded"

    @property
    def is_positive(self) -> bool:
        """Whether it asks for a referral."""
        return self in (Standing.URGENT, Standing.REFERABLE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Picture:
    """A photograph as it is shown.

    Attributes:
        square: (side, side, 3) uint8 RGB, as the network saw it.
        evidence: (side, side, 3) uint8 RGB, the square under a map of evidence, see `screening.overlay`.
        tasks: The tasks whose evidence that is.
    """

    square: U8
    evidence: U8 | None = None
    tasks: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Letterhead:
    """Whose document it is.

    Attributes:
        clinic: Name and, after line breaks, address; None prints none.
        logo: Bytes of an SVG, PNG or JPEG file.
        zone: Whose time the page shows.
    """

    clinic: str | None = None
    logo: bytes | None = None
    zone: tzinfo = timezone.utc


@dataclass(frozen=True, slots=True, kw_only=True)
class MadeBy:
    """What graded and what writes.

    Attributes:
        software: Version of sall-edge.
        engine_sha256, image_spec_sha256: As in the examination.
        target, precision: Of the engine, in words.
    """

    software: str
    engine_sha256: str
    image_spec_sha256: str
    target: str
    precision: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """Who was examined: `name` as people read it, `dicom_name` as DICOM writes it, `sex` M, F, O or None."""

    reference: str
    name: str | None
    dicom_name: str | None
    birth_date: date | None
    sex: str | None
    sex_title: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One disease of one eye.

    Attributes:
        task, title: Name and words.
        standing, standing_title: What may be said.
        grade, grade_name: Index and name in the task file; None unless decided, and for a referral whose most probable
            grade is a milder one.
        grade_title: The same in words, or what is possible; None unless the standing is decided.
        grades: All names of the scale, mildest first.
        probability, threshold: Of a referable grade, and from where on it is one; the first None without a grade.
        photograph_id: Of the photograph that decided.
    """

    task: str
    title: str
    standing: Standing
    standing_title: str
    grade: int | None
    grade_name: str | None
    grade_title: str | None
    grades: tuple[str, ...]
    probability: float | None
    threshold: float
    photograph_id: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """The place of one photograph: the one that was chosen, else the last attempt, else nothing.

    Attributes:
        view: What it is centred on.
        title: Eye and view.
        quality: Gradable or why not, in words.
        is_gradable: Whether it was graded.
        is_lossy: Whether its file lost something to compression before it came here.
        photograph_id, taken_at: None if it was never taken.
        attempts: How many were taken.
        attempts_title: The same in words.
        picture: None if there is none to show.
        alt, evidence_alt: What a screen reader says instead of the pictures; the second empty without evidence.
    """

    view: View
    title: str
    quality: str
    is_gradable: bool
    is_lossy: bool
    photograph_id: str | None
    taken_at: datetime | None
    attempts: int
    attempts_title: str
    picture: Picture | None
    alt: str
    evidence_alt: str


@dataclass(frozen=True, slots=True, kw_only=True)
class EyeContent:
    """One eye; its `outcome` is None where it was not examined at all, which is no result."""

    eye: Eye
    title: str
    outcome: Outcome | None
    outcome_title: str
    reasons: tuple[str, ...]
    findings: tuple[Finding, ...]
    photographs: tuple[Shown, ...]

    @property
    def is_gradable(self) -> bool:
        """Whether any photograph of it was graded."""
        return any(finding.standing is not Standing.NOT_GRADED for finding in self.findings)

    @property
    def was_photographed(self) -> bool:
        """Whether there is any photograph of it."""
        return any(shown.photograph_id is not None for shown in self.photographs)


@dataclass(frozen=True, kw_only=True)
class Content:
    """A document in words and pictures.

    Attributes:
        examination_id: UUID.
        catalogue: The words that documents add: headings and labels.
        letterhead: Whose document.
        person: Who.
        dated: When the examination was finished, else its last photograph, else its beginning; UTC.
        is_finished: Whether every photograph was taken or given up.
        programme, operator: Title and name.
        programme_sha256: Of the programme's file.
        cameras: Their names.
        outcome, outcome_title, follow_up: Of the person; what it says and what it means.
        reasons: Why, in words, the eye before each; and what was corrected since.
        eyes: The right one first, as a person stands in front of the reader.
        retaken, not_assessed, operating_points: Lines; the last says what P is.
        made_by: Software and engine.
    """

    examination_id: str
    catalogue: Catalogue
    letterhead: Letterhead
    person: Subject
    dated: datetime
    is_finished: bool
    programme: str
    programme_sha256: str
    operator: str | None
    cameras: tuple[str, ...]
    outcome: Outcome
    outcome_title: str
    follow_up: str
    reasons: tuple[str, ...]
    eyes: tuple[EyeContent, ...]
    retaken: tuple[str, ...]
    not_assessed: tuple[str, ...]
    operating_points: tuple[str, ...]
    made_by: MadeBy

    @property
    def language(self) -> str:
        """BCP 47 tag of all texts."""
        return self.catalogue.language

    def label(self, name: str, **values: object) -> str:
        """A word that every document uses, from the catalogue's section `document`."""
        return self.catalogue.text(f"document.{name}", **values)

    @cached_property
    def fingerprint(self) -> str:
        """Hex digest of every word and pixel: documents of another content are other documents."""
        digest = hashlib.sha256()
        for part in _parts(self):
            digest.update(part + b"\0")
        return digest.hexdigest()


def _parts(value: Any) -> Iterator[bytes]:
    if isinstance(value, Catalogue):
        yield from (f"{key}={text}".encode() for key, text in sorted(value.texts.items()))
    elif is_dataclass(value):
        for field in fields(value):
            yield field.name.encode()
            yield from _parts(getattr(value, field.name))
    elif isinstance(value, tuple):
        for item in value:
            yield from _parts(item)
    elif isinstance(value, np.ndarray):
        yield f"{value.shape}".encode() + value.tobytes()
    else:
        yield repr(value).encode()
