"""Where vessels run, and which way: ridges of the green channel, as directions that can be averaged.

A direction is an angle modulo half a turn, so it is kept as (cos 2t, sin 2t) times how sure it is: opposite ones add
up, crossing ones cancel. Second derivatives of Gaussians, as in Frangi et al., "Multiscale vessel enhancement
filtering", MICCAI 1998; the slope is taken off, or the rim of every glare would be a vessel.
"""

from dataclasses import dataclass

import cv2
import numpy as np

from sall_edge.fundus.landmarks.retina import DD_PX, F32, Retina, on_grid, relative_light

__all__ = ["VesselMap", "vessels_of"]

SIGMAS_PX = (1.2, 2.0)
"""Widths of the Gaussians, for small and for great vessels."""

SURROUNDINGS_DD = 0.4
"""Width of the Gaussian whose mean a vessel is compared with."""

SLOPE_WEIGHT = 0.5
"""A ridge has no slope along its middle; the flank of a glare has one."""

LEAST_CONTRAST = 0.004
"""Added to the mean strength of a photograph's ridges: in one without vessels, noise stays weak."""

RIM_PX = 7
"""Eroded from what is visible: the rim is an edge everywhere."""


@dataclass(frozen=True, slots=True, kw_only=True)
class VesselMap:
    """Directions of vessels on the grid.

    Attributes:
        cosine, sine: (GRID, GRID) float32, of twice the angle from the x axis, y downwards; 0 where no vessel runs,
            1 in length where a great one fills the block.
        visible: (GRID, GRID) float32: share of the block in which vessels were looked for.
    """

    cosine: F32
    sine: F32
    visible: F32


def vessels_of(retina: Retina) -> VesselMap:
    """The vessels of a working picture."""
    light = relative_light(retina.green, retina.visible, sigma_px=SURROUNDINGS_DD * DD_PX)
    block = np.ones((RIM_PX, RIM_PX), np.uint8)
    inner = cv2.erode(retina.visible, block, borderType=cv2.BORDER_CONSTANT, borderValue=0)
    cosine, sine = _ridges(light, SIGMAS_PX[0])
    for sigma in SIGMAS_PX[1:]:
        wider_cosine, wider_sine = _ridges(light, sigma)
        cosine += wider_cosine
        sine += wider_sine
    cosine *= inner
    sine *= inner
    strength = _length(cosine, sine)
    power = cv2.mean(strength * strength)[0] / (cv2.mean(inner)[0] + 1e-5)
    strength += np.float32(np.sqrt(power) + LEAST_CONTRAST)
    return VesselMap(cosine=on_grid(cosine / strength), sine=on_grid(sine / strength), visible=on_grid(inner))


def _ridges(light: F32, sigma: float) -> tuple[F32, F32]:
    """cos 2t and sin 2t of dark lines about as wide as 2 sigma, times their strength, each (h, w) float32."""
    smooth = cv2.getGaussianKernel(int(8 * sigma) | 1, sigma, cv2.CV_32F)
    at = (np.arange(len(smooth)) - len(smooth) // 2).astype(np.float32)[:, None]
    slope = -at / np.float32(sigma) * smooth  # derivatives in units of sigma
    bend = (at**2 / np.float32(sigma**2) - 1) * smooth
    xx, yy = cv2.sepFilter2D(light, -1, bend, smooth), cv2.sepFilter2D(light, -1, smooth, bend)
    xy = cv2.sepFilter2D(light, -1, slope, slope)
    steepness = _length(cv2.sepFilter2D(light, -1, slope, smooth), cv2.sepFilter2D(light, -1, smooth, slope))
    along_cosine, along_sine = yy - xx, -2 * xy  # along the line, across which it bends most
    anisotropy = _length(along_cosine, along_sine)
    trace = xx + yy
    across, along = (trace + anisotropy) / 2, (trace - anisotropy) / 2
    strength = np.maximum(across - np.abs(along) - np.float32(SLOPE_WEIGHT) * steepness, 0)
    strength /= anisotropy + np.float32(1e-6)
    return along_cosine * strength, along_sine * strength


def _length(x: F32, y: F32) -> F32:
    """Of vectors. Not cv2.magnitude: its last bit depends on where in memory the arrays lie."""
    length: F32 = np.sqrt(x * x + y * y)
    return length
