"""An engine beside its FP32 graph: what a changed mind about quality is, and what it is not."""

from dataclasses import replace
from pathlib import Path

import numpy as np

from sall_edge.artifacts import Engine
from sall_edge.bench.accuracy.gradable_set import GradableSet
from sall_edge.bench.accuracy.side_by_side import judge_answers
from sall_edge.fundus.labels import LabelledPhotograph
from sall_edge.spec import Role


def _looked() -> GradableSet:
    photographs = tuple(
        LabelledPhotograph(
            path=Path(f"{name}.jpg"), grades={"dr": 4, "amd": 3}, patient_id=name, eye="", split="", source_csv=Path(),
            extra={},
        )
        for name in "ab"
    )  # fmt: skip
    squares = np.zeros((2, 64, 64, 3), np.uint8)
    return GradableSet(photographs=photographs, squares=squares, sha256s=("a", "b"), stopped=())


def _judging(engine: Engine) -> Engine:
    """The engine whose first task is the photograph's quality."""
    quality, amd = engine.manifest.tasks
    tasks = (quality.model_copy(update={"role": Role.QUALITY}), amd)
    return replace(engine, manifest=engine.manifest.model_copy(update={"tasks": tasks}))


def test_a_photograph_that_only_fp32_holds_ungradable_has_lost_no_referral(tiny_engine: Engine) -> None:
    judging, (quality, amd) = _judging(tiny_engine), tiny_engine.manifest.tasks
    certain = {task.name: np.eye(len(task.grades), dtype=np.float32) for task in (quality, amd)}
    before = {name: grades[[-1, -1]] for name, grades in certain.items()}
    after = {name: grades[[0, 0]] for name, grades in certain.items()}
    as_diseases = judge_answers(tiny_engine, _looked(), before, after)
    as_quality = judge_answers(judging, _looked(), before, after)
    assert {flip.task for flip in as_diseases["flips"]} == {"dr", "amd"}
    assert {flip.task for flip in as_quality["flips"]} == {"amd"}
    assert as_quality["reference"].referred == {"amd": 2}
    assert as_quality["accuracy"] == as_diseases["accuracy"]  # how right it is about quality is still measured


def test_what_the_engines_own_quality_task_refuses_is_a_retake_and_no_grade_of_a_disease(tiny_engine: Engine) -> None:
    judging = _judging(tiny_engine)
    certain = {task.name: np.eye(len(task.grades), dtype=np.float32) for task in judging.manifest.tasks}
    after = {"dr": certain["dr"][[-1, 0]], "amd": certain["amd"][[0, -1]]}  # the first one is refused
    before = {"dr": certain["dr"][[0, 0]], "amd": certain["amd"][[-1, -1]]}
    found = judge_answers(judging, _looked(), before, after)
    assert found["photographs"] == 1
    assert found["retakes"] == {"a.jpg": ("quality_head",)}
    assert (found["imageability"].n, found["imageability"].gradable) == (2, 1)
    assert found["imageability"].reasons == {"quality_head": 1}
    assert found["flips"] == ()  # that FP32 refers the first one for AMD is no lost referral: it is taken again
    assert found["reference"].referred == {"amd": 1}
    assert found["reference"].agreement == {"dr": 0.5, "amd": 1.0}
    for accuracy in (found["accuracy"], found["reference"].accuracy):
        assert {name: task.n for name, task in accuracy.items()} == {"dr": 2, "amd": 1}
    assert sum(bar.n for bar in found["reliability"]["amd"]) == 1
    assert [answer.image for answer in found["answers"]] == ["a.jpg", "b.jpg"]


def test_an_engine_that_refuses_everything_has_no_accuracy_of_a_disease(tiny_engine: Engine) -> None:
    judging = _judging(tiny_engine)
    refused = {task.name: np.eye(len(task.grades), dtype=np.float32)[[-1, -1]] for task in judging.manifest.tasks}
    found = judge_answers(judging, _looked(), refused, refused)
    assert found["photographs"] == 0
    assert set(found["accuracy"]) == set(found["reference"].agreement) == {"dr"}
