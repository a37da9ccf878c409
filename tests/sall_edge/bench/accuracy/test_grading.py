"""Grades against labels, referrals against another network's: who is no longer referred comes first."""

import json
from pathlib import Path

import numpy as np
import pytest

from sall_edge.bench.accuracy.grading import Flip, count_confusions, find_flips, labelled_rows, measure_accuracy
from sall_edge.fundus.labels import LabelledPhotograph
from sall_edge.spec import Task

TASKS = (
    Task(name="dr", title="DR", column="dr_grade", grades=("none", "some", "much"), referable_from=1),
    Task(name="amd", title="AMD", column="amd_grade", grades=("none", "some"), referable_from=1),
)
POINTS = {"dr": 0.5, "amd": 0.5}


def _photograph(name: str, dr: int | None, amd: int | None) -> LabelledPhotograph:
    return LabelledPhotograph(
        path=Path(name),
        grades={"dr": dr, "amd": amd},
        patient_id=name,
        eye="",
        split="test",
        source_csv=Path("labels.csv"),
        extra={},
    )


def _probs(referable: list[float], grades: int) -> np.ndarray:
    """(n, grades) whose last column is the probability of a referable grade."""
    probs = np.zeros((len(referable), grades), np.float32)
    probs[:, 0], probs[:, -1] = 1 - np.float32(referable), referable
    return probs


def test_lost_referrals_come_before_new_ones() -> None:
    photographs = [_photograph(name, 0, 0) for name in ("a", "b", "c", "d")]
    before = {"dr": _probs([0.4, 0.6, 0.9, 0.7], 3), "amd": _probs([0.1, 0.1, 0.1, 0.6], 2)}
    after = {"dr": _probs([0.6, 0.4, 0.9, 0.2], 3), "amd": _probs([0.1, 0.1, 0.8, 0.3], 2)}
    flips = find_flips(photographs, TASKS, before, after, POINTS)
    assert [(flip.image, flip.task, flip.after) for flip in flips] == [
        ("d", "amd", "not referable"),
        ("b", "dr", "not referable"),
        ("d", "dr", "not referable"),
        ("c", "amd", "referable"),
        ("a", "dr", "referable"),
    ]
    assert flips[1].label == 0
    assert flips[1].probability_before == pytest.approx(0.6)
    assert flips[1].probability_after == pytest.approx(0.4)


def test_a_flip_is_written_as_from_and_to() -> None:
    (flip,) = find_flips(
        [_photograph("a", 0, 0)],
        TASKS[:1],
        {"dr": _probs([0.6], 3)},
        {"dr": _probs([0.4], 3)},
        POINTS,
    )
    written = json.loads(flip.model_dump_json(by_alias=True))
    assert (written["from"], written["to"]) == ("referable", "not referable")
    assert Flip.model_validate(written) == flip


def test_a_probability_at_the_operating_point_is_no_flip() -> None:
    photographs, probs = [_photograph("a", 0, 0)], {"dr": _probs([0.5], 3)}
    assert find_flips(photographs, TASKS[:1], probs, {"dr": _probs([0.9], 3)}, POINTS) == ()


def test_each_task_is_measured_on_the_photographs_that_have_its_label() -> None:
    photographs = [_photograph("a", 0, None), _photograph("b", 2, None), _photograph("c", None, 1)]
    probs = {"dr": _probs([0.1, 0.9, 0.5], 3), "amd": _probs([0.9, 0.9, 0.9], 2)}
    report = measure_accuracy(photographs, TASKS, probs, POINTS)
    assert report["dr"].n == 2
    assert report["dr"].referable_auc == 1
    assert report["amd"].n == 1
    assert report["amd"].referable_auc is None


def test_a_task_without_labels_is_left_out() -> None:
    probs = {"dr": _probs([0.1], 3), "amd": _probs([0.1], 2)}
    assert set(measure_accuracy([_photograph("a", 0, None)], TASKS, probs, POINTS)) == {"dr"}


def test_a_confusion_matrix_has_labels_in_rows_and_the_network_in_columns() -> None:
    photographs = [_photograph(str(i), grade, None) for i, grade in enumerate((0, 0, 2, None))]
    probs = {"dr": np.eye(3, dtype=np.float32)[[0, 1, 1, 2]], "amd": np.eye(2, dtype=np.float32)[[0, 0, 0, 0]]}
    assert count_confusions(photographs, TASKS, probs) == {"dr": ((1, 1, 0), (0, 0, 0), (0, 1, 0))}


def test_the_labelled_rows_are_those_whose_grade_is_known() -> None:
    places, grades = labelled_rows([_photograph("a", None, 1), _photograph("b", 2, None)], TASKS[0])
    assert (places.tolist(), grades.tolist()) == ([1], [2])
