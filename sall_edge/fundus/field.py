"""Where the retina is: the circle of the camera's field stop, whole or cut by the frame.

The rim of the retina is a circle for every camera; what differs is how much of it is on the photograph. So only rim
is fitted: boundary of the bright region that does not lie on the border of the frame. A disc that is cut at top and
bottom, or shows its rim in the four corners only, gets the same circle as a whole one, and lesions keep one scale.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from sall_edge.errors import FieldNotFound
from sall_edge.fundus._doubt import surest_circle
from sall_edge.fundus._haze import LEAST_STEP_SHARE, is_inside, step_at_rim
from sall_edge.fundus._light import brightness_of
from sall_edge.fundus._rim import GOOD_RIM_SEEN, Circle, fitted_circle, seen_within_straight_cuts

__all__ = ["FieldOfView", "find_field", "glimpse_field"]

U8 = npt.NDArray[np.uint8]

WORKING_PX = 288
"""Longest side of the picture that is searched: half a pixel of it is under 0.7 % of a retina's radius."""

SMALL_PX, CLOSER, SAME_FIELD = 80, 1.45, 0.25
"""A field whose radius is less of the working picture is looked at again, so many radii around its centre. What is
found there is the same field if it differs by no more than this share of the radius."""

LEAST_SHARE = 0.1
"""Share of the frame that a field of view must cover."""

LEAST_CONTRAST = 8.0
"""Grey levels between surround and retina below which nothing can be told from a black frame."""

BRIGHTEST_SURROUND = 64.0
"""A frame whose darkest corner is brighter has no surround: the retina, or whatever it is, fills it."""

RISES = (0.06, 0.15, 0.3)
"""Thresholds, as shares of the contrast. The first sees dark retina; the others cut haze around the disc away."""

RISES_ABOVE_HAZE, STEEPER = (0.15, 0.3, 0.5), 1.5
"""Thresholds that are tried where the light fades instead of falling; how much steeper it has to fall for them."""

LEAST_RIM_KEPT = 0.8
"""Share of the rim's seen part that must be seen again without haze."""

CERTAIN_RIM_SEEN = 0.9
"""Share of the rim that leaves no doubt, if the light falls at it."""

LEAST_AGREEMENT = 0.6
"""Of the edges along a circle that no threshold showed; below it there is no rim, and the bright region is enclosed."""

LEAST_RIM_SEEN = 0.3
"""Share of the rim inside the frame that must be found; a field lit from one side shows about half."""


ResolveDoubt = Callable[[U8, Sequence[Circle]], Circle]
"""The working picture and the circles that thresholds found, without haze the last -> the circle that it is."""

_OPENING = np.ones((5, 5), np.uint8)


@dataclass(frozen=True, slots=True, kw_only=True)
class FieldOfView:
    """The circle that holds the retina, in pixels of the array that it was found in; pixel centres are integers.

    Attributes:
        center_x_px, center_y_px: Centre; it may lie anywhere in the frame.
        radius_px: Radius; the circle may leave the frame.
    """

    center_x_px: float
    center_y_px: float
    radius_px: float

    def scaled(self, factor: float) -> "FieldOfView":
        """The same circle in an array whose sides are `factor` times as long."""
        return FieldOfView(
            center_x_px=(self.center_x_px + 0.5) * factor - 0.5,
            center_y_px=(self.center_y_px + 0.5) * factor - 0.5,
            radius_px=self.radius_px * factor,
        )


def find_field(pixels: U8) -> FieldOfView:
    """The circle of the field of view.

    A frame without dark surround gets the circle through its corners: a photograph cropped inside the retina is one,
    and so is an outer eye; `quality` tells them apart.

    Args:
        pixels: (H, W, 3) uint8, RGB.

    Returns:
        Centre and radius in pixels of `pixels`.

    Raises:
        FieldNotFound: No bright disc covers at least a tenth of the frame.
    """
    field, factor = _in_frame(pixels, surest_circle)
    if factor > 1 and field.radius_px < SMALL_PX * factor:
        field = _seen_closer(pixels, field)
    return field


