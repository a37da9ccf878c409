from typing import Any

import cv2
import numpy as np
import pytest
from fakes.camera_device import noisy_picture

from sall_edge.fundus.phantom.draw import draw_phantom
from sall_edge.screening.camera.health import BLACK_LOOKS, LOOK_EVERY_S, Health, HealthLimits, is_black
from sall_edge.screening.camera.raw_frame import Layout, RawFrame
from sall_edge.screening.camera.source import CameraState

LIMITS = HealthLimits()


def _raw(data: Any, *, layout: Layout = Layout.RGB, exposed_s: float = 0.0) -> RawFrame:
    return RawFrame(data=data, layout=layout, exposed_s=exposed_s)


def _phantom() -> Any:
    return draw_phantom(np.random.default_rng(3), side_px=384, dr_grade=1, amd_grade=0, eye="L").pixels


def _lid(rng: np.random.Generator, *, level: int, noise: float) -> Any:
    return np.clip(rng.normal(level, noise, (400, 600, 3)), 0, 255).astype(np.uint8)


@pytest.mark.parametrize(("level", "noise"), [(0, 0), (0, 4), (5, 8), (16, 3)])
def test_a_lid_is_black_whatever_the_noise(level: int, noise: float) -> None:
    assert is_black(_raw(_lid(np.random.default_rng(0), level=level, noise=noise)), LIMITS)


@pytest.mark.parametrize("gain", [1.0, 0.2, 0.08])
def test_a_retina_in_poor_light_is_not_black(gain: float) -> None:
    dim = cv2.convertScaleAbs(_phantom(), alpha=gain)
    assert not is_black(_raw(dim), LIMITS)


def test_what_cannot_be_decoded_is_not_called_black() -> None:
    assert not is_black(_raw(np.zeros(100, np.uint8), layout=Layout.JPEG), LIMITS)


def test_no_frame_yet_is_frozen() -> None:
    assert Health(LIMITS).state(10.0) is CameraState.FROZEN


def test_the_same_picture_is_as_old_as_the_first_time_and_frozen_after_a_while() -> None:
    rng = np.random.default_rng(0)
    health, picture = Health(LIMITS), noisy_picture(rng)
    assert health.note(_raw(picture, exposed_s=1.0), now_s=1.0).exposed_s == 1.0
    assert health.note(_raw(picture.copy(), exposed_s=1.4), now_s=1.3).exposed_s == 1.0
    assert health.state(1.7) is CameraState.READY
    assert health.note(_raw(picture.copy(), exposed_s=1.8), now_s=1.9).exposed_s == 1.0
    assert health.state(1.95) is CameraState.FROZEN
    assert health.note(_raw(noisy_picture(rng), exposed_s=2.0), now_s=2.0).exposed_s == 2.0
    assert health.state(2.0) is CameraState.READY


def test_no_frame_is_frozen_whatever_the_last_one_was() -> None:
    health = Health(LIMITS)
    black = np.zeros((64, 64, 3), np.uint8)
    for step in range(5):
        health.note(_raw(black), now_s=step * LOOK_EVERY_S * 1.001)
    assert health.state(4.1 * LOOK_EVERY_S) is CameraState.BLACK
    assert health.state(4.1 * LOOK_EVERY_S + LIMITS.frozen_s + 0.01) is CameraState.FROZEN


def test_a_few_black_frames_are_a_blink() -> None:
    rng = np.random.default_rng(0)
    health = Health(LIMITS)
    states = []
    blink = BLACK_LOOKS - 1
    for step, light in enumerate([120, *[0] * blink, 120, *[0] * BLACK_LOOKS, 120]):
        now_s = step * LOOK_EVERY_S * 1.001
        health.note(_raw(noisy_picture(rng, light=light)), now_s=now_s)
        states.append(health.state(now_s))
    ready = CameraState.READY
    assert states == [*[ready] * (2 + 2 * blink), CameraState.BLACK, ready]


def test_another_size_is_wrong_only_if_one_was_asked_for() -> None:
    picture = noisy_picture(np.random.default_rng(0), (320, 240))
    for size_px, state in (
        (None, CameraState.READY),
        ((320, 240), CameraState.READY),
        ((240, 320), CameraState.WRONG_SIZE),
    ):
        health = Health(HealthLimits(size_px=size_px))
        health.note(_raw(picture), now_s=0.0)
        assert health.state(0.0) is state
        assert health.size_px == (320, 240)
