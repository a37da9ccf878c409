import csv
from pathlib import Path

import cv2
import numpy as np
import pytest

from sall_edge.errors import OutputError
from sall_edge.fundus.phantom import (
    phantom_at,
    record_at,
    write_phantoms,
)
from sall_edge.fundus.phantom.cohort import label_of_record
from sall_edge.spec import Labelling

JPEG_ERROR = 4.0
"""Mean grey levels between a phantom and its file: two rounds of JPEG with subsampled colour, at 96 px."""


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
