"""The network's own opinion of a photograph: may it be graded? Of engines that have a task with the role quality."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from sall_edge.spec import Role, Task

__all__ = ["QUALITY_HEAD", "QualityHead", "quality_head_of"]

QUALITY_HEAD = "quality_head"
"""The reason of a photograph that the network's own quality task holds to be ungradable, and its probability."""


@dataclass(frozen=True, slots=True, kw_only=True)
class QualityHead:
    """A quality task at its operating point.

    Attributes:
        task: Of the engine.
        operating_point: From this probability on, a photograph must not be graded.
    """

    task: Task
    operating_point: float

    def probability(self, probs: Mapping[str, npt.NDArray[np.float32]]) -> float:
        """That the photograph must not be graded, from the (K,) probabilities of each task."""
        return self.task.referable_probability(probs[self.task.name].tolist())

    def refuses(self, probability: float) -> bool:
        """Whether the photograph is a retake."""
        return probability >= self.operating_point

    def score(self, probability: float) -> float:
        """0..1 as the score of the classical measures: 1 is certainly good, 0.5 is the operating point."""
        if self.refuses(probability):
            return 0.5 * (1 - probability) / max(1 - self.operating_point, 1e-6)
        return 1 - 0.5 * probability / self.operating_point


def quality_head_of(tasks: Sequence[Task], operating_points: Mapping[str, float]) -> QualityHead | None:
    """That of an engine; None where it was not trained to say."""
    for task in tasks:
        if task.role is Role.QUALITY:
            return QualityHead(task=task, operating_point=operating_points[task.name])
    return None
