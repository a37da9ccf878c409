"""Random changes that leave a grade as it is: pose of the eye, camera, illumination.

Another camera is the largest enemy of a retinal network, so the changes of colour, gamma and sharpness are strong.
All randomness comes from an explicit generator; a batch costs a small share of the network's own step.
"""

import math
from dataclasses import dataclass

import torch
from jaxtyping import Float, UInt8
from torch import Generator, Tensor
from torch.nn import functional

from sall_edge.fundus.prepare import OUTSIDE_LEVEL

__all__ = ["Augmentation", "augment"]

_LUMA = (0.299, 0.587, 0.114)


@dataclass(frozen=True, slots=True, kw_only=True)
class Augmentation:
    """How far each change may go; values are drawn uniformly and per image.

    Attributes:
        rotation_degrees: Either way. 180 means that up is no information.
        zoom: Relative change of size, either way.
        shift: Of the side, either way.
        brightness, contrast, saturation, gamma: Relative change, either way, as a ratio (0.2: 1/1.2 to 1.2).
        colour_cast: Relative change of each channel by itself: film, white balance, an ageing lens.
        shading: Largest linear fall of illumination from the centre to the rim.
        sharpness: Up to this much sharper, or up to twice this much blurred.
        noise: Largest standard deviation of pixel noise, of full scale.
    """

    rotation_degrees: float = 180
    zoom: float = 0.15
    shift: float = 0.04
    brightness: float = 0.3
    contrast: float = 0.3
    saturation: float = 0.3
    gamma: float = 0.25
    colour_cast: float = 0.15
    shading: float = 0.2
    sharpness: float = 0.4
    noise: float = 0.03


def augment(
    images: UInt8[Tensor, "N side side 3"], augmentation: Augmentation, generator: Generator
) -> Float[Tensor, "N side side 3"]:
    """The same eyes, photographed differently.

    Args:
        images: (N, side, side, 3) uint8 RGB prepared squares.
        augmentation: Limits of the changes.
        generator: Draws them; its state is the only randomness.

    Returns:
        (N, side, side, 3) float32 in 0..255; black outside the field.
    """
    x = images.permute(0, 3, 1, 2).float() / 255
    x = _posed(x, augmentation, generator)
    field = (x.amax(dim=1, keepdim=True) > OUTSIDE_LEVEL / 255) * 255.0
    x = _lit(x, augmentation, generator)
    x = _seen(x, augmentation, generator)
    return x.clamp_(0, 1).mul_(field).permute(0, 2, 3, 1)


def _uniform(count: int, limit: float, generator: Generator) -> Float[Tensor, "N 1 1 1"]:
    return ((torch.rand(count, generator=generator) * 2 - 1) * limit).view(-1, 1, 1, 1)


def _ratio(count: int, limit: float, generator: Generator) -> Float[Tensor, "N 1 1 1"]:
    """Ratios from 1 / (1 + limit) to 1 + limit, even on the logarithmic scale, so brighter and darker balance."""
    return _uniform(count, math.log1p(limit), generator).exp()


def _posed(
    x: Float[Tensor, "N 3 side side"], augmentation: Augmentation, generator: Generator
) -> Float[Tensor, "N 3 side side"]:
    """Flipped (the other eye; up is down), turned, zoomed and shifted in one resampling."""
    count = len(x)
    angle = _uniform(count, math.radians(augmentation.rotation_degrees), generator).flatten()
    size = _ratio(count, augmentation.zoom, generator).flatten()
    flips = torch.randint(0, 2, (2, count), generator=generator) * 2 - 1
    theta = torch.zeros(count, 2, 3)
    theta[:, 0, 0] = angle.cos() * size * flips[0]
    theta[:, 0, 1] = -angle.sin() * size * flips[1]
    theta[:, 1, 0] = angle.sin() * size * flips[0]
    theta[:, 1, 1] = angle.cos() * size * flips[1]
    # Grid coordinates run from -1 to 1, so a shift by a share of the side is twice that number.
    theta[:, :, 2] = _uniform(2 * count, 2 * augmentation.shift, generator).view(count, 2)
    grid = functional.affine_grid(theta, list(x.shape), align_corners=False)
    return functional.grid_sample(x, grid, padding_mode="zeros", align_corners=False)


def _lit(
    x: Float[Tensor, "N 3 side side"], augmentation: Augmentation, generator: Generator
) -> Float[Tensor, "N 3 side side"]:
    """Another flash, film and white balance: gamma, shading, then gains, contrast and saturation as one 3x3 map."""
    count, side = len(x), x.shape[-1]
    x = x.clamp_min_(1e-6).pow_(_ratio(count, augmentation.gamma, generator))
    ramp = torch.linspace(-1, 1, side)
    slopes = _uniform(2 * count, augmentation.shading / math.sqrt(2), generator).view(2, count, 1, 1, 1)
    x *= 1 + slopes[0] * ramp.view(1, 1, 1, side) + slopes[1] * ramp.view(1, 1, side, 1)
    gains = _ratio(3 * count, augmentation.colour_cast, generator).view(count, 3)
    gains = gains * _ratio(count, augmentation.brightness, generator).view(count, 1)
    contrast = _ratio(count, augmentation.contrast, generator).view(count, 1, 1)
    saturation = _ratio(count, augmentation.saturation, generator).view(count, 1, 1)
    # grey + (colour - grey) * saturation, as a matrix; every row of `grey` gives the luma.
    grey = torch.tensor(_LUMA).expand(3, 3)
    colours = (grey + (torch.eye(3) - grey) * saturation) * gains[:, None, :]
    flat = x.reshape(count, 3, side * side)
    mean = (colours @ flat.mean(dim=2, keepdim=True)).mean(dim=1, keepdim=True)
    return torch.baddbmm(mean * (1 - contrast), colours * contrast, flat).view(x.shape)


def _seen(
    x: Float[Tensor, "N 3 side side"], augmentation: Augmentation, generator: Generator
) -> Float[Tensor, "N 3 side side"]:
    """Another lens and sensor: sharper or blurred, noisy."""
    count = len(x)
    smooth = functional.interpolate(functional.avg_pool2d(x, 2), size=x.shape[2:], mode="bilinear")
    amount = torch.rand(count, 1, 1, 1, generator=generator) * 3 - 1  # -1 sharpest, 2 most blurred
    x = x.lerp_(smooth, amount * augmentation.sharpness)
    deviation = torch.rand(count, 1, 1, 1, generator=generator) * augmentation.noise
    return x.addcmul_(deviation, torch.randn(x.shape, generator=generator))
