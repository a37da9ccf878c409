from pathlib import Path

import pytest

from sall_edge.errors import LabelsError
from sall_edge.fundus.labels import in_split, read_labels
from sall_edge.spec import Task, TaskSet

HEADER = "image,dr_grade,amd_grade,quality,patient_id,eye,split"


@pytest.fixture
def tasks() -> TaskSet:
    dr = Task(name="dr", title="DR", column="dr_grade", grades=("none", "mild", "moderate"), referable_from=2)
    amd = Task(
        name="amd",
        title="AMD",
        column="amd_grade",
        grades=("none", "early", "late"),
        referable_from=2,
        grade_from_label={"normal": 0, "drusen": 1, "dry": 2, "wet": 2},
    )
    return TaskSet(tasks=(dr, amd))


def write(path: Path, *lines: str) -> Path:
    path.parent.mkdir(exist_ok=True)
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def test_a_row_becomes_a_labelled_photograph(tmp_path: Path, tasks: TaskSet) -> None:
    csv = write(tmp_path / "labels.csv", HEADER + ",camera", "images/a.jpg,1,wet,good,p1,R,train,Z9")
    (row,) = read_labels([csv], tasks)
    assert row.path == tmp_path / "images" / "a.jpg"
    assert row.grades == {"dr": 1, "amd": 2}
    assert (row.eye, row.split, row.source_csv) == ("R", "train", csv)
    assert row.extra == {"quality": "good", "camera": "Z9"}


def test_empty_cells_and_missing_columns_mean_unknown(tmp_path: Path, tasks: TaskSet) -> None:
    csv = write(tmp_path / "labels.csv", "image,dr_grade", "a.jpg,", "b.jpg,2")
    first, second = read_labels([csv], tasks)
    assert first.grades == {"dr": None, "amd": None}
    assert second.grades == {"dr": 2, "amd": None}
    assert (first.eye, first.split) == ("", "")


def test_an_image_without_a_patient_is_its_own_patient(tmp_path: Path, tasks: TaskSet) -> None:
    csv = write(tmp_path / "labels.csv", "image,patient_id,split", "a.jpg,,train", "b.jpg,,test", "c.jpg,x,test")
    assert len({row.patient_id for row in read_labels([csv], tasks)}) == 3


def test_equal_patient_numbers_of_two_sets_are_different_patients(tmp_path: Path, tasks: TaskSet) -> None:
    one = write(tmp_path / "one" / "labels.csv", "image,patient_id,split", "a.jpg,1,train", "b.jpg,1,train")
    two = write(tmp_path / "two" / "labels.csv", "image,patient_id,split", "a.jpg,1,test")
    first, second, third = read_labels([one, two], tasks)
    assert first.patient_id == second.patient_id != third.patient_id


def test_a_byte_order_mark_and_numbers_written_by_a_spreadsheet_are_understood(tmp_path: Path, tasks: TaskSet) -> None:
    csv = tmp_path / "labels.csv"
    csv.write_bytes("\ufeffimage;dr_grade\r\n".replace(";", ",").encode() + b" a.jpg ,2.0\r\n")
    (row,) = read_labels([csv], tasks)
    assert row.path == tmp_path / "a.jpg"
    assert row.grades["dr"] == 2


def test_a_path_may_leave_the_folder_of_its_csv(tmp_path: Path, tasks: TaskSet) -> None:
    csv = write(tmp_path / "labels.csv", "image", "../elsewhere/a.jpg", "/mnt/b.jpg")
    assert [row.path for row in read_labels([csv], tasks)] == [tmp_path / "../elsewhere/a.jpg", Path("/mnt/b.jpg")]


def test_a_split_is_selected_in_order(tmp_path: Path, tasks: TaskSet) -> None:
    csv = write(tmp_path / "labels.csv", "image,split", "a.jpg,train", "b.jpg,test", "c.jpg,train", "d.jpg,")
    rows = read_labels([csv], tasks)
    assert [row.path.name for row in in_split(rows, "train")] == ["a.jpg", "c.jpg"]
    assert in_split(rows, "val") == ()


@pytest.mark.parametrize(
    ("lines", "told"),
    [
        ([HEADER, "a.jpg,7,,,,,"], "line 2: dr_grade is '7'; legal are 0, 1, 2, or empty for unknown"),
        ([HEADER, "a.jpg,-1,,,,,"], "dr_grade is '-1'"),
        ([HEADER, "a.jpg,1.5,,,,,"], "dr_grade is '1.5'"),
        ([HEADER, "a.jpg,,2,,,,"], "amd_grade is '2'; legal are normal, drusen, dry, wet"),
        ([HEADER, "a.jpg,,,,p1,R,train", "b.jpg,,,,p1,L,test"], "patient p1 is in the splits test, train"),
        ([HEADER, "a.jpg,,,,p1,R,train", "b.jpg,,,,p1,L,"], "patient p1 is in the splits (none), train"),
        ([HEADER, "a.jpg,1,,,,,", "./a.jpg,2,,,,,"], "a.jpg stands in two rows"),
        ([HEADER, ",1,,,,,"], "line 2: no image named"),
        (["image,dr_grade", "a.jpg,1,2"], "line 2: more cells than columns"),
        (["picture,dr_grade", "a.jpg,1"], "its first line is 'picture,dr_grade'"),
        (["image,dr_grade,dr_grade", "a.jpg,1,1"], "has the column 'dr_grade' twice"),
        ([HEADER], "has no rows"),
        (["image", '"a.jpg'], "is not a CSV in UTF-8"),
    ],
)
def test_a_broken_rule_is_refused_and_named(tmp_path: Path, tasks: TaskSet, lines: list[str], told: str) -> None:
    csv = write(tmp_path / "labels.csv", *lines)
    with pytest.raises(LabelsError) as caught:
        read_labels([csv], tasks)
    assert told in str(caught.value)
    assert str(csv) in str(caught.value)
    assert caught.value.fix


def test_an_empty_file_is_refused(tmp_path: Path, tasks: TaskSet) -> None:
    csv = tmp_path / "labels.csv"
    csv.touch()
    with pytest.raises(LabelsError, match="it is empty"):
        read_labels([csv], tasks)


def test_a_missing_file_and_a_folder_are_refused(tmp_path: Path, tasks: TaskSet) -> None:
    for path in (tmp_path / "labels.csv", tmp_path):
        with pytest.raises(LabelsError, match="cannot read"):
            read_labels([path], tasks)


def test_a_file_that_is_not_text_is_refused(tmp_path: Path, tasks: TaskSet) -> None:
    csv = tmp_path / "labels.csv"
    csv.write_bytes(b"image,dr_grade\n\xff\xfe,1\n")
    with pytest.raises(LabelsError, match="is not a CSV in UTF-8"):
        read_labels([csv], tasks)


def test_the_same_csv_twice_is_refused(tmp_path: Path, tasks: TaskSet) -> None:
    csv = write(tmp_path / "labels.csv", HEADER, "a.jpg,1,,,,,")
    with pytest.raises(LabelsError, match="stands in two rows"):
        read_labels([csv, csv], tasks)


def test_several_problems_are_told_at_once_but_not_all(tmp_path: Path, tasks: TaskSet) -> None:
    csv = write(tmp_path / "labels.csv", HEADER, *(f"{number}.jpg,9,,,,," for number in range(8)))
    with pytest.raises(LabelsError, match="8 problems") as caught:
        read_labels([csv], tasks)
    assert caught.value.why.count("dr_grade is '9'") == 5
    assert "and 3 more" in caught.value.why
