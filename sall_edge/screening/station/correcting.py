"""The side of a photograph, corrected after its examination was finished."""

from datetime import datetime, timezone

from sall_edge.artifacts import Engine
from sall_edge.errors import ExaminationError
from sall_edge.screening.examination.correction import of_other_eye
from sall_edge.screening.examination.programme import Programme
from sall_edge.screening.examination.record import Examination
from sall_edge.screening.store.store import Store
from sall_edge.spec import disease_tasks

__all__ = ["correct_side"]


def correct_side(
    store: Store, photograph_id: str, *, programme: Programme, engine: Engine, by: str | None = None
) -> Examination:
    """The examination, decided anew with the photograph counted for the other eye, as it was stored.

    Args:
        store: Holds the examination, finished.
        photograph_id: Of the photograph that is of the other eye.
        programme: That the examination followed.
        engine: That graded it; it is not run.
        by: Who says so.

    Raises:
        ExaminationError: The examination goes on, another engine or programme decided, or the other eye has no place.
        StoreError: There is no such photograph, or the store cannot be written to.
    """
    examination = store.examination_with(photograph_id)
    what = f"photograph {photograph_id} cannot be corrected"
    if examination.finished_at is None:
        why = f"examination {examination.examination_id} is not finished, and its device may go on with it"
        raise ExaminationError(what, why, "finish it first; at the device, key s corrects the last photograph")
    if examination.engine_sha256 != engine.sha256:
        why = f"the engine {examination.engine_sha256[:12]} graded it, and this one is {engine.sha256[:12]}"
        raise ExaminationError(what, why, "give the engine that graded the examination")
    tasks, now = disease_tasks(engine.manifest.tasks), datetime.now(timezone.utc)
    corrected = of_other_eye(examination, photograph_id, programme, tasks, at=now, by=by)
    store.correct(corrected)
    return corrected
