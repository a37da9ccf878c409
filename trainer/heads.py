"""What turns pooled features into the logits of one disease's grades."""

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from sall_edge.spec import Head

__all__ = ["AdjacentCategories", "head_of"]


class AdjacentCategories(nn.Module):
    """A linear head that knows the order of the grades: one direction of the features leads from each to the next.

    The adjacent-categories logit model with proportional effects (Agresti, Analysis of Ordinal Categorical Data, 2010,
    section 4.1): log P(k + 1) / P(k) = w x + b_k. It is a softmax over logits k w x + c_k, so temperature, losses and
    soft labels are those of the free head, and `linear` gives the same function as an ordinary layer.

    Args:
        channels: Number of pooled features.
        grades: Number of grades.
    """

    levels: Tensor

    def __init__(self, channels: int, grades: int) -> None:
        super().__init__()
        free = nn.Linear(channels, grades)
        self.direction = nn.Parameter(free.weight[:1].detach().clone())  # a matrix: it is decayed like any
        self.bias = nn.Parameter(free.bias.detach().clone())
        # Levels that sum to 0: the softmax does not see the difference, and no grade begins with larger logits.
        self.register_buffer("levels", torch.arange(grades) - (grades - 1) / 2, persistent=False)

    @property
    def weight(self) -> Float[Tensor, "K C"]:
        """Weights of the free layer that computes the same."""
        return self.levels[:, None] * self.direction

    def forward(self, pooled: Float[Tensor, "N C"]) -> Float[Tensor, "N K"]:
        """Raw logits."""
        return functional.linear(pooled, self.weight, self.bias)

    def linear(self) -> nn.Linear:
        """An ordinary layer with the same logits."""
        layer = nn.Linear(self.direction.shape[1], len(self.bias))
        with torch.no_grad():
            layer.weight.copy_(self.weight)
            layer.bias.copy_(self.bias)
        return layer


def head_of(kind: Head, channels: int, grades: int) -> nn.Module:
    """A fresh head."""
    match kind:
        case Head.SOFTMAX:
            return nn.Linear(channels, grades)
        case Head.ORDINAL:
            return AdjacentCategories(channels, grades)
