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


def test_a_photograph_that_only_fp32_holds_ungradable_has_lost_no_referral(tiny_engine: Engine) -> None:
    quality, amd = tiny_engine.manifest.tasks
    certain = {task.name: np.eye(len(task.grades), dtype=np.float32) for task in (quality, amd)}
    before = {name: grades[[-1, -1]] for name, grades in certain.items()}
    after = {name: grades[[0, 0]] for name, grades in certain.items()}
    as_diseases = judge_answers(tiny_engine, _looked(), before, after)
    tasks = (quality.model_copy(update={"role": Role.QUALITY}), amd)
    manifest = tiny_engine.manifest.model_copy(update={"tasks": tasks})
    as_quality = judge_answers(replace(tiny_engine, manifest=manifest), _looked(), before, after)
    assert {flip.task for flip in as_diseases["flips"]} == {"dr", "amd"}
    assert {flip.task for flip in as_quality["flips"]} == {"amd"}
    assert as_quality["reference"].referred == {"amd": 2}
    assert as_quality["accuracy"] == as_diseases["accuracy"]  # how right it is about quality is still measured
