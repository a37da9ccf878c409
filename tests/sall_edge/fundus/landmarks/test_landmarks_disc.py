import math

import numpy as np
import pytest

from sall_edge.fundus.landmarks.disc import disc_radius, spot_contrast
from sall_edge.fundus.landmarks.retina import DD_PX, GRID, WORKING_PX, Retina

OFFSET = (2 * np.arange(WORKING_PX) + 1 - WORKING_PX) / WORKING_PX
DD = 2 * DD_PX / WORKING_PX
"""A disc diameter over the radius of the field."""


def retina_with(light: np.ndarray) -> Retina:
    light = light.astype(np.float32)
    return Retina(red=light, green=light, visible=(np.hypot(OFFSET, OFFSET[:, None]) < 0.96).astype(np.float32))


def spot(x: float, y: float, diameter_dd: float = 1.0) -> np.ndarray:
    """A bright disc on a retina that is lit from one side."""
    away = np.hypot(OFFSET - x, (OFFSET - y)[:, None])
    return 100 * (1 + 0.3 * OFFSET) + 60 * np.clip((diameter_dd * DD / 2 - away) * WORKING_PX / 2 + 0.5, 0, 1)


@pytest.mark.parametrize(("x", "y"), [(0.6, 0.0), (-0.4, 0.3), (0.0, 0.0)])
def test_a_bright_spot_of_the_discs_size_stands_out_at_its_place(x: float, y: float) -> None:
    contrast = spot_contrast(retina_with(spot(x, y)))
    row, column = divmod(int(contrast.argmax()), GRID)
    assert math.hypot((2 * column + 1) / GRID - 1 - x, (2 * row + 1) / GRID - 1 - y) < 0.25 * DD
    assert contrast.max() > 0.2


def test_a_large_bright_area_and_a_small_one_stand_out_less_than_a_disc() -> None:
    small, disc, large = (float(spot_contrast(retina_with(spot(0.3, 0, size))).max()) for size in (0.25, 1, 3))
    assert small < 0.3 * disc
    assert large < 0.7 * disc


def test_glare_along_the_rim_hardly_stands_out() -> None:
    distance = np.hypot(OFFSET, OFFSET[:, None])
    glare = 100 + 120 * np.clip((distance - 0.8) / 0.2, 0, 1)
    assert spot_contrast(retina_with(glare)).max() < 0.3 * spot_contrast(retina_with(spot(0.6, 0))).max()


def test_a_dark_spot_is_no_disc_and_nothing_visible_has_no_contrast() -> None:
    dark = retina_with(200 - spot(0.5, 0))
    row, column = round((0 + 1) / 2 * GRID - 0.5), round((0.5 + 1) / 2 * GRID - 0.5)
    assert spot_contrast(dark)[row, column] == 0
    hidden = Retina(red=dark.red, green=dark.green, visible=np.zeros_like(dark.visible))
    assert not spot_contrast(hidden).any()


@pytest.mark.parametrize("diameter_dd", [0.8, 1.0, 1.3])
def test_the_radius_is_where_the_light_falls(diameter_dd: float) -> None:
    found = disc_radius(retina_with(spot(0.5, -0.1, diameter_dd)), 0.5, -0.1)
    assert found == pytest.approx(diameter_dd * DD / 2, rel=0.12)
