from pathlib import Path

import numpy as np
import pytest
from fakes.familiar_bundle import reference, with_reference

from sall_edge.artifacts import Engine
from sall_edge.errors import ArtefactForeign
from sall_edge.runtime import openvino
from sall_edge.runtime.familiar_retinas import (
    FamiliarRetinas,
    floats,
    read_familiar_retinas,
    retinas_from_file,
    text_from_floats,
)
from sall_edge.runtime.session import open_reference, open_session

FLOAT32 = 1e-5
"""Relative: the distance is a sum of a few hundred float32 squares."""


def test_the_distance_is_mahalanobis_of_the_cloud() -> None:
    rng = np.random.default_rng(0)
    channels, components, noise = 20, 3, 0.3
    directions = np.linalg.qr(rng.normal(size=(channels, channels)))[0][:components]
    deviations = np.array([4.0, 2.0, 1.0])
    covariance = directions.T @ np.diag(deviations**2 - noise**2) @ directions + noise**2 * np.eye(channels)
    mean, features = rng.normal(size=(2, channels)).astype(np.float32)
    retinas = FamiliarRetinas(
        mean=mean,
        directions=directions.astype(np.float32),
        deviations=deviations.astype(np.float32),
        noise_deviation=noise,
        limit=1.0,
    )
    away = (features - mean).astype(np.float64)
    wanted = np.sqrt(away @ np.linalg.inv(covariance) @ away / channels)
    assert retinas.distance(features) == pytest.approx(wanted, rel=FLOAT32)


def test_arrays_survive_the_file() -> None:
    values = np.array([0.0, -1.5, 1e-30, 3e30], np.float32)
    np.testing.assert_array_equal(floats(text_from_floats(values), 4), values)
    retinas = retinas_from_file(reference(5, limit=2.5))
    assert (retinas.limit, retinas.directions.shape, retinas.deviations.tolist()) == (2.5, (1, 5), [2.0])


def test_an_engine_without_a_reference_has_none(tiny_engine: Engine) -> None:
    assert read_familiar_retinas(tiny_engine) is None
    with open_session(tiny_engine) as session:
        assert session.familiar_retinas is None


def test_a_session_knows_the_reference_of_its_bundle_whoever_serves(tiny_engine: Engine, tmp_path: Path) -> None:
    engine = with_reference(tiny_engine, tmp_path / "engine", limit=3.0)
    with open_session(engine) as session, open_reference(engine) as fp32:
        for opened in (session, fp32):
            assert opened.familiar_retinas is not None
            assert opened.familiar_retinas.limit == 3.0


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"format_version": 2}, "its format is 2, this version reads 1"),
        ({"mean": text_from_floats(np.zeros(3))}, "3 numbers, not"),
        ({"deviations": text_from_floats(np.array([0.0]))}, "a deviation is not above 0"),
        ({"deviations": text_from_floats(np.array([np.nan]))}, "1 numbers, not 1 finite ones"),
        ({"directions": "no Base64!"}, "Only base64 data is allowed"),
        ({"noise_deviation": 0.0}, "noise_deviation: Input should be greater than 0"),
    ],
)
def test_a_reference_of_another_kind_is_refused_before_anything_is_opened(
    tiny_engine: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, changes: dict[str, object], why: str
) -> None:
    engine = with_reference(tiny_engine, tmp_path / "engine", limit=1.0, **changes)
    monkeypatch.setattr(openvino, "open_runner", lambda *_, **__: pytest.fail("it was opened"))
    with pytest.raises(ArtefactForeign, match="is no reference of this version") as error:
        open_session(engine)
    assert why in error.value.why
    assert error.value.fix == "build the engine again"
