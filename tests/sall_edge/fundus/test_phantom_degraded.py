"""Photographs spoilt in a known way are refused for the reason that they were spoilt with."""

import numpy as np
import pytest

from sall_edge.errors import FieldNotFound
from sall_edge.fundus.phantom.degraded import Degradation, draw_degraded_phantom
from sall_edge.fundus.prepare import prepare
from sall_edge.fundus.quality import REASONS, assess
from sall_edge.spec import ImageSpec

LEAST_RIGHT = 10
"""Of 12, at a rate of 0.95 missed once in fifty; benchmarks/quality.py asks a hundred of each."""


def _reasons(degradation: Degradation, seed: int) -> tuple[str, ...]:
    try:
        return assess(prepare(draw_degraded_phantom(np.random.default_rng(seed), degradation), ImageSpec())).reasons
    except FieldNotFound:
        return ("no_field_of_view",)


def test_every_reason_has_a_degradation_and_every_degradation_a_reason() -> None:
    assert {degradation.reason for degradation in Degradation} == set(REASONS)


def test_the_same_state_draws_the_same_photograph() -> None:
    first, second = (draw_degraded_phantom(np.random.default_rng(4), Degradation.FLARE) for _ in range(2))
    np.testing.assert_array_equal(first, second)


@pytest.mark.parametrize("degradation", Degradation, ids=lambda degradation: degradation.name.lower())
def test_a_degraded_phantom_is_refused_for_its_reason(degradation: Degradation) -> None:
    assert degradation.reason in _reasons(degradation, 1)


@pytest.mark.slow
@pytest.mark.parametrize("degradation", Degradation, ids=lambda degradation: degradation.name.lower())
def test_nearly_all_of_them_are(degradation: Degradation) -> None:
    assert sum(degradation.reason in _reasons(degradation, seed) for seed in range(12)) >= LEAST_RIGHT
