from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from sall_edge.spec import ImageSpec, TaskSet
from trainer.augment import Augmentation
from trainer.data import Squares
from trainer.network import SallNetwork
from trainer.options import TrainingOptions
from trainer.start import first_network


@pytest.fixture
def squares(tasks: TaskSet) -> Squares:
    return Squares(
        pixels=np.random.default_rng(0).integers(5, 256, (40, 32, 32, 3), dtype=np.uint8),
        rows=np.arange(40),
        labels=np.zeros((40, 2), dtype=np.int64),
        patients=tuple(map(str, range(40))),
        paths=tuple(Path(f"{i}.png") for i in range(40)),
        tasks=tasks.tasks,
    )


@pytest.fixture
def options(network: SallNetwork, tmp_path: Path) -> TrainingOptions:
    weights = tmp_path / "backbone.safetensors"
    save_file({name: tensor.contiguous() for name, tensor in network.backbone.state_dict().items()}, weights)
    return TrainingOptions(
        backbone="test_efficientnet", weights=str(weights), image=ImageSpec(side_px=32), frozen_groups=2
    )


@pytest.fixture
def adaptations(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """One entry for every time that frozen layers were adapted."""
    seen: list[int] = []
    real = SallNetwork.adapt_frozen_statistics

    def counted(self: SallNetwork, batches: object) -> None:
        seen.append(1)
        real(self, batches)

    monkeypatch.setattr(SallNetwork, "adapt_frozen_statistics", counted)
    return seen


def test_all_stages_of_all_seeds_share_what_the_first_one_found(tasks, squares, options, tmp_path, adaptations) -> None:
    made = [
        first_network(name, tasks.tasks, squares, replace(options, seed=seed), tmp_path / "cache", projections={})
        for name, seed in (("teacher-red", 0), ("student", 0), ("student", 5))
    ]
    assert len(adaptations) == 1
    statistics = [network.frozen_statistics() for network in made]
    assert len(statistics[0]) >= 4
    assert all(torch.equal(tensor, other[name]) for other in statistics[1:] for name, tensor in statistics[0].items())
    own = SallNetwork(backbone="test_efficientnet", tasks=tasks.tasks, mean=(0.5,) * 3, std=(0.5,) * 3)
    own.freeze(2)
    assert any(not torch.equal(own.frozen_statistics()[name], tensor) for name, tensor in statistics[0].items())


@pytest.mark.parametrize("change", [{"augmentation": Augmentation(gamma=0.5)}, {"frozen_groups": 1}])
def test_what_the_statistics_depend_on_makes_them_be_found_again(
    change, tasks, squares, options, tmp_path, adaptations
) -> None:
    for given in (options, replace(options, **change)):
        first_network("student", tasks.tasks, squares, given, tmp_path / "cache", projections={})
    assert len(adaptations) == 2


def test_other_photographs_have_statistics_of_their_own(tasks, squares, options, tmp_path, adaptations) -> None:
    for shown in (squares, squares.at(np.arange(30))):
        first_network("student", tasks.tasks, shown, options, tmp_path / "cache", projections={})
    assert len(adaptations) == 2


def test_a_damaged_file_of_statistics_is_made_again(tasks, squares, options, tmp_path, adaptations) -> None:
    for _ in range(2):
        first_network("student", tasks.tasks, squares, options, tmp_path / "cache", projections={})
        (tmp_path / "cache" / "frozen.safetensors").write_bytes(b"not tensors")
    assert len(adaptations) == 2
