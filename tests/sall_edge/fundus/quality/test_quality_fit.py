"""Limits that follow the photographs of one camera, and no more of its good ones refused than allowed."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sall_edge.errors import LabelsError
from sall_edge.fundus.quality import QualityLimits, judged
from sall_edge.fundus.quality.fit import fit_limits

USUAL = {
    "brightness": 90.0, "white_share": 0.0, "saturation": 0.6, "red_green": 1.5, "blue_red": 0.3, "burnt": 0.0,
    "colour_spread": 0.04, "detail": 0.03, "sharpness": 0.5, "vessels": 0.03, "surround": 0.2, "seen": 1.0,
    "aside": 0.0, "shadow": 0.0, "flare": 0.0, "veil": 0.0, "lashes": 0.0,
}  # fmt: skip
DARK = {"brightness": 2.0}
"""What is measured of a square that shows nothing."""


def _photographs(count: int, seed: int, **changed: float) -> list[dict[str, float]]:
    """Measures that scatter by a tenth around the usual ones, or the given."""
    rng = np.random.default_rng(seed)
    return [{name: value * rng.normal(1, 0.1) for name, value in {**USUAL, **changed}.items()} for _ in range(count)]


def _fit(
    good: list[dict[str, float]], bad: list[dict[str, float]], most_refused: float = 0.02, **start: Any
) -> QualityLimits:
    return fit_limits(good, bad, camera="Z9", start=QualityLimits(**start), most_refused=most_refused)


def _refused(photographs: list[dict[str, float]], limits: QualityLimits) -> int:
    return sum(not judged(one, limits).gradable for one in photographs)


def test_the_limit_of_what_is_bad_moves_between_the_good_and_the_bad_and_no_other_one_moves() -> None:
    good, bad = _photographs(100, 0), _photographs(20, 1, vessels=0.008)
    limits = _fit(good, bad, most_refused=0)
    assert _refused(bad, QualityLimits()) == 0
    assert _refused(bad, limits) == 20
    assert _refused(good, limits) == 0
    assert limits == QualityLimits(camera="Z9", vessels=limits.vessels)
    assert limits.vessels.usual == pytest.approx(0.03, rel=0.1)


def test_good_photographs_are_given_up_only_for_as_many_bad_ones() -> None:
    good = _photographs(100, 0)
    alike = _photographs(10, 1)
    assert _refused(good, _fit(good, alike, most_refused=0.2)) <= _refused(alike, _fit(good, alike, most_refused=0.2))


def test_limits_that_refuse_the_good_ones_of_a_camera_are_loosened() -> None:
    good = _photographs(100, 0, brightness=20.0)
    bad = _photographs(20, 1, brightness=6.0)
    assert _refused(good, QualityLimits()) > 90
    limits = _fit(good, bad)
    assert _refused(good, limits) <= 2
    assert _refused(bad, limits) == 20


@given(
    seed=st.integers(0, 1000),
    most_refused=st.floats(0, 0.3),
    blurred=st.integers(0, 30),
    black=st.integers(0, 3),
)
def test_never_more_good_photographs_are_refused_than_allowed_but_for_those_that_show_nothing(
    seed: int, most_refused: float, blurred: int, black: int
) -> None:
    good = _photographs(60, seed) + _photographs(blurred, seed + 1, sharpness=0.15) + [DARK] * black
    limits = _fit(good, _photographs(20, seed + 2, sharpness=0.3), most_refused=most_refused)
    assert _refused(good, limits) <= max(int(most_refused * len(good) + 1e-9), black)


def test_a_fit_has_no_luck_in_it() -> None:
    good, bad = _photographs(50, 0), _photographs(20, 1, sharpness=0.3)
    assert _fit(good, bad) == _fit(good, bad)


@pytest.mark.parametrize(("good", "bad"), [(29, 50), (100, 9), (0, 0)])
def test_too_few_photographs_are_refused(good: int, bad: int) -> None:
    with pytest.raises(
        LabelsError,
        match=rf"(?s){good} good and {bad} other photographs.*below 30 good and 10 others.*check --split and",
    ):
        _fit(_photographs(good, 0), _photographs(bad, 1))
