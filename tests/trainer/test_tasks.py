import pytest

from sall_edge.errors import LabelsError
from sall_edge.spec import Role, tasks_from_toml
from trainer.tasks import task_file, task_files


@pytest.mark.parametrize("name", task_files())
def test_every_task_file_that_ships_is_sound(name: str) -> None:
    tasks = tasks_from_toml(task_file(name)).tasks
    assert [(task.name, task.column, len(task.grades), task.referable_from) for task in tasks[:2]] == [
        ("dr", "dr_grade", 5, 2),
        ("amd", "amd_grade", 4, 2),
    ]


def test_quality_is_a_third_task_whose_labels_are_words() -> None:
    quality = tasks_from_toml(task_file("odir-quality")).tasks[2]
    assert quality.column == "quality"
    assert quality.role is Role.QUALITY
    assert quality.grade_from_label is not None
    assert {quality.grade_from_label[word] for word in ("reject", "reject_auto", "not_fundus")} == {2}


def test_an_unknown_name_is_an_error_that_lists_those_that_ship() -> None:
    with pytest.raises(LabelsError, match="no task file 'retinal'") as caught:
        task_file("retinal")
    assert caught.value.why == "these ship: odir, odir-quality, retina"
