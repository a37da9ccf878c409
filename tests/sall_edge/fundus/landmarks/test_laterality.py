"""On phantoms, whose eye, disc and fovea are known; figures on photographs stand in docs/results/laterality.md."""

import math
from functools import lru_cache

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sall_edge.fundus.landmarks import LEAST_CONFIDENCE, Laterality, agrees, find_laterality
from sall_edge.fundus.phantom import Layout, Phantom, draw_phantom
from sall_edge.fundus.prepare import cut_square
from sall_edge.spec import Eye, ImageSpec, View

U8 = npt.NDArray[np.uint8]

AT_MACULA, BETWEEN, AT_DISC = 0.0, 0.5, 1.0
DISC_DIAMETERS = 7.2
"""Across a field of 45 degrees."""


@lru_cache(maxsize=32)
def drawn(seed: int, eye: Eye, towards_disc: float, tilt: float = 0.0, diameters: float = DISC_DIAMETERS) -> Phantom:
    rng = np.random.default_rng(seed)
    layout = Layout(disc_diameters=diameters, towards_disc=towards_disc, shift=(0.0, 0.03), tilt=tilt)
    grade = seed % 5
    return draw_phantom(rng, side_px=288, dr_grade=grade, amd_grade=seed % 4, eye=eye.value, layout=layout)


def square_of(phantom: Phantom, side: int = 256) -> U8:
    return cut_square(phantom.pixels, phantom.field, ImageSpec(side_px=side))


def mirrored(seen: Laterality) -> tuple[object, ...]:
    other = {Eye.LEFT: Eye.RIGHT, Eye.RIGHT: Eye.LEFT, None: None}
    x = None if seen.disc_x is None else -seen.disc_x
    return other[seen.eye], seen.confidence, x, seen.disc_y, seen.disc_radius, seen.view


def as_it_is(seen: Laterality) -> tuple[object, ...]:
    return seen.eye, seen.confidence, seen.disc_x, seen.disc_y, seen.disc_radius, seen.view


def offset(phantom: Phantom, place: tuple[float, float]) -> tuple[float, float]:
    field = phantom.field
    return (place[0] - field.center_x_px) / field.radius_px, (place[1] - field.center_y_px) / field.radius_px


@pytest.mark.parametrize("eye", list(Eye))
@pytest.mark.parametrize("seed", range(6))
def test_the_eye_and_the_disc_are_found_where_the_macula_is_in_the_middle(seed: int, eye: Eye) -> None:
    phantom = drawn(seed, eye, AT_MACULA)
    seen = find_laterality(square_of(phantom))
    assert seen.eye is eye
    assert seen.is_certain
    assert seen.view is View.MACULA
    assert seen.disc_x is not None
    assert seen.disc_y is not None
    x, y = offset(phantom, phantom.optic_disc_xy)
    assert math.hypot(seen.disc_x - x, seen.disc_y - y) < 0.25 * 2 / DISC_DIAMETERS


def test_the_radius_is_that_of_the_disc_but_for_a_few_that_disease_covers() -> None:
    radii = [
        find_laterality(square_of(drawn(seed, eye, AT_MACULA))).disc_radius or 0.0 for seed in range(6) for eye in Eye
    ]
    close = sum(abs(radius * DISC_DIAMETERS - 1) < 0.3 for radius in radii)
    assert close >= 10


def test_the_arcades_tell_the_eye_where_the_disc_is_in_the_middle() -> None:
    seen = [(eye, find_laterality(square_of(drawn(seed, eye, AT_DISC)))) for seed in range(8) for eye in Eye]
    right = sum(one.eye is eye for eye, one in seen)
    assert right >= 14  # of 16; 96 % of a larger series
    assert all(agrees(eye, one) is not False for eye, one in seen)
    assert sum(one.view is View.DISC for _, one in seen) >= 15


@pytest.mark.parametrize("side", [160, 224, 320, 512])
def test_the_side_of_the_square_hardly_matters(side: int) -> None:
    phantom = drawn(2, Eye.LEFT, AT_MACULA)
    reference, seen = find_laterality(square_of(phantom)), find_laterality(square_of(phantom, side))
    assert seen.eye is Eye.LEFT
    assert seen.disc_x == pytest.approx(reference.disc_x, abs=0.04)
    assert seen.disc_y == pytest.approx(reference.disc_y, abs=0.04)


@pytest.mark.parametrize("diameters", [6.0, 9.0])
def test_a_narrower_and_a_wider_field_are_told_too(diameters: float) -> None:
    assert find_laterality(square_of(drawn(1, Eye.RIGHT, AT_MACULA, 0.0, diameters))).eye is Eye.RIGHT


