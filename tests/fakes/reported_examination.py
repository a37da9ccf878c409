"""Examinations with every ending, by the rules from made-up verdicts, their photographs drawn: for tests of documents.

No network saw these phantoms; what they show is that a document shows what a record says.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from functools import lru_cache

import numpy as np
from fakes.made_up_examination import (
    DOUBTFUL_AMD,
    FAR,
    INTERMEDIATE_AMD,
    MODERATE_DR,
    NEAR,
    NOON,
    PROLIFERATIVE_DR,
    TASKS,
    photograph_of,
    screened_of,
)

from sall_edge.artifacts import EngineManifest
from sall_edge.fundus.phantom import draw_phantom
from sall_edge.fundus.prepare import prepare
from sall_edge.screening.examination.examination import GradedBy, begin, finish, give_up, with_photograph
from sall_edge.screening.examination.programme import Programme, load_programme
from sall_edge.screening.examination.record import Examination, ExaminedPhotograph, Outcome, Person, View
from sall_edge.screening.messages import Catalogue, load_language
from sall_edge.screening.overlay import draw_evidence, enlarge
from sall_edge.screening.report.compose import compose
from sall_edge.screening.report.content import Content, Letterhead, Picture
from sall_edge.spec import Backend, Eye, ImageSpec, Precision, TargetSpec

__all__ = ["MANIFEST", "MARIA", "PROGRAMME", "Told", "content_of", "examination", "examined", "pictures_of"]

PROGRAMME = load_programme("icdr")
MANIFEST = EngineManifest(
    image=ImageSpec(side_px=224),
    tasks=TASKS,
    operating_points={"dr": 0.2, "amd": 0.1},
    target=TargetSpec(name="openvino-cpu", title="CPU with OpenVINO", backend=Backend.OPENVINO),
    precision=Precision.INT8,
    backend_version="2026.1",
    blob="engine.xml",
    golden_square=(),
)
ENGINE = GradedBy(
    engine_sha256="5e" * 32,
    image_spec_sha256=MANIFEST.image.sha256,
    tasks=TASKS,
    operating_points=MANIFEST.operating_points,
)
MARIA = Person(reference="CLINIC-0042", name="Example^Maria", birth_date=date(1961, 5, 17), sex="F")
DARK = {"gradable": False, "reasons": ("too_dark", "edge_artefact"), "tasks": {}}
BLURRED = {"gradable": False, "reasons": ("out_of_focus",), "tasks": {}}


@dataclass(frozen=True, kw_only=True)
class Told:
    """An examination in short: what differs from four clear photographs.

    Attributes:
        besides: What comes instead of a clear photograph, by eye and view: one or several, each as what `screened_of`
            and `photograph_of` are told.
        not_examined, given_up: As in the record.
        is_finished: Whether it ends.
    """

    besides: dict[tuple[Eye, View], Sequence[dict[str, object]]] = field(default_factory=dict)
    not_examined: dict[Eye, str] = field(default_factory=dict)
    given_up: Sequence[tuple[Eye, View]] = ()
    is_finished: bool = True


CLEAR: dict[str, object] = {}
RIGHT_MACULA, RIGHT_DISC = (Eye.RIGHT, View.MACULA), (Eye.RIGHT, View.DISC)
LEFT_MACULA, LEFT_DISC = (Eye.LEFT, View.MACULA), (Eye.LEFT, View.DISC)
ENDINGS = {
    Outcome.NO_REFERRAL: Told(),
    Outcome.INCOMPLETE: Told(besides={LEFT_DISC: (), RIGHT_MACULA: (), RIGHT_DISC: ()}, is_finished=False),
    Outcome.HUMAN_GRADING: Told(
        besides={RIGHT_MACULA: [{"amd": DOUBTFUL_AMD, "familiarity": FAR}], RIGHT_DISC: [{"eye_seen": Eye.LEFT}]}
    ),
    Outcome.UNGRADABLE_REFERRAL: Told(besides={RIGHT_MACULA: [DARK] * 3, RIGHT_DISC: [DARK] * 3}),
    Outcome.REFERRAL: Told(besides={LEFT_MACULA: [BLURRED, {"dr": MODERATE_DR}]}),
    Outcome.URGENT_REFERRAL: Told(
        besides={
            RIGHT_MACULA: [{"dr": PROLIFERATIVE_DR, "amd": DOUBTFUL_AMD}],
            LEFT_MACULA: [{"dr": MODERATE_DR, "amd": INTERMEDIATE_AMD}],
        }
    ),
}


def examination(outcome: Outcome, *, person: Person = MARIA) -> Examination:
    """An examination that ended so."""
    record = examined(ENDINGS[outcome], person=person)
    assert record.outcome is outcome
    return record


def examined(told: Told, *, person: Person = MARIA, programme: Programme = PROGRAMME) -> Examination:
    """The record that the rules make of it."""
    record = begin(
        programme,
        person,
        ENGINE,
        examination_id="10000000-0000-4000-8000-000000000001",
        at=NOON,
        operator="Nurse One",
        not_examined=told.not_examined,
    )
    number = 0
    for asked in programme.photographs:
        if asked.eye in told.not_examined:
            continue
        for attempt, changes in enumerate(told.besides.get((asked.eye, asked.view), [CLEAR]), start=1):
            number += 1
            photograph = _photograph(number, asked.eye, asked.view, attempt, dict(changes))
            record = with_photograph(record, photograph, programme, TASKS)
    for eye, view in told.given_up:
        record = give_up(record, eye, view, programme, TASKS, why="cannot open the eye")
    return finish(record, at=NOON + timedelta(minutes=7)) if told.is_finished else record


def _photograph(number: int, eye: Eye, view: View, attempt: int, changes: dict[str, object]) -> ExaminedPhotograph:
    about = {"familiarity": changes.pop("familiarity", NEAR), "eye_seen": changes.pop("eye_seen", eye)}
    hashes = {"engine_sha256": ENGINE.engine_sha256, "image_spec_sha256": ENGINE.image_spec_sha256}
    screened = screened_of(**hashes, **changes)
    return photograph_of(number, screened, eye=eye, view=view, attempt=attempt, camera="Phantom 45", **about)


def pictures_of(record: Examination) -> dict[str, Picture]:
    """A phantom for every photograph; evidence where a disease is referable on it."""
    return {one.photograph_id: _picture(one) for one in record.photographs}


def content_of(
    record: Examination, *, catalogue: Catalogue | None = None, letterhead: Letterhead | None = None
) -> Content:
    """What the documents of a made-up examination say."""
    catalogue = catalogue or load_language("en")
    programme = load_programme(record.programme)
    return compose(record, MANIFEST, programme, catalogue, pictures=pictures_of(record), letterhead=letterhead)


def _picture(one: ExaminedPhotograph) -> Picture:
    graded = one.screened.tasks
    grades = {name: verdict.grade for name, verdict in graded.items()}
    square = _square(one.eye.value, grades.get("dr", 0), grades.get("amd", 0), list(View).index(one.view))
    if not graded:
        return Picture(square=enlarge(square // 6))
    referable = tuple(name for name, verdict in graded.items() if verdict.referable)
    if not referable:
        return Picture(square=enlarge(square))
    cam = np.zeros((7, 7), np.float32)
    cam[2:4, 4:6] = cam[5, 2] = 18
    return Picture(square=enlarge(square), evidence=draw_evidence(square, cam), tasks=referable)


@lru_cache(maxsize=32)
def _square(eye: str, dr: int, amd: int, seed: int) -> np.ndarray:
    drawn = draw_phantom(np.random.default_rng(seed), side_px=256, dr_grade=dr, amd_grade=amd, eye=eye)
    return prepare(drawn.pixels, MANIFEST.image)
