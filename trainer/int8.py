"""A network that also computes as its INT8 engine will: the same maps and the same weights are rounded.

Rounding passes gradients on as if it were not there, and values beyond the range pass none (straight-through estimator,
Bengio et al. 2013, arXiv 1308.3432). Weights are always rounded, maps on demand, so that what is left between the two
ways of computing is the rounding of the maps.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from typing import Any

import torch
from jaxtyping import Real
from timm.layers import BatchNormAct2d
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils import parametrize

from calibration.grid import SMALLEST_SCALE
from calibration.histograms import LEVELS
from calibration.layers import Int8Layer
from sall_edge.errors import TrainingError
from trainer.network import SallNetwork

__all__ = ["Int8View"]

_PREFIX = "backbone."


class Int8View:
    """The INT8 side of a network.

    Making it changes the network in place: convolutions take the layers' weights (equalised, so that they can be
    rounded well; the network computes the same), rounded from then on; batch normalisation keeps its statistics, and
    heads drop nothing.

    Args:
        network: Loaded from the checkpoint that the layers' graph was exported from.
        layers: Of that graph, by name.
        example: Squares to find out which map every convolution reads.

    Raises:
        TrainingError: A layer of the graph is no convolution of the network.
    """

    def __init__(
        self, network: SallNetwork, layers: Mapping[str, Int8Layer], example: Real[Tensor, "N side side 3"]
    ) -> None:
        self.is_on = False
        convolutions = _convolutions(network, layers)
        sites, norms = _traced(network, convolutions, example)
        network.hold_statistics()
        network.dropout.p = 0.0
        for name, convolution in convolutions.items():
            _take(convolution, norms.get(name), layers[name])
            _enter(convolution, norms.get(name))
            if (step := layers[name].output_step) is not None:
                norms.get(name, convolution).register_forward_hook(self._output_rounding(step))
        for site, name in sites.items():
            network.get_submodule(site).register_forward_pre_hook(self._input_rounding(layers[name]))

    @contextmanager
    def on(self) -> Iterator[None]:
        """Within it maps are rounded."""
        self.is_on = True
        try:
            yield
        finally:
            self.is_on = False

    def _input_rounding(self, layer: Int8Layer) -> Callable[..., tuple[Any, ...] | None]:
        def rounded(module: nn.Module, inputs: tuple[Any, ...]) -> tuple[Any, ...] | None:
            return (_rounded(inputs[0], layer.step, layer.centre), *inputs[1:]) if self.is_on else None

        return rounded

    def _output_rounding(self, step: float) -> Callable[..., Tensor | None]:
        return lambda module, inputs, output: _rounded(output, step, 0.0) if self.is_on else None

    @staticmethod
    def leave(network: SallNetwork) -> None:
        """Makes rounded weights plain weights again, in a network or a copy of it."""
        for module in network.modules():
            if isinstance(module, nn.Conv2d) and parametrize.is_parametrized(module, "weight"):
                _leave(module)


def _rounded(values: Tensor, step: float, centre: float) -> Tensor:
    reach = LEVELS * step
    rounded: Tensor = _Round.apply(functional.hardtanh(values, centre - reach, centre + reach), step, centre)
    return rounded


class _Round(torch.autograd.Function):
    """To whole steps from a centre. `fake_quantize_per_tensor_affine` does the same, slowly on a CPU."""

    @staticmethod
    def forward(values: Tensor, step: float, centre: float) -> Tensor:
        return (values - centre).mul_(1 / step).round_().mul_(step).add_(centre)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
        """Nothing is kept: the gradient passes as it comes."""

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None]:
        return gradient, None, None


class _RoundedWeight(nn.Module):
    """Weights of a convolution, rounded to `LEVELS` steps on either side, one scale per output channel.

    Where a normalisation follows, it is folded in, as exporters fold it: that saves two passes over every map.
    """

    def __init__(self, norm: nn.BatchNorm2d | None) -> None:
        super().__init__()
        self.held = (norm,)  # no module of its own: it has its place in the network

    def forward(self, weight: Tensor) -> Tensor:
        (norm,), rounded = self.held, self.rounded(weight)
        return rounded if norm is None else rounded * _factor(norm).reshape(-1, 1, 1, 1)

    @staticmethod
    def rounded(weight: Tensor) -> Tensor:
        amax = weight.detach().flatten(1).abs().amax(dim=1)
        scale = (amax / LEVELS).clamp_min(float(SMALLEST_SCALE))
        zero = torch.zeros(len(scale), dtype=torch.int32, device=scale.device)
        return torch.fake_quantize_per_channel_affine(weight, scale, zero, 0, -LEVELS, LEVELS)


class _FoldedBias(nn.Module):
    def __init__(self, norm: nn.BatchNorm2d, *, is_own: bool) -> None:
        super().__init__()
        self.held, self.is_own = (norm,), is_own

    def forward(self, bias: Tensor) -> Tensor:
        (norm,) = self.held
        return norm.bias + _factor(norm) * (bias - norm.get_buffer("running_mean"))


def _factor(norm: nn.BatchNorm2d) -> Tensor:
    """(channels,) what a normalisation with held statistics multiplies by."""
    return norm.weight / (norm.get_buffer("running_var") + norm.eps).sqrt()


def _enter(convolution: nn.Conv2d, norm: nn.BatchNorm2d | None) -> None:
    """Rounds a convolution's weights from now on; the normalisation behind it leaves its work to the convolution."""
    if norm is not None:
        is_own = convolution.bias is not None
        if not is_own:
            convolution.bias = nn.Parameter(torch.zeros_like(norm.bias), requires_grad=False)
        parametrize.register_parametrization(convolution, "bias", _FoldedBias(norm, is_own=is_own))
        norm.forward = partial(_activated, norm)  # type: ignore[method-assign]  # of this one alone
    parametrize.register_parametrization(convolution, "weight", _RoundedWeight(norm))


