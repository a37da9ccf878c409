import _thread
import hashlib
import io
import struct
import time
import zlib
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image, ImageOps

from sall_edge.errors import UnreadablePhotograph
from sall_edge.fundus.decode import LEAST_BYTES_FOR_A_THREAD, decode, read_bytes

U8 = npt.NDArray[np.uint8]

JPEG_LEVELS = 1.5
"""Mean grey levels that JPEG at quality 95 takes from a smooth picture, and that two decoders differ by."""

SCALED_LEVELS = 2.5
"""Mean grey levels between libjpeg's scaled decode and exact block means of the full one."""


@pytest.fixture(scope="module")
def pixels() -> U8:
    """(408, 560, 3): smooth, coloured, and different in every corner."""
    y, x = np.mgrid[:408, :560]
    planes = np.stack([60 + x // 4, 200 - y // 3, 40 + (x + y) // 8 + 40 * np.sin(x / 20)], axis=2)
    return planes.astype(np.uint8)


def encoded(picture: Image.Image | U8, kind: str, **options: object) -> bytes:
    image = picture if isinstance(picture, Image.Image) else Image.fromarray(picture)
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def jpeg(picture: Image.Image | U8, **options: object) -> bytes:
    return encoded(picture, "JPEG", quality=95, **options)


def png_header(width: int, height: int) -> bytes:
    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    size = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", size) + chunk(b"IDAT", zlib.compress(b"\0")) + chunk(b"IEND", b"")


def mean_difference(one: U8, other: U8) -> float:
    return float(np.abs(one.astype(np.int16) - other.astype(np.int16)).mean())


def assert_refused(data: bytes, what: str, why: str = "") -> None:
    with pytest.raises(UnreadablePhotograph) as caught:
        decode(data, name="eye")
    assert caught.value.what.startswith(f"eye {what}")
    assert why in caught.value.why
    assert caught.value.fix


@pytest.mark.parametrize("options", [{}, {"progressive": True}, {"subsampling": 0}])
def test_a_jpeg_is_decoded_to_rgb(pixels: U8, options: dict[str, object]) -> None:
    photograph = decode(jpeg(pixels, **options), name="eye")
    assert photograph.pixels.dtype == np.uint8
    assert photograph.pixels.flags.c_contiguous
    assert (photograph.full_width_px, photograph.full_height_px, photograph.scale_denominator) == (560, 408, 1)
    assert mean_difference(photograph.pixels, pixels) < JPEG_LEVELS


@pytest.mark.parametrize(
    ("side_px", "denominator"), [(51, 8), (52, 4), (102, 4), (103, 2), (204, 2), (205, 1), (2000, 1)]
)
def test_a_jpeg_is_decoded_at_the_lowest_scale_that_suffices(pixels: U8, side_px: int, denominator: int) -> None:
    photograph = decode(jpeg(pixels), name="eye", side_px=side_px)
    assert photograph.scale_denominator == denominator
    assert photograph.pixels.shape == (408 // denominator, 560 // denominator, 3)
    assert (photograph.full_width_px, photograph.full_height_px) == (560, 408)
    means = cv2.resize(pixels, photograph.pixels.shape[1::-1], interpolation=cv2.INTER_AREA)
    assert mean_difference(photograph.pixels, np.asarray(means)) < SCALED_LEVELS


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("side_px", [None, 100])
def test_every_exif_orientation_is_turned_upright_at_every_scale(
    pixels: U8, orientation: int, side_px: int | None
) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    data = jpeg(pixels, exif=exif)
    upright = np.asarray(ImageOps.exif_transpose(Image.open(io.BytesIO(data))))
    photograph = decode(data, name="eye", side_px=side_px)
    assert (photograph.full_height_px, photograph.full_width_px) == upright.shape[:2]
    assert photograph.scale_denominator == (4 if side_px else 1)
    expected = cv2.resize(upright, photograph.pixels.shape[1::-1], interpolation=cv2.INTER_AREA)
    assert mean_difference(photograph.pixels, np.asarray(expected)) < SCALED_LEVELS


def test_sizes_that_the_scale_does_not_divide_are_rounded_up(pixels: U8) -> None:
    photograph = decode(jpeg(pixels[:401, :555]), name="eye", side_px=50)
    assert photograph.pixels.shape == (51, 70, 3)
    assert (photograph.full_width_px, photograph.full_height_px) == (555, 401)


def test_a_cmyk_jpeg_has_the_colours_that_pillow_sees(pixels: U8) -> None:
    data = jpeg(Image.fromarray(pixels).convert("CMYK"))
    expected = np.asarray(Image.open(io.BytesIO(data)).convert("RGB"))
    assert mean_difference(decode(data, name="eye").pixels, expected) < JPEG_LEVELS
    assert mean_difference(decode(data, name="eye").pixels, pixels) < 2 * JPEG_LEVELS


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "TIFF"])
def test_grey_becomes_rgb(pixels: U8, kind: str) -> None:
    grey = Image.fromarray(pixels).convert("L")
    decoded = decode(encoded(grey, kind), name="eye").pixels
    assert mean_difference(decoded, np.repeat(np.asarray(grey)[:, :, None], 3, axis=2)) < JPEG_LEVELS


@pytest.mark.parametrize("suffix", [".png", ".tiff"])
def test_16_bits_become_8(pixels: U8, suffix: str) -> None:
    deep = pixels[:, :, ::-1].astype(np.uint16) * 256 + 37
    data = cv2.imencode(suffix, deep)[1].tobytes()
    decoded = decode(data, name="eye", side_px=100).pixels.astype(np.int16)
    assert np.abs(decoded - pixels).max() <= 1  # PNG and TIFF round differently


def test_a_transparent_png_keeps_its_stored_colours(pixels: U8) -> None:
    alpha = np.where(np.arange(560) < 200, 0, 255).astype(np.uint8)
    rgba = np.dstack([pixels, np.broadcast_to(alpha, pixels.shape[:2])])
    np.testing.assert_array_equal(decode(encoded(rgba, "PNG"), name="eye").pixels, pixels)


@pytest.mark.parametrize("compression", [None, "tiff_lzw", "tiff_deflate", "packbits"])
def test_a_tiff_is_decoded_exactly(pixels: U8, compression: str | None) -> None:
    photograph = decode(encoded(pixels, "TIFF", compression=compression), name="eye", side_px=100)
    np.testing.assert_array_equal(photograph.pixels, pixels)
    assert photograph.scale_denominator == 1


@pytest.mark.parametrize("trailing", [0, LEAST_BYTES_FOR_A_THREAD], ids=["small", "hashed beside the decoding"])
def test_the_hash_is_that_of_all_bytes(pixels: U8, trailing: int) -> None:
    data = jpeg(pixels) + b"\0" * trailing
    assert decode(data, name="eye").sha256 == hashlib.sha256(data).hexdigest()


def test_a_large_photograph_that_cannot_be_decoded_leaves_no_thread(pixels: U8) -> None:
    start = jpeg(pixels)
    frame = start.index(b"\xff\xc0")
    damaged = start[: frame + 9] + b"\x00" + start[frame + 10 :] + b"\0" * LEAST_BYTES_FOR_A_THREAD  # no components
    before = _thread._count()
    with pytest.raises(UnreadablePhotograph, match="damaged"):
        decode(damaged, name="eye")
    for _ in range(100):  # the thread has hashed; it may be about to end
        if _thread._count() == before:
            break
        time.sleep(0.01)
    assert _thread._count() == before


def test_bytes_after_the_end_of_a_jpeg_are_ignored(pixels: U8) -> None:
    data = jpeg(pixels)
    np.testing.assert_array_equal(decode(data + b"\0" * 999, name="eye").pixels, decode(data, name="eye").pixels)


@pytest.mark.parametrize("share", [0.01, 0.1, 0.5, 0.9, 0.999])
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "TIFF"])
def test_a_truncated_file_is_refused(pixels: U8, kind: str, share: float) -> None:
    data = encoded(pixels, kind)
    assert_refused(data[: int(share * len(data))], "is truncated")


