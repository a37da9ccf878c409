import csv
import itertools
from pathlib import Path

import cv2
import numpy as np
import pytest

from sall_edge.errors import OutputError
from sall_edge.fundus.phantom import (
    Phantom,
    draw_outer_eye,
    draw_phantom,
    phantom_at,
    record_at,
    write_phantoms,
)
from sall_edge.fundus.phantom.camera import CAMERAS, layout_of_photograph
from sall_edge.fundus.phantom.cohort import PATIENT_KINDS, label_of_record
from sall_edge.fundus.phantom.diabetic import burden_of_grade
from sall_edge.fundus.phantom.geometry import FOVEA_DD, geometry_of_photograph
from sall_edge.fundus.phantom.vessels import AVASCULAR_DD, Kind, grow_vessels
from sall_edge.spec import Labelling

SIDE_PX = 192
"""Enough for every lesion to leave a trace, small enough to draw many."""

JPEG_RINGING = 24
"""Grey levels that the camera's JPEG may throw over the rim of the field into the black."""

RIM_PX = 1.5
"""The rim is antialiased, and half a pixel of it lies outside the circle."""

JPEG_ERROR = 4.0
"""Mean grey levels between a phantom and its file: two rounds of JPEG with subsampled colour, at 96 px."""

BLOCK = 2 * len(PATIENT_KINDS)
"""Photographs in which every kind of patient comes as often as it should."""


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


def test_patients_are_split_60_15_25_and_every_grade_is_there() -> None:
    records = [record_at(3, index) for index in range(5 * BLOCK)]
    share = {split: sum(r.split == split for r in records) / len(records) for split in ("train", "val", "test")}
    assert share == {"train": 0.6, "val": 0.15, "test": 0.25}
    assert {r.dr_grade for r in records} == set(range(5))
    assert {r.amd_grade for r in records} == set(range(4))
    referable = np.mean([r.dr_grade >= 2 or r.amd_grade >= 2 for r in records])
    assert 0.35 < referable < 0.65
    both = np.mean([r.dr_grade > 0 and r.amd_grade > 0 for r in records])
    assert 0 < both < 0.15


def test_a_patient_has_two_eyes_in_one_split_with_near_grades() -> None:
    for first in range(0, 2 * BLOCK, 2):
        one, other = record_at(0, first), record_at(0, first + 1)
        assert one.patient_id == other.patient_id
        assert {one.eye, other.eye} == {"L", "R"}
        assert one.split == other.split
        assert abs(one.dr_grade - other.dr_grade) <= 1
        assert abs(one.amd_grade - other.amd_grade) <= 1
    assert len({record_at(0, index).patient_id for index in range(2 * BLOCK)}) == BLOCK


def test_seeds_differ_in_who_is_ill() -> None:
    grades = [tuple(record_at(seed, index).dr_grade for index in range(BLOCK)) for seed in range(4)]
    assert len(set(grades)) == len(grades)


def test_one_disease_labelling_hides_one_disease_of_training_photographs_that_are_not_normal() -> None:
    seen, hidden_from = set(), set()
    for index in range(10 * BLOCK):
        record = record_at(1, index)
        dr_label, amd_label = label_of_record(1, record, Labelling.ONE_DISEASE)
        assert dr_label in (None, record.dr_grade)
        assert amd_label in (None, record.amd_grade)
        is_normal = record.dr_grade == record.amd_grade == 0
        hidden = (dr_label is None) + (amd_label is None)
        assert hidden == (1 if record.split == "train" and not is_normal else 0)
        if hidden:
            hidden_from.add((record.dr_grade > 0, dr_label is None))
        seen.add((record.split, hidden))
    assert seen == {("train", 0), ("train", 1), ("val", 0), ("test", 0)}
    # Each disease is seen without its label too, or a teacher would take the disease that it never saw for its own.
    assert hidden_from == {(True, True), (True, False), (False, True), (False, False)}


def test_both_eyes_of_a_patient_are_labelled_for_the_same_disease() -> None:
    hidden: dict[str, set[bool]] = {}
    for index in range(4 * BLOCK):
        dr_label, amd_label = label_of_record(1, record_at(1, index), Labelling.ONE_DISEASE)
        if dr_label is None or amd_label is None:
            hidden.setdefault(record_at(1, index).patient_id, set()).add(dr_label is None)
    assert hidden
    assert all(len(which) == 1 for which in hidden.values())


def rows_of(labels: Path) -> list[dict[str, str]]:
    with labels.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


@pytest.mark.parametrize("count", [1, 2, 7])
def test_as_many_photographs_are_written_as_were_asked_for(tmp_path: Path, count: int) -> None:
    steps = []
    labels = write_phantoms(tmp_path / "set", count=count, side_px=64, seed=0, advance=lambda: steps.append(1))
    rows = rows_of(labels)
    assert len(rows) == len(steps) == count
    assert list(rows[0]) == ["image", "dr_grade", "amd_grade", "quality", "patient_id", "eye", "split"]
    assert sorted(f"images/{p.name}" for p in (tmp_path / "set" / "images").iterdir()) == sorted(
        row["image"] for row in rows
    )
    for index, row in enumerate(rows):
        record = record_at(0, index)
        assert (row["dr_grade"], row["amd_grade"]) == (str(record.dr_grade), str(record.amd_grade))
        assert (row["patient_id"], row["eye"], row["split"]) == (record.patient_id, record.eye, record.split)


