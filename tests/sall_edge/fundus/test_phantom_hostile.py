import numpy as np
import pytest

from sall_edge.fundus.field import FieldOfView, find_field
from sall_edge.fundus.phantom.disturbance import Disturbance, lit_retina, print_text, stop_mask, surround
from sall_edge.fundus.phantom.hostile import Framing, HostilePhantom, draw_hostile_phantom

SMALL = (300, 400)
WITHIN = 0.02
LEAST_FOUND = 0.95
"""Of the small series here; the one of `benchmarks/field_detection.py` is larger, and over 98 % of it are found."""

FIELD = FieldOfView(center_x_px=100.0, center_y_px=80.0, radius_px=60.0)
SHAPE = (160, 200)


def draw(framing: Framing, seed: int = 0) -> HostilePhantom:
    return draw_hostile_phantom(np.random.default_rng([seed, list(Framing).index(framing)]), framing, heights_px=SMALL)


def share_inside(field: FieldOfView, height: int, width: int) -> float:
    """Of the circle's points, those that lie in the frame."""
    angle = np.linspace(0, 2 * np.pi, 720)
    x = field.center_x_px + field.radius_px * np.cos(angle)
    y = field.center_y_px + field.radius_px * np.sin(angle)
    return float(np.mean((x >= 0) & (x <= width - 1) & (y >= 0) & (y <= height - 1)))


def test_the_same_state_draws_the_same_photograph() -> None:
    one, other = draw(Framing.WHOLE), draw(Framing.WHOLE)
    assert np.array_equal(one.pixels, other.pixels)
    assert (one.field, one.disturbances) == (other.field, other.disturbances)


@pytest.mark.parametrize("framing", list(Framing))
def test_every_framing_shows_what_its_name_says(framing: Framing) -> None:
    drawn = draw(framing)
    height, width = drawn.pixels.shape[:2]
    inside = share_inside(drawn.field, height, width)
    match framing:
        case Framing.CUT_AT_TOP_AND_BOTTOM | Framing.CORNERS_ONLY | Framing.CUT_AT_ONE_SIDE:
            assert 0.02 < inside < 0.95
        case Framing.SQUEEZED:
            assert height == width
        case Framing.BARS:
            assert not drawn.pixels[[0, -1]].any(axis=2).all()
        case Framing.WHOLE | Framing.OFF_CENTRE | Framing.SMALL_IN_A_WIDE_FRAME:
            assert inside == 1
    assert 1 <= len(drawn.disturbances) <= 3


def test_a_notch_and_a_tab_change_the_stop_at_its_rim_only() -> None:
    rng = np.random.default_rng(1)
    whole = stop_mask(rng, SHAPE, FIELD, frozenset())
    notched = stop_mask(rng, SHAPE, FIELD, frozenset({Disturbance.NOTCH}))
    tabbed = stop_mask(rng, SHAPE, FIELD, frozenset({Disturbance.TAB}))
    assert whole.sum() == pytest.approx(np.pi * 60**2, rel=0.002)
    assert notched.sum() < whole.sum() < tabbed.sum()
    y, x = np.mgrid[: SHAPE[0], : SHAPE[1]]
    changed = (notched != whole) | (tabbed != whole)
    assert np.abs(np.hypot(x - 100, y - 80) - 60)[changed].max() < 0.09 * 60


@pytest.mark.parametrize(
    "disturbance",
    [Disturbance.LIT_FROM_ONE_SIDE, Disturbance.VIGNETTING, Disturbance.LASHES],
    ids=lambda kind: kind.name,
)
def test_uneven_light_only_takes_light_away(disturbance: Disturbance) -> None:
    retina = np.full((*SHAPE, 3), 100, np.float32)
    lit = lit_retina(np.random.default_rng(2), retina, FIELD, frozenset({disturbance}))
    inside = stop_mask(np.random.default_rng(2), SHAPE, FIELD, frozenset()) == 1
    assert lit[inside].min() < 70
    assert lit[inside].mean() < 100


def test_spots_of_a_laser_add_light() -> None:
    retina = np.full((*SHAPE, 3), 100, np.float32)
    lit = lit_retina(np.random.default_rng(2), retina, FIELD, frozenset({Disturbance.LASER_SPOT}))
    assert lit.max() > 200
    assert lit.min() >= 100


def test_haze_fades_with_the_distance_from_the_field() -> None:
    light = surround(np.random.default_rng(3), SHAPE, FIELD, frozenset({Disturbance.HAZE}))[80, :, 0]
    assert light[162] > light[175] > light[195]


def test_a_noisy_surround_is_brighter_than_a_dark_one() -> None:
    dark, noisy = (
        surround(np.random.default_rng(4), SHAPE, FIELD, frozenset(kinds))
        for kinds in ((), (Disturbance.BRIGHT_NOISY_SURROUND,))
    )
    assert noisy.mean() > dark.mean() + 5
    assert noisy.std() > 1 > dark.std()


def test_text_is_printed_into_a_corner() -> None:
    pixels = np.zeros((300, 400, 3), np.uint8)
    print_text(np.random.default_rng(5), pixels)
    rows = np.flatnonzero(pixels.any(axis=(1, 2)))
    assert len(rows)
    assert rows.max() < 75 or rows.min() > 225


@pytest.mark.slow
def test_the_field_of_nearly_all_of_them_is_found() -> None:
    within = []
    for index in range(80):
        drawn = draw(list(Framing)[index % len(Framing)], seed=index)
        found, truth = find_field(drawn.pixels), drawn.field
        offset = np.hypot(found.center_x_px - truth.center_x_px, found.center_y_px - truth.center_y_px)
        within.append(max(offset, abs(found.radius_px - truth.radius_px)) <= WITHIN * truth.radius_px)
    assert np.mean(within) >= LEAST_FOUND
