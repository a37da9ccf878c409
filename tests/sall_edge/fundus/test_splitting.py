import csv
from collections import Counter, defaultdict
from pathlib import Path

import pytest

from sall_edge.errors import LabelsError
from sall_edge.fundus.splitting import write_splits


def _written(folder: Path, count: int = 200) -> Path:
    """Two photographs a patient; every tenth patient has the rare grade in one eye."""
    folder.mkdir(parents=True, exist_ok=True)
    lines = ["image,patient_id,dr_grade,remark"]
    lines += [
        f"images/{n}.jpg,P{n // 2},{2 if n % 20 == 0 else 0},a, b".replace("a, b", '"a, b"') for n in range(count)
    ]
    (folder / "labels.csv").write_text("\n".join(lines), encoding="utf-8")
    return folder / "labels.csv"


def _rows(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_a_patient_is_in_one_split_and_shares_are_as_wanted(tmp_path: Path) -> None:
    counts = write_splits(_written(tmp_path), tmp_path / "split.csv", val=0.15, test=0.2)
    rows = _rows(tmp_path / "split.csv")
    of_patient = defaultdict(set)
    for row in rows:
        of_patient[row["patient_id"]].add(row["split"])
    assert all(len(splits) == 1 for splits in of_patient.values())
    assert counts == Counter(row["split"] for row in rows)
    assert counts["test"] == pytest.approx(40, abs=2)
    assert counts["val"] == pytest.approx(30, abs=2)


def test_a_rare_grade_reaches_every_split(tmp_path: Path) -> None:
    write_splits(_written(tmp_path), tmp_path / "split.csv", val=0.2, test=0.2, by=["dr_grade"])
    rare = Counter(row["split"] for row in _rows(tmp_path / "split.csv") if row["dr_grade"] == "2")
    assert set(rare) == {"train", "val", "test"}


def test_columns_and_text_stay_and_paths_lead_to_the_same_photographs(tmp_path: Path) -> None:
    source = _written(tmp_path / "set")
    write_splits(source, tmp_path / "elsewhere" / "split.csv", val=0.15, test=0.2)
    before, after = _rows(source), _rows(tmp_path / "elsewhere" / "split.csv")
    assert [row["remark"] for row in after] == ["a, b"] * 200
    for old, new in zip(before, after, strict=True):
        assert (tmp_path / "elsewhere" / new["image"]).resolve() == (source.parent / old["image"]).resolve()


def test_rows_that_name_a_split_keep_it_for_their_patient(tmp_path: Path) -> None:
    (tmp_path / "labels.csv").write_text("image,patient_id,split\n1.jpg,A,test\n2.jpg,A,\n3.jpg,B,\n", encoding="utf-8")
    write_splits(tmp_path / "labels.csv", tmp_path / "new.csv", val=0.0, test=0.0)
    assert [row["split"] for row in _rows(tmp_path / "new.csv")] == ["test", "test", "train"]


def test_the_draw_does_not_depend_on_the_order_of_the_rows(tmp_path: Path) -> None:
    first = _written(tmp_path)
    lines = first.read_text(encoding="utf-8").splitlines()
    (tmp_path / "turned.csv").write_text("\n".join([lines[0], *reversed(lines[1:])]), encoding="utf-8")
    write_splits(first, tmp_path / "a.csv", val=0.15, test=0.2)
    write_splits(tmp_path / "turned.csv", tmp_path / "b.csv", val=0.15, test=0.2)
    found = [{row["image"]: row["split"] for row in _rows(tmp_path / name)} for name in ("a.csv", "b.csv")]
    assert found[0] == found[1]
    write_splits(first, tmp_path / "c.csv", val=0.15, test=0.2, seed=1)
    assert {row["image"]: row["split"] for row in _rows(tmp_path / "c.csv")} != found[0]


def test_what_cannot_be_split_is_said(tmp_path: Path) -> None:
    source = _written(tmp_path)
    with pytest.raises(LabelsError, match="no column 'amd_grade'"):
        write_splits(source, tmp_path / "split.csv", val=0.15, test=0.2, by=["amd_grade"])
    with pytest.raises(LabelsError, match="cannot read"):
        write_splits(tmp_path / "none.csv", tmp_path / "split.csv", val=0.15, test=0.2)
    with pytest.raises(ValueError, match="something to train on"):
        write_splits(source, tmp_path / "split.csv", val=0.5, test=0.5)
    assert not (tmp_path / "split.csv").exists()
