import itertools

import cv2
import numpy as np
import pytest

from sall_edge.fundus.phantom import (
    Layout,
    Phantom,
    draw_outer_eye,
    draw_phantom,
)
from sall_edge.fundus.phantom.camera import CAMERAS, layout_of_photograph
from sall_edge.fundus.phantom.diabetic import burden_of_grade
from sall_edge.fundus.phantom.geometry import FOVEA_DD, geometry_of_photograph
from sall_edge.fundus.phantom.vessels import AVASCULAR_DD, Kind, grow_vessels

SIDE_PX = 192
"""Enough for every lesion to leave a trace, small enough to draw many."""

JPEG_RINGING = 24
"""Grey levels that the camera's JPEG may throw over the rim of the field into the black."""

RIM_PX = 1.5
"""The rim is antialiased, and half a pixel of it lies outside the circle."""


def draw(seed: int, dr_grade: int = 0, amd_grade: int = 0, eye: str = "R", side_px: int = SIDE_PX) -> Phantom:
    rng = np.random.default_rng(seed)
    return draw_phantom(rng, side_px=side_px, dr_grade=dr_grade, amd_grade=amd_grade, eye=eye)


@pytest.mark.parametrize("side_px", [64, 200, 333])
def test_a_phantom_is_an_rgb_photograph_of_the_height_that_was_asked_for(side_px: int) -> None:
    phantom = draw(1, 2, 1, side_px=side_px)
    height, width, channels = phantom.pixels.shape
    assert (height, channels) == (side_px, 3)
    assert side_px <= width <= 1.5 * side_px
    assert phantom.pixels.dtype == np.uint8
    assert set(phantom.lesions) == {"dr", "amd"}
    for mask in phantom.lesions.values():
        assert mask.shape == (height, width)
        assert mask.dtype == np.bool_


def test_the_same_random_state_gives_the_same_phantom() -> None:
    first, second = draw(5, 3, 2), draw(5, 3, 2)
    np.testing.assert_array_equal(first.pixels, second.pixels)
    np.testing.assert_array_equal(first.lesions["dr"], second.lesions["dr"])
    assert first.field == second.field


def test_another_random_state_gives_another_phantom() -> None:
    pictures = [draw(seed).pixels for seed in range(8)]
    for one, other in itertools.combinations(pictures, 2):
        assert one.shape != other.shape or not np.array_equal(one, other)


@pytest.mark.parametrize(("towards_disc", "place"), [(0.0, "fovea_xy"), (1.0, "optic_disc_xy")])
@pytest.mark.parametrize("eye", ["L", "R"])
def test_a_phantom_is_centred_on_what_its_layout_aims_at(towards_disc: float, place: str, eye: str) -> None:
    layout = Layout(disc_diameters=7.2, towards_disc=towards_disc, shift=(0.0, 0.0), tilt=0.1)
    rng = np.random.default_rng(3)
    phantom = draw_phantom(rng, side_px=SIDE_PX, dr_grade=0, amd_grade=0, eye=eye, layout=layout)
    middle = (phantom.field.center_x_px, phantom.field.center_y_px)
    assert getattr(phantom, place) == pytest.approx(middle, abs=0.01)
    assert draw(3, eye=eye).pixels.shape == phantom.pixels.shape  # the camera stays the same


def test_narrow_fields_without_a_fovea_are_drawn() -> None:
    layout = Layout(disc_diameters=3.0, towards_disc=1.0, shift=(0.0, 0.0), tilt=0.0)
    for seed in range(8):  # a third of the eyes have a reflex in the fovea
        rng = np.random.default_rng(seed)
        phantom = draw_phantom(rng, side_px=96, dr_grade=0, amd_grade=0, eye="L", layout=layout)
        assert phantom.pixels.any()


@pytest.mark.parametrize("dr_grade", range(5))
@pytest.mark.parametrize("amd_grade", range(4))
@pytest.mark.parametrize("side_px", [64, SIDE_PX])
def test_lesions_are_there_if_and_only_if_the_grade_is_above_zero(dr_grade: int, amd_grade: int, side_px: int) -> None:
    for seed in range(3):
        phantom = draw(seed, dr_grade, amd_grade, "L", side_px)
        assert phantom.lesions["dr"].any() == (dr_grade > 0)
        assert phantom.lesions["amd"].any() == (amd_grade > 0)


def test_lesions_lie_inside_the_field_of_view() -> None:
    for seed in range(10):
        phantom = draw(seed, 4, 3)
        y, x = np.nonzero(phantom.lesions["dr"] | phantom.lesions["amd"])
        distance = np.hypot(x - phantom.field.center_x_px, y - phantom.field.center_y_px)
        assert distance.max() <= phantom.field.radius_px + RIM_PX


def test_a_higher_grade_has_more_lesion_area_on_average() -> None:
    def mean_share(key: str, dr_grade: int, amd_grade: int) -> float:
        return float(np.mean([draw(seed, dr_grade, amd_grade, side_px=128).lesions[key].mean() for seed in range(12)]))

    by_dr_grade = [mean_share("dr", grade, 0) for grade in range(5)]
    by_amd_grade = [mean_share("amd", 0, grade) for grade in range(4)]
    assert by_dr_grade == sorted(by_dr_grade)
    assert by_amd_grade == sorted(by_amd_grade)


