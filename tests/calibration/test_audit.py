from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from calibration.audit import SharedBy, find_overlaps, set_apart
from sall_edge.errors import CalibrationError
from sall_edge.fundus.labels import LabelledPhotograph, read_labels
from sall_edge.fundus.prepared_set import PreparedSet, prepare_set
from sall_edge.spec import ImageSpec, TaskSet


@pytest.fixture(scope="module")
def photographs(phantom_labels: Path, retina_tasks: TaskSet) -> tuple[LabelledPhotograph, ...]:
    return read_labels([phantom_labels], retina_tasks)


@pytest.fixture(scope="module")
def prepared(photographs: Sequence[LabelledPhotograph]) -> PreparedSet:
    return prepare_set(photographs, ImageSpec(side_px=224))


def _part(prepared: PreparedSet, rows: Sequence[int], *, patients: str = "") -> PreparedSet:
    """Some of them, under other patients' names and from another CSV if wanted."""
    chosen = [prepared.photographs[row] for row in rows]
    if patients:
        chosen = [
            replace(
                one, patient_id=f"0:{patients}{number}", path=Path(f"{patients}{number}.jpg"), source_csv=Path("b.csv")
            )
            for number, one in enumerate(chosen)
        ]
    return PreparedSet(photographs=tuple(chosen), squares=prepared.squares[list(rows)], failures=())


def _rows_of_patients(prepared: PreparedSet, wanted: range) -> list[int]:
    names = list(dict.fromkeys(one.patient_id for one in prepared.photographs))
    chosen = {names[number] for number in wanted}
    return [row for row, one in enumerate(prepared.photographs) if one.patient_id in chosen]


def test_other_patients_eyes_do_not_overlap(prepared: PreparedSet) -> None:
    first = _part(prepared, _rows_of_patients(prepared, range(8)))
    second = _part(prepared, _rows_of_patients(prepared, range(8, 16)))
    assert find_overlaps(first, second) == ()
    rest, overlaps = set_apart(first, second, names=("calibration", "the gate"))
    assert (rest.photographs, overlaps) == (first.photographs, ())


def test_a_patient_in_both_sets_is_found_whatever_number_its_csv_was_read_with(prepared: PreparedSet) -> None:
    row = _rows_of_patients(prepared, range(1))[0]
    first, second = _part(prepared, [row]), _part(prepared, [row])
    other = replace(second.photographs[0], patient_id="1" + second.photographs[0].patient_id[1:], path=Path("else.jpg"))
    blank = np.zeros_like(second.squares)
    (overlap,) = find_overlaps(first, PreparedSet(photographs=(other,), squares=blank, failures=()))
    assert (overlap.second, overlap.shared) == (Path("else.jpg"), SharedBy.PATIENT)


def test_the_same_pixels_under_another_name_are_found(prepared: PreparedSet) -> None:
    (overlap,) = find_overlaps(_part(prepared, [3, 5]), _part(prepared, [5], patients="X"))
    assert (overlap.first, overlap.shared) == (prepared.photographs[5].path, SharedBy.PIXELS)


def test_the_same_eye_stored_again_with_other_colours_and_crop_is_found(prepared: PreparedSet) -> None:
    rows = list(range(12))
    again = _part(prepared, rows, patients="X")
    changed = []
    for square, turn in zip(again.squares, np.linspace(-1, 1, len(rows)), strict=True):
        _, stored = cv2.imencode(".jpg", np.ascontiguousarray(square[..., ::-1]), [cv2.IMWRITE_JPEG_QUALITY, 60])
        read = cv2.imdecode(stored, cv2.IMREAD_COLOR)[..., ::-1]
        brighter = np.clip(read.astype(float) * (1 + 0.12 * turn), 0, 255).astype(np.uint8)
        changed.append(
            cv2.warpAffine(brighter, cv2.getRotationMatrix2D((112, 112), turn, 1 + 0.012 * turn), (224, 224))
        )
    found = find_overlaps(_part(prepared, rows), replace(again, squares=np.stack(changed)))
    assert [one.first for one in found] == [prepared.photographs[row].path for row in rows]
    assert {one.shared for one in found} == {SharedBy.EYE}
    more = _part(prepared, [*rows, 30, 31])
    rest, left_out = set_apart(more, replace(again, squares=np.stack(changed)), names=("calibration", "the gate"))
    assert rest.photographs == more.photographs[-2:]
    assert np.array_equal(rest.squares, more.squares[-2:])
    assert left_out == found


def test_an_overlap_is_refused_with_names_and_a_remedy(prepared: PreparedSet) -> None:
    with pytest.raises(CalibrationError) as refusal:
        set_apart(_part(prepared, range(8)), _part(prepared, range(8)), names=("calibration", "the gate"))
    assert refusal.value.what == "8 photographs for calibration also serve the gate"
    assert f"{prepared.photographs[0].path}" in refusal.value.why
    assert "and 3 more" in refusal.value.why
    assert "sall-edge split" in refusal.value.fix
