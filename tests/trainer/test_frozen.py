from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from sall_edge.errors import OutputError, TrainingError
from sall_edge.spec import ImageSpec, TaskSet
from trainer.augment import Augmentation, augment
from trainer.data import Squares
from trainer.frozen import early_maps, frozen_views, pooled_from
from trainer.network import SallNetwork
from trainer.options import TrainingOptions
from trainer.progress import Silence
from trainer.state import seeded
from trainer.train import train

SAME = 1e-5
"""The same float32 operations on the same numbers."""
HALF = 2e-3
"""Maps are stored with ten bits."""


@pytest.fixture
def squares(tasks: TaskSet) -> Squares:
    pixels = np.random.default_rng(0).integers(0, 256, (9, 32, 32, 3), dtype=np.uint8)
    return Squares(
        pixels=pixels,
        rows=np.array([8, 0, 1, 2, 3, 4, 5, 7]),  # row 6 could not be read
        labels=np.zeros((8, 2), dtype=np.int64),
        patients=tuple(map(str, range(8))),
        paths=tuple(Path(f"{i}.png") for i in range(8)),
        tasks=tasks.tasks,
    )


@pytest.fixture
def options() -> TrainingOptions:
    # The tests' own backbone has random weights, which only pretrained ones may be frozen for: the name is not loaded.
    return TrainingOptions(
        backbone="test_efficientnet", weights="imagenet", image=ImageSpec(side_px=32), frozen_groups=2, views=3
    )


@pytest.fixture
def frozen(network: SallNetwork) -> SallNetwork:
    network.freeze(2)
    return network.eval()


@pytest.mark.parametrize("backbone", ["test_efficientnet", "resnet10t", "mobilenetv3_small_050"])
def test_a_network_that_is_cut_behind_its_frozen_layers_computes_the_same(backbone: str, tasks: TaskSet) -> None:
    network = SallNetwork(backbone=backbone, tasks=tasks.tasks, mean=(0.5,) * 3, std=(0.5,) * 3).eval()
    network.freeze(2)
    images = torch.randint(0, 256, (2, 64, 64, 3), dtype=torch.uint8)
    maps = early_maps(network, images)
    assert torch.allclose(pooled_from(network, maps), network.pooled(images), atol=SAME)
    # The cut leaves nothing behind.
    assert torch.equal(network.pooled(images), network.pooled(images.clone()))


def test_the_layers_behind_the_cut_learn(frozen: SallNetwork) -> None:
    frozen.train()
    maps = early_maps(frozen, torch.randint(0, 256, (2, 64, 64, 3), dtype=torch.uint8))
    pooled_from(frozen, maps).sum().backward()
    with_gradient = {name for name, parameter in frozen.backbone.named_parameters() if parameter.grad is not None}
    assert with_gradient
    assert with_gradient == {name for name, parameter in frozen.backbone.named_parameters() if parameter.requires_grad}


def test_views_are_what_the_frozen_layers_make_of_augmented_squares(frozen, squares, options, tmp_path) -> None:
    views = frozen_views(frozen, squares, options, tmp_path, progress=Silence())
    with seeded(0, "views", 1) as generator, torch.no_grad():
        expected = early_maps(frozen, augment(squares.images(np.arange(8)), options.augmentation, generator))
    assert views.maps.shape[:2] == (9, 3)
    assert np.allclose(views.maps[squares.rows, 1], expected.numpy(), atol=HALF * expected.abs().max().item())
    assert not views.maps[6].any()


def test_every_view_is_drawn(frozen, squares, options, tmp_path) -> None:
    views = frozen_views(frozen, squares, options, tmp_path, progress=Silence())
    drawn = views.draw(np.full(40, 3), torch.Generator().manual_seed(0))
    different = {maps.numpy().tobytes() for maps in drawn}
    assert different == {views.maps[3, view].astype(np.float32).tobytes() for view in range(3)}


class StopAfter(Silence):
    """Progress that ends the process after some views."""

    def __init__(self, left: int) -> None:
        self.left = left

    def advance(self, n: int = 1) -> None:
        self.left -= n
        if self.left < 0:
            raise KeyboardInterrupt


def test_views_go_on_where_a_kill_stopped_them(frozen, squares, options, tmp_path, diary) -> None:
    whole = frozen_views(frozen, squares, options, tmp_path / "whole", progress=Silence())
    with pytest.raises(KeyboardInterrupt):
        frozen_views(frozen, squares, options, tmp_path / "killed", progress=StopAfter(1))
    resumed = frozen_views(frozen, squares, options, tmp_path / "killed", progress=diary)
    assert np.array_equal(whole.maps, resumed.maps)
    assert diary.steps == options.views


@pytest.mark.parametrize("change", ["augmentation", "weights", "photographs"])
def test_views_of_something_else_are_made_again(change, frozen, squares, options, tmp_path, diary) -> None:
    before = np.array(frozen_views(frozen, squares, options, tmp_path, progress=Silence()).maps)
    match change:
        case "augmentation":
            options = replace(options, augmentation=Augmentation(rotation_degrees=0.0))
        case "weights":
            frozen.backbone.conv_stem.weight.data.mul_(2)
        case "photographs":
            squares = replace(squares, paths=tuple(reversed(squares.paths)))
            squares.pixels[:] = squares.pixels[::-1].copy()
    after = frozen_views(frozen, squares, options, tmp_path, progress=diary).maps
    assert not np.array_equal(before, after)


def test_views_without_frozen_layers_are_refused(network, squares, options, tmp_path) -> None:
    with pytest.raises(TrainingError, match="none is frozen"):
        frozen_views(network, squares, options, tmp_path, progress=Silence())
    with pytest.raises(TrainingError, match="views is 3"):
        replace(options, frozen_groups=0)


def test_a_folder_that_cannot_be_written_is_named_with_the_space_it_takes(frozen, squares, options, tmp_path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match=r"views\.npy") as caught:
        frozen_views(frozen, squares, options, tmp_path / "file" / "views", progress=Silence())
    assert "GB" in caught.value.fix


@pytest.fixture
def backbone_weights(tasks: TaskSet, tmp_path: Path) -> Path:
    """Weights of the tests' backbone, as a user's own file: without any, nothing may be frozen."""
    from safetensors.torch import save_file

    network = SallNetwork(backbone="test_efficientnet", tasks=tasks.tasks, mean=(0.5,) * 3, std=(0.5,) * 3)
    path = tmp_path / "backbone.safetensors"
    save_file({name: tensor.contiguous() for name, tensor in network.backbone.state_dict().items()}, path)
    return path


def test_a_run_that_draws_views_ends_with_a_checkpoint_and_shares_them(
    photographs, tasks, quick, cache, tmp_path, backbone_weights, diary
) -> None:
    options = replace(quick, epochs=1, weights=str(backbone_weights), frozen_groups=2, views=2)
    for name, seed in (("first", 0), ("second", 1)):
        run = tmp_path / name
        train(
            photographs, tasks, replace(options, seed=seed), run, resume=False, report=diary, cache=tmp_path / "cache"
        )
    assert [name for name, _ in diary.stages].count("views") == 2
    # The second run, of another seed, found both views there: no step but its own was counted twice.
    assert diary.steps == 2 * (60 + 2 + 5)
