"""An engine against its FP32 graph: who is no longer referred comes first, and nobody disappears."""

import json
from pathlib import Path

import numpy as np
import pytest

from sall_edge.artifacts import Engine
from sall_edge.bench.measure import bench, find_flips, measure_accuracy, predict_all
from sall_edge.bench.monitors.processor import Processor
from sall_edge.fundus.labels import LabelledPhotograph, in_split, read_labels
from sall_edge.fundus.prepared_set import prepare_set
from sall_edge.runtime.session import open_reference, open_session
from sall_edge.spec import Profile, Task, TaskSet

TASKS = (
    Task(name="dr", title="DR", column="dr_grade", grades=("none", "some", "much"), referable_from=1),
    Task(name="amd", title="AMD", column="amd_grade", grades=("none", "some"), referable_from=1),
)
POINTS = {"dr": 0.5, "amd": 0.5}
DEVICE = {"cpu": "a CPU", "versions": {"numpy": "2"}}


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


@pytest.fixture
def brief(monkeypatch: pytest.MonkeyPatch) -> Profile:
    """The quick profile, cut to a moment."""
    monkeypatch.setattr(Profile, "seconds", 0.01)
    return Profile.QUICK


@pytest.fixture
def test_photographs(phantom_labels: Path, retina_tasks: TaskSet) -> tuple[LabelledPhotograph, ...]:
    return in_split(read_labels([phantom_labels], retina_tasks), "test")


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


def test_agreement_and_flips_are_those_of_the_engine_and_its_own_fp32_graph(
    tiny_engine: Engine, test_photographs: tuple[LabelledPhotograph, ...], brief: Profile
) -> None:
    prepared = prepare_set(test_photographs, tiny_engine.manifest.image)
    report = bench(tiny_engine, prepared, brief, device=DEVICE)
    with open_session(tiny_engine) as int8, open_reference(tiny_engine) as fp32:
        after, before = predict_all(int8, prepared.squares), predict_all(fp32, prepared.squares)
    assert report.reference is not None
    tasks, points = tiny_engine.manifest.tasks, tiny_engine.manifest.operating_points
    for task in tasks:
        same = (before[task.name].argmax(axis=1) == after[task.name].argmax(axis=1)).mean()
        assert report.reference.agreement[task.name] == pytest.approx(same)
        assert sum(bar.n for bar in report.reliability[task.name]) == report.accuracy[task.name].n
    assert report.flips == find_flips(prepared.photographs, tasks, before, after, points)
    assert report.accuracy == measure_accuracy(prepared.photographs, tasks, after, points)
    assert report.reference.accuracy == measure_accuracy(prepared.photographs, tasks, before, points)
    assert report.photographs == len(test_photographs)
    assert report.stages is not None
    assert report.stages.photographs >= 1


def test_without_photographs_only_speed_is_measured(tiny_engine: Engine, brief: Profile) -> None:
    report = bench(tiny_engine, None, brief, device=DEVICE)
    assert report.latency.n >= 1
    assert report.versions == {"numpy": "2"}
    assert report.device == {"cpu": "a CPU"}
    assert report.reference is None
    assert report.accuracy == {}
    assert report.stages is None
    assert report.monitored is not None


def test_a_machine_that_slowed_itself_down_is_not_for_claims(
    tiny_engine: Engine, brief: Profile, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The counter of throttling grows by itself; the rest of the machine is this one."""
    monkeypatch.setattr(Processor, "slowed", lambda processor: ("the CPU throttled itself",))
    report = bench(tiny_engine, None, brief, device=DEVICE)
    assert report.monitored is not None
    assert report.monitored.throttled == ("the CPU throttled itself",)
    assert "the CPU throttled itself" in report.not_for_claims
