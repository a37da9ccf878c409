"""What the headers of a JPEG, PNG or TIFF say, and whether the file is all there.

Only structure is read: sizes and where the image data ends. Comments and EXIF fields may name a patient; they are
stepped over and never reach a message. Sources: ITU-T T.81 annex B, W3C PNG clause 5, TIFF 6.0 section 2.
"""

import struct
from dataclasses import dataclass

from sall_edge.errors import UnreadablePhotograph

__all__ = ["Container", "header"]


LEAST_BITS_PER_PIXEL = 0.01
"""A black JPEG with optimal tables has 0.02; less means that a damaged header claims too many pixels."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Container:
    """The size that the header declares, as stored (not yet turned upright).

    Attributes:
        width_px, height_px: Declared size.
        is_scalable: Whether the decoder can decode it at 1/2, 1/4 and 1/8.
    """

    width_px: int
    height_px: int
    is_scalable: bool


def header(data: bytes, *, name: str) -> Container:
    """The declared size of an image file that is complete.

    Raises:
        UnreadablePhotograph: Truncated, without pixels, or not a JPEG, PNG or TIFF.
    """
    try:
        if data.startswith(b"\xff\xd8\xff"):
            found = _jpeg(data, name)
        elif data.startswith(b"\x89PNG\r\n\x1a\n"):
            found = _png(data, name)
        elif data.startswith((b"II*\0", b"MM\0*")):
            found = _tiff(data, name)
        else:
            raise UnreadablePhotograph(
                f"{name} is not a photograph",
                "its first bytes are those of no JPEG, PNG or TIFF",
                "export it from the camera as JPEG, PNG or TIFF",
            )
    except (struct.error, IndexError) as cause:  # the walk ran past the end
        raise _truncated(name, "it ends inside a header") from cause
    if found.width_px < 1 or found.height_px < 1:
        raise _damaged(name, "its header declares no pixels")
    return found


def _truncated(name: str, why: str) -> UnreadablePhotograph:
    return UnreadablePhotograph(f"{name} is truncated", why, "copy it again from the camera")


def _damaged(name: str, why: str) -> UnreadablePhotograph:
    return UnreadablePhotograph(f"{name} is damaged", why, "copy it again from the camera")


# JPEG markers without a length: TEM, RST0..7
_BARE = {0x01, *range(0xD0, 0xD8)}
# Start of frame, any process; DHT, JPG and DAC lie between
_FRAMES = set(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}


def _jpeg(data: bytes, name: str) -> Container:
    """Walks the segments up to the first scan, so that an EXIF thumbnail's own markers are stepped over."""
    width = height = 0
    place = 2
    while True:
        if data[place] != 0xFF:
            raise _damaged(name, "its JPEG segments do not follow each other")
        marker = data[place + 1]
        if marker == 0xFF:  # fill byte
            place += 1
            continue
        if marker in _BARE:
            place += 2
            continue
        if marker == 0xD9:
            raise _damaged(name, "the JPEG ends before its image data")
        (length,) = struct.unpack_from(">H", data, place + 2)
        if marker in _FRAMES:
            height, width = struct.unpack_from(">HH", data, place + 5)
        place += 2 + length
        if marker == 0xDA:
            break
    if not width:
        raise _damaged(name, "its image data starts before its size is declared")
    # In image data 0xFF is always followed by 0 or a marker, so an end marker after its start is no accident. Searched
    # from the back: image data is full of 0xFF, and a search through it costs a tenth of the decode.
    if data.rfind(b"\xff\xd9", place) < 0:
        raise _truncated(name, "the end marker of the JPEG is missing; decoding would fill the rest with grey")
    if 8 * len(data) < LEAST_BITS_PER_PIXEL * width * height:
        raise _damaged(name, f"{len(data)} bytes cannot hold the {width}x{height} pixels that its header declares")
    return Container(width_px=width, height_px=height, is_scalable=True)


def _png(data: bytes, name: str) -> Container:
    width, height = struct.unpack_from(">II", data, 16)
    place, kind = 8, b""
    while kind != b"IEND":
        if place + 12 > len(data):
            raise _truncated(name, "the last chunk of the PNG is missing")
        length, kind = struct.unpack_from(">I4s", data, place)
        if place == 8 and kind != b"IHDR":
            raise _damaged(name, "the PNG does not start with its header")
        place += 12 + length
    if place > len(data):
        raise _truncated(name, "the last chunk of the PNG is cut")
    return Container(width_px=width, height_px=height, is_scalable=False)


_TIFF_SIZES = {1: 1, 3: 2, 4: 4}
_TIFF_CODES = {1: "B", 3: "H", 4: "I"}
_WIDTH, _HEIGHT, _STRIP_OFFSETS, _STRIP_BYTES, _TILE_OFFSETS, _TILE_BYTES = 256, 257, 273, 279, 324, 325


def _tiff(data: bytes, name: str) -> Container:
    """Reads the first page's directory and checks that every strip or tile lies inside the file."""
    order = "<" if data[:2] == b"II" else ">"
    (directory,) = struct.unpack_from(order + "I", data, 4)
    (count,) = struct.unpack_from(order + "H", data, directory)
    fields: dict[int, tuple[int, ...]] = {}
    for place in range(directory + 2, directory + 2 + 12 * count, 12):
        tag, kind, amount = struct.unpack_from(order + "HHI", data, place)
        if tag in (_WIDTH, _HEIGHT, _STRIP_OFFSETS, _STRIP_BYTES, _TILE_OFFSETS, _TILE_BYTES) and kind in _TIFF_SIZES:
            fields[tag] = _tiff_values(data, order, place, kind, amount)
    offsets = fields.get(_STRIP_OFFSETS) or fields.get(_TILE_OFFSETS) or ()
    lengths = fields.get(_STRIP_BYTES) or fields.get(_TILE_BYTES) or ()
    if _WIDTH not in fields or _HEIGHT not in fields or not offsets or len(offsets) != len(lengths):
        raise _damaged(name, "the TIFF does not say where its pixels are")
    if max(offset + length for offset, length in zip(offsets, lengths, strict=True)) > len(data):
        raise _truncated(name, "the TIFF's pixels lie beyond the end of the file")
    return Container(width_px=fields[_WIDTH][0], height_px=fields[_HEIGHT][0], is_scalable=False)


def _tiff_values(data: bytes, order: str, place: int, kind: int, amount: int) -> tuple[int, ...]:
    """A field's values, which stand in the entry itself when they fit into four bytes."""
    if _TIFF_SIZES[kind] * amount > len(data):
        raise struct.error("more values than the file has bytes")
    start = place + 8
    if _TIFF_SIZES[kind] * amount > 4:
        (start,) = struct.unpack_from(order + "I", data, place + 8)
    values: tuple[int, ...] = struct.unpack_from(f"{order}{amount}{_TIFF_CODES[kind]}", data, start)
    return values
