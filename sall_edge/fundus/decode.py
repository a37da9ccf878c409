"""A photograph's pixels from its file: whole, upright, and no larger than they need to be.

OpenCV decodes a half-written JPEG without complaint and fills the rest with grey; half a retina without lesions would
be graded as healthy. So the structure of every file is checked first (`_container`), and only then decoded.
"""

import _thread
import hashlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from sall_edge.errors import UnreadablePhotograph
from sall_edge.fundus._container import Container, header

__all__ = ["Photograph", "check_whole", "decode", "read_bytes"]

U8 = npt.NDArray[np.uint8]

LARGEST_MEGAPIXELS = 200
"""Above every fundus camera; below what would exhaust the memory of a small device."""

SMALLEST_SIDE_PX = 256
"""A microaneurysm of a 45 degree photograph is smaller than one pixel below this."""

DENOMINATORS = (8, 4, 2)
"""The scales at which libjpeg decodes from fewer DCT coefficients, fastest first."""

LEAST_BYTES_FOR_A_THREAD = 1 << 18
"""A thread costs a tenth of a millisecond, and so do so many bytes on a CPU with SHA instructions."""

_FLAGS = {
    1: cv2.IMREAD_COLOR_RGB,
    2: cv2.IMREAD_REDUCED_GRAYSCALE_2 | cv2.IMREAD_COLOR_RGB,  # what "reduced colour" is made of, in our order
    4: cv2.IMREAD_REDUCED_GRAYSCALE_4 | cv2.IMREAD_COLOR_RGB,
    8: cv2.IMREAD_REDUCED_GRAYSCALE_8 | cv2.IMREAD_COLOR_RGB,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Photograph:
    """One decoded photograph.

    Attributes:
        pixels: (H, W, 3) uint8, RGB, C-contiguous, upright.
        full_width_px, full_height_px: Size at full resolution, upright.
        scale_denominator: 1, 2, 4 or 8: the full size over the size of `pixels`.
        sha256: Hex digest of the file's bytes.
    """

    pixels: U8
    full_width_px: int
    full_height_px: int
    scale_denominator: int
    sha256: str


def read_bytes(path: Path) -> bytes:
    """The bytes of a photograph's file.

    Raises:
        UnreadablePhotograph: It is missing, a folder, empty, or may not be read.
    """
    try:
        data = path.read_bytes()
    except IsADirectoryError as cause:
        raise UnreadablePhotograph(f"{path} is a folder", "a photograph is one file", "name the files in it") from cause
    except OSError as cause:
        why = cause.strerror or type(cause).__name__
        raise UnreadablePhotograph(f"cannot read {path}", why, "check the path and its permissions") from cause
    except ValueError as cause:  # a null byte in the name
        raise UnreadablePhotograph(f"cannot read {str(path)!r}", str(cause), "check the path") from cause
    if not data:
        raise UnreadablePhotograph(f"{path} is empty", "it has 0 bytes", "copy it again from the camera")
    return data


def decode(data: bytes, *, name: str, side_px: int | None = None) -> Photograph:
    """The pixels of a JPEG, PNG or TIFF.

    Grey becomes RGB, 16 bits become 8, CMYK becomes RGB, transparency is dropped (PNG keeps the colour
    stored below it, TIFF turns it black), and the EXIF orientation is applied.

    Args:
        data: The file's bytes.
        name: What error messages call the photograph.
        side_px: The side of the square that will be cut from it. A JPEG is then decoded at the lowest scale whose
            shorter side still has as many pixels. None decodes at full resolution.

    Raises:
        UnreadablePhotograph: Truncated, damaged, too large, too small, or not a JPEG, PNG or TIFF.
    """
    found = header(data, name=name)
    _check_size(found, name)
    denominator = _denominator(found, side_px)
    with _hashed_meanwhile(data) as sha256:
        pixels = _decoded(data, _FLAGS[denominator], name)
    width, height = found.width_px, found.height_px
    if pixels.shape[1] == -(-height // denominator) and pixels.shape[1] != -(-width // denominator):
        width, height = height, width  # OpenCV has turned it upright
    if pixels.shape[:2] != (-(-height // denominator), -(-width // denominator)):
        raise _damaged(name, f"its header says {width}x{height} pixels, but other sizes were decoded")
    return Photograph(
        pixels=pixels,
        full_width_px=width,
        full_height_px=height,
        scale_denominator=denominator,
        sha256=sha256(),
    )


def check_whole(data: bytes, *, name: str) -> tuple[int, int]:
    """Width and height of a file that has arrived to its end, by its structure; nothing is decoded.

    Raises:
        UnreadablePhotograph: Truncated so far, or not a JPEG, PNG or TIFF.
    """
    found = header(data, name=name)
    return found.width_px, found.height_px


@contextmanager
def _hashed_meanwhile(data: bytes) -> Iterator[Callable[[], str]]:
    """The hex digest, computed beside what the block does where that is worth a thread; to be asked for after it."""
    digest = hashlib.sha256()
    if len(data) < LEAST_BYTES_FOR_A_THREAD:
        digest.update(data)
        yield digest.hexdigest
        return
    done = _thread.allocate_lock()
    done.acquire()

    def update() -> None:
        try:
            digest.update(data)  # leaves the interpreter's lock, and so does the decoder
        finally:
            done.release()

    # threading.Thread waits until its thread has begun: 0.2 ms, which is half of the hash of a camera's original
    _thread.start_new_thread(update, ())
    try:
        yield digest.hexdigest
    finally:
        done.acquire()


def _check_size(found: Container, name: str) -> None:
    size = f"{found.width_px}x{found.height_px} pixels"
    if found.width_px * found.height_px > LARGEST_MEGAPIXELS * 1_000_000:
        raise UnreadablePhotograph(
            f"{name} is too large: {size}",
            f"the limit is {LARGEST_MEGAPIXELS} megapixels; no fundus camera makes more, damaged headers claim it",
            "export it again at the camera's own resolution",
        )
    if min(found.width_px, found.height_px) < SMALLEST_SIDE_PX:
        raise UnreadablePhotograph(
            f"{name} is too small: {size}",
            f"early lesions vanish below {SMALLEST_SIDE_PX} pixels on the shorter side",
            "use the camera's original, not a thumbnail",
        )


def _denominator(found: Container, side_px: int | None) -> int:
    if side_px is None or not found.is_scalable:
        return 1
    shorter_px = min(found.width_px, found.height_px)
    return next((scale for scale in DENOMINATORS if shorter_px // scale >= side_px), 1)


def _decoded(data: bytes, flags: int, name: str) -> U8:
    """(H, W, 3) uint8, RGB, from bytes whose structure is sound."""
    log = cv2.utils.logging
    level = log.setLogLevel(log.LOG_LEVEL_SILENT)  # its warnings would go to stderr beside our own message
    try:
        decoded = cv2.imdecode(np.frombuffer(data, np.uint8), flags)
    except cv2.error as cause:
        raise _damaged(name, "the decoder rejects it") from cause
    finally:
        log.setLogLevel(level)
    if decoded is None or decoded.dtype != np.uint8 or decoded.ndim != 3:
        raise _damaged(name, "the decoder cannot make colour pixels of it")
    pixels: U8 = decoded
    return pixels


def _damaged(name: str, why: str) -> UnreadablePhotograph:
    return UnreadablePhotograph(f"{name} is damaged", why, "copy it again from the camera, or export it as JPEG or PNG")
