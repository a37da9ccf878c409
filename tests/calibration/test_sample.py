from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from calibration.sample import choose
from sall_edge.errors import CalibrationError
from sall_edge.fundus.labels import LabelledPhotograph
from sall_edge.spec import Task

TASKS = (
    Task(name="dr", title="DR", column="dr_grade", grades=("none", "mild", "severe"), referable_from=1),
    Task(name="amd", title="AMD", column="amd_grade", grades=("none", "some"), referable_from=1),
)


def _photographs() -> list[LabelledPhotograph]:
    # 900 common ones, 40 of another clinic, 12 rare ones, 8 whose AMD grade is unknown
    kinds = [("a", 0, 0)] * 900 + [("b", 1, 0)] * 40 + [("a", 2, 1)] * 12 + [("a", 1, None)] * 8
    return [
        LabelledPhotograph(
            path=Path(f"{index:04}.jpg"),
            grades={"dr": dr, "amd": amd},
            patient_id=str(index),
            eye="",
            split="train",
            source_csv=Path(f"{source}.csv"),
            extra={},
        )
        for index, (source, dr, amd) in enumerate(kinds)
    ]


def _strata(chosen: tuple[LabelledPhotograph, ...]) -> Counter[tuple[str, int | None, int | None]]:
    return Counter((one.source_csv.stem, one.grades["dr"], one.grades["amd"]) for one in chosen)


def test_rare_grades_come_as_often_as_common_ones_while_they_last() -> None:
    chosen = choose(_photographs(), TASKS, 64, rng=np.random.default_rng(0))
    counts = _strata(chosen)
    assert counts[("a", 2, 1)] == 12
    assert counts[("a", 1, None)] == 8
    assert counts[("a", 0, 0)] == counts[("b", 1, 0)] == 22


def test_no_photograph_is_chosen_twice() -> None:
    chosen = choose(_photographs(), TASKS, 500, rng=np.random.default_rng(0))
    assert len({one.path for one in chosen}) == len(chosen) == 500


def test_the_choice_depends_on_the_seed_and_not_on_the_order() -> None:
    photographs = _photographs()
    first = choose(photographs, TASKS, 64, rng=np.random.default_rng(1))
    assert choose(photographs[::-1], TASKS, 64, rng=np.random.default_rng(1)) == first
    assert choose(photographs, TASKS, 64, rng=np.random.default_rng(2)) != first


def test_fewer_photographs_than_asked_for_are_all_taken() -> None:
    photographs = _photographs()[:5]
    chosen = choose(photographs, TASKS, 64, rng=np.random.default_rng(0))
    assert sorted(one.path for one in chosen) == [one.path for one in photographs]


def test_no_photographs_is_an_error() -> None:
    with pytest.raises(CalibrationError, match="no photograph to calibrate with"):
        choose([], TASKS, 64, rng=np.random.default_rng(0))


def test_a_count_below_one_is_an_error() -> None:
    with pytest.raises(CalibrationError, match="0 calibration photographs were asked for"):
        choose(_photographs(), TASKS, 0, rng=np.random.default_rng(0))


def test_rare_cameras_and_qualities_come_as_often_as_common_ones() -> None:
    looks = [{}] * 900 + [{"camera": "handheld"}] * 20 + [{"quality": "cataract"}] * 10
    photographs = [
        replace(one, grades={"dr": 0, "amd": 0}, source_csv=Path("a.csv"), extra=extra)
        for one, extra in zip(_photographs(), looks, strict=False)
    ]
    chosen = choose(photographs, TASKS, 46, rng=np.random.default_rng(0))
    assert Counter(tuple(one.extra.values()) for one in chosen) == {(): 18, ("handheld",): 18, ("cataract",): 10}


def test_the_first_ones_show_grades_evenly_and_looks_as_they_are() -> None:
    """Half of the chosen are of poor quality; so are the first, not all of them."""
    photographs = [
        replace(one, grades={"dr": index % 3, "amd": 0}, source_csv=Path("a.csv"), extra={"quality": quality})
        for index, (one, quality) in enumerate(
            zip(_photographs(), ["good"] * 900 + ["cataract", "dust", "haze", "dark"] * 15, strict=True)
        )
    ]
    chosen = choose(photographs, TASKS, 120, rng=np.random.default_rng(0))
    assert sum(one.extra["quality"] != "good" for one in chosen) == 60
    first = chosen[:30]
    assert Counter(one.grades["dr"] for one in first) == {0: 10, 1: 10, 2: 10}
    assert 8 <= sum(one.extra["quality"] != "good" for one in first) <= 22