def glimpse_field(pixels: U8) -> FieldOfView:
    """The field by its light alone, in a millisecond: for a live view, whose next frame comes soon.

    The same as `find_field` where the rim is plain; where it is in doubt, the first guess.

    Raises:
        FieldNotFound: As `find_field`.
    """
    return _in_frame(pixels, _likeliest)[0]


def _likeliest(picture: U8, known: Sequence[Circle]) -> Circle:
    return known[-1] if known else Circle(0.0, 0.0, 0.0, 0.0)


def _in_frame(pixels: U8, resolve: ResolveDoubt) -> tuple[FieldOfView, int]:
    """The field, and how many times smaller the working picture was."""
    picture, factor = _working_picture(pixels)
    circle = _circle(picture, resolve)
    height, width = picture.shape[:2]
    if _share_of_frame(circle, width, height) < LEAST_SHARE:
        raise _not_found("the brightest disc covers less than a tenth of the frame")
    first_px = factor / 4 if factor > 1 else 0.0  # where the working picture's pixel 0 lies
    field = FieldOfView(
        center_x_px=circle.x * factor + first_px,
        center_y_px=circle.y * factor + first_px,
        radius_px=circle.radius * factor,
    )
    return field, factor


def _seen_closer(pixels: U8, field: FieldOfView) -> FieldOfView:
    """The same field, found again in the part of the frame around it: the working picture of that is sharper."""
    reach = CLOSER * field.radius_px
    left, top = max(0, round(field.center_x_px - reach)), max(0, round(field.center_y_px - reach))
    part = pixels[top : round(field.center_y_px + reach), left : round(field.center_x_px + reach)]
    again = _in_frame(part, surest_circle)[0]
    x, y, radius = again.center_x_px + left, again.center_y_px + top, again.radius_px
    apart = math.hypot(x - field.center_x_px, y - field.center_y_px) + abs(radius - field.radius_px)
    if apart > SAME_FIELD * field.radius_px:  # a part of the retina, or the part of the frame itself
        return field
    return FieldOfView(center_x_px=x, center_y_px=y, radius_px=radius)


def _not_found(why: str) -> FieldNotFound:
    return FieldNotFound("no retina on this photograph", why, "take the photograph again, or check the camera's flash")


