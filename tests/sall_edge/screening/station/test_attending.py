"""A device that examines whoever the photographs are of, on an engine whose verdicts mean nothing."""

from collections.abc import Callable

import pytest
from fakes.camera import FakeCamera
from fakes.manned_station import TWO_EYES, manned, of_kind

from sall_edge.errors import StoreError, StoreFull
from sall_edge.runtime.session import Session
from sall_edge.screening.camera.source import Capture
from sall_edge.screening.events import (
    Event,
    ExaminationFinished,
    ExaminationStarted,
    Failed,
    PhotographSetAside,
    Waiting,
)
from sall_edge.screening.examination.programme import Programme
from sall_edge.screening.examination.record import Examination
from sall_edge.screening.station.controls import Controls
from sall_edge.screening.station.station import Station
from sall_edge.screening.store.store import Store


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
        lambda camera: manned(camera, session, store, programme, Controls()),
    )
    started = [event.examination_id for event in of_kind(events, ExaminationStarted)]  # type: ignore[attr-defined]
    assert len(started) == 3
    assert started[0] == started[2]
    assert [store.examination(one).person.reference for one in started] == ["A", "B", "A"]
    assert len(of_kind(events, ExaminationFinished)) == 2
    assert not store.unfinished()
    assert not of_kind(events, PhotographSetAside)


def test_photographs_without_a_person_are_one_persons(
    session: Session, store: Store, programme: Programme, retina: Callable[..., Capture]
) -> None:
    events = _attended(
        [retina() for _ in range(TWO_EYES + 1)],
        lambda camera: manned(camera, session, store, programme, Controls()),
    )
    assert len(of_kind(events, ExaminationStarted)) == 2
    assert all(one.person.reference.startswith("unnamed 20") for one in store.examinations())


def test_an_examination_that_only_lacks_its_end_is_finished_when_the_device_attends_again(
    session: Session,
    store: Store,
    programme: Programme,
    retina: Callable[..., Capture],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    cut_off = StoreError("cut off", "the process was killed before this", "start it again")

    def killed(examination: Examination) -> None:
        raise cut_off

    mine = [retina(person_reference="A") for _ in range(TWO_EYES)]
    with monkeypatch.context() as dying:
        dying.setattr(store, "finish", killed)
        with pytest.raises(StoreError):
            _attended(mine, lambda camera: manned(camera, session, store, programme, Controls()))
    (left,) = store.unfinished()
    sent_again = FakeCamera(deliveries=[mine[-1]])  # the camera was not told that it is stored
    happened: list[Event] = []
    for event in manned(sent_again, session, store, programme, Controls()).attend():
        happened.append(event)
        if isinstance(event, Waiting):
            break
    assert [type(event) for event in happened] == [ExaminationStarted, ExaminationFinished, PhotographSetAside, Waiting]
    assert [one.examination_id for one in store.examinations()] == [left.examination_id]
    assert sent_again.kept == [mine[-1]]


def test_a_device_that_attends_waits_for_room_and_says_so_once(
    session: Session,
    store: Store,
    programme: Programme,
    retina: Callable[..., Capture],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The disk fills up after the first photograph, and somebody makes room."""
    full = StoreFull("no room", "the disk is full", "make room")
    answers = iter([None, None, None, full, full, full])

    def filling(needed_bytes: int) -> None:
        if (problem := next(answers, None)) is not None:
            raise problem

    monkeypatch.setattr(store, "check_room", filling)
    camera = FakeCamera(deliveries=[retina(person_reference="A") for _ in range(TWO_EYES)])
    happened: list[Event] = []
    for event in manned(camera, session, store, programme, Controls()).attend():
        happened.append(event)
        if isinstance(event, ExaminationFinished):
            break
    assert len(of_kind(happened, Failed)) == 2  # in the examination, and by the device that waits
    assert len(of_kind(happened, ExaminationStarted)) == 2
    assert [len(one.photographs) for one in store.examinations()] == [TWO_EYES]


def test_one_examination_may_be_asked_for(
    session: Session, store: Store, programme: Programme, retina: Callable[..., Capture]
) -> None:
    camera = FakeCamera(deliveries=[retina() for _ in range(TWO_EYES + 1)])
    events = list(manned(camera, session, store, programme, Controls()).attend_next())
    assert isinstance(events[-1], ExaminationFinished)
    assert len(store.examinations()) == 1
