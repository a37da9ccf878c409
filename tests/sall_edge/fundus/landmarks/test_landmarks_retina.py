import numpy as np
import pytest

from sall_edge.fundus.landmarks.retina import GRID, WORKING_PX, on_grid, relative_light, retina_of


def test_what_is_dark_or_at_the_rim_is_not_visible() -> None:
    square = np.full((320, 320, 3), 120, np.uint8)
    square[:80] = 0
    visible = retina_of(square).visible
    assert visible.shape == (WORKING_PX, WORKING_PX)
    assert not visible[:41].any()
    assert visible[WORKING_PX // 2, WORKING_PX // 2] == 1
    assert visible[60:, :2].sum() == 0
    assert visible[-1].sum() == 0


def test_a_small_dark_spot_inside_is_retina() -> None:
    square = np.full((WORKING_PX, WORKING_PX, 3), 120, np.uint8)
    square[80:85, 80:85] = 0
    assert retina_of(square).visible[82, 82] == 1


def test_uneven_light_vanishes_and_what_lies_outside_takes_no_part() -> None:
    x = np.linspace(0, 1, WORKING_PX, dtype=np.float32)
    channel = np.broadcast_to(80 + 60 * x, (WORKING_PX, WORKING_PX)).astype(np.float32)
    visible = np.zeros_like(channel)
    visible[:, 40:] = 1
    relative = relative_light(channel, visible, sigma_px=5)
    assert np.abs(relative[:, 60:140]).max() < 0.01
    assert np.abs(relative[:, 40:60]).max() < 0.03  # the dark half beside it would make it 0.7
    assert not relative[:, :40].any()


def test_the_grid_holds_means_of_blocks() -> None:
    working = np.random.default_rng(1).random((WORKING_PX, WORKING_PX)).astype(np.float32)
    side = WORKING_PX // GRID
    assert on_grid(working)[3, 7] == pytest.approx(working[3 * side : 4 * side, 7 * side : 8 * side].mean(), abs=1e-6)
