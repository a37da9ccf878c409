"""What a network says of prepared squares, and how good that is."""

from collections.abc import Iterable, Mapping

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from sall_edge.artifacts import Checkpoint
from sall_edge.bench.accuracy.metrics import quadratic_weighted_kappa, referable_auc, referable_probability
from trainer.checkpoint import load_network
from trainer.data import Squares, tensors_of
from trainer.losses import UNKNOWN
from trainer.network import SallNetwork
from trainer.progress import Progress, Silence
from trainer.reliability import softmax

__all__ = ["BATCH_SIZE", "logits_of", "predict_checkpoint", "validation_score"]

Logits = Mapping[str, npt.NDArray[np.float32]]

BATCH_SIZE = 32
"""Photographs a pass; more bring nothing on a CPU."""


def logits_of(
    network: SallNetwork, batches: Iterable[Tensor], *, progress: Progress | None = None
) -> dict[str, npt.NDArray[np.float32]]:
    """Raw logits by task name, each (n, K) float32.

    Args:
        network: In evaluation mode.
        batches: (N, side, side, 3) uint8 squares.
        progress: Advances by photographs.
    """
    progress = progress or Silence()
    parts = {task.name: [np.zeros((0, len(task.grades)), np.float32)] for task in network.tasks}
    with torch.inference_mode():
        for images in batches:
            for name, logits in network(images).items():
                parts[name].append(logits.cpu().numpy())
            progress.advance(len(images))
    return {name: np.concatenate(arrays) for name, arrays in parts.items()}


def predict_checkpoint(
    checkpoint: Checkpoint, squares: npt.NDArray[np.uint8], *, progress: Progress | None = None
) -> dict[str, npt.NDArray[np.float32]]:
    """Calibrated probabilities by task name, each (n, K) float32.

    Args:
        checkpoint: Its temperatures are applied.
        squares: (n, side, side, 3) uint8 RGB prepared squares.
        progress: Advances by photographs.

    Raises:
        ArtefactForeign, TrainingError: The checkpoint cannot be loaded.
    """
    logits = logits_of(load_network(checkpoint), tensors_of(squares, BATCH_SIZE), progress=progress)
    temperatures = checkpoint.manifest.temperatures
    return {name: softmax(z, temperatures[name]).astype(np.float32) for name, z in logits.items()}


def validation_score(logits: Logits, squares: Squares) -> tuple[float, dict[str, float]]:
    """What early stopping looks at, and its parts: the mean over tasks of referable AUC and quadratic weighted kappa.

    The product refers and grades, so ranking for referral and agreement of grades are what counts. The loss is not
    used: it rewards confidence, and confidence is corrected afterwards by the temperature.
    """
    parts: dict[str, float] = {}
    for task, labels in zip(squares.tasks, squares.labels.T, strict=True):
        known = labels != UNKNOWN
        probs = softmax(logits[task.name][known])
        auc = referable_auc(labels[known] >= task.referable_from, referable_probability(probs, task))
        kappa = quadratic_weighted_kappa(labels[known], probs.argmax(axis=1), len(task.grades))
        parts |= {f"{task.name}_referable_auc": auc or 0.0, f"{task.name}_quadratic_weighted_kappa": kappa or 0.0}
    return sum(parts.values()) / len(parts), parts
