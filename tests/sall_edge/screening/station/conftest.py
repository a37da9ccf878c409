"""A session, a store and deliveries for the tests of the station."""

from collections.abc import Callable, Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest
from fakes.camera import FakeCamera

from sall_edge.artifacts import Engine
from sall_edge.fundus.phantom import draw_phantom
from sall_edge.runtime.session import Session, open_session
from sall_edge.screening.camera.source import Capture, Origin
from sall_edge.screening.examination.programme import Programme, load_programme
from sall_edge.screening.store.opening import create_store, open_store
from sall_edge.screening.store.store import Store


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
