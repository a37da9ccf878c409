"""The short version: the same verdict, the main numbers, and nothing that a file name can break."""

from typing import Any

import pytest
from fakes.made_up_report import LOST, flip, full_report

from sall_edge.bench.measure import BenchReport
from sall_edge.bench.report.conclusion import conclude, names_of
from sall_edge.bench.report.markdown import markdown_from_reports
from sall_edge.spec import Profile, Task, TaskSet


@pytest.fixture
def tasks(retina_tasks: TaskSet) -> tuple[Task, ...]:
    return retina_tasks.tasks


def _markdown(tasks: tuple[Task, ...], *reports: BenchReport, **facts: str) -> str:
    names = names_of(reports)
    conclusions = [conclude(report, tasks, name=name) for report, name in zip(reports, names, strict=True)]
    return markdown_from_reports(reports, conclusions, tasks, title="A bench", facts=facts)


def _row(text: str, label: str) -> list[str]:
    (line,) = [line for line in text.splitlines() if line.startswith(f"| {label} |")]
    return [cell.strip() for cell in line.strip("|").split("|")][1:]


def test_it_has_the_verdict_and_the_main_numbers(tasks: tuple[Task, ...]) -> None:
    bare: dict[str, Any] = {"accuracy": {}, "reference": None, "flips": (), "stages": None, "monitored": None}
    bare["not_for_claims"] = ("it was short",)
    quick = full_report(tasks, engine="engines/bare", profile=Profile.QUICK, imageability=None, **bare)
    text = _markdown(tasks, full_report(tasks), quick, command="sall-edge bench engines/int8")
    assert text.startswith("# A bench\n\nResearch use only")
    assert f"**int8**: 1 photograph lost a referral against FP32 among 700 ({LOST})" in text
    assert "Speed is not for claims:\n\n- it was short" in text
    assert _row(text, "latency p90, ms") == ["13.50", "13.50"]
    assert _row(text, "file to verdict p50, ms") == ["39.20", "not measured"]
    assert _row(text, "times its floor") == ["1.23", "not measured"]
    assert _row(text, "energy per photograph, mJ") == ["177.5", "not known"]
    assert _row(text, "imageability") == ["97.2 %", "not measured"]
    assert _row(text, "Diabetic retinopathy: sensitivity") == [r"0.912 \[0.872, 0.949\]", "no labels"]
    assert _row(text, "Diabetic retinopathy: referrals lost / new against FP32") == ["1 / 1", "not compared"]
    assert "- command: `sall-edge bench engines/int8`" in text


def test_too_few_runs_have_no_number(tasks: tuple[Task, ...]) -> None:
    full = full_report(tasks)
    few = full.model_copy(update={"latency": full.latency.model_copy(update={"p99_ms": None})})
    text = _markdown(tasks, few)
    assert _row(text, "latency p99, ms") == ["too few runs"]
    assert "None" not in text


def test_many_changed_referrals_are_counted_and_not_all_named(tasks: tuple[Task, ...]) -> None:
    text = _markdown(tasks, full_report(tasks, flips=tuple(flip(f"{i:02d}.jpg") for i in range(33))))
    assert "| 19.jpg | dr | referable (0.610) | not referable (0.490) |" in text
    assert "| 20.jpg |" not in text
    assert "And 13 more." in text


def test_names_cannot_bring_markup_into_it(tasks: tuple[Task, ...]) -> None:
    hostile = "a|b <img src=x> `c` [d](http://e) *f*\ng.jpg"
    text = _markdown(tasks, full_report(tasks, engine=f"engines/{hostile}", flips=(flip(hostile),)), labels="`` `x` |")
    assert r"| a\|b \<img src=x\> \`c\` \[d\](http://e) \*f\* g.jpg | dr |" in text
    assert "<img" not in text.replace(r"\<img", "")
    assert "- labels: ``` `` `x` | ```" in text
