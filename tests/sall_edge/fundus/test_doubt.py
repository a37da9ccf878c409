import cv2
import numpy as np
import numpy.typing as npt
import pytest

from sall_edge.fundus._agreement import agreement, settled
from sall_edge.fundus._doubt import surest_circle
from sall_edge.fundus._edges import MARGIN_PX, edges_of
from sall_edge.fundus._rim import Circle

U8 = npt.NDArray[np.uint8]

CENTER, RADIUS = (140.0, 96.0), 80.0
SHAPE = (192, 288)


def draw_hazy_disc(*, rim: float = 30, haze: float = 30, lit: float = 0.0, squeeze: float = 1.0) -> U8:
    """A disc that is as dark at its rim as the haze around it is bright, lit from the right, on a working picture."""
    y, x = np.mgrid[: SHAPE[0], : SHAPE[1]].astype(np.float32)
    away = np.hypot((x - CENTER[0]) / squeeze, (y - CENTER[1]) * squeeze) / RADIUS
    light = (90 - (90 - rim) * np.minimum(away, 1) ** 4) * (1 + lit * (x - CENTER[0]) / RADIUS)
    beside = haze * np.exp(-np.maximum(away - 1, 0) / 0.2)
    level = np.where(away <= 1, light, beside)[:, :, None] * np.array([1, 0.62, 0.4])
    noise = np.random.default_rng(0).normal(3, 1.2, (*SHAPE, 3))
    return np.clip(level + noise, 0, 255).astype(np.uint8)


def off(circle: Circle) -> float:
    return max(float(np.hypot(circle.x - CENTER[0], circle.y - CENTER[1])), abs(circle.radius - RADIUS)) / RADIUS


@pytest.mark.parametrize(("rim", "lit"), [(55, 0.0), (50, 0.5), (14, 0.0)])
def test_a_rim_is_found_below_haze_and_beside_darkness(rim: float, lit: float) -> None:
    assert off(surest_circle(draw_hazy_disc(rim=rim, lit=lit), ())) < 0.02


def test_a_wrong_circle_that_a_threshold_found_does_not_win() -> None:
    wrong = Circle(CENTER[0], CENTER[1], 1.2 * RADIUS, 1.0)
    assert off(surest_circle(draw_hazy_disc(rim=55), (wrong,))) < 0.02


def test_a_picture_without_edges_has_no_rim() -> None:
    found = surest_circle(np.full((*SHAPE, 3), 90, np.uint8), ())
    assert found.rim_seen < 0.5


def test_the_same_picture_gives_the_same_circle_again() -> None:
    picture = draw_hazy_disc(rim=50, lit=0.5)
    assert surest_circle(picture, ()) == surest_circle(picture.copy(), ())


def test_edges_agree_along_a_rim_and_nowhere_else() -> None:
    edges = edges_of(draw_hazy_disc(rim=55))
    rim, inside, haze = agreement(edges, np.array([(*CENTER, share * RADIUS, 1.0) for share in (1.0, 0.8, 1.15)]))
    assert rim > 1.5
    assert max(inside, haze) < 1


def test_a_circle_settles_on_the_rim_beside_it() -> None:
    edges = edges_of(draw_hazy_disc(rim=55))
    x, y, radius, stretch = settled(edges, (CENTER[0] + 2, CENTER[1] - 2, 1.03 * RADIUS, 1.0), (0.06, 0.03))
    assert off(Circle(x, y, radius, 1.0, stretch)) < 0.006


def test_an_ellipse_settles_with_its_stretch() -> None:
    edges = edges_of(draw_hazy_disc(rim=55, squeeze=0.9))
    x, y, radius, stretch = settled(edges, (*CENTER, RADIUS, 0.93), (0.06, 0.05, 0.03, 0.03))
    assert off(Circle(x, y, radius, 1.0, stretch)) < 0.01
    assert stretch == pytest.approx(0.9, abs=0.01)


def test_black_bars_are_no_part_of_the_frame_and_a_disc_is_no_bar() -> None:
    picture = draw_hazy_disc(rim=55, haze=0)
    whole = edges_of(picture)
    assert (whole.top, whole.bottom) == (MARGIN_PX, SHAPE[0] - MARGIN_PX)
    picture[:40] = 0
    assert edges_of(picture).top == 40 + MARGIN_PX


def test_points_of_edges_carry_the_normal_of_the_rim() -> None:
    picture = np.zeros((*SHAPE, 3), np.uint8)
    cv2.circle(picture, (140, 96), 80, (150, 90, 60), -1, cv2.LINE_AA)
    x, y, normal_x, normal_y = edges_of(picture).points().T
    outwards = np.stack([x - 140, y - 96]) / np.hypot(x - 140, y - 96)
    rim = np.abs(np.hypot(x - 140, y - 96) - 80) < 2
    assert rim.sum() > 100
    assert np.abs(outwards[0] * normal_x + outwards[1] * normal_y)[rim].min() > 0.9


def test_the_circle_of_a_threshold_is_excused_for_a_ghost_beside_the_field() -> None:
    picture = draw_hazy_disc(rim=90, haze=0)
    y, x = np.mgrid[: SHAPE[0], : SHAPE[1]]
    ghost = np.hypot(x - CENTER[0] - 14, y - CENTER[1]) < 1.05 * RADIUS
    field = np.hypot(x - CENTER[0], y - CENTER[1]) < RADIUS
    picture[ghost & ~field] = (50, 20, 10)
    assert off(surest_circle(picture, (Circle(*CENTER, RADIUS, 0.98),))) < 0.02