def _leave(convolution: nn.Conv2d) -> None:
    parametrizations: Any = convolution.parametrizations  # torch's own type says less than what it is
    rounding, (norm,) = parametrizations.weight[0], parametrizations.weight[0].held
    parametrize.remove_parametrizations(convolution, "weight", leave_parametrized=False)
    with torch.no_grad():
        convolution.weight.copy_(rounding.rounded(convolution.weight))
    if norm is not None:
        is_own = parametrizations.bias[0].is_own
        parametrize.remove_parametrizations(convolution, "bias", leave_parametrized=False)
        if not is_own:
            convolution.bias = None
        del norm.forward


def _activated(norm: nn.BatchNorm2d, values: Tensor) -> Tensor:
    """What timm's normalisations do after normalising."""
    if isinstance(norm, BatchNormAct2d):
        values = norm.act(norm.drop(values))
    return values


def _convolutions(network: SallNetwork, layers: Mapping[str, Int8Layer]) -> dict[str, nn.Conv2d]:
    modules = dict(network.named_modules())
    found = {name: modules.get(name) for name in layers}
    for name, module in found.items():
        if not isinstance(module, nn.Conv2d):
            why = f"layer {name} of its graph is no convolution of the network"
            fix = "build it with --precision auto instead: costly layers stay in float"
            raise TrainingError(f"{network.backbone_name} cannot be fine-tuned for INT8", why, fix)
    return found  # type: ignore[return-value]  # checked one by one


def _traced(
    network: SallNetwork, convolutions: Mapping[str, nn.Conv2d], example: Tensor
) -> tuple[dict[str, str], dict[str, nn.BatchNorm2d]]:
    """Where maps are rounded, and which normalisation follows a convolution.

    A residual block adds the very map that its first convolution reads, rounded. So a map is rounded at the outermost
    module that is given it.

    Returns:
        Name of the module whose input is rounded to a convolution that reads it; convolution to normalisation.
    """
    given: dict[str, Tensor] = {}
    made: dict[int, str] = {}
    norms: dict[str, nn.BatchNorm2d] = {}
    kept: list[Tensor] = []  # or another tensor could get an old one's identity

    def before(name: str, module: nn.Module, inputs: tuple[Any, ...]) -> None:
        if inputs and isinstance(inputs[0], Tensor):
            given[name] = inputs[0]
            if isinstance(module, nn.BatchNorm2d) and id(inputs[0]) in made:
                norms[made[id(inputs[0])]] = module

    def after(name: str, output: Tensor) -> None:
        kept.append(output)
        made[id(output)] = name

    handles = []
    for name, module in network.named_modules():
        if name.startswith(_PREFIX):
            handles.append(module.register_forward_pre_hook(lambda m, i, name=name: before(name, m, i)))
        if name in convolutions:
            handles.append(module.register_forward_hook(lambda m, i, output, name=name: after(name, output)))
    try:
        with torch.no_grad():
            network.eval().features(example)
    finally:
        for handle in handles:
            handle.remove()
    sites = {}
    for name in convolutions:
        parents = [name[:end] for end, letter in enumerate(name) if letter == "." and name[:end] in given]
        sites[next(outer for outer in [*parents, name] if given[outer] is given[name])] = name
    return sites, norms


def _take(convolution: nn.Conv2d, norm: nn.BatchNorm2d | None, layer: Int8Layer) -> None:
    """Gives a convolution and its normalisation the weights of the layer that the exporter folded them into."""
    weight = torch.from_numpy(layer.weight.copy())
    with torch.no_grad():
        if norm is None:
            convolution.weight.copy_(weight)
            if convolution.bias is not None and layer.bias is not None:
                convolution.bias.copy_(torch.from_numpy(layer.bias.copy()))
            return
        factor = _factor(norm)
        safe = torch.where(factor.abs() < float(SMALLEST_SCALE) ** 2, torch.ones_like(factor), factor)
        convolution.weight.copy_(weight / safe.reshape(-1, 1, 1, 1))
        if layer.bias is not None:
            own = 0 if convolution.bias is None else convolution.bias
            norm.bias.copy_(torch.from_numpy(layer.bias.copy()) + factor * (norm.get_buffer("running_mean") - own))
