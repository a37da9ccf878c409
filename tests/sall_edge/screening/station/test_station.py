"""Whole examinations on an engine whose verdicts mean nothing, and a store on the disk."""

from collections.abc import Callable
from datetime import datetime, timezone
from pathlib import Path

import numpy as np
import pytest
from fakes.camera import FakeCamera, aiming_at
from fakes.familiar_bundle import NONE_FAMILIAR, with_reference
from fakes.manned_station import TWO_EYES, manned, of_kind

from sall_edge.artifacts import Engine
from sall_edge.errors import StoreFull
from sall_edge.fundus.phantom import draw_phantom
from sall_edge.fundus.phantom.aiming import Still
from sall_edge.fundus.quality import DEFAULT_LIMITS, sha256_of_limits
from sall_edge.fundus.quality.limits import Limit
from sall_edge.runtime.session import Session, open_session
from sall_edge.screening.camera.source import Capture, SetAside, WhySetAside
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
from sall_edge.screening.examination.programme import Programme
from sall_edge.screening.examination.record import Outcome, Person, View
from sall_edge.screening.station.controls import Command, Controls
from sall_edge.screening.station.station import Station
from sall_edge.screening.store.store import Store
from sall_edge.spec import Eye

PERSON = Person(reference="4711")


def _examined(
    deliveries: list[Capture | None], session: Session, store: Store, programme: Programme
) -> tuple[list[Event], FakeCamera]:
    """Everything that happens; what is still wanted after the last delivery is left."""
    camera, controls = FakeCamera(deliveries=deliveries), Controls()
    events = []
    for event in manned(camera, session, store, programme, controls).examine(PERSON):
        events.append(event)
        if isinstance(event, Waiting):
            controls.wish(Command.LEAVE)
    return events, camera


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


def test_an_unfamiliar_retina_goes_to_a_human(
    tiny_engine: Engine, store: Store, programme: Programme, retina: Callable[..., Capture], tmp_path: Path
) -> None:
    with open_session(with_reference(tiny_engine, tmp_path / "engine", limit=NONE_FAMILIAR)) as session:
        events, _ = _examined([retina() for _ in range(TWO_EYES)], session, store, programme)
    finished = events[-1]
    assert isinstance(finished, ExaminationFinished)
    assert finished.outcome.severity >= Outcome.HUMAN_GRADING.severity
    assert {"R:unfamiliar", "L:unfamiliar"} <= set(finished.reasons)
    assert all("unfamiliar" in event.reasons for event in of_kind(events, PhotographJudged))  # type: ignore[attr-defined]
    for photograph in store.examination(finished.examination_id).photographs:
        assert photograph.familiarity is not None
        assert photograph.familiarity == photograph.screened.familiarity


def test_a_bad_photograph_is_asked_for_again_with_its_reason(
    session: Session, store: Store, programme: Programme, retina: Callable[..., Capture]
) -> None:
    events, _ = _examined([retina(dark=True), retina()], session, store, programme)
    asked = [(event.eye, event.view, event.attempt, event.reasons) for event in of_kind(events, PhotographWanted)]  # type: ignore[attr-defined]
    assert asked[:3] == [
        (Eye.RIGHT, View.MACULA, 1, ()),
        (Eye.RIGHT, View.MACULA, 2, ("too_dark",)),
        (Eye.RIGHT, View.DISC, 1, ()),
    ]


def test_a_file_that_is_no_photograph_stops_nothing(
    session: Session, store: Store, programme: Programme, retina: Callable[..., Capture]
) -> None:
    events, _ = _examined([FakeCamera.delivery(b"\xff\xd8\xff broken"), retina()], session, store, programme)
    judged = [(event.gradable, event.reasons) for event in of_kind(events, PhotographJudged)]  # type: ignore[attr-defined]
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
    assert not of_kind(events, ExaminationFinished)
    (left,) = store.unfinished()
    assert (len(left.photographs), left.outcome.severity >= Outcome.INCOMPLETE.severity) == (1, True)
    camera = FakeCamera(deliveries=[retina() for _ in range(TWO_EYES - 1)])
    events = list(manned(camera, session, store, programme, Controls()).resume(left))
    assert isinstance(events[-1], ExaminationFinished)
    assert not list(store.unfinished())
    assert len(store.examination(left.examination_id).photographs) == TWO_EYES


def test_what_cannot_be_taken_is_given_up_and_referred(session: Session, store: Store, programme: Programme) -> None:
    controls = Controls()
    for _ in range(TWO_EYES):
        controls.wish(Command.GIVE_UP)
    events = list(manned(FakeCamera(), session, store, programme, controls).examine(PERSON))
    finished = events[-1]
    assert isinstance(finished, ExaminationFinished)
    assert finished.outcome is Outcome.UNGRADABLE_REFERRAL


