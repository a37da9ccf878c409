"""A station with a nurse, and what is picked out of its events."""

from fakes.camera import FakeCamera

from sall_edge.runtime.session import Session
from sall_edge.screening.events import Event
from sall_edge.screening.examination.programme import Programme
from sall_edge.screening.station.controls import Controls
from sall_edge.screening.station.station import Station
from sall_edge.screening.store.store import Store

__all__ = ["TWO_EYES", "manned", "of_kind"]

TWO_EYES = 4
"""Photographs of the default programme."""


def manned(camera: FakeCamera, session: Session, store: Store, programme: Programme, controls: Controls) -> Station:
    """With its camera."""
    return Station(
        camera=camera, session=session, store=store, programme=programme, controls=controls, operator="the nurse"
    )


def of_kind(events: list[Event], kind: type[Event]) -> list[Event]:
    """Those of one kind."""
    return [event for event in events if isinstance(event, kind)]
