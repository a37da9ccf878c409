"""`cut_square` on the GPU: a decoded photograph in device memory becomes the engine's input there, in one launch.

No GPU was at hand when this was written. The kernel's arithmetic is tested on a CPU against `cut_square`, its machine
code is compiled but has never run.
"""

from enum import Enum
from pathlib import Path
from typing import Any

from sall_edge.errors import BackendMissing
from sall_edge.fundus.field import FieldOfView
from sall_edge.fundus.prepare import sampling_of_square
from sall_edge.runtime.kernels.cubin import PACKAGE, architecture, compile_with_nvrtc, cubin_compiled_ahead

__all__ = ["ChannelOrder", "PrepareKernel", "open_prepare_kernel"]

ENTRY = "cut_square"
PARAMETERS = "PqiqqqiiiiiiiffffPi"
"""Of the kernel, as format characters of `struct`, by which PyCUDA packs them."""

BLOCK = (32, 8, 1)
"""Threads: a warp makes 32 neighbours of one row, which read neighbouring bytes."""


class ChannelOrder(Enum):
    """How a decoder lays the three channels of a pixel in memory."""

    RGB = "interleaved RGB"
    BGR = "interleaved BGR"
    RGB_PLANES = "three planes of height rows each, one after the other: red, green, blue"


class PrepareKernel:
    """The loaded kernel. Whoever calls makes the GPU's context current, when opening and when cutting.

    Args:
        driver: The module `pycuda.driver`, or what stands in for it.
        cubin: Compiled for this GPU.
    """

    def __init__(self, driver: Any, cubin: bytes) -> None:
        self._module = driver.module_from_buffer(cubin)  # held: a function does not outlive its module
        self._function = self._module.get_function(ENTRY).prepare(PARAMETERS)

    def cut(
        self,
        source: Any,
        height: int,
        width: int,
        pitch: int,
        field: FieldOfView,
        destination: Any,
        side_px: int,
        stream: Any,
        *,
        order: ChannelOrder = ChannelOrder.RGB,
    ) -> None:
        """Queues one launch and returns at once; it allocates nothing on the device.

        Args:
            source: Device address of the photograph (an int or PyCUDA's allocation), at least `pitch * height` bytes,
                three times that for planes. It must stay as it is until the stream is done.
            height, width: Of the photograph, in pixels.
            pitch: Bytes from one row to the next.
            field: The field of view, in pixels of the photograph.
            destination: Device address of side_px x side_px x 3 bytes; they become the square, uint8 RGB.
            side_px: Side of the square.
            stream: PyCUDA's stream.
            order: Where a pixel's channels lie.

        Raises:
            ValueError: The pitch is too small for a row, or the field of view lies beside the frame.
        """
        pixel_bytes, channels = _layout(order, pitch * height)
        if pitch < width * pixel_bytes:
            raise ValueError(f"pitch is {pitch}; {width} pixels of {order.value} need {width * pixel_bytes} bytes")
        cut = sampling_of_square(height, width, field, side_px)
        crop = (cut.left_px, cut.top_px, cut.width_px, cut.height_px)
        columns, rows = -(-cut.width_px // cut.shrink), -(-cut.height_px // cut.shrink)
        blocks = (cut.shrink, columns, rows, 1 / cut.shrink**2)
        grid = (-(-side_px // BLOCK[0]), -(-side_px // BLOCK[1]))
        photograph = (int(source), pitch, pixel_bytes, *channels)
        square = (cut.step, cut.first_x, cut.first_y, int(destination), side_px)
        self._function.prepared_async_call(grid, BLOCK, stream, *photograph, *crop, *blocks, *square)


def _layout(order: ChannelOrder, plane_bytes: int) -> tuple[int, tuple[int, int, int]]:
    """Bytes of one pixel, and from its address to its red, green and blue."""
    if order is ChannelOrder.RGB:
        return 3, (0, 1, 2)
    if order is ChannelOrder.BGR:
        return 3, (2, 1, 0)
    return 1, (0, plane_bytes, 2 * plane_bytes)


def open_prepare_kernel(driver: Any, capability: str, *, folder: Path = PACKAGE) -> PrepareKernel:
    """The kernel on this GPU, from its cubin in the package, else compiled by NVRTC: one source, the same numbers.

    A driver may refuse a cubin of the package, because a newer CUDA toolkit made it; NVRTC is asked then as well.

    Args:
        driver: The module `pycuda.driver`; the GPU's context must be current.
        capability: The GPU's compute capability, such as "8.7".
        folder: Where cubins lie.

    Raises:
        BackendMissing: There is no cubin for this GPU that its driver takes, and NVRTC is missing or fails.
    """
    what = f"the CUDA driver refuses the kernel that prepares photographs for {architecture(capability)}"
    command = "python -m sall_edge.runtime.kernels"
    fix = f"install cuda-core for this driver's CUDA version, or compile with that version's nvcc: {command}"
    refusal = None
    ahead = cubin_compiled_ahead(capability, folder=folder)
    if ahead is not None:
        try:
            return PrepareKernel(driver, ahead)
        except driver.Error as cause:
            refusal = str(cause)
    try:
        return PrepareKernel(driver, compile_with_nvrtc(capability))
    except driver.Error as cause:
        raise BackendMissing(what, str(cause), fix) from cause
    except BackendMissing as missing:
        if refusal is None:
            raise
        raise BackendMissing(what, f"{refusal}; {missing.why}", fix) from missing
