"""What follows from a distance; what a distance tells is measured on photographs: docs/results/familiarity.md."""

import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from fakes.familiar_bundle import ALL_FAMILIAR, NONE_FAMILIAR, reference, with_reference
from PIL import Image

from sall_edge.artifacts import Engine
from sall_edge.errors import ArtefactForeign
from sall_edge.fundus.phantom import draw_phantom
from sall_edge.runtime.familiar_retinas import retinas_from_file
from sall_edge.runtime.prediction import Prediction
from sall_edge.runtime.session import open_session
from sall_edge.screening.familiarity import Familiarity, familiarity_of
from sall_edge.screening.verdict import ScreenedPhotograph, Verdict, examine

NOBODY, EVERYBODY = 1.1, 0.0
"""Operating points, by whom they refer."""


@pytest.fixture(scope="module")
def photograph(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("eye") / "eye.png"
    pixels = draw_phantom(np.random.default_rng(3), side_px=320, dr_grade=2, amd_grade=0, eye="R").pixels
    Image.fromarray(pixels).save(path)
    return path


@pytest.fixture
def screened(tiny_engine: Engine, photograph: Path, tmp_path: Path) -> Callable[[float, float], ScreenedPhotograph]:
    """The photograph under a limit and an operating point."""

    def run(limit: float, point: float) -> ScreenedPhotograph:
        engine = with_reference(tiny_engine, tmp_path / "engine", limit=limit)
        manifest = engine.manifest.model_copy(update={"operating_points": {"dr": point, "amd": point}})
        with open_session(replace(engine, manifest=manifest)) as session:
            return examine(session, photograph).result

    return run


def test_the_limit_itself_is_familiar_and_what_is_no_number_is_not() -> None:
    assert not Familiarity(distance=2.0, limit=2.0).is_unfamiliar
    assert Familiarity(distance=2.1, limit=2.0).is_unfamiliar
    assert Familiarity(distance=math.nan, limit=2.0).is_unfamiliar


@pytest.mark.parametrize(
    ("limit", "point", "verdict"),
    [
        (ALL_FAMILIAR, NOBODY, Verdict.NO_REFERRAL),
        (ALL_FAMILIAR, EVERYBODY, Verdict.REFER),
        (NONE_FAMILIAR, NOBODY, Verdict.HUMAN_GRADING),
        (NONE_FAMILIAR, EVERYBODY, Verdict.REFER),
    ],
)
def test_an_unfamiliar_retina_is_never_no_referral_and_a_referral_stays_one(
    screened: Callable[[float, float], ScreenedPhotograph], limit: float, point: float, verdict: Verdict
) -> None:
    result = screened(limit, point)
    assert result.verdict is verdict
    assert result.familiarity is not None
    assert result.familiarity.limit == limit
    assert result.familiarity.is_unfamiliar is (limit == NONE_FAMILIAR)
    assert result.gradable is True
    assert set(result.tasks) == {"dr", "amd"}


def test_an_engine_without_a_reference_says_nothing_of_it(tiny_engine: Engine, photograph: Path) -> None:
    with open_session(tiny_engine) as session:
        result = examine(session, photograph).result
    assert result.familiarity is None
    assert "familiarity" not in result.model_dump(mode="json", exclude_none=True)


@pytest.mark.parametrize(("features", "given"), [(None, "no"), (np.zeros(7, np.float32), "7")])
def test_an_engine_and_a_reference_that_do_not_fit_are_refused(features: np.ndarray | None, given: str) -> None:
    prediction = Prediction(probs={}, cams={}, features=features)
    with pytest.raises(ArtefactForeign, match="do not belong together") as error:
        familiarity_of(prediction, retinas_from_file(reference(8, limit=1.0)))
    assert error.value.why == f"it gives {given} features, and familiarity.json is made for 8"
