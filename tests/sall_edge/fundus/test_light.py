import cv2
import numpy as np
import numpy.typing as npt

from sall_edge.fundus._edges import edges_of
from sall_edge.fundus._light import BesideRim, light_beside

U8 = npt.NDArray[np.uint8]
F64 = npt.NDArray[np.float64]

CENTER, RADIUS = (140.0, 96.0), 80.0
SHAPE = (192, 288)
RIM = np.array([(*CENTER, RADIUS, 1.0)])


def light_of(level: F64) -> BesideRim:
    brightness = np.clip(level, 0, 255).astype(np.uint8)
    return light_beside(brightness, edges_of(cv2.merge([brightness] * 3)), 4.0, 100.0)


def away() -> F64:
    y, x = np.mgrid[: SHAPE[0], : SHAPE[1]]
    return np.asarray(np.hypot(x - CENTER[0], y - CENTER[1]) / RADIUS, dtype=np.float64)


def test_nothing_speaks_against_a_rim_between_light_and_darkness() -> None:
    assert light_of(np.where(away() < 1, 100, 4)).malus(RIM)[0] == 0


def test_haze_that_is_as_bright_all_around_does_not_speak_against_the_rim() -> None:
    assert light_of(np.where(away() < 1, 60, 4 + 40 * np.exp(1 - away()))).uneven(RIM)[0] == 0


def test_light_beyond_one_side_of_a_circle_speaks_against_it() -> None:
    light = light_of(np.where(away() < 1, 60, 4))
    shifted = np.array([(CENTER[0] - 12, CENTER[1], RADIUS, 1.0)])
    assert light.uneven(shifted)[0] > 0.5


def test_a_faint_ghost_beside_a_bright_field_does_not_speak_against_its_rim() -> None:
    ghost = np.where(np.arange(SHAPE[1]) > CENTER[0], 12.0, 4.0)[None]
    assert light_of(np.where(away() < 1, 220, ghost)).uneven(RIM)[0] < 0.1


def test_a_circle_in_darkness_is_no_rim() -> None:
    light = light_of(np.where(away() < 0.8, 100, 4))
    assert light.faint(RIM)[0] == 1
    assert light.faint(np.array([(*CENTER, 0.8 * RADIUS, 1.0)]))[0] == 0


def test_a_circle_that_shows_in_the_corners_only_is_expected_in_the_middle() -> None:
    light = light_of(np.full(SHAPE, 100.0))
    middle = (SHAPE[1] / 2, SHAPE[0] / 2, 160.0, 1.0)
    shifted = (SHAPE[1] / 2 + 16, SHAPE[0] / 2, 160.0, 1.0)
    assert light.off_middle(np.array([middle, shifted])).tolist()[0] == 0
    assert light.off_middle(np.array([middle, shifted])).tolist()[1] > 0.05


def test_where_it_stands_costs_nothing_if_most_of_a_circle_is_on_the_photograph() -> None:
    assert light_of(np.full(SHAPE, 100.0)).off_middle(np.array([(90.0, 95.0, 70.0, 1.0)]))[0] == 0