def test_a_written_photograph_is_the_phantom_of_its_index(tmp_path: Path) -> None:
    labels = write_phantoms(tmp_path / "set", count=3, side_px=96, seed=4)
    for index, row in enumerate(rows_of(labels)):
        written = cv2.cvtColor(cv2.imread(str(labels.parent / row["image"])), cv2.COLOR_BGR2RGB).astype(np.float32)
        phantom = phantom_at(4, index, side_px=96)
        assert str(phantom.dr_grade) == row["dr_grade"]
        assert np.abs(written - phantom.pixels).mean() < JPEG_ERROR


def test_processes_do_not_change_a_byte(tmp_path: Path) -> None:
    alone = write_phantoms(tmp_path / "alone", count=9, side_px=64, seed=2)
    pool = write_phantoms(tmp_path / "pool", count=33, side_px=64, seed=2)
    for row in rows_of(alone):
        assert (alone.parent / row["image"]).read_bytes() == (pool.parent / row["image"]).read_bytes()
    assert rows_of(pool)[:9] == rows_of(alone)
    by_patient: dict[str, set[str]] = {}
    for row in rows_of(pool):
        by_patient.setdefault(row["patient_id"], set()).add(row["split"])
    assert all(len(splits) == 1 for splits in by_patient.values())


def test_one_disease_labels_have_empty_cells(tmp_path: Path) -> None:
    labels = write_phantoms(tmp_path / "set", count=12, side_px=64, seed=0, labelling=Labelling.ONE_DISEASE)
    expected = [label_of_record(0, record_at(0, index), Labelling.ONE_DISEASE) for index in range(12)]
    written = [
        tuple(int(row[key]) if row[key] else None for key in ("dr_grade", "amd_grade")) for row in rows_of(labels)
    ]
    assert written == expected
    assert any(None in grades for grades in written)


def test_a_folder_of_phantoms_is_replaced(tmp_path: Path) -> None:
    write_phantoms(tmp_path / "set", count=4, side_px=64, seed=0)
    labels = write_phantoms(tmp_path / "set", count=2, side_px=64, seed=0)
    assert len(rows_of(labels)) == len(list((tmp_path / "set" / "images").iterdir())) == 2
    assert [path.name for path in tmp_path.iterdir()] == ["set"]


def test_a_folder_with_something_else_is_left_alone(tmp_path: Path) -> None:
    own = tmp_path / "own.txt"
    own.write_text("years of work")
    with pytest.raises(OutputError, match=r"not empty \(own.txt\)"):
        write_phantoms(tmp_path, count=1, side_px=64, seed=0)
    assert own.read_text() == "years of work"
    with pytest.raises(OutputError, match="is a file"):
        write_phantoms(own, count=1, side_px=64, seed=0)
    photographs = tmp_path / "photographs"
    (photographs / "images").mkdir(parents=True)
    with pytest.raises(OutputError, match=r"no phantoms\.json"):
        write_phantoms(photographs, count=1, side_px=64, seed=0)


def test_own_files_among_phantoms_are_not_lost(tmp_path: Path) -> None:
    labels = write_phantoms(tmp_path / "set", count=1, side_px=64, seed=0)
    (labels.parent / "images" / "mine.png").write_bytes(b"mine")
    with pytest.raises(OutputError, match=r"mine\.png"):
        write_phantoms(tmp_path / "set", count=1, side_px=64, seed=0)
    assert (labels.parent / "images" / "mine.png").read_bytes() == b"mine"


def test_a_place_that_cannot_be_written_is_an_output_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="cannot write"):
        write_phantoms(tmp_path / "file" / "set", count=1, side_px=64, seed=0)


def test_an_interrupted_run_leaves_nothing_behind(tmp_path: Path) -> None:
    def stop() -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_phantoms(tmp_path / "set", count=3, side_px=64, seed=0, advance=stop)
    assert list(tmp_path.iterdir()) == []


def test_a_set_of_nothing_and_negative_seeds_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="count is 0"):
        write_phantoms(tmp_path / "set", count=0, side_px=64, seed=0)
    with pytest.raises(ValueError, match="seed is -1"):
        write_phantoms(tmp_path / "set", count=1, side_px=64, seed=-1)


def test_an_outer_eye_has_skin_in_its_corners_and_a_pupil() -> None:
    picture = draw_outer_eye(np.random.default_rng(0), 200)
    assert picture.shape == (200, 200, 3)
    assert picture.dtype == np.uint8
    corners = picture[[0, 0, -1, -1], [0, -1, 0, -1]]
    assert corners.min() > 40
    assert picture[95:105, 90:110].min() < 40
    np.testing.assert_array_equal(picture, draw_outer_eye(np.random.default_rng(0), 200))
