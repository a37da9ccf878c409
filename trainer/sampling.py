"""Which photographs an epoch shows: rare grades, and tasks with few labels, more often than they come."""

import numpy as np
import numpy.typing as npt
import torch
from torch import Generator

from trainer.losses import UNKNOWN

__all__ = ["drawn_positions", "sampling_weights"]


def sampling_weights(labels: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
    """How often each photograph is drawn, relative to an even draw.

    A (task, grade) with c photographs weighs 1 / sqrt(c); a photograph weighs as the rarest thing that it shows, so a
    wet AMD without DR is not averaged away by its common DR grade. The square root is midway between the natural
    frequencies, which the calibration needs, and equal ones, which would repeat the few rare photographs too often.

    Args:
        labels: (n, tasks) grades, -1 unknown; every photograph has one label at least.

    Returns:
        (n,) positive weights whose mean is 1.
    """
    weights = np.zeros(len(labels))
    for column in labels.T:
        counts = np.bincount(column[column != UNKNOWN], minlength=1)
        known = column != UNKNOWN
        weights[known] = np.maximum(weights[known], 1 / np.sqrt(counts[column[known]]))
    normalised: npt.NDArray[np.float64] = weights / weights.mean()
    return normalised


def drawn_positions(weights: npt.NDArray[np.float64], generator: Generator) -> npt.NDArray[np.int64]:
    """An epoch: as many positions as there are photographs, in random order.

    Each comes floor(weight) times and once more with the remaining probability (systematic resampling), so a
    photograph of weight 1 or more is never left out, which drawing with replacement would do to a third of them.
    """
    n = len(weights)
    start = float(torch.rand((), generator=generator, dtype=torch.float64))
    order = torch.randperm(n, generator=generator).numpy()
    edges = np.cumsum(weights[order]) / weights.sum() * n
    drawn = order[np.minimum(np.searchsorted(edges, np.arange(n) + start, side="right"), n - 1)]
    shuffled: npt.NDArray[np.int64] = drawn[torch.randperm(n, generator=generator).numpy()]
    return shuffled
