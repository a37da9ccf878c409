from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sall_edge.errors import FieldNotFound
from sall_edge.fundus.decode import decode, read_bytes
from sall_edge.fundus.field import FieldOfView, find_field
from sall_edge.fundus.prepare import (
    cut_mask,
    cut_square,
    prepare,
    prepare_file,
    sampling_of_square,
)
from sall_edge.spec import ImageSpec

U8 = npt.NDArray[np.uint8]
DrawDisc = Callable[..., U8]

RESCALING_LEVELS = 3.0
"""Mean grey levels between squares of one photograph at two resolutions: resampling softens its fine lines."""

ROTATION_LEVELS = 1.0
"""Mean grey levels after a rotation: the circle moves by a fraction of a pixel, the picture with it."""

AREA_LEVELS = 2.0
"""Mean grey levels to a full decode with INTER_AREA, JPEG noise included."""


def mean_difference(one: U8, other: U8) -> float:
    return float(np.abs(one.astype(np.int16) - other.astype(np.int16)).mean())


def outside_the_disc(side: int) -> npt.NDArray[np.bool_]:
    offset = np.arange(side) - (side - 1) / 2
    return np.asarray(np.hypot(offset, offset[:, None]) > side / 2)


def reference_square(pixels: U8, field: FieldOfView, side: int) -> U8:
    """What a user would write: pad, crop to whole pixels, INTER_AREA."""
    pad = int(field.radius_px) + 2
    padded = cv2.copyMakeBorder(pixels, pad, pad, pad, pad, cv2.BORDER_CONSTANT)
    left, top = (round(center - field.radius_px + 0.5) + pad for center in (field.center_x_px, field.center_y_px))
    diameter = round(2 * field.radius_px)
    crop = padded[top : top + diameter, left : left + diameter]
    return np.asarray(cv2.resize(crop, (side, side), interpolation=cv2.INTER_AREA))


