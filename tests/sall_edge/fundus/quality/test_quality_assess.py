from collections.abc import Callable

import cv2
import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sall_edge.fundus.prepare import prepare
from sall_edge.fundus.quality import REASONS, QualityLimits, assess, judged
from sall_edge.fundus.quality.limits import Limit
from sall_edge.spec import ImageSpec

U8 = npt.NDArray[np.uint8]
DrawDisc = Callable[..., U8]


MEASURED = {
    "brightness": 91.136,
    "white_share": 0,
    "saturation": 0.70113,
    "red_green": 1.8367,
    "blue_red": 0.29181,
    "burnt": 0,
    "colour_spread": 0.015019,
    "detail": 0.038222,
    "sharpness": 0.9862,
    "vessels": 0.08777,
    "surround": 0.19754,
    "seen": 1,
    "aside": 0,
    "shadow": 0,
    "flare": 0,
    "veil": 0,
    "lashes": 0,
}
"""Of the retina drawn here, when the limits were set on real photographs: a measure that moves needs new limits."""


def square_of(pixels: U8, side: int = 224) -> U8:
    return prepare(np.ascontiguousarray(pixels), ImageSpec(side_px=side))


@pytest.fixture(scope="module")
def retina(draw_disc: DrawDisc) -> U8:
    pixels = draw_disc(width=800, height=700, radius=330, level=150)
    generator = np.random.default_rng(2)
    for angle in generator.uniform(0, 2 * np.pi, 24):  # vessels
        end = (round(399.5 + 320 * np.cos(angle)), round(349.5 + 320 * np.sin(angle)))
        start = (round(generator.uniform(280, 520)), round(generator.uniform(230, 470)))
        cv2.line(pixels, start, end, (95, 40, 22), int(generator.integers(2, 6)), cv2.LINE_AA)
    return pixels


def scaled(pixels: U8, factor: float) -> U8:
    return np.clip(pixels * factor, 0, 255).astype(np.uint8)


@pytest.mark.parametrize("side", [64, 112, 224, 320, 512])
def test_a_well_lit_sharp_retina_is_gradable_at_every_side(retina: U8, side: int) -> None:
    quality = assess(square_of(retina, side))
    assert quality.gradable
    assert quality.reasons == ()


@pytest.mark.parametrize("light", [0.35, 0.6, 1.3])
def test_usual_differences_in_light_are_gradable(retina: U8, light: float) -> None:
    assert assess(square_of(scaled(retina, light))).gradable


def test_a_retina_that_the_frame_cuts_is_gradable(retina: U8) -> None:
    assert assess(square_of(retina[150:-150])).gradable
    assert assess(square_of(retina[110:-110, 120:-120])).gradable


def test_measures_hardly_depend_on_the_side(retina: U8) -> None:
    small, large = (assess(square_of(retina, side)).measures for side in (224, 512))
    assert small.keys() == large.keys()
    for name, value in small.items():
        assert large[name] == pytest.approx(value, rel=0.2, abs=0.01), name


def test_measures_are_those_that_the_limits_were_set_for(retina: U8) -> None:
    measures = assess(square_of(retina, 320)).measures
    assert measures == pytest.approx(MEASURED, rel=1e-3, abs=1e-6)


def test_a_very_dark_retina_is_too_dark(retina: U8) -> None:
    assert "too_dark" in assess(square_of(scaled(retina, 0.15))).reasons


def test_a_black_square_is_too_dark() -> None:
    quality = assess(np.zeros((224, 224, 3), np.uint8))
    assert quality.reasons == ("too_dark",)
    assert not quality.gradable