def _working_picture(pixels: U8) -> tuple[U8, int]:
    """(h, w, 3) uint8, and how many times smaller it is."""
    height, width = pixels.shape[:2]
    factor = -(-max(height, width) // WORKING_PX)
    if factor > 1:  # every n-th pixel, then means of 2 x 2: exact means of a 10 MP photograph cost more than decoding
        size = (width // factor, height // factor)
        pixels = pixels[: size[1] * factor, : size[0] * factor]
        if factor > 2:
            pixels = cv2.resize(pixels, (2 * size[0], 2 * size[1]), interpolation=cv2.INTER_NEAREST)
        pixels = cv2.resize(pixels, size, interpolation=cv2.INTER_AREA)
    return pixels, factor


def _circle(picture: U8, resolve: ResolveDoubt) -> Circle:
    brightness = brightness_of(picture)
    height, width = brightness.shape
    surround, noise = _surround(brightness)
    if surround > BRIGHTEST_SURROUND:
        return Circle((width - 1) / 2, (height - 1) / 2, float(np.hypot(width, height)) / 2, 0.0)
    contrast = _brightest_tenth(brightness) - surround
    if contrast < LEAST_CONTRAST:
        raise _not_found(f"its brightest parts are {contrast:.0f} of 255 grey levels above the darkest corner")
    best: Circle | None = None
    regions: list[npt.NDArray[np.int32]] = []
    rim = None
    for rise in RISES:
        region = _largest_region(brightness, surround + max(3.0, 4 * noise, rise * contrast))
        if region is None:
            continue
        regions.append(region)
        fitted = fitted_circle(region, width, height)
        if fitted is not None and (best is None or fitted.rim_seen > best.rim_seen):
            best, rim = fitted, region
        if best is not None and best.rim_seen >= GOOD_RIM_SEEN:
            break
    if not regions:
        raise _not_found("no connected bright region covers a twentieth of the frame")
    if best is None or best.rim_seen < LEAST_RIM_SEEN:
        surest = resolve(picture, ())
        if surest.rim_seen >= LEAST_AGREEMENT:
            return surest
        (x, y), radius = cv2.minEnclosingCircle(regions[0])
        return Circle(float(x), float(y), float(radius), 0.0)
    share, step = step_at_rim(brightness, best, surround)
    if share >= LEAST_STEP_SHARE and _is_certain(best, rim, width, height):
        return best
    inner = best if share >= LEAST_STEP_SHARE else _within_haze(brightness, best, surround, contrast, step)
    return resolve(picture, (best, inner))


def _is_certain(circle: Circle, boundary: npt.NDArray[np.int32] | None, width: int, height: int) -> bool:
    """Whether enough of the rim was seen, or all that the camera's mask leaves of it."""
    if circle.rim_seen >= CERTAIN_RIM_SEEN or boundary is None:
        return circle.rim_seen >= CERTAIN_RIM_SEEN
    return seen_within_straight_cuts(boundary, circle, width, height) >= CERTAIN_RIM_SEEN


def _within_haze(brightness: U8, circle: Circle, surround: float, contrast: float, step: float) -> Circle:
    """The circle, or one inside it at which the light falls more steeply than the circle's own step."""
    height, width = brightness.shape
    best, least_step = circle, STEEPER * max(step, 1.0)
    for rise in RISES_ABOVE_HAZE:
        region = _largest_region(brightness, surround + rise * contrast)
        fitted = fitted_circle(region, width, height) if region is not None else None
        if fitted is None or fitted.rim_seen < LEAST_RIM_KEPT * circle.rim_seen or not is_inside(fitted, circle):
            continue
        fitted_step = step_at_rim(brightness, fitted, surround)[1]
        if fitted_step > least_step:
            best, least_step = fitted, fitted_step
    return best


def _brightest_tenth(brightness: U8) -> float:
    """Grey level that a tenth of the frame is brighter than, as np.percentile interpolates it, without its checks."""
    levels = brightness[::4, ::4].ravel()
    place = 0.9 * (levels.size - 1)
    below = int(place)
    above = min(below + 1, levels.size - 1)
    levels = np.partition(levels, (below, above))
    return float(levels[below]) + (place - below) * (float(levels[above]) - float(levels[below]))


def _surround(brightness: U8) -> tuple[float, float]:
    """Level and noise of the darkest corner: if any surround is on the photograph, a corner shows it.

    Low quantiles, because burnt-in text or the rim itself may run through the corner.
    """
    side = max(3, min(brightness.shape) // 32)
    near, far = slice(None, side), slice(-side, None)
    corners = [sorted(brightness[rows, columns].tobytes()) for rows in (near, far) for columns in (near, far)]
    darkest = min(corners, key=lambda levels: levels[len(levels) // 3])
    level, lowest = darkest[len(darkest) // 3], darkest[len(darkest) // 20]
    return float(level), float(level - lowest)


def _largest_region(brightness: U8, threshold: float) -> npt.NDArray[np.int32] | None:
    """(n, 2) boundary of the largest bright region, x and y; None if it is smaller than half of LEAST_SHARE."""
    bright = cv2.threshold(brightness, threshold, 255, cv2.THRESH_BINARY)[1]
    bright = cv2.morphologyEx(bright, cv2.MORPH_OPEN, _OPENING)  # parts burnt-in text from the disc
    contours = cv2.findContours(bright, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)[0]
    if not contours:
        return None
    largest = max(contours, key=cv2.contourArea)
    if cv2.contourArea(largest) < LEAST_SHARE / 2 * brightness.size:
        return None
    boundary: npt.NDArray[np.int32] = largest[:, 0, :]
    return boundary


def _share_of_frame(circle: Circle, width: int, height: int) -> float:
    """Share of the frame that lies inside the circle, 0..1."""
    reach = circle.radius + 1
    if reach < circle.x < width - reach and reach < circle.y < height - reach:
        return math.pi * circle.radius**2 / (width * height)
    x = np.arange(0, width, 4, dtype=np.float64)
    y = np.arange(0, height, 4, dtype=np.float64)[:, None]
    inside = (x - circle.x) ** 2 + (y - circle.y) ** 2 <= circle.radius**2
    return np.count_nonzero(inside) / inside.size
