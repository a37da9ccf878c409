"""The fake camera stands in for the hardware: it cannot show how long a real shutter takes."""

from collections.abc import Iterator

import numpy as np
import pytest
from fakes.camera import FakeCamera, aiming_at

from sall_edge.errors import CameraError
from sall_edge.fundus.phantom import draw_phantom
from sall_edge.fundus.phantom.aiming import Still
from sall_edge.screening.camera.source import CameraState, Capture, Moment
from sall_edge.screening.events import Aiming, CameraChanged, Event, Failed, Waiting
from sall_edge.screening.station.aiming import Aimer
from sall_edge.screening.station.controls import Command, Controls, Shutter


@pytest.fixture(scope="module")
def retinas() -> list[np.ndarray]:
    rng = np.random.default_rng(5)
    return [draw_phantom(rng, side_px=512, dr_grade=0, amd_grade=0, eye=eye).pixels for eye in "RL"]


def _aimed(aimer: Aimer, *, attempt: int = 1) -> tuple[list[Event], Capture | Command]:
    got: list[Capture | Command] = []

    def aiming() -> Iterator[Event]:
        got.append((yield from aimer.aim(Moment.now(), attempt=attempt)))

    events = list(aiming())
    return events, got[0]


def _capture(aimer: Aimer, *, attempt: int = 1) -> Capture:
    got = _aimed(aimer, attempt=attempt)[1]
    assert isinstance(got, Capture)
    return got


def test_the_shutter_is_released_when_a_photograph_would_be_good(retinas: list[np.ndarray]) -> None:
    camera = aiming_at([Still(pixels=retinas[0])])
    events, got = _aimed(Aimer(camera, Controls(), shutter=Shutter.AUTO))
    assert isinstance(got, Capture)
    seen = [event for event in events if isinstance(event, Aiming)]
    assert seen[0].hints == ("find_retina",)
    assert seen[-1].is_steady
    assert not any(event.is_steady for event in seen[:-1])


def test_one_view_is_taken_once_however_long_it_is_held(retinas: list[np.ndarray]) -> None:
    camera = aiming_at([Still(pixels=retinas[0], held_s=6), Still(pixels=retinas[1], held_s=2)])
    aimer = Aimer(camera, Controls(), shutter=Shutter.AUTO)
    first, second = _capture(aimer), _capture(aimer)
    assert second.triggered.monotonic_s - first.triggered.monotonic_s > 4  # it waited for the other eye


def test_a_retake_of_the_same_view_is_taken_after_a_pause(retinas: list[np.ndarray]) -> None:
    camera = aiming_at([Still(pixels=retinas[0], held_s=6)])
    aimer = Aimer(camera, Controls(), shutter=Shutter.AUTO)
    first, again = _capture(aimer), _capture(aimer, attempt=2)
    assert 2 <= again.triggered.monotonic_s - first.triggered.monotonic_s < 4


def test_what_never_becomes_good_is_taken_after_a_while(retinas: list[np.ndarray]) -> None:
    camera = aiming_at([Still(pixels=retinas[0], blur=0.04, held_s=9)])
    events, got = _aimed(Aimer(camera, Controls(), shutter=Shutter.AUTO))
    assert isinstance(got, Capture)
    assert not any(event.is_steady for event in events if isinstance(event, Aiming))


def test_an_operator_who_releases_it_is_obeyed_at_once(retinas: list[np.ndarray]) -> None:
    controls = Controls()
    controls.wish(Command.RELEASE)
    events, got = _aimed(Aimer(aiming_at([Still(pixels=retinas[0])]), controls, shutter=Shutter.OPERATOR))
    assert isinstance(got, Capture)
    assert len(events) <= 2


def test_the_device_waits_for_an_operator_who_keeps_the_shutter(retinas: list[np.ndarray]) -> None:
    controls = Controls()
    camera = aiming_at([Still(pixels=retinas[0], held_s=3)], at_end=lambda: controls.wish(Command.LEAVE))
    assert _aimed(Aimer(camera, controls, shutter=Shutter.OPERATOR))[1] is Command.LEAVE


@pytest.mark.parametrize("wish", [Command.GIVE_UP, Command.OTHER_EYE, Command.LEAVE])
def test_a_wish_ends_the_aiming(retinas: list[np.ndarray], wish: Command) -> None:
    controls = Controls()
    controls.wish(wish)
    assert _aimed(Aimer(aiming_at([Still(pixels=retinas[0])]), controls, shutter=Shutter.AUTO))[1] is wish


def test_a_camera_that_goes_and_comes_back_is_said(retinas: list[np.ndarray]) -> None:
    camera = aiming_at([Still(pixels=retinas[0])])
    states = iter([CameraState.READY, CameraState.LOST, CameraState.LOST])
    camera.next_state = lambda: next(states, CameraState.READY)
    events = _aimed(Aimer(camera, Controls(), shutter=Shutter.AUTO))[0]
    changes = [event.state for event in events if isinstance(event, CameraChanged)]
    assert changes == [CameraState.LOST, CameraState.READY]


def test_a_capture_that_fails_is_said_and_tried_again(retinas: list[np.ndarray]) -> None:
    camera = aiming_at([Still(pixels=retinas[0], held_s=3)])
    camera.problems.append(CameraError("the camera is lost", "unplugged", "plug it in"))
    events, got = _aimed(Aimer(camera, Controls(), shutter=Shutter.AUTO))
    assert isinstance(got, Capture)
    assert [(event.what, event.fix) for event in events if isinstance(event, Failed)] == [
        ("the camera is lost", "plug it in")
    ]


def test_a_delivering_camera_is_waited_for_and_the_wait_shows_that_the_device_goes_on() -> None:
    capture = FakeCamera.delivery(b"a photograph")
    camera = FakeCamera(deliveries=[None, None, capture])
    events, got = _aimed(Aimer(camera, Controls(), shutter=Shutter.AUTO))
    assert got == capture
    assert [type(event) for event in events] == [Waiting, Waiting]
