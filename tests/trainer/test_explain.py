from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from engines.export import ExportedNetwork
from sall_edge.artifacts import Checkpoint
from sall_edge.errors import TrainingError
from sall_edge.fundus.phantom import phantom_at, record_at
from sall_edge.fundus.prepare import prepare
from sall_edge.spec import ImageSpec, Task, TaskSet
from trainer.checkpoint import save_checkpoint
from trainer.explain import Examples, activation_maps, explain, phantom_examples
from trainer.network import SallNetwork

SIDE = 32
SAME = 1e-4
"""Sums over channels in another order, float32, relative to maps of about one logit."""

DR = Task(name="dr", title="DR", column="dr", grades=("0", "1", "2", "3", "4"), referable_from=2)
AMD = Task(name="amd", title="AMD", column="amd", grades=("0", "1", "2", "3"), referable_from=2)


def checkpoint_of(network: SallNetwork, folder: Path, operating_point: float) -> Checkpoint:
    names = [task.name for task in network.tasks]
    return save_checkpoint(
        folder / "checkpoint", network, image=ImageSpec(side_px=SIDE), tasks=network.tasks,
        operating_points=dict.fromkeys(names, operating_point), temperatures=dict.fromkeys(names, 1.0), provenance={},
    )  # fmt: skip


def squares_of(count: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (count, SIDE, SIDE, 3), dtype=np.uint8)


def test_maps_are_those_of_the_exported_graph(network: SallNetwork) -> None:
    squares = squares_of(5)
    maps = activation_maps(network.eval(), squares, batch_size=2)
    with torch.no_grad():
        exported = ExportedNetwork(network, {"red": 2.0, "green": 0.5})(torch.from_numpy(squares))
    for name, expected in zip(("red", "green"), exported[1::2], strict=True):
        assert maps[name].dtype == np.float32
        assert np.allclose(maps[name], expected.numpy(), atol=SAME)


def test_a_map_averages_to_the_difference_of_the_logits(network: SallNetwork) -> None:
    squares = squares_of(3)
    maps = activation_maps(network.eval(), squares)["red"]
    with torch.no_grad():
        logits = network(torch.from_numpy(squares))["red"] - network.heads["red"].bias
    difference = logits[:, 1:].mean(dim=1) - logits[:, 0]
    assert np.allclose(maps.mean(axis=(1, 2)), difference.numpy(), atol=SAME)


def test_no_squares_give_no_maps(network: SallNetwork) -> None:
    assert len(activation_maps(network.eval(), squares_of(0))["red"]) == 0


def test_a_head_that_is_not_linear_has_no_map(network: SallNetwork) -> None:
    network.heads["red"] = nn.Sequential(nn.ReLU())
    with pytest.raises(TypeError, match="head red is a Sequential"):
        activation_maps(network.eval(), squares_of(1))


def test_phantoms_come_with_lesions_on_their_squares() -> None:
    image = ImageSpec(side_px=128)
    examples = phantom_examples(5, (DR, AMD), image, seed=3, side_px=256)
    referable = [r for r in (record_at(3, i) for i in range(100)) if r.dr_grade >= 2 or r.amd_grade >= 2][:5]
    assert list(examples.grades["dr"]) == [record.dr_grade for record in referable]
    assert list(examples.grades["amd"]) == [record.amd_grade for record in referable]
    assert examples.patients == tuple(record.patient_id for record in referable)
    for i, record in enumerate(referable):
        phantom = phantom_at(3, record.index, side_px=256)
        assert np.array_equal(examples.squares[i], prepare(phantom.pixels, image))
        assert examples.lesions["dr"][i].any() == (record.dr_grade > 0)
        assert examples.lesions["amd"][i].any() == (record.amd_grade > 0)


def test_tasks_that_phantoms_do_not_have_are_left_out_or_refused() -> None:
    quality = Task(name="quality", title="Quality", column="quality", grades=("good", "poor"), referable_from=1)
    out_of_reach = Task(name="amd", title="AMD", column="amd", grades=("0", "1", "2", "3", "4"), referable_from=4)
    image = ImageSpec(side_px=64)
    assert set(phantom_examples(1, (DR, quality), image, seed=0, side_px=256).lesions) == {"dr"}
    with pytest.raises(TrainingError, match=r"(?s)phantoms cannot explain quality, amd.*fix: give photographs"):
        phantom_examples(1, (quality, out_of_reach), image, seed=0, side_px=256)


def test_only_referable_photographs_count_and_only_called_ones_are_tried(
    network: SallNetwork, tasks: TaskSet, tmp_path: Path
) -> None:
    lesions = np.zeros((6, SIDE, SIDE), dtype=np.bool_)
    lesions[:, 10:14, 10:14] = True
    examples = Examples(
        squares=squares_of(6),
        grades={"red": np.array([0, 1, 2, -1, 2, 1]), "green": np.array([0, 0, -1, 0, 0, 0])},
        patients=tuple("abcdef"),
        lesions={"red": lesions},
    )
    everyone = checkpoint_of(network, tmp_path / "everyone", 0.0)
    found = explain(everyone, examples, rng=np.random.default_rng(0), most=3)
    assert (found["red"].referable, found["red"].called) == (4, 4)
    assert found["red"].deletion_insertion is not None
    assert found["red"].deletion_insertion.n == 3
    assert found["red"].pointing_game is not None
    assert found["red"].lesion_energy is not None
    assert found["red"].lesion_energy.n == 4
    assert (found["green"].referable, found["green"].called) == (0, 0)
    assert found["green"].pointing_game is None
    assert found["green"].deletion_insertion is None

    nobody = checkpoint_of(network, tmp_path / "nobody", 1.1)
    found = explain(nobody, examples, rng=np.random.default_rng(0))
    assert (found["red"].referable, found["red"].called) == (4, 0)
    assert found["red"].deletion_insertion is None
    assert found["red"].pointing_game is not None


def test_tasks_without_labels_are_not_explained(network: SallNetwork, tmp_path: Path) -> None:
    examples = Examples(squares=squares_of(2), grades={"green": np.array([1, 1])}, patients=("a", "b"), lesions={})
    found = explain(checkpoint_of(network, tmp_path, 0.0), examples, rng=np.random.default_rng(0))
    assert set(found) == {"green"}
    assert found["green"].lesion_energy is None
