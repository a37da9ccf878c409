"""Whole examinations on an engine whose verdicts mean nothing, and a store on the disk."""

from collections.abc import Callable, Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest
from fakes.camera import FakeCamera, aiming_at

from sall_edge.artifacts import Engine
from sall_edge.errors import StoreFull
from sall_edge.fundus.phantom import draw_phantom
from sall_edge.fundus.phantom.aiming import Still
from sall_edge.runtime.session import Session, open_session
from sall_edge.screening.camera.source import Capture, Origin, SetAside
from sall_edge.screening.events import (
    Captured,
    Event,
    ExaminationFinished,
    ExaminationStarted,
    Failed,
    PhotographJudged,
    PhotographSetAside,
    PhotographWanted,
    Waiting,
)
from sall_edge.screening.examination.programme import Programme, load_programme
from sall_edge.screening.examination.record import Outcome, Person, View
from sall_edge.screening.station.controls import Command, Controls
from sall_edge.screening.station.station import Station
from sall_edge.screening.store.opening import create_store, open_store
from sall_edge.screening.store.store import Store
from sall_edge.spec import Eye

PERSON = Person(reference="4711")
TWO_EYES = 4
"""Photographs of the default programme."""


@pytest.fixture(scope="module")
def session(tiny_engine: Engine) -> Iterator[Session]:
    with open_session(tiny_engine) as opened:
        yield opened


@pytest.fixture(scope="module")
def programme() -> Programme:
    return load_programme("icdr")


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with open_store(create_store(tmp_path / "store")) as opened:
        yield opened


@pytest.fixture(scope="module")
def retina() -> Callable[..., Capture]:
    """Makes deliveries of different retinas."""
    rng = np.random.default_rng(7)

    def deliver(*, dark: bool = False, **origin: object) -> Capture:
        pixels = draw_phantom(rng, side_px=320, dr_grade=0, amd_grade=0, eye="R").pixels
        pixels = cv2.convertScaleAbs(pixels, alpha=0.08) if dark else pixels
        data = bytes(cv2.imencode(".jpg", pixels[..., ::-1])[1])
        return FakeCamera.delivery(data, origin=Origin(camera="folder", **origin))  # type: ignore[arg-type]

    return deliver


def _station(camera: FakeCamera, session: Session, store: Store, programme: Programme, controls: Controls) -> Station:
    return Station(
        camera=camera, session=session, store=store, programme=programme, controls=controls, operator="the nurse"
    )


def _examined(
    deliveries: list[Capture | None], session: Session, store: Store, programme: Programme
) -> tuple[list[Event], FakeCamera]:
    """Everything that happens; what is still wanted after the last delivery is left."""
    camera, controls = FakeCamera(deliveries=deliveries), Controls()
    events = []
    for event in _station(camera, session, store, programme, controls).examine(PERSON):
        events.append(event)
        if isinstance(event, Waiting):
            controls.wish(Command.LEAVE)
    return events, camera


def _of(events: list[Event], kind: type[Event]) -> list[Event]:
    return [event for event in events if isinstance(event, kind)]


def test_an_examination_is_asked_for_taken_judged_stored_and_finished(
    session: Session, store: Store, programme: Programme, retina: Callable[..., Capture]
) -> None:
    events, camera = _examined([retina() for _ in range(TWO_EYES)], session, store, programme)
    assert [type(event).__name__ for event in events] == [
        "ExaminationStarted",
        *["PhotographWanted", "Captured", "PhotographJudged"] * TWO_EYES,
        "ExaminationFinished",
    ]
    finished = events[-1]
    assert isinstance(finished, ExaminationFinished)
    stored = store.examination(finished.examination_id)
    assert stored.finished_at is not None
    assert stored.outcome is finished.outcome
    assert stored.operator == "the nurse"
    assert [(one.eye, one.view) for one in stored.photographs] == [
        (eye, view) for eye in (Eye.RIGHT, Eye.LEFT) for view in View
    ]
    assert [store.photograph_bytes(one.sha256) for one in stored.photographs] == [one.data for one in camera.kept]
    assert stored.photographs[0].screened.engine_sha256 == session.engine.sha256