@settings(max_examples=12, deadline=None)
@given(
    seed=st.integers(0, 99),
    eye=st.sampled_from(Eye),
    towards_disc=st.floats(0, 1),
    tilt=st.floats(-0.3, 0.3),
    side=st.sampled_from([161, 224, 320]),
)
def test_a_mirrored_photograph_gives_exactly_the_mirrored_answer(
    seed: int, eye: Eye, towards_disc: float, tilt: float, side: int
) -> None:
    square = square_of(drawn(seed, eye, towards_disc, tilt), side)
    assert as_it_is(find_laterality(square[:, ::-1])) == mirrored(find_laterality(square))


@settings(max_examples=12, deadline=None)
@given(seed=st.integers(0, 2**32 - 1))
def test_noise_has_a_mirrored_answer_too_and_tells_nothing_for_certain(seed: int) -> None:
    noise = np.random.default_rng(seed).integers(0, 256, (192, 192, 3), dtype=np.uint8)
    seen = find_laterality(noise)
    assert as_it_is(find_laterality(np.ascontiguousarray(noise[:, ::-1]))) == mirrored(seen)
    assert not seen.is_certain


def glare_at_the_left(phantom: Phantom) -> U8:
    """The square with a crescent of white light along the rim, opposite the disc."""
    square = square_of(phantom).astype(np.float64)
    place = (np.arange(len(square)) - len(square) / 2) / (len(square) / 2)
    distance = np.hypot(place, place[:, None])
    strength = np.clip((distance - 0.75) / 0.25, 0, 1) * (place < 0) * (distance < 1)
    return np.clip(square + 220 * strength[:, :, None], 0, 255).astype(np.uint8)


@pytest.mark.parametrize("seed", range(4))
def test_glare_at_the_rim_is_not_taken_for_the_disc(seed: int) -> None:
    seen = find_laterality(glare_at_the_left(drawn(seed, Eye.RIGHT, AT_MACULA)))
    assert seen.eye is Eye.RIGHT
    assert seen.disc_x is not None
    assert seen.disc_x > 0.4


@pytest.mark.parametrize("seed", range(4))
def test_a_large_bright_lesion_in_the_macula_is_not_taken_for_the_disc(seed: int) -> None:
    phantom = drawn(seed, Eye.LEFT, BETWEEN)
    square = square_of(phantom)
    x, y = offset(phantom, phantom.fovea_xy)
    place = (np.arange(len(square)) - len(square) / 2) / (len(square) / 2)
    square[np.hypot(place - x, place[:, None] - y) < 0.15] = (250, 230, 120)
    seen = find_laterality(square)
    assert seen.eye is Eye.LEFT
    assert seen.disc_x == pytest.approx(offset(phantom, phantom.optic_disc_xy)[0], abs=0.1)


@pytest.mark.parametrize("level", [0, 90, 255])
def test_a_blank_square_tells_nothing(level: int) -> None:
    seen = find_laterality(np.full((224, 224, 3), level, np.uint8))
    assert as_it_is(seen) == (None, 0.0, None, None, None, None)
    assert agrees(Eye.LEFT, seen) is None
    assert agrees(Eye.RIGHT, seen) is None


@pytest.mark.parametrize(("stated", "agreed"), [(Eye.LEFT, True), (Eye.RIGHT, False)])
def test_a_swapped_eye_is_doubted_and_the_right_one_is_not(stated: Eye, agreed: bool) -> None:
    assert agrees(stated, find_laterality(square_of(drawn(3, Eye.LEFT, AT_MACULA)))) is agreed


@pytest.mark.parametrize("confidence", [0.0, LEAST_CONFIDENCE - 1e-9])
def test_below_the_limit_nobody_is_doubted(confidence: float) -> None:
    seen = Laterality(eye=Eye.LEFT, confidence=confidence, disc_x=-0.6, disc_y=0.0, disc_radius=0.14, view=View.MACULA)
    assert agrees(Eye.RIGHT, seen) is None
    assert agrees(Eye.LEFT, seen) is None


@pytest.mark.parametrize(
    "square", [np.zeros((200, 220, 3), np.uint8), np.zeros((200, 200), np.uint8), np.zeros((200, 200, 3), np.float32)]
)
def test_what_is_no_square_of_rgb_is_refused(square: npt.NDArray[np.generic]) -> None:
    with pytest.raises(ValueError, match=r"give \(side, side, 3\) uint8"):
        find_laterality(square)  # type: ignore[arg-type]


def test_the_square_is_left_as_it_was() -> None:
    square = square_of(drawn(0, Eye.RIGHT, AT_MACULA))
    before = square.copy()
    find_laterality(square)
    np.testing.assert_array_equal(square, before)
