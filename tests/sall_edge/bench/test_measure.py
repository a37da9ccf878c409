"""An engine against its FP32 graph: who is no longer referred comes first, and nobody disappears."""

from pathlib import Path

import pytest

from sall_edge.artifacts import Engine
from sall_edge.bench.accuracy.gradable_set import look_at_all
from sall_edge.bench.accuracy.grading import find_flips, measure_accuracy, predict_all
from sall_edge.bench.measure import BenchReport, bench
from sall_edge.bench.monitors.processor import Processor
from sall_edge.fundus.labels import LabelledPhotograph, in_split, read_labels
from sall_edge.runtime.session import open_reference, open_session
from sall_edge.spec import Profile, TaskSet

DEVICE = {"cpu": "a CPU", "versions": {"numpy": "2"}}


@pytest.fixture
def brief(monkeypatch: pytest.MonkeyPatch) -> Profile:
    """The quick profile, cut to a moment."""
    monkeypatch.setattr(Profile, "seconds", 0.01)
    return Profile.QUICK


@pytest.fixture
def test_photographs(phantom_labels: Path, retina_tasks: TaskSet) -> tuple[LabelledPhotograph, ...]:
    return in_split(read_labels([phantom_labels], retina_tasks), "test")


def test_agreement_and_flips_are_those_of_the_engine_and_its_own_fp32_graph(
    tiny_engine: Engine, test_photographs: tuple[LabelledPhotograph, ...], brief: Profile
) -> None:
    prepared = look_at_all(test_photographs, tiny_engine.manifest.image)
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
    assert report.photographs == len(prepared.photographs) > 0
    assert report.tasks == tasks
    for task in tasks:
        for matrix in (report.confusion[task.name], report.reference.confusion[task.name]):
            assert sum(map(sum, matrix)) == report.accuracy[task.name].n
    assert [(g.column, g.value) for g in report.groups] == [(g.column, g.value) for g in report.reference.groups]
    assert report.imageability is not None
    assert report.imageability.n == len(test_photographs)
    assert [answer.probs["dr"] for answer in report.answers] == [tuple(float(str(p)) for p in q) for q in after["dr"]]
    assert BenchReport.model_validate_json(report.model_dump_json(by_alias=True)) == report
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
