"""Groups by column: each photograph once per column, nobody lost, and no number where the labels leave it open."""

from pathlib import Path

import numpy as np
import pytest

from sall_edge.bench.accuracy.columns import MOST_VALUES, find_groups, measure_imageability
from sall_edge.bench.accuracy.gradable_set import GradableSet, Stopped
from sall_edge.bench.accuracy.grading import Flip, measure_accuracy
from sall_edge.fundus.labels import LabelledPhotograph
from sall_edge.spec import Task

TASK = Task(name="dr", title="DR", column="dr_grade", grades=("none", "some"), referable_from=1)
POINTS = {"dr": 0.5}


def _photograph(i: int, *, grade: int | None = None, camera: str = "", patient: str = "") -> LabelledPhotograph:
    return LabelledPhotograph(
        path=Path(f"{i}.jpg"),
        grades={"dr": grade},
        patient_id=patient or str(i),
        eye="LR"[i % 2],
        split="test",
        source_csv=Path("labels.csv"),
        extra={"camera": camera, "age": str(i)},
    )


def _set(photographs: list[LabelledPhotograph], stopped: list[Stopped]) -> GradableSet:
    return GradableSet(
        photographs=tuple(photographs),
        squares=np.zeros((len(photographs), 1, 1, 3), np.uint8),
        sha256s=tuple(str(photograph.path) for photograph in photographs),
        stopped=tuple(stopped),
    )


@pytest.fixture
def looked() -> GradableSet:
    photographs = [_photograph(i, grade=i % 3 == 0, camera="ab"[i % 2]) for i in range(20)]
    stopped = [
        Stopped(photograph=_photograph(20, camera="a"), reasons=("too_dark", "out_of_focus")),
        Stopped(photograph=_photograph(21, camera="c"), reasons=("unreadable",), error="it is empty"),
    ]
    return _set(photographs, stopped)


@pytest.fixture
def probs(looked: GradableSet) -> dict[str, np.ndarray]:
    referable = np.random.default_rng(0).random(len(looked.photographs)).astype(np.float32)
    return {"dr": np.stack([1 - referable, referable], axis=1)}


def test_every_photograph_is_in_one_group_of_each_column(looked: GradableSet, probs: dict[str, np.ndarray]) -> None:
    groups = find_groups(looked.photographs, looked.stopped, [TASK], probs, POINTS, ())
    assert [(group.column, group.value) for group in groups] == [
        ("eye", "L"), ("eye", "R"), ("camera", "a"), ("camera", "b"), ("camera", "c"),
    ]  # fmt: skip
    for column in ("eye", "camera"):
        of_column = [group.imageability for group in groups if group.column == column]
        assert sum(seen.n for seen in of_column) == 22
        assert sum(seen.gradable for seen in of_column) == 20


def test_a_group_is_measured_on_its_own_photographs(looked: GradableSet, probs: dict[str, np.ndarray]) -> None:
    (group,) = (
        g
        for g in find_groups(looked.photographs, looked.stopped, [TASK], probs, POINTS, ())
        if (g.column, g.value) == ("camera", "b")
    )
    mine = [i for i, photograph in enumerate(looked.photographs) if photograph.extra["camera"] == "b"]
    alone = measure_accuracy([looked.photographs[i] for i in mine], [TASK], {"dr": probs["dr"][mine]}, POINTS)
    assert group.accuracy["dr"].model_copy(update={"interval": {}}) == alone["dr"].model_copy(
        update={"interval": {}, "ece_if_calibrated": group.accuracy["dr"].ece_if_calibrated}
    )
    assert group.accuracy["dr"].interval.keys() == alone["dr"].interval.keys()


def test_a_group_of_nobody_gradable_has_imageability_only(looked: GradableSet, probs: dict[str, np.ndarray]) -> None:
    group = find_groups(looked.photographs, looked.stopped, [TASK], probs, POINTS, ())[-1]
    assert (group.value, group.imageability.n, group.imageability.gradable) == ("c", 1, 0)
    assert group.imageability.reasons == {"unreadable": 1}
    assert group.accuracy == {}


def test_flips_are_counted_where_they_lie(looked: GradableSet, probs: dict[str, np.ndarray]) -> None:
    flips = [
        Flip(
            image=f"{i}.jpg",
            task="dr",
            before="referable",
            after="not referable",
            probability_before=0.6,
            probability_after=0.4,
        )
        for i in (0, 2, 3)
    ]
    groups = find_groups(looked.photographs, looked.stopped, [TASK], probs, POINTS, flips)
    assert {group.value: group.flips["dr"] for group in groups if group.column == "eye"} == {"L": 2, "R": 1}


def test_a_column_of_one_value_or_of_many_makes_no_groups(looked: GradableSet, probs: dict[str, np.ndarray]) -> None:
    columns = {group.column for group in find_groups(looked.photographs, looked.stopped, [TASK], probs, POINTS, ())}
    assert columns == {"eye", "camera"}  # one CSV, and 22 ages
    assert len(looked.photographs) > MOST_VALUES


def test_a_group_without_referable_labels_has_no_sensitivity() -> None:
    photographs = [_photograph(i, grade=0, camera="ab"[i % 2]) for i in range(4)]
    probs = {"dr": np.full((4, 2), 0.5, np.float32)}
    groups = find_groups(photographs, [], [TASK], probs, POINTS, ())
    for group in (group for group in groups if group.column == "camera"):
        assert group.accuracy["dr"].n == 2
        assert group.accuracy["dr"].sensitivity is None
        assert group.accuracy["dr"].referable_auc is None


def test_imageability_resamples_patients() -> None:
    good = [_photograph(i, patient=f"p{i // 10}") for i in range(90)]
    bad = [Stopped(photograph=_photograph(i, patient="p9"), reasons=("too_dark",)) for i in range(90, 100)]
    seen = measure_imageability(good, bad, rng=np.random.default_rng(0))
    assert (seen.n, seen.gradable, seen.share) == (100, 90, 0.9)
    assert seen.reasons == {"too_dark": 10}
    assert seen.interval[0] <= 0.7  # ten patients, one of them bad: 2 and more of ten are drawn often
    alone = measure_imageability(
        [_photograph(i) for i in range(90)],
        [Stopped(photograph=_photograph(i), reasons=("too_dark",)) for i in range(90, 100)],
        rng=np.random.default_rng(0),
    )
    assert alone.interval[0] > 0.8


def test_imageability_of_nobody_is_refused() -> None:
    with pytest.raises(ValueError, match="no photograph"):
        measure_imageability([], [], rng=np.random.default_rng(0))
