"""What an entry of the log says of an examination: hashes, numbers and grades, and nothing that names a person.

Names of files, of operators and what an error says of a file stay out: an entry outlives what retention deletes.
"""

from collections.abc import Sequence
from typing import Any

from sall_edge import __version__
from sall_edge.screening.examination.record import Examination, ExaminedPhotograph, SideCorrection
from sall_edge.screening.store.rows import examination_row_sha256, photograph_row_sha256, utc_text
from sall_edge.screening.store.tables import ExaminationRow, PhotographRow

__all__ = ["correction_facts", "deletion_facts", "examination_facts", "photograph_facts"]


def examination_facts(
    examination: Examination, row: ExaminationRow, changed: Sequence[PhotographRow]
) -> dict[str, Any]:
    """What follows so far, what it was decided with, and the hashes of the rows as they now are."""
    return {
        "examination": examination.examination_id,
        "outcome": examination.outcome.value,
        "reasons": list(examination.reasons),
        "eyes": {
            eye: {
                "outcome": result.outcome.value,
                "reasons": list(result.reasons),
                "tasks": {one.task: [one.grade, one.referable, one.urgent] for one in result.tasks},
            }
            for eye, result in examination.eyes.items()
        },
        "finished_at": row.finished_at,
        "programme": examination.programme,
        "programme_sha256": examination.programme_sha256,
        "engine_sha256": examination.engine_sha256,
        "image_spec_sha256": examination.image_spec_sha256,
        "operating_points": examination.operating_points,
        "software": __version__,
        "row_sha256": examination_row_sha256(row),
        "photograph_rows_sha256": {one.photograph_id: photograph_row_sha256(one) for one in changed},
    }


def photograph_facts(photograph: ExaminedPhotograph) -> dict[str, Any]:
    """The verdict on a photograph; an unreadable one has none, and says so."""
    screened = photograph.screened
    served_by = screened.served_by
    return {
        "photograph": photograph.photograph_id,
        "image_sha256": photograph.sha256,
        "eye": photograph.eye.value,
        "eye_seen": None if photograph.eye_seen is None else photograph.eye_seen.value,
        "view": photograph.view.value,
        "attempt": photograph.attempt,
        "taken_at": utc_text(photograph.taken_at),
        "readable": screened.error is None,
        "gradable": screened.gradable,
        "quality_reasons": list(screened.reasons),
        "verdict": None if screened.verdict is None else screened.verdict.value,
        "tasks": {
            task: {"grade": one.grade, "probs": list(one.probs), "referable": one.referable}
            for task, one in screened.tasks.items()
        },
        "unfamiliar": None if photograph.familiarity is None else photograph.familiarity.is_unfamiliar,
        "graded_by_engine_sha256": screened.engine_sha256,
        "graded_with_image_spec_sha256": screened.image_spec_sha256,
        "served_by": None if served_by is None else [served_by.backend.value, served_by.precision.value],
    }


def correction_facts(correction: SideCorrection, replaced_row_sha256: str) -> dict[str, Any]:
    """Which photograph counts for the other eye from then on, and which decision the new one replaces."""
    return {
        "photograph": correction.photograph_id,
        "eye_was": correction.eye_was.value,
        "eye_is": correction.eye_is.value,
        "replaced_outcome": None if correction.replaced is None else correction.replaced.value,
        "replaced_row_sha256": replaced_row_sha256,
    }


def deletion_facts(row: ExaminationRow, why: str) -> dict[str, Any]:
    """What was deleted, by number and hash."""
    return {
        "examination": row.examination_id,
        "photographs": {one.photograph_id: one.sha256 for one in row.photographs},
        "why": why,
        "software": __version__,
    }
