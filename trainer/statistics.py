"""Batch statistics of what lies inside the field of view."""

from collections.abc import Sequence
from types import TracebackType

import torch
from jaxtyping import Float, Real
from torch import Tensor, nn
from torch.nn import functional

from sall_edge.fundus.prepare import OUTSIDE_LEVEL

__all__ = ["FieldStatistics"]

_RIM = 2
"""Cells of a map between the field's rim and what counts: filters there still see the edge to black."""


class FieldStatistics:
    """Gives layers the statistics of each batch while it passes, and in the end the average over all batches.

    A layer thus sees inputs that the layers before it have already normalised. Used as a context:

        with FieldStatistics(layers) as statistics:
            for images in batches:
                statistics.show(images)
                network.features(images)

    A batch without any retina away from a rim counts for nothing.
    """

    def __init__(self, layers: Sequence[nn.BatchNorm2d]) -> None:
        self._layers = layers
        self._field: Tensor = torch.zeros(0)
        self._means: dict[nn.BatchNorm2d, list[Tensor]] = {layer: [] for layer in layers}
        self._variances: dict[nn.BatchNorm2d, list[Tensor]] = {layer: [] for layer in layers}
        self._handles = [layer.register_forward_pre_hook(self._measure) for layer in layers]

    def __enter__(self) -> "FieldStatistics":
        return self

    def show(self, images: Real[Tensor, "N side side 3"]) -> None:
        """Says which pictures pass next."""
        self._field = (images.amax(dim=3) > OUTSIDE_LEVEL).float()[:, None]

    def __exit__(
        self, kind: type[BaseException] | None, problem: BaseException | None, trace: TracebackType | None
    ) -> None:
        for handle in self._handles:
            handle.remove()
        for layer in self._layers:
            if self._means[layer]:
                _set(
                    layer, torch.stack(self._means[layer]).mean(dim=0), torch.stack(self._variances[layer]).mean(dim=0)
                )

    def _measure(self, layer: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        if not isinstance(layer, nn.BatchNorm2d):
            return
        (x,) = inputs
        inside = _inside(self._field, x.shape[2:])
        count = inside.sum()
        if count == 0:
            return
        mean = (x * inside).sum(dim=(0, 2, 3)) / count
        variance = ((x - mean.view(1, -1, 1, 1)).square() * inside).sum(dim=(0, 2, 3)) / count
        _set(layer, mean, variance)
        self._means[layer].append(mean)
        self._variances[layer].append(variance)


def _set(layer: nn.BatchNorm2d, mean: Tensor, variance: Tensor) -> None:
    if layer.running_mean is not None and layer.running_var is not None:
        layer.running_mean.copy_(mean)
        layer.running_var.copy_(variance)


def _inside(field: Float[Tensor, "N 1 side side"], size: torch.Size) -> Float[Tensor, "N 1 h w"]:
    """1 where a cell of a map and its neighbours lie wholly inside the field, else 0."""
    covered = (functional.interpolate(field, size=tuple(size), mode="area") > 0.999).float()
    return -functional.max_pool2d(-covered, kernel_size=2 * _RIM + 1, stride=1, padding=_RIM)
