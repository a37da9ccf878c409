import importlib
import platform
import subprocess
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sall_edge.errors import BackendMissing
from sall_edge.fundus.field import FieldOfView
from sall_edge.fundus.phantom import draw_phantom
from sall_edge.fundus.prepare import cut_square
from sall_edge.runtime.cuda import compute_capability
from sall_edge.runtime.kernels import ChannelOrder, PrepareKernel, open_prepare_kernel, prepare
from sall_edge.runtime.kernels.cubin import cubin_name
from sall_edge.spec import ImageSpec

U8 = npt.NDArray[np.uint8]
Driver = Any  # conftest's DriverOnCpu

LEVELS = 1
"""Grey levels between the kernel and OpenCV 5, where OpenCV fuses or rounds other steps than its AVX2 code does."""

SHARE = 1e-3
"""Of a square's values may differ so on x86; on noise 3e-4 did when the rows' places were fused. On ARM, OpenCV may
round the halves of block means up instead of to even, and nobody has counted."""

LEVELS_OF_OPENCV_4 = 8
"""OpenCV 4 places points to 1/32 of a pixel; on noise 7 levels came of it, on photographs mostly 1."""

VECTOR = 16
"""Pixels that OpenCV makes at once with AVX2; the last pixels of a row, if fewer, it makes with other roundings."""

AVX2 = 11
"""CPU_AVX2 in OpenCV's cvdef.h; the Python module does not name it."""

ODD_SIDE = 103


def cut_on_cpu(driver: Driver, pixels: U8, field: FieldOfView, side: int) -> U8:
    driver.memory[1] = pixels
    kernel = PrepareKernel(driver, b"")
    kernel.cut(1, *pixels.shape[:2], pixels.strides[0], field, 2, side, "the stream")
    driver.synchronize()
    return driver.memory[2]


def assert_same(square: U8, pixels: U8, field: FieldOfView) -> None:
    """To the last bit where OpenCV rounds as the kernel does, else within the tolerance."""
    side = len(square)
    difference = np.abs(square.astype(np.int16) - cut_square(pixels, field, ImageSpec(side_px=side)))
    if cv2.__version__.startswith("4."):
        assert difference.max() <= LEVELS_OF_OPENCV_4
        return
    assert difference.max() <= LEVELS
    if platform.machine() == "x86_64":
        is_exact = cv2.checkHardwareSupport(AVX2) and side % VECTOR == 0
        assert np.count_nonzero(difference) <= (0 if is_exact else max(1, SHARE * difference.size))


def phantom(side: int) -> tuple[U8, FieldOfView]:
    drawn = draw_phantom(np.random.default_rng(7), side_px=side, dr_grade=3, amd_grade=2, eye="L")
    return drawn.pixels, drawn.field


def noise(height: int, width: int) -> U8:
    return np.random.default_rng(3).integers(0, 256, (height, width, 3), dtype=np.uint8)


@pytest.mark.parametrize("side", [64, 224, 320, ODD_SIDE])
@pytest.mark.parametrize("shrink", [1, 2, 3, 5, 8])
def test_a_square_is_cut_as_opencv_cuts_it(driver: Driver, shrink: int, side: int) -> None:
    diameter = min(round((shrink + 0.6) * side), 1800)
    pixels = cv2.resize(phantom(768)[0], (diameter + 31, diameter - 12), interpolation=cv2.INTER_LINEAR)
    field = FieldOfView(center_x_px=diameter / 2 + 4.3, center_y_px=diameter / 2 - 9.8, radius_px=diameter / 2)
    assert_same(cut_on_cpu(driver, pixels, field, side), pixels, field)


@pytest.mark.parametrize("side", [224, 512])
def test_a_photograph_smaller_than_the_square_is_enlarged_as_opencv_does_it(driver: Driver, side: int) -> None:
    pixels, field = phantom(160)
    square = cut_on_cpu(driver, pixels, field, side)
    assert square[side // 2, side // 2].any()
    assert_same(square, pixels, field)


@pytest.mark.parametrize("aside", [(0.5, 0.1), (-0.6, 0), (0.2, 0.7), (-0.1, -0.9), (1.2, 1.1)])
@pytest.mark.parametrize("radius", [55.2, 301.7])
def test_what_lies_outside_the_frame_is_black(driver: Driver, aside: tuple[float, float], radius: float) -> None:
    pixels = noise(281, 337)
    center_x, center_y = 168 + aside[0] * 168, 140 + aside[1] * 140
    field = FieldOfView(center_x_px=center_x, center_y_px=center_y, radius_px=radius)
    assert_same(cut_on_cpu(driver, pixels, field, 96), pixels, field)


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    height=st.integers(1, 260),
    width=st.integers(1, 260),
    center=st.tuples(st.floats(-0.2, 1.2), st.floats(-0.2, 1.2)),
    radius=st.floats(0.01, 400),  # beyond what keeps the circle on the frame
    side=st.integers(32, 130),
)
def test_any_circle_on_any_frame_is_cut_as_opencv_cuts_it(
    driver: Driver, height: int, width: int, center: tuple[float, float], radius: float, side: int
) -> None:
    pixels = noise(height, width)
    field = FieldOfView(
        center_x_px=center[0] * width, center_y_px=center[1] * height, radius_px=radius + 0.3 * max(height, width)
    )
    assert_same(cut_on_cpu(driver, pixels, field, side), pixels, field)


