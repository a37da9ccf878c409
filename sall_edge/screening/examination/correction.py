"""A photograph of the other eye than was said: its side is corrected, and the eyes are judged again."""

from collections.abc import Sequence
from datetime import datetime

from sall_edge.errors import ExaminationError
from sall_edge.screening.examination.disease import diseases_of
from sall_edge.screening.examination.programme import Programme
from sall_edge.screening.examination.record import Examination, SideCorrection
from sall_edge.screening.examination.refusals import check_asked, with_zone
from sall_edge.screening.examination.rules import judged
from sall_edge.spec import Eye, Task

__all__ = ["of_other_eye"]


def of_other_eye(
    examination: Examination,
    photograph_id: str,
    programme: Programme,
    tasks: Sequence[Task],
    *,
    at: datetime,
    by: str | None = None,
) -> Examination:
    """The examination with a photograph counted for the other eye, and both eyes judged again from the same verdicts.

    The photograph itself stays as it was stored. A finished examination stays finished: an eye that has no photograph
    left is INCOMPLETE, never negative. Said a second time of the same photograph, it is of its first eye again.

    Args:
        examination: Finished or not.
        photograph_id: Of the photograph that is of the other eye.
        programme: The examination's.
        tasks: The engine's.
        at: Now, with its time zone.
        by: Who says so.

    Raises:
        ExaminationError: The photograph is not in the examination, which follows another programme, leaves the other
            eye out, or does not ask for this view of it.
    """
    photograph = next((one for one in examination.counted if one.photograph_id == photograph_id), None)
    if photograph is None:
        what = f"photograph {photograph_id} is not in examination {examination.examination_id}"
        raise ExaminationError(what, "its side cannot be corrected here", "sall-edge store show names its photographs")
    other = Eye.LEFT if photograph.eye is Eye.RIGHT else Eye.RIGHT
    check_asked(examination, programme, other, photograph.view)
    correction = SideCorrection(
        photograph_id=photograph_id,
        eye_was=photograph.eye,
        eye_is=other,
        at=with_zone(at),
        by=by,
        replaced=None if examination.finished_at is None else examination.outcome,
    )
    corrected = examination.model_copy(update={"corrections": (*examination.corrections, correction)})
    return judged(corrected, programme, diseases_of(programme, tasks, examination.operating_points))
