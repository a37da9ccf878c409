"""A network before its first step: pretrained backbone, random heads, frozen layers fitted to fundus photographs."""

from collections.abc import Mapping

import torch

from sall_edge.spec import Task
from trainer.augment import augment
from trainer.data import Squares, in_batches
from trainer.network import SallNetwork
from trainer.options import TrainingOptions
from trainer.state import seeded
from trainer.weights import load_backbone_weights, normalisation_of

__all__ = ["first_network"]

_BATCHES = 12
"""Batches that frozen normalisation takes its statistics from."""

_BATCH = 32


def first_network(
    name: str, tasks: tuple[Task, ...], squares: Squares, options: TrainingOptions, *, projections: Mapping[str, int]
) -> SallNetwork:
    """The network that a stage begins with.

    Args:
        name: Of the stage: with the seed it decides the random heads.
        tasks: What is graded.
        squares: All training squares of the run, whichever of them the stage will see: frozen layers are then the same
            in all stages, methods and seeds, and `trainer.frozen` can share their maps.
        options: Of the run.
        projections: Number of features of each teacher, for methods that compare features.

    Raises:
        TrainingError: The backbone or its weights cannot be had.
    """
    mean, std = normalisation_of(options.backbone)
    with seeded(options.seed, name, -1):
        network = SallNetwork(
            backbone=options.backbone, tasks=tasks, mean=mean, std=std, dropout=options.dropout, head=options.head
        )
        network.add_projections(projections)
    load_backbone_weights(network, options.weights)
    network.freeze(options.frozen_groups)
    with seeded(0, "adaptation", 0) as generator:
        positions = torch.randperm(len(squares), generator=generator).numpy()
        chosen = [positions[batch] for batch in in_batches(len(positions), _BATCH)][:_BATCHES]
        shown = (augment(squares.images(batch), options.augmentation, generator) for batch in chosen)
        network.adapt_frozen_statistics(shown)
    return network
