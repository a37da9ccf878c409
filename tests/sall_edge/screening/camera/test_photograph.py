from typing import Any

import cv2
import numpy as np
import pytest
from fakes.camera_device import noisy_picture

from sall_edge.fundus.decode import decode
from sall_edge.screening.camera.photograph import photograph_from, with_huffman_tables
from sall_edge.screening.camera.raw_frame import Layout, RawFrame, rgb_from

PICTURE = noisy_picture(np.random.default_rng(0))


def _jpeg(**options: int) -> bytes:
    wanted = [value for name, number in options.items() for value in (getattr(cv2, name), number)]
    packed: bytes = cv2.imencode(".jpg", PICTURE, wanted)[1].tobytes()
    return packed


def _without_tables(jpeg: bytes) -> bytes:
    place, kept = 2, [jpeg[:2]]
    while jpeg[place + 1] != 0xDA:
        end = place + 2 + int.from_bytes(jpeg[place + 2 : place + 4], "big")
        if jpeg[place + 1] != 0xC4:
            kept.append(jpeg[place:end])
        place = end
    return b"".join([*kept, jpeg[place:]])


def _raw(data: Any, layout: Layout) -> RawFrame:
    return RawFrame(data=data, layout=layout, exposed_s=0.0)


@pytest.mark.parametrize("layout", [layout for layout in Layout if layout not in (Layout.JPEG, Layout.PNG)])
def test_pixels_become_a_tiff_that_screening_reads_without_a_bit_lost(layout: Layout) -> None:
    channels = {Layout.GREY: 1, Layout.YUYV: 2, Layout.BGRX: 4, Layout.RGBX: 4}.get(layout, 3)
    data = np.ascontiguousarray(np.dstack([PICTURE, PICTURE])[:, :, :channels].squeeze())
    packed = photograph_from(_raw(data, layout))
    assert packed is not None
    file, suffix = packed
    assert suffix == ".tif"
    assert np.array_equal(decode(file, name="frame").pixels, rgb_from(_raw(data, layout)))


@pytest.mark.parametrize(("layout", "suffix"), [(Layout.JPEG, ".jpg"), (Layout.PNG, ".png")])
def test_a_file_of_the_camera_stays_as_it_is(layout: Layout, suffix: str) -> None:
    file = cv2.imencode(suffix, PICTURE)[1].reshape(-1)
    assert photograph_from(_raw(file, layout)) == (file.tobytes(), suffix)


def test_motion_jpeg_gets_the_tables_that_it_leaves_out() -> None:
    whole = _jpeg()
    bare = _without_tables(whole)
    assert len(bare) < len(whole)
    packed = photograph_from(_raw(np.frombuffer(bare, np.uint8), Layout.JPEG))
    assert packed is not None
    assert b"\xff\xc4" in packed[0]
    assert np.array_equal(decode(packed[0], name="frame").pixels, decode(whole, name="frame").pixels)


def test_a_jpeg_with_tables_of_its_own_keeps_them() -> None:
    own = _jpeg(IMWRITE_JPEG_OPTIMIZE=1)
    assert with_huffman_tables(own) == own
