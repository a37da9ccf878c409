"""The GPU: is its driver there, what is it, and the memory that an engine reads and writes.

The driver is asked through ctypes first, because TensorRT's runtime crashes the process on a machine without one.
Everything else is PyCUDA's, handed in as `driver` (the module `pycuda.driver`).
"""

import ctypes
import importlib
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from sall_edge.errors import BackendMissing

__all__ = ["Buffer", "Gpu", "compute_capability", "open_gpu", "require_driver"]

DRIVER_LIBRARY = "libcuda.so.1"
_CAPABILITY_MAJOR, _CAPABILITY_MINOR = 75, 76  # CUdevice_attribute in cuda.h
_JETPACK = "on a Jetson it comes with JetPack (sudo apt install nvidia-jetpack); elsewhere install NVIDIA's driver"


def require_driver(*, library: str = DRIVER_LIBRARY) -> ctypes.CDLL:
    """The CUDA driver, initialised.

    Raises:
        BackendMissing: There is none, or it finds no GPU.
    """
    try:
        driver = ctypes.CDLL(library)
    except OSError as cause:
        raise BackendMissing("the CUDA driver is not on this machine", str(cause), _JETPACK) from cause
    status = driver.cuInit(0)
    if status != 0:
        why = f"cuInit answered {status}"
        raise BackendMissing("the CUDA driver cannot start", why, "check that a GPU is there (nvidia-smi)")
    return driver


def compute_capability(*, library: str = DRIVER_LIBRARY) -> str:
    """The first GPU's compute capability, such as "8.7".

    Raises:
        BackendMissing: There is no driver or no GPU.
    """
    driver = require_driver(library=library)
    numbers = []
    for attribute in (_CAPABILITY_MAJOR, _CAPABILITY_MINOR):
        number = ctypes.c_int()
        if status := driver.cuDeviceGetAttribute(ctypes.byref(number), attribute, 0):
            why = f"cuDeviceGetAttribute answered {status}"
            raise BackendMissing("the CUDA driver finds no GPU", why, "check that a GPU is there")
        numbers.append(number.value)
    return f"{numbers[0]}.{numbers[1]}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Buffer:
    """One tensor twice: `host` is pinned, `device` is PyCUDA's allocation (its int is the address)."""

    host: NDArray[Any]
    device: Any


class Gpu:
    """The GPU's primary context, one stream, and buffers that live until `close`.

    Args:
        driver: The module `pycuda.driver`, or what stands in for it.
    """

    def __init__(self, driver: Any) -> None:
        driver.init()
        self._driver = driver
        self._context = driver.Device(0).retain_primary_context()
        self._held = ExitStack()
        with ExitStack() as on_failure:
            on_failure.callback(self._context.detach)
            with self.current():
                self.stream = driver.Stream()
            on_failure.pop_all()

    @contextmanager
    def current(self) -> Iterator[None]:
        """Makes the context current on the calling thread: a session may be opened on one and used on another."""
        self._context.push()
        try:
            yield
        finally:
            self._context.pop()

    def buffer(self, shape: tuple[int, ...], dtype: DTypeLike) -> Buffer:
        """Pinned and device memory of one tensor; call inside `current`."""
        host = self._driver.pagelocked_empty(shape, dtype)
        self._held.callback(host.base.free)
        device = self._driver.mem_alloc(int(np.prod(shape)) * np.dtype(dtype).itemsize)
        self._held.callback(device.free)
        return Buffer(host=host, device=device)

    def upload(self, buffer: Buffer, rows: int) -> None:
        """Queues the first rows, host to device."""
        self._driver.memcpy_htod_async(buffer.device, buffer.host[:rows], self.stream)

    def download(self, buffer: Buffer, rows: int) -> None:
        """Queues the first rows, device to host."""
        self._driver.memcpy_dtoh_async(buffer.host[:rows], buffer.device, self.stream)

    def synchronize(self) -> None:
        """Waits until everything that was queued is done."""
        self.stream.synchronize()

    def close(self) -> None:
        """Frees the buffers, the stream and the context, whatever one of them answers."""
        with ExitStack() as last:
            last.callback(self._context.detach)
            with self.current(), self._held:
                del self.stream


def open_gpu() -> Gpu:
    """The first GPU, through PyCUDA.

    Raises:
        BackendMissing: No driver, no GPU, or PyCUDA is not installed.
    """
    require_driver()
    try:
        driver = importlib.import_module("pycuda.driver")
    except ImportError as cause:
        fix = "pip install pycuda (on a Jetson it compiles for about two minutes and needs nvidia-jetpack)"
        raise BackendMissing("PyCUDA is not installed", str(cause), fix) from cause
    return Gpu(driver)
