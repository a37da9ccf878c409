from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from sall_edge.artifacts import Checkpoint
from sall_edge.errors import ArtefactForeign
from sall_edge.spec import ImageSpec, Task, TaskSet
from trainer.checkpoint import load_network, save_checkpoint
from trainer.data import Squares
from trainer.distill import read_targets, soft_labels, write_targets
from trainer.network import SallNetwork
from trainer.progress import Silence


def teacher(folder: Path, task: Task, seed: int) -> Checkpoint:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = SallNetwork(backbone="test_efficientnet", tasks=(task,), mean=(0.5,) * 3, std=(0.5,) * 3)
    return save_checkpoint(
        folder, network.eval(), image=ImageSpec(side_px=32), tasks=(task,), operating_points={task.name: 0.5},
        temperatures={task.name: 1.0}, provenance={},
    )  # fmt: skip


@pytest.fixture
def teachers(tasks: TaskSet, tmp_path: Path) -> dict[str, Checkpoint]:
    return {task.name: teacher(tmp_path / task.name, task, seed) for seed, task in enumerate(tasks.tasks)}


@pytest.fixture
def squares(tasks: TaskSet) -> Squares:
    pixels = np.random.default_rng(0).integers(0, 256, (40, 32, 32, 3), dtype=np.uint8)
    return Squares(
        pixels=pixels,
        rows=np.arange(40)[::-1].copy(),
        labels=np.zeros((40, 2), dtype=np.int64),
        patients=tuple(map(str, range(40))),
        paths=tuple(Path(f"{i}.png") for i in range(40)),
        tasks=tasks.tasks,
    )


def test_targets_are_the_teachers_logits_and_features_in_the_order_of_the_squares(teachers, squares, tmp_path) -> None:
    write_targets(tmp_path / "targets.safetensors", teachers, squares, device=torch.device("cpu"), progress=Silence())
    targets = read_targets(tmp_path / "targets.safetensors", teachers, squares)
    network = load_network(teachers["red"])
    with torch.inference_mode():
        pooled = network.pooled(squares.images(np.array([7])))
        logits = network.graded(pooled)["red"]
    # Another batch size sums in another order.
    assert torch.allclose(targets.logits["red"][7:8], logits, atol=1e-5)
    assert torch.allclose(targets.features["red"][7:8], pooled, atol=1e-5)
    assert targets.logits["green"].shape == (40, 2)


def test_targets_of_another_version_are_refused(teachers, squares, tmp_path) -> None:
    path = tmp_path / "targets.safetensors"
    save_file({"red": torch.zeros(40, 3)}, path, metadata={"binding": "{}"})
    with pytest.raises(ArtefactForeign, match="written by another version"):
        read_targets(path, teachers, squares)


def test_soft_labels_are_probabilities_that_the_temperature_softens() -> None:
    logits = {"red": torch.tensor([[0.0, 3.0]])}
    warm, hot = soft_labels(logits, 1.0)["red"], soft_labels(logits, 3.0)["red"]
    assert torch.allclose(hot.sum(dim=1), torch.ones(1))
    assert torch.allclose(hot, torch.tensor([[0.0, 1.0]]).softmax(dim=1))
    assert hot[0, 1] < warm[0, 1]


def test_targets_of_another_teacher_are_refused(teachers, squares, tasks, tmp_path) -> None:
    path = tmp_path / "targets.safetensors"
    write_targets(path, teachers, squares, device=torch.device("cpu"), progress=Silence())
    other = teachers | {"green": teacher(tmp_path / "other", tasks.tasks[1], 9)}
    with pytest.raises(ArtefactForeign, match="made by another teacher") as caught:
        read_targets(path, other, squares)
    assert "green" in caught.value.why
    assert str(path) in caught.value.fix


def test_targets_of_other_photographs_are_refused(teachers, squares, tmp_path) -> None:
    path = tmp_path / "targets.safetensors"
    write_targets(path, teachers, squares, device=torch.device("cpu"), progress=Silence())
    with pytest.raises(ArtefactForeign, match="for other photographs"):
        read_targets(path, teachers, squares.at(np.arange(39)))


def test_a_damaged_targets_file_is_refused(teachers, squares, tmp_path) -> None:
    path = tmp_path / "targets.safetensors"
    path.write_bytes(b"12345678")
    with pytest.raises(ArtefactForeign, match="cannot read"):
        read_targets(path, teachers, squares)
