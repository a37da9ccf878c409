"""A capture becomes an examined photograph: quality, grades, side of the eye, likeness to the training photographs."""

from uuid import uuid4

from sall_edge.fundus.landmarks import find_laterality
from sall_edge.fundus.quality import QualityLimits
from sall_edge.runtime.session import Session
from sall_edge.screening.camera.source import Capture
from sall_edge.screening.examination.record import ExaminedPhotograph
from sall_edge.screening.station.belonging import Place
from sall_edge.screening.verdict import judge, look_at

__all__ = ["new_id", "photograph_of"]


def new_id() -> str:
    """A UUID, for what is taken or begun."""
    return str(uuid4())


def photograph_of(
    session: Session, capture: Capture, place: Place, digest: str, *, limits: QualityLimits
) -> ExaminedPhotograph:
    """What is kept of a photograph, `digest` of whose bytes is their SHA-256.

    Nothing is raised for one that cannot be read: it is not gradable, and its `screened.error` says why.
    """
    name = f"{place.eye.value}-{place.view.value}-{place.attempt}{capture.suffix}"
    examined = judge(session, look_at(capture.data, session.manifest.image, name=name, limits=limits))
    seen = None if examined.prediction is None or examined.square is None else find_laterality(examined.square)
    return ExaminedPhotograph(
        photograph_id=place.photograph_id,
        sha256=digest,
        suffix=capture.suffix,
        eye=place.eye,
        eye_seen=seen.eye if seen is not None and seen.is_certain else None,
        view=place.view,
        attempt=place.attempt,
        taken_at=capture.triggered.utc,
        camera=capture.origin.camera,
        screened=examined.result,
    )
