"""`bench --compare` on files: text for people, JSON for machines, and usage errors before anything is measured."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from fakes.benched import answers, benched

from sall_edge.bench.measure import BenchReport

Run = Callable[..., Any]  # the fixture of tests/conftest.py


def _file(folder: Path, name: str, *reports: BenchReport) -> Path:
    objects = [report.model_dump(mode="json", by_alias=True) for report in reports]
    path = folder / name
    path.write_text(json.dumps(objects[0] if len(objects) == 1 else objects), encoding="utf-8")
    return path


@pytest.fixture
def two_runs(tmp_path: Path) -> tuple[Path, Path]:
    before = benched(0, of=answers(0, skill=1.5))
    after = benched(1, p50_ms=6.0, of=answers(0, skill=0.4)).model_copy(update={"engine_sha256": "cd" * 32})
    return _file(tmp_path, "a.json", before), _file(tmp_path, "b.json", after)


def _line(text: str, start: str) -> str:
    return next(line for line in text.splitlines() if line.strip().startswith(start))


def test_the_text_names_circumstances_first_and_says_what_is_noise(sall_edge: Run, two_runs: tuple[Path, Path]) -> None:
    done = sall_edge("bench", "--compare", *two_runs)
    assert done.code == 0, done.err
    assert (
        done.out.index("engine_sha256")
        < done.out.index("note: one run each")
        < done.out.index("p50_ms")
        < done.out.index("dr referable_auc")
    )
    assert "beyond noise (within these runs" in _line(done.out, "p50_over_time_ms")
    assert "not tested" in _line(done.out, "p90_ms")
    assert "beyond noise (paired bootstrap by patient)" in _line(done.out, "dr referable_auc")
    assert "exact McNemar p = " in _line(done.out, "dr referrals")
    assert "on the 200 photographs that both runs graded (only before 0, only after 0)" in done.out
    assert "labelled " in _line(done.out, "images/")


def test_a_run_against_itself_is_the_same(sall_edge: Run, two_runs: tuple[Path, Path]) -> None:
    done = sall_edge("bench", "--compare", two_runs[0], two_runs[0])
    assert done.code == 0
    assert "same engine, machine, versions and profile" in done.out
    assert "beyond noise" not in done.out
    assert "the same" in _line(done.out, "dr referable_auc")
    assert "0 lost, 0 new of 200" in _line(done.out, "dr referrals")


def test_another_machine_is_said_before_its_speed(sall_edge: Run, tmp_path: Path) -> None:
    other = benched(1).model_copy(update={"device": {"cpu": "another CPU"}})
    done = sall_edge("bench", "--compare", _file(tmp_path, "a.json", benched()), _file(tmp_path, "b.json", other))
    assert "device.cpu" in done.out
    assert done.out.index("speed is not comparable: other machines") < done.out.index("p50_ms")


def test_the_json_is_an_object_for_one_engine_and_a_list_for_several(
    sall_edge: Run, two_runs: tuple[Path, Path], tmp_path: Path
) -> None:
    one = json.loads(sall_edge("bench", "--compare", *two_runs, "--json").out)
    assert one["speed"]["p50_over_time_ms"]["is_noise"] is False
    assert one["flips"][0]["from"] == "referable"
    pair = [benched(i).model_copy(update={"engine": name}) for i, name in enumerate("xy")]
    run = _file(tmp_path, "c.json", *pair)
    several = json.loads(sall_edge("bench", "--compare", run, run, "--json").out)
    assert [each["before"] for each in several] == ["x", "y"]


def test_a_bad_file_is_an_error_with_a_remedy(sall_edge: Run, two_runs: tuple[Path, Path], tmp_path: Path) -> None:
    (tmp_path / "bad.json").write_text("{", encoding="utf-8")
    done = sall_edge("bench", "--compare", two_runs[0], tmp_path / "bad.json")
    assert done.code == 1
    assert "bad.json is no JSON" in done.err
    assert "fix: give the output of sall-edge bench ENGINE --json" in done.err


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((), "name engines to measure"),
        (("engine", "--compare", "a.json", "b.json"), "and not both"),
        (("--compare", "a.json", "b.json", "--labels", "labels.csv"), "neither --labels"),
        (("--compare", "a.json"), "requires 2 arguments"),
    ],
)
def test_what_cannot_be_meant_is_a_usage_error(sall_edge: Run, arguments: tuple[str, ...], said: str) -> None:
    done = sall_edge("bench", *arguments)
    assert done.code == 2
    assert said in " ".join(done.err.replace("│", " ").split())
