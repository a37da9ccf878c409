"""Examinations and verdicts that no camera took and no engine gave: for what is stored, not for what it means."""

import os
import uuid
from datetime import datetime, timezone
from hashlib import sha256

from sall_edge.runtime.session import ServedBy
from sall_edge.screening.examination.record import (
    Examination,
    ExaminedPhotograph,
    EyeResult,
    Outcome,
    Person,
    SideCorrection,
    TaskResult,
    View,
)
from sall_edge.screening.store.store import Store
from sall_edge.screening.verdict import ScreenedPhotograph, TaskVerdict, Verdict
from sall_edge.spec import Backend, Eye, Precision

__all__ = ["FILE_NAME", "NAME", "REFERENCE", "begun", "corrected", "ended", "put_examination", "with_photograph"]

REFERENCE = "Clinic-0042"
NAME = "Muster^Maria"
FILE_NAME = "muster_maria_left.jpg"
ENGINE, IMAGE, PROGRAMME = "e" * 64, "1" * 64, "9" * 64


def begun(*, reference: str = REFERENCE, started_at: datetime | None = None) -> Examination:
    """An examination without photographs."""
    return Examination(
        examination_id=str(uuid.uuid4()),
        person=Person(reference=reference, name=NAME),
        programme="icdr",
        programme_sha256=PROGRAMME,
        operator="Operator Olga",
        engine_sha256=ENGINE,
        image_spec_sha256=IMAGE,
        operating_points={"dr": 0.31, "amd": 0.42},
        started_at=started_at or datetime.now(timezone.utc),
    )


def with_photograph(examination: Examination, data: bytes) -> tuple[Examination, ExaminedPhotograph]:
    """The examination with one photograph more, and that photograph."""
    digest, number = sha256(data).hexdigest(), len(examination.photographs)
    verdict = TaskVerdict(grade=2, probs=(0.1, 0.2, 0.7), referable=True, confidence=0.7)
    photograph = ExaminedPhotograph(
        photograph_id=str(uuid.uuid4()),
        sha256=digest,
        suffix=".jpg",
        eye=Eye.LEFT if number % 2 else Eye.RIGHT,
        view=View.MACULA if number % 4 < 2 else View.DISC,
        attempt=1 + number // 4,
        taken_at=datetime.now(timezone.utc),
        camera="made up",
        screened=ScreenedPhotograph(
            photo=FILE_NAME,
            sha256=digest,
            gradable=True,
            quality={"focus": 1 / 3},
            tasks={"dr": verdict},
            verdict=Verdict.REFER,
            engine_sha256=ENGINE,
            image_spec_sha256=IMAGE,
            ms={"total": 12.5},
            served_by=ServedBy(backend=Backend.OPENVINO, precision=Precision.INT8),
        ),
    )
    return examination.model_copy(update={"photographs": (*examination.photographs, photograph)}), photograph


def ended(examination: Examination, *, finished_at: datetime | None = None) -> Examination:
    """The examination with its outcome."""
    first = examination.photographs[0].photograph_id if examination.photographs else "none"
    task = TaskResult(task="dr", grade=2, referable=True, urgent=False, referable_probability=0.9, photograph_id=first)
    left = EyeResult(eye=Eye.LEFT, outcome=Outcome.REFERRAL, reasons=("referable:dr",), tasks=(task,))
    return examination.model_copy(
        update={
            "finished_at": finished_at or datetime.now(timezone.utc),
            "eyes": {"L": left},
            "outcome": Outcome.REFERRAL,
            "reasons": ("L:referable:dr",),
        }
    )


def corrected(examination: Examination) -> Examination:
    """The examination with its first photograph counted for the other eye, and another outcome than before."""
    first = examination.counted[0]
    correction = SideCorrection(
        photograph_id=first.photograph_id,
        eye_was=first.eye,
        eye_is=Eye.LEFT if first.eye is Eye.RIGHT else Eye.RIGHT,
        at=datetime.now(timezone.utc),
        by="Grader Greta",
        replaced=examination.outcome,
    )
    changed = {"corrections": (*examination.corrections, correction), "outcome": Outcome.URGENT_REFERRAL}
    return examination.model_copy(update=changed)


def put_examination(store: Store, *, photographs: int = 3, finished_at: datetime | None = None) -> Examination:
    """Begins, photographs and finishes an examination in a store."""
    examination = begun()
    store.begin(examination)
    for _ in range(photographs):
        data = os.urandom(2000)
        examination, photograph = with_photograph(examination, data)
        store.add_photograph(examination, photograph, data)
    examination = ended(examination, finished_at=finished_at)
    store.finish(examination)
    return examination
