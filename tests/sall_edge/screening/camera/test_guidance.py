import cv2
import numpy as np
import pytest

from sall_edge.fundus.phantom import draw_outer_eye, draw_phantom
from sall_edge.screening.camera.guidance import HINTS, Guide, guidance_of, likeness
from sall_edge.screening.camera.source import Frame

WIDTH_PX, HEIGHT_PX = 960, 540


def _frame(seed: int = 3, *, right: float = 0.0, down: float = 0.0, blur: float = 0.0, gain: float = 1.0) -> np.ndarray:
    """A phantom in the middle of a frame, moved by radii of its field, blurred by a share of it, and dimmed."""
    phantom = draw_phantom(np.random.default_rng(seed), side_px=768, dr_grade=0, amd_grade=0, eye="R")
    radius = 0.47 * HEIGHT_PX
    scale = radius / phantom.field.radius_px
    left = WIDTH_PX / 2 - scale * phantom.field.center_x_px + right * radius
    top = HEIGHT_PX / 2 - scale * phantom.field.center_y_px + down * radius
    to_frame = np.array([[scale, 0, left], [0, scale, top]])
    frame = cv2.warpAffine(phantom.pixels, to_frame, (WIDTH_PX, HEIGHT_PX), flags=cv2.INTER_AREA)
    if blur:
        frame = cv2.GaussianBlur(frame, (0, 0), blur * radius)
    return cv2.convertScaleAbs(frame, alpha=gain)


def _seen(pixels: np.ndarray, at_s: float, number: int = 0) -> Frame:
    return Frame(pixels=pixels, exposed_s=at_s, number=number)


def test_a_good_view_needs_nothing() -> None:
    guidance = guidance_of(_frame())
    assert guidance.hints == ()
    assert guidance.focus is not None
    assert guidance.focus > 0.65
    assert guidance.exposure == pytest.approx(0.5, abs=0.2)


@pytest.mark.parametrize(
    ("right", "down", "hint"),
    [(-0.4, 0, "move_left"), (0.4, 0, "move_right"), (0, -0.4, "move_up"), (0, 0.4, "move_down")],
)
def test_the_camera_goes_where_the_retina_is(right: float, down: float, hint: str) -> None:
    guidance = guidance_of(_frame(right=right, down=down))
    assert guidance.hints[0] == hint
    assert guidance.offset_x == pytest.approx(right, abs=0.05)
    assert guidance.offset_y == pytest.approx(down, abs=0.05)


def test_a_small_field_asks_to_come_closer() -> None:
    small = cv2.resize(_frame(), (WIDTH_PX * 3 // 5, HEIGHT_PX * 3 // 5), interpolation=cv2.INTER_AREA)
    frame = np.zeros((HEIGHT_PX, WIDTH_PX, 3), np.uint8)
    frame[108:432, 192:768] = small
    assert guidance_of(frame).hints[0] == "move_closer"


def test_blur_asks_for_focus_and_counts_in_degrees() -> None:
    focus = [guidance_of(_frame(blur=blur)).focus or 0.0 for blur in (0.0, 0.006, 0.01, 0.02)]
    assert focus == sorted(focus, reverse=True)
    assert "focus" in guidance_of(_frame(blur=0.012)).hints
    assert "focus" not in guidance_of(_frame()).hints


def test_light_is_asked_for_and_against() -> None:
    dark, bright = guidance_of(_frame(gain=0.3)), guidance_of(_frame(gain=2.5))
    assert "more_light" in dark.hints
    assert "less_light" in bright.hints
    assert dark.exposure is not None
    assert bright.exposure is not None
    assert dark.exposure < 0.3 < 0.6 < bright.exposure


def test_without_a_retina_it_is_to_be_found_first() -> None:
    assert guidance_of(np.zeros((HEIGHT_PX, WIDTH_PX, 3), np.uint8)).hints == ("find_retina",)
    outer_eye = cv2.resize(draw_outer_eye(np.random.default_rng(0), side_px=512), (WIDTH_PX, HEIGHT_PX))
    assert guidance_of(outer_eye).hints == ("find_retina",)


def test_hints_come_in_the_order_of_their_urgency() -> None:
    hints = guidance_of(_frame(right=0.5, gain=0.3, blur=0.02)).hints
    assert [HINTS.index(hint) for hint in hints] == sorted(HINTS.index(hint) for hint in hints)
    assert len(hints) >= 3


def test_steady_is_good_for_a_while() -> None:
    guide, good = Guide(), _frame()
    assert [guide.look(_seen(good, at_s)).is_steady for at_s in (0.0, 0.2, 0.3, 0.45, 0.6)] == [False] * 3 + [True] * 2


def test_a_moving_view_is_to_be_held_still() -> None:
    guide = Guide()
    seen = [guide.look(_seen(_frame(right=0.02 * number), 0.1 * number)) for number in range(6)]
    assert seen[-1].hints == ("hold_still",)
    assert not any(guidance.is_steady for guidance in seen)


def test_one_bad_frame_starts_the_while_again() -> None:
    guide, good = Guide(), _frame()
    for at_s in (0.0, 0.2, 0.45):
        guide.look(_seen(good, at_s))
    guide.look(_seen(_frame(gain=0.2), 0.5))
    assert not guide.look(_seen(good, 0.6)).is_steady


def test_a_view_is_like_itself_and_unlike_another_part_of_the_retina() -> None:
    views = (_frame(), _frame(right=0.01), _frame(blur=0.01))
    here, shaken, blurred = (guidance_of(frame).signature for frame in views)
    elsewhere, other = guidance_of(_frame(seed=8)).signature, guidance_of(_frame(seed=11)).signature
    assert here is not None
    assert likeness(here, here) == pytest.approx(1, abs=0.01)
    assert min(likeness(here, shaken), likeness(here, blurred)) > 0.8  # type: ignore[arg-type]
    assert max(likeness(here, elsewhere), likeness(here, other)) < 0.55  # type: ignore[arg-type]
