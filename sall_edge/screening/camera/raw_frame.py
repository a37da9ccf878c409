"""A frame as the driver gave it, and what is made of it only when somebody asks: RGB, size, a thumbnail, a photograph.

A camera gives thirty frames a second and hardly any is looked at; turning all of them into RGB would cost a third of a
core at 1080p. So a frame stays what it was until then, and a camera's JPEG is never packed a second time.
"""

from dataclasses import dataclass
from enum import Enum

import cv2
import numpy as np
import numpy.typing as npt

from sall_edge.errors import UnreadablePhotograph
from sall_edge.fundus.decode import check_whole

__all__ = ["Layout", "RawFrame", "bgr_from", "grey_thumbnail", "is_same_picture", "is_whole", "rgb_from", "size_px_of"]

U8 = npt.NDArray[np.uint8]

THUMBNAIL_SHRINK = 8
"""JPEG decodes at an eighth from one coefficient a block, and averaging 64 pixels takes the sensor's noise away."""

SAMPLED_ROWS = 16
"""Two frames are compared in every sixteenth row first: noise shows there, and the rest is not read."""


class Layout(str, Enum):
    """What the bytes of a frame are.

    Attributes:
        JPEG, PNG: (n,) uint8, a file.
        BGR, RGB: (H, W, 3) uint8.
        BGRX, RGBX: (H, W, 4) uint8; the fourth is nothing.
        GREY: (H, W) uint8.
        YUYV: (H, W, 2) uint8, BT.601 as UVC has it: luma, then one of the two colour differences by turns.
    """

    JPEG = "jpeg"
    PNG = "png"
    BGR = "bgr"
    RGB = "rgb"
    BGRX = "bgrx"
    RGBX = "rgbx"
    GREY = "grey"
    YUYV = "yuyv"


ENCODED = (Layout.JPEG, Layout.PNG)

_TO_RGB = {
    Layout.BGR: cv2.COLOR_BGR2RGB,
    Layout.BGRX: cv2.COLOR_BGRA2RGB,
    Layout.RGBX: cv2.COLOR_RGBA2RGB,
    Layout.GREY: cv2.COLOR_GRAY2RGB,
    Layout.YUYV: cv2.COLOR_YUV2RGB_YUYV,
}
_TO_BGR = {
    Layout.RGB: cv2.COLOR_RGB2BGR,
    Layout.BGRX: cv2.COLOR_BGRA2BGR,
    Layout.RGBX: cv2.COLOR_RGBA2BGR,
    Layout.GREY: cv2.COLOR_GRAY2BGR,
    Layout.YUYV: cv2.COLOR_YUV2BGR_YUYV,
}


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class RawFrame:
    """One frame as it came.

    Attributes:
        data: In its layout; nobody writes to it again.
        layout: What the bytes are.
        exposed_s: Earliest `time.monotonic()` at which its light can have fallen, see `exposure`.
    """

    data: U8
    layout: Layout
    exposed_s: float


def rgb_from(raw: RawFrame) -> U8 | None:
    """(H, W, 3) uint8 RGB, read-only; None when a JPEG or PNG cannot be decoded."""
    pixels: U8 | None
    if raw.layout in ENCODED:
        pixels = cv2.imdecode(raw.data, cv2.IMREAD_COLOR_RGB)
    elif raw.layout is Layout.RGB:
        pixels = raw.data.view()
    else:
        pixels = cv2.cvtColor(raw.data, _TO_RGB[raw.layout])
    if pixels is not None:
        pixels.flags.writeable = False
    return pixels


def bgr_from(raw: RawFrame) -> U8:
    """(H, W, 3) uint8 of pixels that are no file, in the order in which OpenCV writes them."""
    if raw.layout is Layout.BGR:
        return raw.data
    bgr: U8 = cv2.cvtColor(raw.data, _TO_BGR[raw.layout])
    return bgr


def is_whole(raw: RawFrame) -> bool:
    """Whether a JPEG or PNG has its end: USB drops packets, and half a frame decodes to half a retina."""
    if raw.layout not in ENCODED:
        return True
    try:
        check_whole(raw.data.tobytes(), name="frame")
    except UnreadablePhotograph:
        return False
    return True


def size_px_of(raw: RawFrame) -> tuple[int, int]:
    """Width and height of a whole frame."""
    if raw.layout in ENCODED:
        return check_whole(raw.data.tobytes(), name="frame")
    return raw.data.shape[1], raw.data.shape[0]


def grey_thumbnail(raw: RawFrame) -> U8 | None:
    """(H / 8, W / 8) uint8, averaged; None when a JPEG or PNG cannot be decoded."""
    if raw.layout in ENCODED:
        small: U8 | None = cv2.imdecode(raw.data, cv2.IMREAD_REDUCED_GRAYSCALE_8)
        return small
    full = raw.data[:, :, 0] if raw.layout is Layout.YUYV else raw.data
    width, height = max(full.shape[1] // THUMBNAIL_SHRINK, 1), max(full.shape[0] // THUMBNAIL_SHRINK, 1)
    shrunk: U8 = cv2.resize(full, (width, height), interpolation=cv2.INTER_AREA)
    if shrunk.ndim == 2:
        return shrunk
    coloured = RawFrame(data=shrunk, layout=raw.layout, exposed_s=raw.exposed_s)
    grey: U8 = cv2.cvtColor(rgb_from(coloured), cv2.COLOR_RGB2GRAY)
    return grey


def is_same_picture(first: RawFrame, second: RawFrame) -> bool:
    """Whether two frames are equal to the last bit, which the noise of a sensor that runs never lets happen."""
    if first.layout is not second.layout or first.data.shape != second.data.shape:
        return False
    if first.layout not in ENCODED and not np.array_equal(first.data[::SAMPLED_ROWS], second.data[::SAMPLED_ROWS]):
        return False
    return np.array_equal(first.data, second.data)
