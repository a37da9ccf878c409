import numpy as np

from sall_edge.fundus.phantom import (
    record_at,
)
from sall_edge.fundus.phantom.cohort import PATIENT_KINDS, label_of_record
from sall_edge.spec import Labelling

BLOCK = 2 * len(PATIENT_KINDS)
"""Photographs in which every kind of patient comes as often as it should."""


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