def test_a_burnt_out_retina_is_too_bright(retina: U8) -> None:
    burnt = np.where(retina.max(axis=2, keepdims=True) > 20, 235 + retina // 16, 0).astype(np.uint8)
    assert "too_bright" in assess(square_of(burnt)).reasons


@pytest.mark.parametrize("sigma_share", [0.05, 0.08, 0.12])
def test_a_severely_blurred_retina_is_out_of_focus(retina: U8, sigma_share: float) -> None:
    blurred = cv2.GaussianBlur(retina, (0, 0), sigma_share * 330)
    disc = retina.max(axis=2, keepdims=True) > 20  # the field stop stays sharp, as in a camera
    quality = assess(square_of(np.where(disc, blurred, 0).astype(np.uint8)))
    assert "out_of_focus" in quality.reasons


def test_blur_lowers_sharpness_step_by_step(retina: U8) -> None:
    square = square_of(retina)
    sharpness = [assess(cv2.GaussianBlur(square, (0, 0), sigma)).measures["sharpness"] for sigma in (0.5, 1, 2, 4)]
    assert sharpness == sorted(sharpness, reverse=True)
    assert sharpness[0] > 3 * sharpness[-1]


@pytest.mark.parametrize("colour", [(255, 255, 255), (128, 128, 128), (60, 90, 200), (70, 160, 80)])
def test_a_frame_of_another_colour_is_not_gradable(colour: tuple[int, int, int]) -> None:
    assert not assess(square_of(np.full((480, 640, 3), colour, np.uint8))).gradable


def test_a_grey_photograph_is_not_a_retina_that_the_network_knows(retina: U8) -> None:
    grey = np.repeat(cv2.cvtColor(retina, cv2.COLOR_RGB2GRAY)[:, :, None], 3, axis=2)
    assert "not_a_retina" in assess(square_of(grey)).reasons


def outer_eye() -> U8:
    """(480, 640, 3): skin, white sclera, a dark iris with a reflex, lashes."""
    eye = np.full((480, 640, 3), (205, 150, 120), np.uint8)
    cv2.ellipse(eye, (320, 240), (210, 110), 0, 0, 360, (225, 220, 215), -1)
    cv2.circle(eye, (320, 240), 95, (70, 60, 55), -1)
    cv2.circle(eye, (320, 240), 40, (10, 10, 12), -1)
    cv2.circle(eye, (345, 215), 10, (255, 255, 255), -1)
    for x in range(110, 540, 14):
        cv2.line(eye, (x, 150 + (x - 320) ** 2 // 600), (x + (x - 320) // 6, 90), (35, 25, 20), 3)
    return cv2.GaussianBlur(eye, (0, 0), 1.2)


def test_an_outer_eye_is_not_a_retina() -> None:
    assert "not_a_retina" in assess(square_of(outer_eye())).reasons


def test_a_page_of_text_is_not_gradable() -> None:
    page = np.full((600, 800, 3), 250, np.uint8)
    for line in range(12):
        cv2.putText(page, "fundus photograph report", (40, 60 + 45 * line), cv2.FONT_HERSHEY_SIMPLEX, 1, (0, 0, 0), 2)
    assert not assess(square_of(page)).gradable


def _within(radius_share: float, at: tuple[float, float] = (0, 0), side: int = 224) -> npt.NDArray[np.bool_]:
    """(side, side, 1) bool: a disc in the square; `at` in radii from its centre."""
    y, x = (np.mgrid[:side, :side] - (side - 1) / 2) / (side / 2)
    return (np.hypot(x - at[0], y - at[1]) < radius_share)[:, :, None]


def test_a_shadow_over_one_side_of_the_rim_is_an_edge_artefact(retina: U8) -> None:
    square = square_of(retina)
    shadowed = np.where(_within(0.8, (0.45, 0)), square, square // 6).astype(np.uint8)
    assert assess(shadowed).reasons == ("edge_artefact",)


def test_pale_light_over_half_of_the_rim_is_an_edge_artefact_and_not_too_bright(retina: U8) -> None:
    square = square_of(retina)
    flare = np.where(_within(0.95, (0.55, 0)) | (square.max(axis=2, keepdims=True) < 8), square, (235, 225, 215))
    assert assess(flare.astype(np.uint8)).reasons == ("edge_artefact",)


def test_dark_lines_that_reach_in_from_above_are_an_edge_artefact(retina: U8) -> None:
    square = square_of(retina).copy()
    for x in range(50, 180, 10):
        cv2.line(square, (x, 0), (x + 8, 85), (8, 5, 3), 4, cv2.LINE_AA)
    assert assess(square).reasons == ("edge_artefact",)


@pytest.mark.parametrize("axis", [0, 1])
def test_a_field_of_which_one_side_is_missing_is_cut(retina: U8, axis: int) -> None:
    square = square_of(retina).copy()
    square[(slice(None),) * axis + (slice(70),)] = 0
    assert "field_cut" in assess(square).reasons


def test_a_field_that_a_camera_cuts_evenly_is_not_cut(retina: U8) -> None:
    square = square_of(retina).copy()
    square[:35] = square[-35:] = 0
    assert assess(square).gradable


def test_focus_is_not_asked_for_in_the_dark(retina: U8) -> None:
    blurred = cv2.GaussianBlur(scaled(square_of(retina), 0.15), (0, 0), 12)
    assert assess(blurred).reasons == ("too_dark",)


def test_the_score_falls_as_blur_grows(retina: U8) -> None:
    square = square_of(retina)
    scores = [assess(cv2.GaussianBlur(square, (0, 0), sigma)).score for sigma in (1, 2, 4, 8)]
    assert scores == sorted(scores, reverse=True)
    assert scores[0] > 0.7 > 0.5 > scores[-1]


def test_other_limits_make_another_judgement_of_the_same_measures(retina: U8) -> None:
    measures = assess(square_of(retina)).measures
    strict = QualityLimits(brightness=Limit(at=120, usual=150))
    assert judged(measures, QualityLimits()).gradable
    assert judged(measures, strict).reasons == ("too_dark",)
    assert judged(measures, strict).score < 0.5


@given(st.fixed_dictionaries({name: st.floats(0, 255 if name == "brightness" else 2) for name in MEASURED}))
def test_a_photograph_is_gradable_exactly_where_its_score_is_at_least_a_half(measures: dict[str, float]) -> None:
    quality = judged(measures, QualityLimits())
    assert quality.gradable == (quality.reasons == ()) == (quality.score >= 0.5)
    assert 0 <= quality.score <= 1
    assert set(quality.reasons) <= set(REASONS)
