"""Rounding that looks at the layer's output."""

import numpy as np
import pytest

from calibration.rounding import rounded_weights


def _layer(seed: int, *, groups: int = 1, rows: int = 6, columns: int = 24) -> tuple[np.ndarray, ...]:
    """Weights, their scale and strongly correlated inputs, as smooth photographs give."""
    rng = np.random.default_rng(seed)
    weight = rng.normal(size=(groups, rows, columns)).astype(np.float32)
    scale = np.abs(weight).max(axis=2) / 7  # coarse steps, so that rounding matters
    inputs = rng.normal(size=(groups, 500, columns)) * 0.1 + rng.normal(size=(groups, 500, 1)) + 3
    return weight, scale.astype(np.float32), inputs


def _output_error(weight: np.ndarray, rounded: np.ndarray, scale: np.ndarray, inputs: np.ndarray) -> float:
    difference = rounded * scale[:, :, None] - weight
    return float((np.einsum("gsc,grc->gsr", inputs, difference) ** 2).mean())


@pytest.mark.parametrize("groups", [1, 5])
def test_the_output_is_far_closer_than_with_the_nearest_weights(groups: int) -> None:
    weight, scale, inputs = _layer(0, groups=groups)
    moments = np.einsum("gsc,gsd->gcd", inputs, inputs)
    nearest = np.rint(weight / scale[:, :, None])
    better = rounded_weights(weight, scale, moments)
    assert _output_error(weight, better, scale, inputs) < 0.2 * _output_error(weight, nearest, scale, inputs)


def test_uncorrelated_inputs_leave_nothing_to_make_up_for() -> None:
    weight, scale, _ = _layer(1)
    rounded = rounded_weights(weight, scale, np.eye(24)[None])
    assert np.array_equal(rounded, np.rint(weight / scale[:, :, None]))


def test_a_channel_that_was_never_active_is_rounded_to_nearest() -> None:
    weight, scale, _ = _layer(2)
    rounded = rounded_weights(weight, scale, np.zeros((1, 24, 24)))
    assert np.array_equal(rounded, np.rint(weight / scale[:, :, None]))


def test_values_stay_symmetric_int8() -> None:
    weight, scale, inputs = _layer(3)
    rounded = rounded_weights(weight * 40, scale, np.einsum("gsc,gsd->gcd", inputs, inputs))
    assert rounded.dtype == np.int8
    assert rounded.min() >= -127
