import pytest
import torch

from sall_edge.errors import TrainingError
from sall_edge.spec import TaskSet
from trainer.network import SallNetwork

SAME = 1e-4
"""float32 sums in another order."""


def test_every_task_has_logits_of_its_own_size(network: SallNetwork) -> None:
    logits = network.eval()(torch.zeros(3, 64, 64, 3, dtype=torch.uint8))
    assert {name: tuple(z.shape) for name, z in logits.items()} == {"red": (3, 3), "green": (3, 2)}


def test_pixels_and_their_float_copies_give_the_same_features(network: SallNetwork) -> None:
    pixels = torch.randint(0, 256, (2, 64, 64, 3), dtype=torch.uint8)
    assert torch.equal(network.eval().features(pixels), network.features(pixels.float()))


def test_normalisation_is_that_of_mean_and_standard_deviation(network: SallNetwork) -> None:
    pixels = torch.randint(0, 256, (2, 64, 64, 3), dtype=torch.uint8)
    normalised = ((pixels.float() / 255 - 0.5) / 0.25).permute(0, 3, 1, 2)
    assert torch.allclose(network.eval().features(pixels), network.backbone(normalised), atol=SAME)


def test_the_mean_of_an_activation_map_is_the_logit_without_its_bias(network: SallNetwork) -> None:
    pixels = torch.randint(0, 256, (2, 64, 64, 3), dtype=torch.uint8)
    head = network.eval().heads["red"]
    maps = torch.einsum("nchw,kc->nkhw", network.features(pixels), head.weight)
    assert torch.allclose(maps.mean(dim=(2, 3)) + head.bias, network(pixels)["red"], atol=SAME)


def test_normalisation_is_not_among_the_weights(network: SallNetwork) -> None:
    assert {"scale", "shift"} & network.state_dict().keys() == set()


def test_dropout_acts_in_training_only(tasks: TaskSet) -> None:
    network = SallNetwork(backbone="test_efficientnet", tasks=tasks.tasks, mean=(0.5,) * 3, std=(0.5,) * 3, dropout=0.9)
    network.backbone.eval()  # normalisation over the batch would differ too
    pixels = torch.randint(0, 256, (4, 64, 64, 3), dtype=torch.uint8)
    assert not torch.equal(network(pixels)["red"], network(pixels)["red"])
    network.eval()
    assert torch.equal(network(pixels)["red"], network(pixels)["red"])


@pytest.mark.parametrize("name", ["resnet10t", "mobilenetv3_small_050", "tf_efficientnet_lite0"])
def test_any_convolutional_backbone_fits(name: str, tasks: TaskSet) -> None:
    network = SallNetwork(backbone=name, tasks=tasks.tasks, mean=(0.5,) * 3, std=(0.5,) * 3).eval()
    assert network.features(torch.zeros(1, 64, 64, 3, dtype=torch.uint8)).shape[1] == network.channels


def test_a_backbone_that_timm_does_not_know_is_an_error_that_names_a_good_one(tasks: TaskSet) -> None:
    with pytest.raises(TrainingError, match="unknown backbone 'resnet5000'") as caught:
        SallNetwork(backbone="resnet5000", tasks=tasks.tasks, mean=(0.5,) * 3, std=(0.5,) * 3)
    assert "tf_efficientnet_lite0" in caught.value.fix


@pytest.mark.parametrize("name", ["vit_tiny_patch16_224", "swin_tiny_patch4_window7_224"])
def test_a_backbone_without_feature_maps_is_refused(name: str, tasks: TaskSet) -> None:
    with pytest.raises(TrainingError, match="cannot be a backbone"):
        SallNetwork(backbone=name, tasks=tasks.tasks, mean=(0.5,) * 3, std=(0.5,) * 3)


