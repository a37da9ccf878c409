"""What an engine says of squares; the arrays belong to the caller."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["BatchPrediction", "Prediction"]

F32 = NDArray[np.float32]


@dataclass(frozen=True, slots=True, kw_only=True)
class Prediction:
    """Of one square.

    Attributes:
        probs: Per task, (K,) float32, the probability of each grade; sums to one.
        cams: Per task, (h, w) float32, the class activation map; no fixed range.
        features: (C,) float32, what the heads read; None for an engine whose graph does not give them.
    """

    probs: dict[str, F32]
    cams: dict[str, F32]
    features: F32 | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchPrediction:
    """Of several squares.

    Attributes:
        probs: Per task, (N, K) float32.
        cams: Per task, (N, h, w) float32.
        features: (N, C) float32, or None.
    """

    probs: dict[str, F32]
    cams: dict[str, F32]
    features: F32 | None = None
