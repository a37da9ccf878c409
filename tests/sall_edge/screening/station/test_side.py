"""The other eye than was asked for: said at the device right after the photograph; verdicts mean nothing here."""

import cv2
import numpy as np
import pytest
from fakes.camera import FakeCamera, aiming_at
from fakes.manned_station import manned, of_kind

from sall_edge.fundus.phantom import draw_phantom
from sall_edge.fundus.phantom.aiming import Still
from sall_edge.runtime.session import Session
from sall_edge.screening.camera.source import Capture, Moment
from sall_edge.screening.events import (
    Event,
    ExaminationFinished,
    Failed,
    PhotographJudged,
    PhotographWanted,
    SideAsked,
    SideCorrected,
    Waiting,
)
from sall_edge.screening.examination.programme import load_programme
from sall_edge.screening.examination.record import Person
from sall_edge.screening.station import taking
from sall_edge.screening.station.aiming import Aimed, Aimer
from sall_edge.screening.station.controls import Command, Controls
from sall_edge.screening.store.store import Store
from sall_edge.screening.store.verify import verify
from sall_edge.spec import Eye

PERSON = Person(reference="4711")
ONE = load_programme("icdr-one-photograph")
SOON_S = 0.3


def _examined(camera: FakeCamera, session: Session, store: Store, *, said_after: dict[int, Command]) -> list[Event]:
    """All events; a wish after the photograph of that number, and the leave when nothing comes any more."""
    controls, events = Controls(), list[Event]()
    for event in manned(camera, session, store, ONE, controls).examine(PERSON):
        events.append(event)
        if isinstance(event, PhotographJudged):
            wish = said_after.get(len(of_kind(events, PhotographJudged)))
            if wish is not None:
                controls.wish(wish)
        if isinstance(event, Waiting) and not camera.is_live:
            controls.wish(Command.LEAVE)
    return events


def _asked(events: list[Event]) -> list[tuple[Eye, int]]:
    return [(event.eye, event.attempt) for event in events if isinstance(event, PhotographWanted)]


def _drawn(eye: str, *, seed: int, side_px: int) -> np.ndarray:
    return draw_phantom(np.random.default_rng(seed), side_px=side_px, dr_grade=0, amd_grade=0, eye=eye).pixels


def _of(eye: str, *, seed: int = 3) -> Capture:
    """A delivery of that eye that does not say so."""
    return FakeCamera.delivery(bytes(cv2.imencode(".jpg", _drawn(eye, seed=seed, side_px=320)[..., ::-1])[1]))


def test_a_photograph_of_the_other_eye_counts_for_it_and_what_is_wanted_is_asked_anew(
    session: Session, store: Store
) -> None:
    camera = FakeCamera(deliveries=[_of("L"), _of("R")])  # the left one, where the right one is asked for
    events = _examined(camera, session, store, said_after={1: Command.OTHER_EYE})
    judged = [event for event in events if isinstance(event, PhotographJudged)]
    assert ["laterality" in event.reasons for event in judged] == [True, False]
    assert _asked(events) == [(Eye.RIGHT, 1), (Eye.LEFT, 1), (Eye.RIGHT, 1)]
    (said,) = (event for event in events if isinstance(event, SideCorrected))
    assert (said.eye_was, said.eye_is) == (Eye.RIGHT, Eye.LEFT)
    finished = events[-1]
    assert isinstance(finished, ExaminationFinished)
    assert not any("laterality" in reason for reason in finished.reasons)
    stored = store.examination(finished.examination_id)
    assert [one.eye for one in stored.photographs] == [Eye.RIGHT, Eye.RIGHT]
    assert [one.eye for one in stored.counted] == [Eye.LEFT, Eye.RIGHT]
    assert stored.corrections[0].by == "the nurse"
    verify(store)


def test_said_a_second_time_it_is_taken_back(session: Session, store: Store) -> None:
    controls, events = Controls(), list[Event]()
    camera = FakeCamera(deliveries=[_of("L")])
    for event in manned(camera, session, store, ONE, controls).examine(PERSON):
        events.append(event)
        if isinstance(event, PhotographJudged):
            controls.wish(Command.OTHER_EYE)
            controls.wish(Command.OTHER_EYE)
            controls.wish(Command.LEAVE)
    said = [(event.eye_was, event.eye_is) for event in events if isinstance(event, SideCorrected)]
    assert said == [(Eye.RIGHT, Eye.LEFT), (Eye.LEFT, Eye.RIGHT)]
    assert _asked(events) == [(Eye.RIGHT, 1), (Eye.LEFT, 1), (Eye.RIGHT, 1), (Eye.LEFT, 1)]
    verify(store)


def test_a_photograph_whose_side_nothing_speaks_against_is_not_corrected_at_the_device(
    session: Session, store: Store
) -> None:
    controls, events = Controls(), list[Event]()
    controls.wish(Command.OTHER_EYE)  # before there is a photograph
    for event in manned(FakeCamera(deliveries=[_of("R")]), session, store, ONE, controls).examine(PERSON):
        events.append(event)
        if isinstance(event, PhotographJudged):
            controls.wish(Command.OTHER_EYE)
        if isinstance(event, Waiting):
            controls.wish(Command.LEAVE)
    said = [(event.what, event.why) for event in events if isinstance(event, Failed)]
    assert said == [
        ("the side of the last photograph is not corrected", "there is none yet"),
        ("the side of the last photograph is not corrected", "nothing on it speaks against R"),
    ]
    assert not store.unfinished()[0].corrections


def test_after_a_correction_another_view_is_waited_for_than_the_one_that_is_held(
    session: Session, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    attempts, aim = [], Aimer.aim

    def noted(aimer: Aimer, since: Moment, *, attempt: int) -> Aimed:
        attempts.append(attempt)
        return aim(aimer, since, attempt=attempt)

    monkeypatch.setattr(Aimer, "aim", noted)
    dark = cv2.convertScaleAbs(_drawn("L", seed=4, side_px=320), alpha=0.08)
    ungradable = FakeCamera.delivery(bytes(cv2.imencode(".jpg", dark)[1]))
    camera = FakeCamera(deliveries=[ungradable, _of("L"), _of("R")])
    events = _examined(camera, session, store, said_after={2: Command.OTHER_EYE})
    assert _asked(events) == [(Eye.RIGHT, 1), (Eye.RIGHT, 2), (Eye.LEFT, 1), (Eye.RIGHT, 2)]
    assert attempts == [1, 2, 1, 1]  # or the eye that is still in view would be taken for the right one again


@pytest.mark.parametrize("wish", [Command.OTHER_EYE, None])
def test_at_a_live_camera_there_is_time_for_a_word_on_the_last_photograph(
    session: Session, store: Store, monkeypatch: pytest.MonkeyPatch, wish: Command | None
) -> None:
    monkeypatch.setattr(taking, "SIDE_S", SOON_S)
    # the right eye twice, then the one that was asked for
    stills = [
        Still(pixels=_drawn(eye, seed=seed, side_px=512), held_s=1.2) for seed, eye in enumerate(("R", "R", "L"), 1)
    ]
    events = _examined(aiming_at(stills), session, store, said_after={} if wish is None else {2: wish})
    assert [event.eye for event in events if isinstance(event, SideAsked)] == [Eye.LEFT]
    (stored,) = store.examinations()
    assert stored.finished_at is not None
    assert len(stored.photographs) == (2 if wish is None else 3)
    assert ("L:laterality" in stored.reasons) is (wish is None)