def test_frozen_groups_keep_weights_and_statistics_while_the_rest_learns(network: SallNetwork) -> None:
    network.freeze(2)
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    optimizer = torch.optim.SGD(network.parameters(), lr=0.1)
    network.train()
    for _ in range(2):
        logits = network(torch.randint(0, 256, (4, 64, 64, 3), dtype=torch.uint8))
        optimizer.zero_grad()
        logits["red"].logsumexp(dim=1).sum().backward()
        optimizer.step()
    after = network.state_dict()
    moved = {name for name in before if not torch.equal(before[name], after[name])}
    assert "backbone.conv_stem.weight" not in moved
    assert "backbone.bn1.running_mean" not in moved
    assert "heads.red.weight" in moved
    assert any(name.startswith("backbone.blocks") for name in moved)


def _disc(images: torch.Tensor) -> torch.Tensor:
    """The pictures inside a disc, black outside."""
    side = images.shape[1]
    y, x = torch.meshgrid(torch.arange(side), torch.arange(side), indexing="ij")
    return images * (((x - side / 2) ** 2 + (y - side / 2) ** 2) < (side * 0.45) ** 2)[None, :, :, None]


def test_frozen_normalisation_takes_the_statistics_of_the_retina_and_not_of_the_black_around_it(
    network: SallNetwork,
) -> None:
    network.freeze(2)
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    batches = [_disc(torch.full((2, 64, 64, 3), level, dtype=torch.uint8)) for level in (60, 200)]
    network.adapt_frozen_statistics(batches)
    # An even grey gives an even map inside: its mean is one filter sum, its variance nothing.
    inside = [
        network.backbone.conv_stem(torch.full((1, 3, 9, 9), (v / 255 - 0.5) / 0.25))[..., 2, 2] for v in (60, 200)
    ]
    assert torch.allclose(network.backbone.bn1.running_mean, (inside[0] + inside[1])[0] / 2, atol=SAME)
    assert network.backbone.bn1.running_var.abs().max() < SAME
    assert all(torch.equal(tensor, before[name]) for name, tensor in network.named_parameters())
    assert not network.backbone.bn1.training


def test_the_statistics_of_several_batches_are_averaged(network: SallNetwork) -> None:
    network.freeze(2)
    batches = [torch.randint(5, limit, (4, 64, 64, 3), dtype=torch.uint8) for limit in (40, 256)]
    apart = []
    for batch in batches:
        network.adapt_frozen_statistics([batch])
        apart.append(network.backbone.bn1.running_var.clone())
    network.adapt_frozen_statistics(batches)
    assert torch.allclose(network.backbone.bn1.running_var, (apart[0] + apart[1]) / 2, rtol=SAME)
    assert not torch.allclose(apart[0], apart[1], rtol=0.5)


def test_held_statistics_stay_while_the_weights_learn(network: SallNetwork) -> None:
    network.hold_statistics()
    network.train()
    before = {name: buffer.clone() for name, buffer in network.named_buffers()}
    network(torch.randint(0, 256, (4, 32, 32, 3), dtype=torch.uint8))["red"].sum().backward()
    assert all(torch.equal(buffer, before[name]) for name, buffer in network.named_buffers())
    assert network.backbone.bn1.weight.grad is not None


def test_pictures_without_a_retina_leave_the_statistics_alone(network: SallNetwork) -> None:
    network.freeze(2)
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    network.adapt_frozen_statistics([torch.zeros(2, 64, 64, 3, dtype=torch.uint8)])
    assert all(torch.equal(tensor, before[name]) for name, tensor in network.state_dict().items())


def test_photographs_change_no_statistics_when_nothing_is_frozen(network: SallNetwork) -> None:
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    network.adapt_frozen_statistics([torch.zeros(2, 64, 64, 3, dtype=torch.uint8)])
    assert all(torch.equal(tensor, before[name]) for name, tensor in network.state_dict().items())


def test_nothing_is_frozen_unless_asked(network: SallNetwork) -> None:
    network.freeze(0)
    assert all(parameter.requires_grad for parameter in network.parameters())
    assert all(module.training for module in network.train().modules())


@pytest.mark.parametrize("groups", [-1, 99])
def test_freezing_more_groups_than_there_are_is_refused(network: SallNetwork, groups: int) -> None:
    with pytest.raises(TrainingError, match=f"cannot freeze {groups} groups of test_efficientnet"):
        network.freeze(groups)