def test_a_truncated_progressive_jpeg_is_refused(pixels: U8) -> None:
    data = jpeg(pixels, progressive=True)
    assert_refused(data[: len(data) // 2], "is truncated", "with grey")


def test_the_end_marker_of_an_exif_thumbnail_does_not_hide_that_a_jpeg_is_truncated(pixels: U8) -> None:
    thumbnail = jpeg(Image.fromarray(pixels).resize((160, 120)))
    block = b"Exif\0\0MM\0*" + thumbnail
    data = jpeg(pixels)
    data = data[:2] + b"\xff\xe1" + struct.pack(">H", len(block) + 2) + block + data[2:]
    assert decode(data, name="eye").pixels.shape == pixels.shape
    assert_refused(data[: len(data) // 2], "is truncated")


@pytest.mark.parametrize("compression", ["tiff_lzw", "tiff_deflate"])
def test_a_truncated_compressed_tiff_is_refused(pixels: U8, compression: str) -> None:
    data = encoded(pixels, "TIFF", compression=compression)
    assert_refused(data[: len(data) // 2], "is truncated")


def test_a_png_with_a_changed_byte_is_refused(pixels: U8) -> None:
    data = bytearray(encoded(pixels, "PNG"))
    data[len(data) // 2] ^= 0xFF
    assert_refused(bytes(data), "is damaged")


def test_a_header_that_claims_an_enormous_size_is_refused_before_decoding(pixels: U8) -> None:
    claimed = jpeg(pixels).replace(struct.pack(">HH", 408, 560), struct.pack(">HH", 65535, 65535))
    assert_refused(claimed, "is damaged", "cannot hold the 65535x65535 pixels")
    assert_refused(png_header(60000, 60000), "is too large: 60000x60000", "limit is 200 megapixels")


def test_a_header_that_claims_more_than_the_bytes_can_hold_is_refused(pixels: U8) -> None:
    claimed = jpeg(pixels).replace(struct.pack(">HH", 408, 560), struct.pack(">HH", 13000, 13000))
    assert_refused(claimed, "is damaged", "cannot hold the 13000x13000 pixels")
    assert_refused(png_header(5000, 5000), "is damaged")


def test_an_all_black_jpeg_is_not_taken_for_a_lie() -> None:
    for options in ({}, {"optimize": True}, {"progressive": True}):
        black = encoded(np.zeros((2000, 3000, 3), np.uint8), "JPEG", quality=50, **options)
        assert not decode(black, name="eye", side_px=200).pixels.any()


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "TIFF"])
@pytest.mark.parametrize("size", [(1, 1), (600, 255)])
def test_a_picture_too_small_for_lesions_is_refused(pixels: U8, kind: str, size: tuple[int, int]) -> None:
    small = Image.fromarray(pixels).resize(size)
    assert_refused(encoded(small, kind), f"is too small: {size[0]}x{size[1]}", "256 pixels")


@pytest.mark.parametrize("data", [b"hello", b"<!doctype html>", b"\xff\xd8", b"GIF89a", b"%PDF-1.7", b"RIFF0000WEBP"])
def test_what_is_no_photograph_is_refused(data: bytes) -> None:
    assert_refused(data + b"\n" * 40, "is not a photograph", "no JPEG, PNG or TIFF")


def test_a_jpeg_that_is_all_header_is_refused() -> None:
    assert_refused(b"\xff\xd8\xff\xe0\x00\x04ab\xff\xd9", "is damaged", "ends before its image data")
    assert_refused(b"\xff\xd8\xff\xe0\x00\x04abnonsense", "is damaged", "do not follow each other")


def test_no_metadata_reaches_a_message(pixels: U8) -> None:
    data = jpeg(pixels, comment=b"PATIENT-4711")
    assert b"PATIENT-4711" in data
    with pytest.raises(UnreadablePhotograph) as caught:
        decode(data[:-700], name="eye")
    assert "4711" not in str(caught.value)


def test_random_bytes_behind_every_signature_are_refused_and_never_crash() -> None:
    generator = np.random.default_rng(11)
    for signature in (b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"II*\0", b"MM\0*"):
        for _ in range(150):
            noise = generator.integers(0, 256, int(generator.integers(0, 400)), np.uint8).tobytes()
            with pytest.raises(UnreadablePhotograph):
                decode(signature + noise, name="eye")


def test_a_file_is_read(tmp_path: Path) -> None:
    path = tmp_path / "eye.jpg"
    path.write_bytes(b"abc")
    assert read_bytes(path) == b"abc"


@pytest.mark.parametrize(
    ("make", "what", "why"),
    [
        (lambda path: None, "cannot read", "No such file"),
        (lambda path: path.touch(), "is empty", "0 bytes"),
        (lambda path: path.mkdir(), "is a folder", "one file"),
    ],
)
def test_a_file_that_cannot_be_read_is_refused(
    tmp_path: Path, make: Callable[[Path], None], what: str, why: str
) -> None:
    path = tmp_path / "eye.jpg"
    make(path)
    with pytest.raises(UnreadablePhotograph) as caught:
        read_bytes(path)
    assert what in caught.value.what
    assert str(path) in caught.value.what
    assert why in caught.value.why


def test_a_name_with_a_null_byte_is_refused() -> None:
    with pytest.raises(UnreadablePhotograph, match="cannot read"):
        read_bytes(Path("eye\0.jpg"))
