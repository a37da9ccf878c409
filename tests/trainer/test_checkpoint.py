import json
from pathlib import Path

import pytest
import torch

from sall_edge.artifacts import Checkpoint, open_checkpoint, seal
from sall_edge.errors import ArtefactChanged, ArtefactForeign
from sall_edge.spec import ImageSpec, TaskSet
from trainer.checkpoint import WEIGHTS_NAME, load_network, save_checkpoint
from trainer.network import SallNetwork


@pytest.fixture
def checkpoint(network: SallNetwork, tasks: TaskSet, tmp_path: Path) -> Checkpoint:
    return save_checkpoint(
        tmp_path / "checkpoint",
        network.eval(),
        image=ImageSpec(side_px=64),
        tasks=tasks.tasks,
        operating_points={"red": 0.25, "green": 0.5},
        temperatures={"red": 1.5, "green": 0.7},
        provenance={"seed": 3},
        parent_sha256="ab" * 32,
    )


def test_a_network_comes_back_with_the_same_logits(network: SallNetwork, checkpoint: Checkpoint) -> None:
    pixels = torch.randint(0, 256, (2, 64, 64, 3), dtype=torch.uint8)
    loaded = load_network(open_checkpoint(checkpoint.path))
    assert not loaded.training
    assert torch.equal(loaded(pixels)["red"], network.eval()(pixels)["red"])


def test_the_manifest_says_everything_that_the_weights_do_not(checkpoint: Checkpoint) -> None:
    manifest = open_checkpoint(checkpoint.path).manifest
    assert manifest.backbone == "test_efficientnet"
    assert (manifest.mean, manifest.std) == ((0.5, 0.5, 0.5), (0.25, 0.25, 0.25))
    assert manifest.temperatures == {"red": 1.5, "green": 0.7}
    assert manifest.operating_points == {"red": 0.25, "green": 0.5}
    assert manifest.provenance == {"seed": 3}
    assert manifest.parent_sha256 == "ab" * 32


def test_loading_leaves_the_callers_randomness_alone(checkpoint: Checkpoint) -> None:
    before = torch.random.get_rng_state()
    load_network(checkpoint)
    assert torch.equal(before, torch.random.get_rng_state())


def test_changed_weights_are_refused(checkpoint: Checkpoint) -> None:
    path = checkpoint.path / WEIGHTS_NAME
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    with pytest.raises(ArtefactChanged, match=WEIGHTS_NAME):
        open_checkpoint(checkpoint.path)


def test_weights_of_another_backbone_are_refused(checkpoint: Checkpoint) -> None:
    manifest = checkpoint.manifest.model_copy(update={"backbone": "resnet10t"})
    for name in ("manifest.json", "signature"):
        (checkpoint.path / name).unlink()
    seal(checkpoint.path, manifest)
    with pytest.raises(ArtefactForeign, match="does not fit resnet10t"):
        load_network(open_checkpoint(checkpoint.path))


def test_the_folder_holds_no_pickle(checkpoint: Checkpoint) -> None:
    assert {file.name for file in checkpoint.path.iterdir()} == {WEIGHTS_NAME, "manifest.json", "signature"}
    header = (checkpoint.path / WEIGHTS_NAME).read_bytes()
    size = int.from_bytes(header[:8], "little")
    assert json.loads(header[8 : 8 + size])
