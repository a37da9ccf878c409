"""Where a photograph belongs: to which eye and view of the examination that goes on, or not to it at all."""

from dataclasses import dataclass

from sall_edge.screening.camera.source import Capture, WhySetAside
from sall_edge.screening.examination.examination import Wanted
from sall_edge.screening.examination.findings import is_gradable
from sall_edge.screening.examination.programme import Programme
from sall_edge.screening.examination.record import Examination, View
from sall_edge.screening.examination.rules import photographs_of
from sall_edge.spec import Eye

__all__ = ["Place", "belongs_elsewhere", "holds", "is_of_another", "name_of", "place_of"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where a photograph belongs in its examination.

    Attributes:
        photograph_id: UUID of this taking.
        eye, view, attempt: As in `ExaminedPhotograph`.
    """

    photograph_id: str
    eye: Eye
    view: View
    attempt: int


def place_of(
    capture: Capture, examination: Examination, programme: Programme, asked: Wanted, *, photograph_id: str
) -> Place:
    """Where it belongs: the camera knows better than the programme's order which eye it looked at."""
    eye = capture.origin.eye or asked.eye
    view = asked.view if eye is asked.eye else _view_wanted(examination, programme, eye)
    taken = len(photographs_of(examination, eye, view))
    return Place(photograph_id=photograph_id, eye=eye, view=view, attempt=taken + 1)


def belongs_elsewhere(capture: Capture, examination: Examination, programme: Programme) -> WhySetAside | None:
    """Why a photograph is none of this examination; None if it is one."""
    eye = capture.origin.eye
    if is_of_another(capture, examination):
        return WhySetAside.ANOTHER_PERSON
    if eye is not None and (eye not in programme.eyes or eye.value in examination.not_examined):
        return WhySetAside.EYE_NOT_EXAMINED
    return None


def is_of_another(capture: Capture, examination: Examination) -> bool:
    """Whether the camera says that it is of somebody else."""
    return capture.origin.person_reference not in (None, examination.person.reference)


def holds(examination: Examination, digest: str) -> bool:
    """Whether a photograph with these bytes is in it, by their SHA-256."""
    return any(photograph.sha256 == digest for photograph in examination.photographs)


def name_of(capture: Capture) -> str:
    """What a person can find it by."""
    details = capture.origin.details
    return details.get("file") or details.get("SOPInstanceUID") or capture.origin.camera


def _view_wanted(examination: Examination, programme: Programme, eye: Eye) -> View:
    """The first view of an eye that has no gradable photograph yet; its last one if all have."""
    views = programme.views(eye)
    good = {one.view for one in examination.counted if one.eye is eye and is_gradable(one)}
    return next((view for view in views if view not in good), views[-1])