def test_a_bad_photograph_is_asked_for_again_with_its_reason(
    session: Session, store: Store, programme: Programme, retina: Callable[..., Capture]
) -> None:
    events, _ = _examined([retina(dark=True), retina()], session, store, programme)
    asked = [(event.eye, event.view, event.attempt, event.reasons) for event in _of(events, PhotographWanted)]  # type: ignore[attr-defined]
    assert asked[:3] == [
        (Eye.RIGHT, View.MACULA, 1, ()),
        (Eye.RIGHT, View.MACULA, 2, ("too_dark",)),
        (Eye.RIGHT, View.DISC, 1, ()),
    ]


def test_a_file_that_is_no_photograph_stops_nothing(
    session: Session, store: Store, programme: Programme, retina: Callable[..., Capture]
) -> None:
    events, _ = _examined([FakeCamera.delivery(b"\xff\xd8\xff broken"), retina()], session, store, programme)
    judged = [(event.gradable, event.reasons) for event in _of(events, PhotographJudged)]  # type: ignore[attr-defined]
    assert judged[0] == (False, ("unreadable",))
    assert judged[1][0]


def test_used_up_attempts_are_a_referral_and_never_less(
    session: Session, store: Store, programme: Programme, retina: Callable[..., Capture]
) -> None:
    bad = [retina(dark=True) for _ in range(programme.max_attempts)]
    events, _ = _examined([*bad, *(retina() for _ in range(TWO_EYES - 1))], session, store, programme)
    finished = events[-1]
    assert isinstance(finished, ExaminationFinished)
    assert finished.outcome.severity >= Outcome.UNGRADABLE_REFERRAL.severity
    assert "R:ungradable:macula" in finished.reasons


def test_an_examination_that_is_left_is_stored_and_taken_up_again(
    session: Session, store: Store, programme: Programme, retina: Callable[..., Capture]
) -> None:
    events, _ = _examined([retina()], session, store, programme)
    assert not _of(events, ExaminationFinished)
    (left,) = store.unfinished()
    assert (len(left.photographs), left.outcome.severity >= Outcome.INCOMPLETE.severity) == (1, True)
    camera = FakeCamera(deliveries=[retina() for _ in range(TWO_EYES - 1)])
    events = list(_station(camera, session, store, programme, Controls()).resume(left))
    assert isinstance(events[-1], ExaminationFinished)
    assert not list(store.unfinished())
    assert len(store.examination(left.examination_id).photographs) == TWO_EYES


def test_what_cannot_be_taken_is_given_up_and_referred(session: Session, store: Store, programme: Programme) -> None:
    controls = Controls()
    for _ in range(TWO_EYES):
        controls.wish(Command.GIVE_UP)
    events = list(_station(FakeCamera(), session, store, programme, controls).examine(PERSON))
    finished = events[-1]
    assert isinstance(finished, ExaminationFinished)
    assert finished.outcome is Outcome.UNGRADABLE_REFERRAL


def test_the_camera_knows_which_eye_it_looked_at(
    session: Session, store: Store, programme: Programme, retina: Callable[..., Capture]
) -> None:
    left_first = [retina(eye=eye) for eye in (Eye.LEFT, Eye.LEFT, Eye.RIGHT, Eye.RIGHT)]
    events, _ = _examined(left_first, session, store, programme)
    assert isinstance(events[-1], ExaminationFinished)
    taken = [(event.eye, event.view) for event in _of(events, Captured)]  # type: ignore[attr-defined]
    assert taken == [(eye, view) for eye in (Eye.LEFT, Eye.RIGHT) for view in View]


def test_what_belongs_elsewhere_is_set_aside_and_named(
    session: Session, store: Store, programme: Programme, retina: Callable[..., Capture]
) -> None:
    mine = retina(person_reference="4711")
    other = retina(person_reference="4712", details={"file": "other.jpg"})
    camera, controls = FakeCamera(deliveries=[other, mine, mine]), Controls()
    camera.aside.append(SetAside(name="old.jpg", why="it is old"))
    events: list[Event] = []
    for event in _station(camera, session, store, programme, controls).examine(PERSON):
        events.append(event)
        if isinstance(event, Waiting):
            controls.wish(Command.LEAVE)
    aside = [(event.name, event.why) for event in _of(events, PhotographSetAside)]  # type: ignore[attr-defined]
    assert aside == [
        ("old.jpg", "it is old"),
        ("other.jpg", "it is of another person than the one who is examined"),
        ("a photograph of folder", "it is in the examination already"),
    ]
    assert len(_of(events, PhotographJudged)) == 1


