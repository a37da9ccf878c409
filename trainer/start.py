"""A network before its first step: pretrained backbone, random heads, frozen layers fitted to fundus photographs."""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file
from torch import Tensor

from sall_edge.spec import Task
from sall_edge.writing import file_being_written
from trainer.augment import augment
from trainer.data import Squares, in_batches
from trainer.network import SallNetwork
from trainer.options import TrainingOptions
from trainer.saving import save_tensors
from trainer.state import seeded
from trainer.weights import load_backbone_weights, normalisation_of

__all__ = ["first_network"]

_BATCHES = 12
"""Batches that frozen normalisation takes its statistics from."""

_BATCH = 32


def first_network(
    name: str,
    tasks: tuple[Task, ...],
    squares: Squares,
    options: TrainingOptions,
    cache: Path,
    *,
    projections: Mapping[str, int],
) -> SallNetwork:
    """The network that a stage begins with.

    Args:
        name: Of the stage: with the seed it decides the random heads.
        tasks: What is graded.
        squares: All training squares of the run, whichever of them the stage will see: frozen layers are then the same
            in all stages, methods and seeds, and `trainer.frozen` can share their maps.
        options: Of the run.
        cache: Folder for the statistics of frozen layers, which take longer to find than anything else here.
        projections: Number of features of each teacher, for methods that compare features.

    Raises:
        TrainingError: The backbone or its weights cannot be had.
        OutputError: `cache` cannot be written.
    """
    mean, std = normalisation_of(options.backbone)
    with seeded(options.seed, name, -1):
        network = SallNetwork(
            backbone=options.backbone, tasks=tasks, mean=mean, std=std, dropout=options.dropout, head=options.head
        )
        network.add_projections(projections)
    load_backbone_weights(network, options.weights)
    network.freeze(options.frozen_groups)
    _adapt(network, squares, options, cache / "frozen.safetensors")
    return network


def _adapt(network: SallNetwork, squares: Squares, options: TrainingOptions, path: Path) -> None:
    """Frozen statistics of these retinas, from `path` where they are already there."""
    statistics = network.frozen_statistics()
    if not statistics:
        return
    key = _key(network, squares, options)
    stored = _stored(path, key)
    if stored.keys() == statistics.keys():
        network.load_state_dict(stored, strict=False)
        return
    with seeded(0, "adaptation", 0) as generator:
        positions = torch.randperm(len(squares), generator=generator).numpy()
        chosen = [positions[batch] for batch in in_batches(len(positions), _BATCH)][:_BATCHES]
        shown = (augment(squares.images(batch), options.augmentation, generator) for batch in chosen)
        network.adapt_frozen_statistics(shown)
    with file_being_written(path) as temporary:
        save_tensors(network.frozen_statistics(), temporary, {"key": key})


def _key(network: SallNetwork, squares: Squares, options: TrainingOptions) -> str:
    """Hex digest of everything that the statistics depend on: pixels, their changes, and the layers before."""
    told = options.to_json()
    digest = hashlib.sha256(json.dumps([told["augmentation"], told["frozen_groups"], options.image.sha256]).encode())
    digest.update(f"{squares.sha256} {squares.rows.tolist()} {network.mean} {network.std}".encode())
    for tensor in network.backbone.state_dict().values():
        digest.update(tensor.contiguous().numpy().tobytes())
    return digest.hexdigest()


def _stored(path: Path, key: str) -> dict[str, Tensor]:
    try:
        with safe_open(path, framework="pt") as file:
            is_same = (file.metadata() or {}).get("key") == key
        return load_file(path) if is_same else {}
    except (SafetensorError, OSError):  # a cache that cannot be read is made again
        return {}