@settings(max_examples=25, deadline=None)
@given(
    side=st.integers(32, 320),
    width=st.integers(256, 700),
    height=st.integers(256, 600),
    offset=st.tuples(st.floats(-0.15, 0.15), st.floats(-0.1, 0.1)),
    reach=st.floats(0.35, 0.6),
)
def test_a_square_has_its_side_is_contiguous_and_black_outside_the_field(
    draw_disc: DrawDisc, side: int, width: int, height: int, offset: tuple[float, float], reach: float
) -> None:
    center = (width * (0.5 + offset[0]), height * (0.5 + offset[1]))
    pixels = draw_disc(width=width, height=height, center=center, radius=reach * min(width, height), surround=9)
    square = prepare(pixels, ImageSpec(side_px=side))
    assert square.shape == (side, side, 3)
    assert square.dtype == np.uint8
    assert square.flags.c_contiguous
    assert not square[outside_the_disc(side)].any()
    assert square[side // 2, side // 2].max() > 50


@settings(max_examples=12, deadline=None)
@given(factor=st.floats(0.5, 2.5))
def test_rescaling_a_photograph_barely_changes_its_square(draw_disc: DrawDisc, factor: float) -> None:
    pixels = draw_disc(width=720, height=600, center=(365, 297), radius=262)
    size = (round(720 * factor), round(600 * factor))
    rescaled = cv2.resize(pixels, size, interpolation=cv2.INTER_AREA if factor < 1 else cv2.INTER_LINEAR)
    image = ImageSpec(side_px=224)
    assert mean_difference(prepare(pixels, image), prepare(np.asarray(rescaled), image)) < RESCALING_LEVELS


@pytest.mark.parametrize("turns", [1, 2, 3])
@pytest.mark.parametrize("radius", [170.0, 215.0])
def test_rotating_a_photograph_rotates_its_square(draw_disc: DrawDisc, turns: int, radius: float) -> None:
    pixels = draw_disc(radius=radius)
    turned = np.ascontiguousarray(np.rot90(pixels, turns))
    image = ImageSpec(side_px=160)
    difference = mean_difference(np.rot90(prepare(pixels, image), turns), prepare(turned, image))
    assert difference < ROTATION_LEVELS


@pytest.mark.parametrize("side", [96, 224, 300])
def test_a_square_equals_the_plain_crop_with_area_means(draw_disc: DrawDisc, side: int) -> None:
    pixels = draw_disc(width=960, height=800, center=(470, 405), radius=380)
    field = FieldOfView(center_x_px=469.5, center_y_px=404.5, radius_px=380)
    ours, plain = cut_square(pixels, field, ImageSpec(side_px=side)), reference_square(pixels, field, side)
    inside = ~outside_the_disc(side)
    assert mean_difference(ours[inside], plain[inside]) < AREA_LEVELS


def test_a_disc_smaller_than_the_square_is_enlarged(draw_disc: DrawDisc) -> None:
    square = prepare(draw_disc(width=300, height=280, radius=100), ImageSpec(side_px=512))
    assert square[256, 256].max() > 100
    assert square[256, 4].max() > 100


def test_what_the_frame_cut_off_is_black(draw_disc: DrawDisc) -> None:
    square = prepare(draw_disc(width=600, height=300, radius=250), ImageSpec(side_px=200))
    assert not square[:35].any()
    assert not square[-35:].any()
    assert square[100].max() > 100


def test_a_field_beside_the_frame_is_refused() -> None:
    field = FieldOfView(center_x_px=500, center_y_px=100, radius_px=90)
    with pytest.raises(ValueError, match="lies beside the frame; it must touch its 400x300 pixels"):
        cut_square(np.zeros((300, 400, 3), np.uint8), field, ImageSpec())


def test_a_sampling_names_the_pixels_that_a_square_needs_and_no_others() -> None:
    field = FieldOfView(center_x_px=520.4, center_y_px=90.2, radius_px=180)
    cut = sampling_of_square(400, 600, field, 96)
    assert (cut.left_px, cut.left_px + cut.width_px) == (338, 600)
    assert (cut.top_px, cut.top_px + cut.height_px) == (0, 273)
    assert cut.shrink == 3
    assert cut.step == pytest.approx(360 / 96 / 3)
    last_x = (cut.first_x + 95 * cut.step + 0.5) * 3 - 0.5 + cut.left_px
    assert last_x == pytest.approx(field.center_x_px + 180 - 360 / 96 / 2)
    assert cut.first_y < 0


def test_a_dark_frame_is_refused() -> None:
    with pytest.raises(FieldNotFound):
        prepare(np.zeros((400, 400, 3), np.uint8), ImageSpec())


@pytest.mark.parametrize("side", [128, 256, 700])
def test_the_square_of_a_scaled_decode_equals_that_of_a_full_one(
    draw_disc: DrawDisc, tmp_path: Path, side: int
) -> None:
    pixels = draw_disc(width=1500, height=1200, center=(760, 590), radius=560)
    path = tmp_path / "eye.jpg"
    cv2.imwrite(str(path), pixels[:, :, ::-1], [cv2.IMWRITE_JPEG_QUALITY, 95])
    prepared = prepare_file(path, ImageSpec(side_px=side))
    full = decode(read_bytes(path), name="eye.jpg")
    plain = reference_square(full.pixels, find_field(full.pixels), side)
    inside = ~outside_the_disc(side)
    assert mean_difference(prepared.square[inside], plain[inside]) < AREA_LEVELS
    assert prepared.sha256 == full.sha256
    assert prepared.decode_ms > 0
    assert min(prepared.field_ms, prepared.cut_ms) > 0
    assert prepared.prepare_ms == prepared.field_ms + prepared.cut_ms
    assert prepared.scale_denominator == {128: 8, 256: 4, 700: 1}[side]


def test_the_field_is_told_in_full_resolution_pixels(draw_disc: DrawDisc, tmp_path: Path) -> None:
    path = tmp_path / "eye.jpg"
    cv2.imwrite(str(path), draw_disc(width=1500, height=1200, center=(760, 590), radius=560)[:, :, ::-1])
    field = prepare_file(path, ImageSpec(side_px=128)).field
    assert (field.center_x_px, field.center_y_px) == pytest.approx((760, 590), abs=5.6)
    assert field.radius_px == pytest.approx(560, rel=0.01)


def test_a_small_disc_in_a_wide_frame_is_decoded_again_at_a_larger_scale(draw_disc: DrawDisc, tmp_path: Path) -> None:
    path = tmp_path / "eye.jpg"
    cv2.imwrite(str(path), draw_disc(width=2200, height=1600, radius=480)[:, :, ::-1], [cv2.IMWRITE_JPEG_QUALITY, 95])
    image = ImageSpec(side_px=400)
    assert decode(read_bytes(path), name="eye.jpg", side_px=400).scale_denominator == 4  # where the disc has 240 px
    full = decode(read_bytes(path), name="eye.jpg")
    difference = mean_difference(prepare_file(path, image).square, prepare(full.pixels, image))
    assert difference < AREA_LEVELS


@pytest.mark.parametrize("side", [96, 224, 700])
def test_a_mask_goes_where_its_photograph_goes(draw_disc: DrawDisc, side: int) -> None:
    field = FieldOfView(center_x_px=469.3, center_y_px=404.8, radius_px=380)
    mask = np.zeros((800, 960), dtype=np.bool_)
    mask[200:290, 300:420] = True
    mask[500:520, 600:640] = True
    pixels = np.where(mask[:, :, None], 255, draw_disc(width=960, height=800, radius=380) // 4).astype(np.uint8)
    image = ImageSpec(side_px=side)
    cut, square = cut_mask(mask, field, image), cut_square(pixels, field, image)
    assert cut.shape == (side, side)
    assert square[cut].min() > 64  # a quarter of white, and something below it
    assert square[~cut].max() < 128 + 64
    assert cut.sum() == pytest.approx(mask.sum() * (side / 760) ** 2, rel=0.15)


def test_the_smallest_lesions_stay_in_a_mask_and_what_lies_outside_the_field_does_not() -> None:
    field = FieldOfView(center_x_px=383.5, center_y_px=383.5, radius_px=380)
    mask = np.zeros((768, 768), dtype=np.bool_)
    mask[300:304, 400:404] = True
    assert cut_mask(mask, field, ImageSpec(side_px=224)).any()
    corner = np.zeros((768, 768), dtype=np.bool_)
    corner[:60, :60] = True
    assert not cut_mask(corner, field, ImageSpec(side_px=224)).any()