def test_an_eye_that_is_left_out_is_not_photographed(
    session: Session, store: Store, programme: Programme, retina: Callable[..., Capture]
) -> None:
    deliveries = [retina(eye=Eye.LEFT), retina(), retina()]
    station = _station(FakeCamera(deliveries=deliveries), session, store, programme, Controls())
    events = list(station.examine(PERSON, not_examined={Eye.LEFT: "prosthesis"}))
    assert isinstance(events[-1], ExaminationFinished)
    assert {event.eye for event in _of(events, Captured)} == {Eye.RIGHT}  # type: ignore[attr-defined]
    assert len(_of(events, PhotographSetAside)) == 1


def test_without_room_nothing_is_begun(
    monkeypatch: pytest.MonkeyPatch, session: Session, store: Store, programme: Programme
) -> None:
    def full(needed_bytes: int) -> None:
        raise StoreFull("no room", "the disk is full", "make room")

    monkeypatch.setattr(store, "check_room", full)
    with pytest.raises(StoreFull):
        list(_station(FakeCamera(), session, store, programme, Controls()).examine(PERSON))
    assert not list(store.examinations())


def test_a_disk_that_fills_up_meanwhile_is_said_before_the_next_capture(
    monkeypatch: pytest.MonkeyPatch,
    session: Session,
    store: Store,
    programme: Programme,
    retina: Callable[..., Capture],
) -> None:
    answers = iter([None, None, StoreFull("no room", "the disk is full", "make room")])

    def filling(needed_bytes: int) -> None:
        if (problem := next(answers)) is not None:
            raise problem

    monkeypatch.setattr(store, "check_room", filling)
    camera = FakeCamera(deliveries=[retina(), retina()])
    events = list(_station(camera, session, store, programme, Controls()).examine(PERSON))
    assert isinstance(events[-1], Failed)
    assert len(camera.kept) == 1
    assert len(next(iter(store.unfinished())).photographs) == 1


def test_a_live_camera_is_aimed_and_its_frames_are_graded(session: Session, store: Store, programme: Programme) -> None:
    rng = np.random.default_rng(9)
    stills = [
        Still(pixels=draw_phantom(rng, side_px=512, dr_grade=0, amd_grade=0, eye=eye).pixels, held_s=1.2)
        for eye in ("R", "R", "L", "L")
    ]
    events = list(_station(aiming_at(stills), session, store, programme, Controls()).examine(PERSON))
    assert isinstance(events[-1], ExaminationFinished)
    assert len(_of(events, PhotographJudged)) == TWO_EYES
    assert [event.event for event in events[:2]] == ["examination_started", "photograph_wanted"]
    assert isinstance(events[0], ExaminationStarted)


def _attended(deliveries: list[Capture | None], station: Callable[[FakeCamera], Station]) -> list[Event]:
    """What happens until the camera has nothing more to deliver."""
    happened = []
    for event in station(FakeCamera(deliveries=deliveries)).attend():
        happened.append(event)
        if isinstance(event, Waiting) and happened[-2:-1] and isinstance(happened[-2], Waiting):
            break
    return happened


def test_whoever_is_sent_is_examined_and_taken_up_again(
    session: Session, store: Store, programme: Programme, retina: Callable[..., Capture]
) -> None:
    def of(person: str, count: int) -> list[Capture]:
        return [retina(person_reference=person) for _ in range(count)]

    events = _attended(
        [None, *of("A", 2), *of("B", TWO_EYES), *of("A", TWO_EYES - 2)],
        lambda camera: _station(camera, session, store, programme, Controls()),
    )
    started = [event.examination_id for event in _of(events, ExaminationStarted)]  # type: ignore[attr-defined]
    assert len(started) == 3
    assert started[0] == started[2]
    assert [store.examination(one).person.reference for one in started] == ["A", "B", "A"]
    assert len(_of(events, ExaminationFinished)) == 2
    assert not store.unfinished()
    assert not _of(events, PhotographSetAside)


def test_photographs_without_a_person_are_one_persons(
    session: Session, store: Store, programme: Programme, retina: Callable[..., Capture]
) -> None:
    events = _attended(
        [retina() for _ in range(TWO_EYES + 1)],
        lambda camera: _station(camera, session, store, programme, Controls()),
    )
    assert len(_of(events, ExaminationStarted)) == 2
    assert all(one.person.reference.startswith("unnamed 20") for one in store.examinations())
