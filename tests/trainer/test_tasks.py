import pytest

from sall_edge.errors import LabelsError
from sall_edge.spec import tasks_from_toml
from trainer.tasks import task_file, task_files


@pytest.mark.parametrize("name", task_files())
def test_every_task_file_that_ships_is_sound(name: str) -> None:
    tasks = tasks_from_toml(task_file(name)).tasks
    assert [(task.name, task.column, len(task.grades), task.referable_from) for task in tasks] == [
        ("dr", "dr_grade", 5, 2),
        ("amd", "amd_grade", 4, 2),
    ]


def test_an_unknown_name_is_an_error_that_lists_those_that_ship() -> None:
    with pytest.raises(LabelsError, match="no task file 'retinal'") as caught:
        task_file("retinal")
    assert caught.value.why == "these ship: odir, retina"
