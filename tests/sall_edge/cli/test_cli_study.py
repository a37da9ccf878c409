import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from sall_edge.cli import command_line
from sall_edge.spec import Method


def test_a_method_that_does_not_exist_is_a_usage_error_that_names_the_others(tmp_path: Path) -> None:
    arguments = ["study", "tasks.toml", "--labels", "labels.csv", "--methods", "sall,magic", "-o", str(tmp_path)]
    result = CliRunner().invoke(command_line(), arguments)
    assert result.exit_code == 2
    assert all(method.value in result.output.replace("\n", " ") for method in Method if method is Method.SINGLE)


@pytest.mark.slow
def test_a_study_writes_its_table_its_numbers_and_its_picture(tmp_path: Path) -> None:
    made = CliRunner().invoke(command_line(), ["phantom", str(tmp_path / "set"), "--count", "60", "--side", "256"])
    assert made.exit_code == 0, made.output
    tasks = Path(__file__).parents[3] / "trainer" / "tasks" / "retina.toml"
    arguments = ["study", str(tasks), "--labels", str(tmp_path / "set" / "labels.csv"), "-o", str(tmp_path / "study")]
    arguments += ["--backbone", "test_efficientnet", "--weights", "none", "--frozen-groups", "0", "--views", "0"]
    arguments += ["--side", "64", "--epochs", "1", "--seeds", "1", "--methods", "single,sall"]
    result = CliRunner().invoke(command_line(), arguments)
    assert result.exit_code == 0, result.output
    assert "`sall`" in result.stdout
    rows = json.loads((tmp_path / "study" / "study.json").read_text())["rows"]
    assert {(row["method"], row["task"]) for row in rows} == {(m, t) for m in ("single", "sall") for t in ("dr", "amd")}
    assert (tmp_path / "study" / "study.md").read_text().strip() == result.stdout.strip()
    assert (tmp_path / "study" / "study.png").stat().st_size > 1000