def test_the_camera_knows_which_eye_it_looked_at(
    session: Session, store: Store, programme: Programme, retina: Callable[..., Capture]
) -> None:
    left_first = [retina(eye=eye) for eye in (Eye.LEFT, Eye.LEFT, Eye.RIGHT, Eye.RIGHT)]
    events, _ = _examined(left_first, session, store, programme)
    assert isinstance(events[-1], ExaminationFinished)
    taken = [(event.eye, event.view) for event in of_kind(events, Captured)]  # type: ignore[attr-defined]
    assert taken == [(eye, view) for eye in (Eye.LEFT, Eye.RIGHT) for view in View]


BEFORE = datetime(2026, 3, 1, tzinfo=timezone.utc)


def test_what_belongs_elsewhere_is_set_aside_and_named(
    session: Session, store: Store, programme: Programme, retina: Callable[..., Capture]
) -> None:
    mine = retina(person_reference="4711")
    other = retina(person_reference="4712", details={"file": "other.jpg"})
    camera, controls = FakeCamera(deliveries=[other, mine, mine]), Controls()
    camera.aside.append(SetAside(name="old.jpg", why=WhySetAside.EARLIER, taken_at=BEFORE))
    events: list[Event] = []
    for event in manned(camera, session, store, programme, controls).examine(PERSON):
        events.append(event)
        if isinstance(event, Waiting):
            controls.wish(Command.LEAVE)
    aside = [
        (event.name, event.why, event.taken_at)  # type: ignore[attr-defined]
        for event in of_kind(events, PhotographSetAside)
    ]
    assert aside == [
        ("old.jpg", WhySetAside.EARLIER, BEFORE),
        ("other.jpg", WhySetAside.ANOTHER_PERSON, None),
        ("folder", WhySetAside.ALREADY_STORED, None),
    ]
    assert len(of_kind(events, PhotographJudged)) == 1


def test_an_eye_that_is_left_out_is_not_photographed(
    session: Session, store: Store, programme: Programme, retina: Callable[..., Capture]
) -> None:
    deliveries = [retina(eye=Eye.LEFT), retina(), retina()]
    station = manned(FakeCamera(deliveries=deliveries), session, store, programme, Controls())
    events = list(station.examine(PERSON, not_examined={Eye.LEFT: "prosthesis"}))
    assert isinstance(events[-1], ExaminationFinished)
    assert {event.eye for event in of_kind(events, Captured)} == {Eye.RIGHT}  # type: ignore[attr-defined]
    assert len(of_kind(events, PhotographSetAside)) == 1


def test_without_room_nothing_is_begun(
    monkeypatch: pytest.MonkeyPatch, session: Session, store: Store, programme: Programme
) -> None:
    def full(needed_bytes: int) -> None:
        raise StoreFull("no room", "the disk is full", "make room")

    monkeypatch.setattr(store, "check_room", full)
    with pytest.raises(StoreFull):
        list(manned(FakeCamera(), session, store, programme, Controls()).examine(PERSON))
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
    events = list(manned(camera, session, store, programme, Controls()).examine(PERSON))
    assert isinstance(events[-1], Failed)
    assert len(camera.kept) == 1
    assert len(next(iter(store.unfinished())).photographs) == 1


def test_a_live_camera_is_aimed_and_its_frames_are_graded(session: Session, store: Store, programme: Programme) -> None:
    rng = np.random.default_rng(9)
    stills = [
        Still(pixels=draw_phantom(rng, side_px=512, dr_grade=0, amd_grade=0, eye=eye).pixels, held_s=1.2)
        for eye in ("R", "R", "L", "L")
    ]
    events = list(manned(aiming_at(stills), session, store, programme, Controls()).examine(PERSON))
    assert isinstance(events[-1], ExaminationFinished)
    assert len(of_kind(events, PhotographJudged)) == TWO_EYES
    assert [event.event for event in events[:2]] == ["examination_started", "photograph_wanted"]
    assert isinstance(events[0], ExaminationStarted)


def test_a_camera_has_quality_limits_of_its_own(
    session: Session, store: Store, programme: Programme, retina: Callable[..., Capture]
) -> None:
    controls = Controls()
    limits = DEFAULT_LIMITS.model_copy(update={"brightness": Limit(at=250, usual=255)})
    camera = FakeCamera(deliveries=[retina()])
    station = Station(
        camera=camera, session=session, store=store, programme=programme, controls=controls, limits=limits
    )
    for event in station.examine(PERSON):
        if isinstance(event, Waiting):
            controls.wish(Command.LEAVE)
        if isinstance(event, PhotographJudged):
            assert "too_dark" in event.reasons
    (left,) = store.unfinished()
    assert left.photographs[0].screened.quality_limits_sha256 == sha256_of_limits(limits)
