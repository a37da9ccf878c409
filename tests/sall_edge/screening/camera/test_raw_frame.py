from typing import Any

import cv2
import numpy as np
import pytest
from fakes.camera_device import noisy_picture

from sall_edge.screening.camera.raw_frame import (
    Layout,
    RawFrame,
    grey_thumbnail,
    is_same_picture,
    is_whole,
    rgb_from,
    size_px_of,
)

JPEG_ERROR = 12
"""Largest mean difference of a picture with noise after JPEG or chroma subsampling."""


def _raw(data: Any, layout: Layout) -> RawFrame:
    return RawFrame(data=np.ascontiguousarray(data), layout=layout, exposed_s=0.0)


@pytest.fixture(scope="module")
def picture() -> Any:
    smooth = cv2.GaussianBlur(noisy_picture(np.random.default_rng(0), (322, 258)), (0, 0), 2)
    return smooth[:, :, :] // np.array([1, 2, 4], np.uint8)  # colours tell channels apart


def _in(layout: Layout, picture: Any) -> RawFrame:
    bgr = cv2.cvtColor(picture, cv2.COLOR_RGB2BGR)
    data = {
        Layout.JPEG: lambda: cv2.imencode(".jpg", bgr)[1].reshape(-1),
        Layout.PNG: lambda: cv2.imencode(".png", bgr)[1].reshape(-1),
        Layout.BGR: lambda: bgr,
        Layout.RGB: lambda: picture.copy(),
        Layout.BGRX: lambda: cv2.cvtColor(picture, cv2.COLOR_RGB2BGRA),
        Layout.RGBX: lambda: cv2.cvtColor(picture, cv2.COLOR_RGB2RGBA),
        Layout.GREY: lambda: cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY),
        Layout.YUYV: lambda: cv2.cvtColor(picture, cv2.COLOR_RGB2YUV_YUYV),
    }
    return _raw(data[layout](), layout)


@pytest.mark.parametrize("layout", Layout)
def test_every_layout_becomes_the_same_rgb(layout: Layout, picture: Any) -> None:
    raw = _in(layout, picture)
    rgb = rgb_from(raw)
    assert rgb is not None
    wanted = picture if layout is not Layout.GREY else cv2.cvtColor(raw.data, cv2.COLOR_GRAY2RGB)
    assert np.abs(rgb.astype(int) - wanted).mean() < JPEG_ERROR
    assert np.abs(rgb.astype(int).mean((0, 1)) - wanted.mean((0, 1))).max() < 3
    assert not rgb.flags.writeable
    assert size_px_of(raw) == (322, 258)
    assert is_whole(raw)


@pytest.mark.parametrize("layout", Layout)
def test_the_thumbnail_is_as_bright_as_the_picture(layout: Layout, picture: Any) -> None:
    small = grey_thumbnail(_in(layout, picture))
    assert small is not None
    assert small.shape[0] in (32, 33)
    luma = cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY).mean()
    assert small.mean() == pytest.approx(luma, abs=8)  # YUYV has its luma in a shorter range


def test_a_damaged_jpeg_is_not_whole_and_not_decoded(picture: Any) -> None:
    whole = _in(Layout.JPEG, picture)
    half = _raw(whole.data[: len(whole.data) // 2], Layout.JPEG)
    noise = _raw(np.arange(200, dtype=np.uint8), Layout.JPEG)
    assert not is_whole(half)
    assert not is_whole(noise)
    assert rgb_from(noise) is None
    assert grey_thumbnail(noise) is None


@pytest.mark.parametrize("layout", [Layout.JPEG, Layout.BGR, Layout.GREY])
def test_one_other_value_makes_another_picture(layout: Layout, picture: Any) -> None:
    raw = _in(layout, picture)
    assert is_same_picture(raw, _raw(raw.data.copy(), layout))
    for place in (0, raw.data.size // 3 + 1, raw.data.size - 1):
        other = raw.data.copy()
        other.reshape(-1)[place] ^= 1
        assert not is_same_picture(raw, _raw(other, layout))
    assert not is_same_picture(raw, _raw(raw.data[:-1], layout))
    assert not is_same_picture(raw, _in(Layout.RGB, picture))
