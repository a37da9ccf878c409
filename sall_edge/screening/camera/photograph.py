"""A live frame as a file: the camera's own JPEG where there is one, otherwise an uncompressed TIFF.

A PNG of 1080p takes 100 ms to pack on a slow core and as long to unpack, one of 8 megapixels four times that; a TIFF
takes a few, and disk is cheaper than a person waiting with the eye open. See docs/cameras.md.
"""

from functools import cache

import cv2
import numpy as np

from sall_edge.screening.camera.raw_frame import ENCODED, Layout, RawFrame, bgr_from

__all__ = ["photograph_from", "with_huffman_tables"]

TIFF_UNCOMPRESSED = 1

_DHT, _SOS, _START_OF_IMAGE_BYTES = 0xC4, 0xDA, 2


def photograph_from(raw: RawFrame) -> tuple[bytes, str] | None:
    """The bytes of a file and its suffix; None when the frame turns out to be damaged."""
    if raw.layout is Layout.JPEG:
        return with_huffman_tables(raw.data.tobytes()), ".jpg"
    if raw.layout in ENCODED:
        return raw.data.tobytes(), ".png"
    wanted = [cv2.IMWRITE_TIFF_COMPRESSION, TIFF_UNCOMPRESSED]
    done, packed = cv2.imencode(".tif", bgr_from(raw), wanted)
    return (packed.tobytes(), ".tif") if done else None


def with_huffman_tables(jpeg: bytes) -> bytes:
    """The JPEG, with the standard's tables where it has none: motion JPEG leaves them out, many readers need them.

    Source: ITU-T T.81 annex K.3; UVC 1.1 payload specification for MJPEG, 3.2.
    """
    if any(marker == _DHT for marker, _, _ in _segments(jpeg)):
        return jpeg
    return jpeg[:_START_OF_IMAGE_BYTES] + _standard_tables() + jpeg[_START_OF_IMAGE_BYTES:]


def _segments(jpeg: bytes) -> list[tuple[int, int, int]]:
    """Marker, start and end of each segment up to the first scan of a whole JPEG."""
    found = []
    place = _START_OF_IMAGE_BYTES
    while place + 4 <= len(jpeg) and jpeg[place] == 0xFF and jpeg[place + 1] != _SOS:
        if jpeg[place + 1] == 0xFF:  # fill byte
            place += 1
            continue
        end = place + 2 + int.from_bytes(jpeg[place + 2 : place + 4], "big")
        found.append((jpeg[place + 1], place, end))
        place = end
    return found


@cache
def _standard_tables() -> bytes:
    """The DHT segments that every encoder writes unless it is told to make its own."""
    done, packed = cv2.imencode(".jpg", np.zeros((8, 8, 3), np.uint8), [cv2.IMWRITE_JPEG_OPTIMIZE, 0])
    assert done  # eight black pixels
    jpeg = packed.tobytes()
    return b"".join(jpeg[start:end] for marker, start, end in _segments(jpeg) if marker == _DHT)
