"""What is graded: the rules of tasks and task files."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from sall_edge.errors import LabelsError
from sall_edge.spec import Role, Task, TaskSet, tasks_from_toml

ROUNDING = 1e-9
"""A handful of float64 sums."""


def _task(**changes: object) -> Task:
    values = {"name": "dr", "title": "DR", "column": "dr_grade", "grades": ("a", "b", "c"), "referable_from": 1}
    return Task.model_validate({**values, **changes})


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"name": "D R"}, "name"),
        ({"grades": ("only",)}, "grades"),
        ({"referable_from": 0}, "referable_from"),
        ({"referable_from": 3}, "the grades end at 2"),
        ({"grade_from_label": {"x": 3}}, "the grades end at 2"),
        ({"colour": "red"}, "colour"),
    ],
)
def test_an_inconsistent_task_is_refused(changes: dict[str, object], told: str) -> None:
    with pytest.raises(ValidationError, match=told):
        _task(**changes)


def test_two_tasks_of_one_name_are_refused() -> None:
    with pytest.raises(ValidationError, match="repeat"):
        TaskSet(tasks=(_task(), _task(title="again")))


def test_a_photograph_has_one_quality() -> None:
    with pytest.raises(ValidationError, match=r"\['dr', 'light'\] all have the role quality"):
        TaskSet(tasks=(_task(role="quality"), _task(name="light", role="quality")))


def test_a_task_is_a_disease_unless_it_says_otherwise() -> None:
    assert _task().role is Role.DISEASE


@given(st.lists(st.floats(0, 1), min_size=3, max_size=3), st.integers(1, 2))
def test_the_referable_probability_is_the_sum_from_the_first_referable_grade_on(
    probs: list[float], referable_from: int
) -> None:
    task = _task(referable_from=referable_from)
    assert task.referable_probability(probs) == pytest.approx(sum(probs[referable_from:]), abs=ROUNDING)


def test_a_task_file_becomes_its_tasks(tmp_path: Path) -> None:
    (tmp_path / "tasks.toml").write_text(
        '[[tasks]]\nname = "dr"\ntitle = "DR"\ncolumn = "c"\ngrades = ["no", "yes"]\nreferable_from = 1\n'
    )
    (task,) = tasks_from_toml(tmp_path / "tasks.toml").tasks
    assert task.grades == ("no", "yes")


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ("tasks = [", "is not TOML"),
        ("\xff", "breaks a rule|is not TOML"),
        ("", "tasks: Field required"),
        ('[[tasks]]\nname = "dr"\n', "tasks.0.title"),
    ],
)
def test_a_task_file_that_breaks_a_rule_says_which(tmp_path: Path, content: str, told: str) -> None:
    path = tmp_path / "tasks.toml"
    path.write_text(content, encoding="latin-1")
    with pytest.raises(LabelsError, match=told) as problem:
        tasks_from_toml(path)
    assert str(path) in problem.value.what
    assert problem.value.fix