@pytest.mark.parametrize("order", list(ChannelOrder))
@pytest.mark.parametrize("padding", [0, 13])
def test_every_layout_of_a_decoder_gives_the_same_square(driver: Driver, order: ChannelOrder, padding: int) -> None:
    pixels, field = phantom(320)
    height, width = pixels.shape[:2]
    rows = {
        ChannelOrder.RGB: pixels.reshape(height, -1),
        ChannelOrder.BGR: pixels[:, :, ::-1].reshape(height, -1),
        ChannelOrder.RGB_PLANES: np.moveaxis(pixels, 2, 0).reshape(3 * height, width),
    }[order]
    driver.memory[1] = np.pad(rows, ((0, 0), (0, padding)), constant_values=255)
    pitch = rows.shape[1] + padding
    PrepareKernel(driver, b"").cut(1, height, width, pitch, field, 2, 112, "the stream", order=order)
    driver.synchronize()
    assert_same(driver.memory[2], pixels, field)


def test_a_read_beyond_the_photograph_is_seen_by_these_tests(driver: Driver) -> None:
    pixels = noise(100, 100)
    driver.memory[1] = pixels[:-1]  # a row less than the kernel is told
    field = FieldOfView(center_x_px=50, center_y_px=50, radius_px=60)
    PrepareKernel(driver, b"").cut(1, 100, 100, 300, field, 2, 64, "the stream")
    with pytest.raises(subprocess.CalledProcessError) as stopped:
        driver.synchronize()
    assert b"heap-buffer-overflow" in stopped.value.stderr


def test_squares_of_two_photographs_are_queued_without_waiting(driver: Driver) -> None:
    kernel = PrepareKernel(driver, b"")
    photographs = [phantom(160), phantom(200)]
    for place, (pixels, field) in enumerate(photographs):
        driver.memory[place] = pixels
        kernel.cut(place, *pixels.shape[:2], pixels.strides[0], field, 10 + place, 64, "the stream")
    assert driver.calls == ["launch", "launch"]
    assert 10 not in driver.memory
    driver.synchronize()
    for place, (pixels, field) in enumerate(photographs):
        assert_same(driver.memory[10 + place], pixels, field)


def test_a_pitch_below_the_width_is_refused(driver: Driver) -> None:
    field = FieldOfView(center_x_px=50, center_y_px=50, radius_px=40)
    with pytest.raises(ValueError, match="pitch is 299; 100 pixels of interleaved RGB need 300 bytes"):
        PrepareKernel(driver, b"").cut(1, 100, 100, 299, field, 2, 64, "the stream")


def test_the_cubin_of_the_package_is_loaded(driver: Driver, tmp_path: Path) -> None:
    (tmp_path / cubin_name("8.7")).write_bytes(b"compiled ahead")
    pixels, field = phantom(160)
    driver.memory[1] = pixels
    kernel = open_prepare_kernel(driver, "8.7", folder=tmp_path)
    kernel.cut(1, *pixels.shape[:2], pixels.strides[0], field, 2, 64, "the stream")
    driver.synchronize()
    assert_same(driver.memory[2], pixels, field)


REFUSED = b"for another driver"
"""What conftest's driver does not load."""


def test_nvrtc_compiles_when_the_driver_refuses_the_cubin_of_the_package(
    driver: Driver, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / cubin_name("8.7")).write_bytes(REFUSED)
    asked = []
    monkeypatch.setattr(prepare, "compile_with_nvrtc", lambda capability: asked.append(capability) or b"compiled now")
    assert isinstance(open_prepare_kernel(driver, "8.7", folder=tmp_path), PrepareKernel)
    assert asked == ["8.7"]


def test_a_driver_that_refuses_the_only_cubin_says_what_to_do(
    driver: Driver, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def missing(capability: str) -> bytes:
        raise BackendMissing("the kernel is not compiled", "NVRTC cannot compile it here", "install it")

    monkeypatch.setattr(prepare, "compile_with_nvrtc", missing)
    with pytest.raises(BackendMissing, match="the kernel is not compiled"):
        open_prepare_kernel(driver, "8.7", folder=tmp_path)
    (tmp_path / cubin_name("8.7")).write_bytes(REFUSED)
    with pytest.raises(BackendMissing) as error:
        open_prepare_kernel(driver, "8.7", folder=tmp_path)
    assert error.value.what == "the CUDA driver refuses the kernel that prepares photographs for sm_87"
    assert "device kernel image is invalid; NVRTC cannot compile it here" in error.value.why
    assert "python -m sall_edge.runtime.kernels" in error.value.fix


def test_a_driver_that_refuses_what_nvrtc_compiled_says_so(
    driver: Driver, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(prepare, "compile_with_nvrtc", lambda capability: REFUSED)
    with pytest.raises(BackendMissing, match="refuses the kernel") as error:
        open_prepare_kernel(driver, "8.7", folder=tmp_path)
    assert "device kernel image is invalid" in error.value.why
    assert "cuda-core for this driver's CUDA version" in error.value.fix


@pytest.mark.gpu
@pytest.mark.parametrize("side", [224, ODD_SIDE])
def test_a_gpu_cuts_the_square_that_opencv_cuts(side: int) -> None:
    try:
        capability = compute_capability()
        driver = importlib.import_module("pycuda.driver")
    except (BackendMissing, ImportError) as cause:
        pytest.skip(f"needs a GPU and PyCUDA: {cause}")
    pixels, field = phantom(768)
    square = np.empty((side, side, 3), np.uint8)
    driver.init()
    context = driver.Device(0).retain_primary_context()
    context.push()
    try:
        kernel = open_prepare_kernel(driver, capability)
        stream, source, destination = driver.Stream(), driver.to_device(pixels), driver.mem_alloc(square.nbytes)
        kernel.cut(source, *pixels.shape[:2], pixels.strides[0], field, destination, side, stream)
        stream.synchronize()
        driver.memcpy_dtoh(square, destination)
        source.free()
        destination.free()
        del stream, kernel
    finally:
        context.pop()
        context.detach()
    assert_same(square, pixels, field)
