"""A photograph becomes the square that the network eats: the only preprocessing in the project.

The square is centred on the field of view and as wide as it, so a lesion has the same size in pixels whichever camera
took the photograph. Scaling, mean and layout belong to the network's graph, not here. A change that moves a pixel
raises `spec.PREPARE_VERSION`; `golden.golden_square` catches an OpenCV that computes something else.
"""

import time
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from sall_edge.fundus.decode import decode, read_bytes
from sall_edge.fundus.field import FieldOfView, find_field
from sall_edge.spec import ImageSpec

__all__ = [
    "OUTSIDE_LEVEL",
    "PreparedPhotograph",
    "Sampling",
    "cut_mask",
    "cut_square",
    "prepare",
    "prepare_bytes",
    "prepare_file",
    "sampling_of_square",
]

U8 = npt.NDArray[np.uint8]

OUTSIDE_LEVEL = 4
"""Brightest channel (0..255) of a square's pixel outside the field: black, but resampling smears the rim."""

LEAST_COVERED = 64
"""Of 255: a pixel of a cut mask is set when a quarter of it was; at half, the smallest lesions would vanish."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PreparedPhotograph:
    """The square of one file, and how it came about.

    Attributes:
        square: (side, side, 3) uint8, RGB, C-contiguous; black outside the field of view.
        field: Where the retina is, in full-resolution pixels of the upright photograph.
        sha256: Hex digest of the file's bytes.
        scale_denominator: 1, 2, 4 or 8: the scale at which a JPEG was decoded.
        decode_ms: Time to read and decode.
        field_ms: Time to find the field of view.
        cut_ms: Time to cut the square.
    """

    square: U8
    field: FieldOfView
    sha256: str
    scale_denominator: int
    decode_ms: float
    field_ms: float
    cut_ms: float

    @property
    def prepare_ms(self) -> float:
        """Time to find the field and cut the square."""
        return self.field_ms + self.cut_ms


@dataclass(frozen=True, slots=True, kw_only=True)
class Sampling:
    """Where the pixels of a square come from: a crop of the frame, means of its blocks, points between the blocks.

    Attributes:
        left_px, top_px, width_px, height_px: The crop; it lies in the frame and is not empty.
        shrink: Side of a block in pixels; the last row and column are repeated until the blocks fit.
        step: Blocks from one pixel of the square to the next, below 2.
        first_x, first_y: The square's first pixel, in blocks from the first block's centre; negative where the field
            of view leaves the frame.
    """

    left_px: int
    top_px: int
    width_px: int
    height_px: int
    shrink: int
    step: float
    first_x: float
    first_y: float


def prepare(pixels: U8, image: ImageSpec) -> U8:
    """The retina, centred and cut square, as the network was trained to see it.

    Args:
        pixels: (H, W, 3) uint8, RGB, upright, any size from 256 px up.
        image: The side of the square.

    Returns:
        (side, side, 3) uint8, RGB, C-contiguous; black outside the field of view.

    Raises:
        FieldNotFound: No bright disc covers at least a tenth of the frame.
    """
    return cut_square(pixels, find_field(pixels), image)


def cut_square(pixels: U8, field: FieldOfView, image: ImageSpec) -> U8:
    """The square around a field of view that is known.

    Args:
        pixels: (H, W, 3) uint8, RGB.
        field: In pixels of `pixels`.
        image: The side of the square.

    Returns:
        (side, side, 3) uint8, RGB, C-contiguous; black outside the field of view and outside the frame.

    Raises:
        ValueError: The field of view lies beside the frame.
    """
    side = image.side_px
    height, width = pixels.shape[:2]
    cut = sampling_of_square(height, width, field, side)
    pixels = pixels[cut.top_px : cut.top_px + cut.height_px, cut.left_px : cut.left_px + cut.width_px]
    if cut.shrink > 1:  # whole blocks first: the bilinear warp below sees two pixels at most
        pixels = _block_means(pixels, cut.shrink)
    square_to_blocks = np.array([[cut.step, 0, cut.first_x], [0, cut.step, cut.first_y]])
    square = cv2.warpAffine(pixels, square_to_blocks, (side, side), flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP)
    return np.asarray(cv2.bitwise_and(square, _disc(side), dst=square), dtype=np.uint8)


def cut_mask(mask: npt.NDArray[np.bool_], field: FieldOfView, image: ImageSpec) -> npt.NDArray[np.bool_]:
    """A mask of the photograph, on the square that `cut_square` cuts from it with the same field.

    Args:
        mask: (H, W) bool, in pixels of the photograph.
        field: In the same pixels.
        image: The side of the square.

    Returns:
        (side, side) bool: where at least a quarter of the pixel lies in the mask; False outside the field of view.
    """
    painted = np.repeat(np.where(mask, 255, 0).astype(np.uint8)[:, :, None], 3, axis=2)
    return np.asarray(cut_square(painted, field, image)[:, :, 0] >= LEAST_COVERED)


def sampling_of_square(height_px: int, width_px: int, field: FieldOfView, side_px: int) -> Sampling:
    """Where the pixels of a square come from, whatever cuts it: `cut_square` or the kernel on a GPU.

    Args:
        height_px, width_px: Size of the frame.
        field: In pixels of the frame.
        side_px: The side of the square.

    Raises:
        ValueError: The field of view lies beside the frame.
    """
    reach = field.radius_px + 2  # nothing else of the frame is touched
    left, right = (int(min(max(field.center_x_px + way * reach, 0), width_px)) for way in (-1, 1))
    top, bottom = (int(min(max(field.center_y_px + way * reach, 0), height_px)) for way in (-1, 1))
    if left == width_px or top == height_px:
        raise ValueError(f"{field} lies beside the frame; it must touch its {width_px}x{height_px} pixels")
    cropped = FieldOfView(
        center_x_px=field.center_x_px - left, center_y_px=field.center_y_px - top, radius_px=field.radius_px
    )
    shrink = max(1, int(2 * field.radius_px / side_px))
    blocks = cropped.scaled(1 / shrink) if shrink > 1 else cropped
    step = 2 * blocks.radius_px / side_px
    return Sampling(
        left_px=left,
        top_px=top,
        width_px=min(right + 1, width_px) - left,
        height_px=min(bottom + 1, height_px) - top,
        shrink=shrink,
        step=step,
        first_x=blocks.center_x_px - blocks.radius_px + step / 2,
        first_y=blocks.center_y_px - blocks.radius_px + step / 2,
    )


def _block_means(pixels: U8, size: int) -> U8:
    """Means of size x size blocks; the frame is grown by its last row and column until they fit."""
    height, width = pixels.shape[:2]
    below, right = -height % size, -width % size
    if below or right:
        pixels = cv2.copyMakeBorder(pixels, 0, below, 0, right, cv2.BORDER_REPLICATE)
    blocks = ((width + right) // size, (height + below) // size)
    means: U8 = cv2.resize(pixels, blocks, interpolation=cv2.INTER_AREA)
    return means


@lru_cache(maxsize=4)
def _disc(side_px: int) -> U8:
    """(side, side, 3) uint8: 255 inside the circle that fills the square, 0 outside."""
    offset = np.arange(side_px) - (side_px - 1) / 2
    inside = np.hypot(offset, offset[:, None]) <= side_px / 2
    disc = np.repeat(np.where(inside, 255, 0).astype(np.uint8)[:, :, None], 3, axis=2)
    disc.setflags(write=False)
    return disc


def prepare_file(path: Path, image: ImageSpec) -> PreparedPhotograph:
    """The square of a photograph's file, decoded at the lowest scale that loses nothing.

    Raises:
        UnreadablePhotograph: Missing, truncated, too large, or no image.
        FieldNotFound: No bright disc covers at least a tenth of the frame.
    """
    started = time.perf_counter()
    return _prepared(read_bytes(path), str(path), image, started)


def prepare_bytes(data: bytes, image: ImageSpec, *, name: str) -> PreparedPhotograph:
    """The same for a photograph that is no file yet.

    Args:
        data: A JPEG, PNG or TIFF.
        image: The side of the square.
        name: For messages.

    Raises:
        UnreadablePhotograph: Truncated, too large, or no image.
        FieldNotFound: No bright disc covers at least a tenth of the frame.
    """
    return _prepared(data, name, image, time.perf_counter())


def _prepared(data: bytes, name: str, image: ImageSpec, started: float) -> PreparedPhotograph:
    photograph = decode(data, name=name, side_px=image.side_px)
    decode_s = time.perf_counter() - started

    started = time.perf_counter()
    field = find_field(photograph.pixels)
    field_s = time.perf_counter() - started
    scale = photograph.scale_denominator
    if scale > 1 and 2 * field.radius_px < image.side_px:  # a small disc in a wide frame
        started = time.perf_counter()
        wanted_px = int(image.side_px * min(photograph.pixels.shape[:2]) / (2 * field.radius_px)) + 1
        photograph = decode(data, name=name, side_px=wanted_px)
        decode_s += time.perf_counter() - started
        field = field.scaled(scale / photograph.scale_denominator)

    started = time.perf_counter()
    square = cut_square(photograph.pixels, field, image)
    cut_s = time.perf_counter() - started
    return PreparedPhotograph(
        square=square,
        field=field.scaled(photograph.scale_denominator),
        sha256=photograph.sha256,
        scale_denominator=photograph.scale_denominator,
        decode_ms=decode_s * 1e3,
        field_ms=field_s * 1e3,
        cut_ms=cut_s * 1e3,
    )