def test_lesions_can_be_seen() -> None:
    """Pixels of lesions differ more from their surroundings than the rest of the retina does."""
    for seed in range(8):
        phantom = draw(seed, 3, 0, side_px=384)
        green = phantom.pixels[..., 1].astype(np.float32)
        contrast = np.abs(green - cv2.GaussianBlur(green, (0, 0), 12))
        x, y = np.meshgrid(np.arange(green.shape[1]), np.arange(green.shape[0]))
        rim = 0.9 * phantom.field.radius_px
        inner = np.hypot(x - phantom.field.center_x_px, y - phantom.field.center_y_px) < rim
        lesion = phantom.lesions["dr"] & inner
        assert contrast[lesion].mean() > 1.5 * contrast[inner & ~phantom.lesions["dr"]].mean()


def test_the_optic_disc_is_on_the_side_of_the_nose() -> None:
    for seed in range(20):
        right, left = draw(seed, eye="R", side_px=64), draw(seed, eye="L", side_px=64)
        assert right.optic_disc_xy[0] > right.field.center_x_px
        assert right.fovea_xy[0] < right.optic_disc_xy[0]
        assert left.optic_disc_xy[0] < left.field.center_x_px
        assert left.fovea_xy[0] > left.optic_disc_xy[0]


def test_the_disc_is_bright_and_the_fovea_dark() -> None:
    for seed in range(20):
        phantom = draw(seed, eye="L")
        reach = round(phantom.field.radius_px / 14)  # half a disc's radius, so that vessels do not hide the disc
        green = np.pad(phantom.pixels[..., 1], reach)
        disc, fovea = (
            green[round(y) : round(y) + 2 * reach, round(x) : round(x) + 2 * reach]
            for x, y in (phantom.optic_disc_xy, phantom.fovea_xy)
        )
        assert disc.max() > 1.2 * np.median(fovea)


def test_the_fovea_lies_to_the_temple_of_the_disc_and_below_it_whatever_the_camera() -> None:
    rng = np.random.default_rng(0)
    for camera in CAMERAS:
        layout = layout_of_photograph(rng, camera)
        geometry = geometry_of_photograph(side_px=768, aperture=camera.aperture, layout=layout, eye="R")
        offset = np.subtract(geometry.fovea_px, geometry.disc_px)
        assert np.hypot(*offset) == pytest.approx(np.hypot(*FOVEA_DD) * geometry.dd_px, rel=1e-4)
        assert offset[0] < 0
        share_of_field = geometry.dd_px / (2 * geometry.radius_px)
        assert 1 / 8.5 < share_of_field < 1 / 6
        points = rng.normal(0, 2, (5, 2)).astype(np.float32)
        np.testing.assert_allclose(geometry.anatomy(geometry.pixels(points)), points, atol=1e-3)


def test_it_is_black_outside_the_field() -> None:
    for seed in range(20):
        phantom = draw(seed, 2, 2)
        height, width = phantom.pixels.shape[:2]
        y, x = np.mgrid[0:height, 0:width]
        reach = np.hypot(x - phantom.field.center_x_px, y - phantom.field.center_y_px) / phantom.field.radius_px
        outside = reach > 1.12  # a notch reaches 5 % beyond the rim, and JPEG blocks 8 px
        assert phantom.pixels[outside].max(initial=0) <= JPEG_RINGING
        assert phantom.pixels[reach < 0.5].mean() > 15


def test_arteries_are_thinner_than_veins_and_no_vessel_crosses_the_fovea() -> None:
    for seed in range(5):
        vessels = grow_vessels(np.random.default_rng(seed))
        widest = {kind: max(v.calibre.max() for v in vessels if v.kind is kind) for kind in Kind}
        assert widest[Kind.ARTERY] < widest[Kind.VEIN]
        for vessel in vessels:
            assert np.linalg.norm(vessel.line - FOVEA_DD, axis=1).min() >= AVASCULAR_DD
            assert len(vessel.line) == len(vessel.calibre)


def test_the_grades_of_diabetic_retinopathy_follow_their_definitions() -> None:
    rng = np.random.default_rng(0)
    for _ in range(200):
        mild, moderate, severe, proliferative = (burden_of_grade(rng, grade) for grade in (1, 2, 3, 4))
        assert mild.microaneurysms > 0
        assert sum(mild.blots_in_quadrant) + mild.flames + mild.exudate_clusters + mild.cotton_wool_spots == 0
        assert sum(moderate.blots_in_quadrant) > 0
        assert min(moderate.blots_in_quadrant) <= 20
        assert moderate.beaded_arcades + moderate.microvascular_abnormalities == 0
        assert (
            min(severe.blots_in_quadrant) > 20 or severe.beaded_arcades >= 2 or severe.microvascular_abnormalities >= 1
        )
        assert severe.new_vessel_fronds == severe.preretinal_bleedings == 0
        assert proliferative.new_vessel_fronds > 0


@pytest.mark.parametrize(
    ("dr_grade", "amd_grade", "eye", "side_px", "message"),
    [
        (5, 0, "L", 128, "dr_grade is 5"),
        (0, -1, "L", 128, "amd_grade is -1"),
        (0, 0, "OD", 128, "eye is 'OD'"),
        (0, 0, "R", 63, "side_px is 63"),
    ],
)
def test_a_phantom_that_cannot_be_is_refused_with_the_value(
    dr_grade: int, amd_grade: int, eye: str, side_px: int, message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        draw(0, dr_grade, amd_grade, eye, side_px)


def test_an_outer_eye_has_skin_in_its_corners_and_a_pupil() -> None:
    picture = draw_outer_eye(np.random.default_rng(0), 200)
    assert picture.shape == (200, 200, 3)
    assert picture.dtype == np.uint8
    corners = picture[[0, 0, -1, -1], [0, -1, 0, -1]]
    assert corners.min() > 40
    assert picture[95:105, 90:110].min() < 40
    np.testing.assert_array_equal(picture, draw_outer_eye(np.random.default_rng(0), 200))
