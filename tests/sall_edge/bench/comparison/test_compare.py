"""Two files in, what changed out; a run against itself says that nothing did."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from fakes.benched import TASK, answers, benched

from sall_edge.bench.accuracy.metrics import TaskAccuracy
from sall_edge.bench.comparison.compare import compare_runs, match_engines, read_reports
from sall_edge.bench.measure import BenchReport
from sall_edge.errors import ArtefactForeign, ArtefactMissing
from sall_edge.spec import Profile, Role


def _written(folder: Path, content: Any) -> Path:
    path = folder / "run.json"
    path.write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")
    return path


def _dumped(*reports: BenchReport) -> list[dict[str, Any]]:
    return [report.model_dump(mode="json", by_alias=True) for report in reports]


def test_a_run_against_itself_says_that_nothing_changed() -> None:
    report = benched(of=answers(0, noise=0.3))
    comparison = compare_runs(report, report)
    assert comparison.circumstances == ()
    assert comparison.speed_obstacles == ()
    assert comparison.flips == ()
    assert comparison.photographs is not None
    assert comparison.photographs.both == 200
    shifts = [*comparison.speed.values(), *comparison.accuracy["dr"].values()]
    assert all(shift.before == shift.after and shift.is_noise is not False for shift in shifts)
    assert comparison.referrals["dr"].is_noise


def test_a_planted_difference_is_found_in_speed_and_in_accuracy() -> None:
    comparison = compare_runs(benched(0, of=answers(0, skill=1.5)), benched(1, p50_ms=6.0, of=answers(0, skill=0.4)))
    assert comparison.speed["p50_over_time_ms"].is_noise is False
    assert comparison.accuracy["dr"]["referable_auc"].is_noise is False
    assert len(comparison.flips) == comparison.referrals["dr"].lost + comparison.referrals["dr"].gained > 0
    assert [flip.after for flip in comparison.flips] == sorted(flip.after for flip in comparison.flips)


def test_circumstances_that_differ_are_named() -> None:
    after = benched().model_copy(
        update={"engine_sha256": "cd" * 32, "versions": {"numpy": "2"}, "profile": Profile.QUICK}
    )
    comparison = compare_runs(benched(), after)
    assert {one.name: (one.before, one.after) for one in comparison.circumstances} == {
        "engine_sha256": ("ab" * 32, "cd" * 32),
        "profile": ("standard", "quick"),
        "versions.openvino": ("2026.1", None),
        "versions.numpy": (None, "2"),
    }
    assert comparison.speed_obstacles == ("other profiles: standard -> quick",)
    assert not any("one run each" in caution for caution in comparison.cautions)


def test_what_keeps_a_run_from_being_quoted_is_passed_on() -> None:
    throttled = benched().model_copy(update={"not_for_claims": ("the clock fell by 30 %",)})
    cautions = compare_runs(throttled, benched()).cautions
    assert "before: the clock fell by 30 %" in cautions
    assert any("one run each" in caution for caution in cautions)


def test_a_task_of_another_meaning_is_not_compared() -> None:
    other = benched(of=answers(0)).model_copy(update={"tasks": (TASK.model_copy(update={"referable_from": 2}),)})
    comparison = compare_runs(benched(of=answers(0)), other)
    assert "dr is not the same task in both runs: it is not compared" in comparison.cautions
    assert comparison.accuracy == comparison.referrals == {}


def test_runs_without_answers_are_shown_and_not_tested() -> None:
    accuracy = TaskAccuracy(
        n=9,
        accuracy=0.5,
        quadratic_weighted_kappa=None,
        referable_auc=0.9,
        sensitivity=0.8,
        specificity=0.7,
        ece=0.1,
        ece_if_calibrated=(0.1, 0.2),
        brier=0.3,
        aurc=0.1,
        interval={},
    )
    old = benched().model_copy(update={"accuracy": {"dr": accuracy}})
    comparison = compare_runs(old, old)
    assert comparison.photographs is None
    assert comparison.accuracy["dr"]["referable_auc"].before == 0.9
    assert comparison.accuracy["dr"]["referable_auc"].is_noise is None
    assert any("a run without answers" in caution for caution in comparison.cautions)


def test_runs_without_a_common_photograph_have_no_accuracy_to_compare() -> None:
    run = answers(0)
    comparison = compare_runs(benched(of=run[:100]), benched(of=run[100:]))
    assert comparison.photographs is not None
    assert (comparison.photographs.both, comparison.photographs.only_before) == (0, 100)
    assert comparison.accuracy == comparison.referrals == {}


def test_a_report_is_read_as_it_was_written(tmp_path: Path) -> None:
    report = benched(of=answers(0, count=4))
    assert read_reports(_written(tmp_path, _dumped(report)[0])) == (report,)
    assert read_reports(_written(tmp_path, _dumped(report, report))) == (report, report)


def _without_a_probability(dumped: dict[str, Any]) -> dict[str, Any]:
    dumped["answers"][0]["probs"]["dr"].pop()
    return dumped


def _without_a_point(dumped: dict[str, Any]) -> dict[str, Any]:
    return {**dumped, "operating_points": {}}


@pytest.mark.parametrize(
    ("content", "what", "why"),
    [
        ("{", "is no JSON", "Expecting property name"),
        ([], "is no report of bench", "its list is empty"),
        ({"n": 3}, "is no report of bench", "0.engine: Field required"),
        (_without_a_probability(_dumped(benched(of=answers(0, count=2)))[0]), "is damaged", "images/0.jpg"),
        (_without_a_point(_dumped(benched(of=answers(0, count=2)))[0]), "is damaged", "no operating point for dr"),
    ],
)
def test_a_file_that_is_no_report_is_refused_with_a_remedy(tmp_path: Path, content: Any, what: str, why: str) -> None:
    with pytest.raises(ArtefactForeign, match=what) as problem:
        read_reports(_written(tmp_path, content))
    assert why in problem.value.why
    assert "sall-edge bench" in problem.value.fix


def test_a_file_that_is_not_there_is_said(tmp_path: Path) -> None:
    with pytest.raises(ArtefactMissing, match="cannot read"):
        read_reports(tmp_path / "gone.json")


def _named(*names: str) -> Sequence[BenchReport]:
    return [benched(i).model_copy(update={"engine": name}) for i, name in enumerate(names)]


def test_engines_are_matched_by_name_and_the_only_ones_whatever_they_are_called() -> None:
    assert [(a.engine, b.engine) for a, b in match_engines(_named("x", "y"), _named("z", "y", "x"))] == [
        ("x", "x"),
        ("y", "y"),
    ]
    assert [(a.engine, b.engine) for a, b in match_engines(_named("x"), _named("y"))] == [("x", "y")]
    with pytest.raises(ArtefactForeign, match="no engine in common") as problem:
        match_engines(_named("x", "y"), _named("z"))
    assert problem.value.why == "x (openvino-cpu), y (openvino-cpu) against z (openvino-cpu)"


def test_a_changed_mind_about_quality_is_measured_and_no_referral() -> None:
    judging = TASK.model_copy(update={"role": Role.QUALITY})
    runs = [benched(of=answers(0, skill=skill)).model_copy(update={"tasks": (judging,)}) for skill in (1.5, 0.4)]
    comparison = compare_runs(*runs)
    assert comparison.accuracy["dr"]["referable_auc"].is_noise is False
    assert comparison.referrals == {}
    assert comparison.flips == ()
    assert comparison.photographs is not None
    assert comparison.photographs.both < 200  # of those that neither run sends back
    as_a_disease = compare_runs(runs[0], benched(of=answers(0)))
    assert "dr is not the same task in both runs: it is not compared" in as_a_disease.cautions
