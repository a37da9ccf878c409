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

from sall_edge.errors import BackendMissing, DeviceFailed

__all__ = ["Buffer", "Gpu", "GpuFacts", "compute_capability", "describe_gpu", "open_gpu", "require_driver"]

DRIVER_LIBRARY = "libcuda.so.1"
# CUdevice_attribute in cuda.h
_MULTIPROCESSORS, _INTEGRATED, _CAPABILITY_MAJOR, _CAPABILITY_MINOR = 16, 18, 75, 76
_NAME_BYTES = 256
_JETPACK = "on a Jetson it comes with JetPack (sudo apt install nvidia-jetpack); elsewhere install NVIDIA's driver"
_FREE_MEMORY = "close other programs, build with a smaller max_batch, or restart the device"


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


@dataclass(frozen=True, slots=True, kw_only=True)
class GpuFacts:
    """What tells one GPU from another.

    Attributes:
        name: As the driver gives it; all Orins have the same.
        compute_capability: Such as "8.7".
        multiprocessors: Streaming multiprocessors that are switched on.
        is_integrated: Whether it shares its memory with the CPU, as on every Jetson.
    """

    name: str
    compute_capability: str
    multiprocessors: int
    is_integrated: bool


def describe_gpu(*, library: str = DRIVER_LIBRARY) -> GpuFacts:
    """The first GPU.

    Raises:
        BackendMissing: There is no driver or no GPU.
    """
    driver = require_driver(library=library)
    major, minor, multiprocessors, integrated = (
        _attribute(driver, attribute)
        for attribute in (_CAPABILITY_MAJOR, _CAPABILITY_MINOR, _MULTIPROCESSORS, _INTEGRATED)
    )
    name = ctypes.create_string_buffer(_NAME_BYTES)
    driver.cuDeviceGetName(name, _NAME_BYTES, 0)
    return GpuFacts(
        name=name.value.decode(errors="replace") or "unnamed",
        compute_capability=f"{major}.{minor}",
        multiprocessors=multiprocessors,
        is_integrated=bool(integrated),
    )


def compute_capability(*, library: str = DRIVER_LIBRARY) -> str:
    """The first GPU's compute capability, such as "8.7".

    Raises:
        BackendMissing: There is no driver or no GPU.
    """
    return describe_gpu(library=library).compute_capability


def _attribute(driver: ctypes.CDLL, attribute: int) -> int:
    number = ctypes.c_int()
    if status := driver.cuDeviceGetAttribute(ctypes.byref(number), attribute, 0):
        why = f"cuDeviceGetAttribute answered {status}"
        raise BackendMissing("the CUDA driver finds no GPU", why, "check that a GPU is there")
    return number.value


@dataclass(frozen=True, slots=True, kw_only=True)
class Buffer:
    """One tensor as the CPU and as the GPU see it.

    Attributes:
        host: Pinned; what the CPU reads and writes.
        address: What the GPU is told: the same memory where the two share it, else memory of its own.
        device: PyCUDA's allocation of that; None where the memory is shared.
    """

    host: NDArray[Any]
    address: int
    device: Any


class Gpu:
    """The GPU's primary context, one stream, and memory that lives until `close`.

    Args:
        driver: The module `pycuda.driver`, or what stands in for it.
        library: The CUDA driver itself, from `require_driver`.
    """

    def __init__(self, driver: Any, library: Any) -> None:
        driver.init()
        self._driver, self._library = driver, library
        device = driver.Device(0)
        self.is_integrated = bool(device.get_attribute(driver.device_attribute.INTEGRATED))
        self._context = device.retain_primary_context()
        self._held = ExitStack()
        with ExitStack() as on_failure:
            on_failure.callback(self._detach)
            with self.current():
                self.stream = driver.Stream()
                self._start, self._end = driver.Event(), driver.Event()
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
        """Memory of one tensor; call inside `current`.

        Raises:
            DeviceFailed: There is not enough of it.
        """
        flags = self._driver.host_alloc_flags.DEVICEMAP if self.is_integrated else 0
        with self._enough_memory():
            host = self._driver.pagelocked_empty(shape, dtype, mem_flags=flags)
            self._held.callback(host.base.free)
            if self.is_integrated:  # the GPU reads the pinned memory itself: nothing is copied
                return Buffer(host=host, address=int(host.base.get_device_pointer()), device=None)
        size = int(np.prod(shape)) * np.dtype(dtype).itemsize
        device = self.memory(size)
        return Buffer(host=host, address=int(device), device=device)

    def memory(self, size: int) -> Any:
        """PyCUDA's allocation of so many bytes on the device; call inside `current`.

        Raises:
            DeviceFailed: There is not enough of it.
        """
        with self._enough_memory():
            device = self._driver.mem_alloc(max(size, 1))
        self._held.callback(device.free)
        return device

    def upload(self, buffer: Buffer, rows: int) -> None:
        """Queues the first rows, host to device; nothing where the memory is shared."""
        if buffer.device is not None:
            self._driver.memcpy_htod_async(buffer.device, buffer.host[:rows], self.stream)

    def download(self, buffer: Buffer, rows: int) -> None:
        """Queues the first rows, device to host; nothing where the memory is shared."""
        if buffer.device is not None:
            self._driver.memcpy_dtoh_async(buffer.host[:rows], buffer.device, self.stream)

    @contextmanager
    def timed(self) -> Iterator[None]:
        """Times what the block queues, by events on the stream; `elapsed_ms` has it after `synchronize`."""
        self._start.record(self.stream)
        yield
        self._end.record(self.stream)

    def elapsed_ms(self) -> float:
        """Time between start and end of the last `timed` block on the GPU; call inside `current`."""
        return float(self._start.time_till(self._end))

    def synchronize(self) -> None:
        """Waits until everything that was queued is done.

        Raises:
            DeviceFailed: Something that was queued went wrong.
        """
        try:
            self.stream.synchronize()
        except self._driver.Error as cause:
            fix = "restart the device; when it happens again, report it with the output of sall-edge doctor"
            raise DeviceFailed("the GPU stopped", str(cause), fix) from cause

    def close(self) -> None:
        """Frees the memory, the stream and the context, whatever one of them answers."""
        with ExitStack() as last:
            last.callback(self._detach)
            with self.current(), self._held:
                del self.stream, self._start, self._end

    def _detach(self) -> None:
        """Gives the context back and leaves the driver's stack of contexts as it was.

        PyCUDA pushes the context to release it and expects the driver to pop it, which it does for contexts that
        PyCUDA made, not for the primary one.
        """
        before, after = ctypes.c_void_p(), ctypes.c_void_p()
        self._library.cuCtxGetCurrent(ctypes.byref(before))
        self._context.detach()
        self._library.cuCtxGetCurrent(ctypes.byref(after))
        if after.value != before.value:
            self._library.cuCtxPopCurrent_v2(ctypes.byref(after))

    @contextmanager
    def _enough_memory(self) -> Iterator[None]:
        try:
            yield
        except self._driver.MemoryError as cause:
            raise DeviceFailed("the GPU's memory is not enough for this engine", str(cause), _FREE_MEMORY) from cause


def open_gpu() -> Gpu:
    """The first GPU, through PyCUDA.

    Raises:
        BackendMissing: No driver, no GPU, or PyCUDA is not installed.
    """
    library = require_driver()
    try:
        driver = importlib.import_module("pycuda.driver")
    except ImportError as cause:
        fix = "pip install pycuda (on a Jetson it compiles for some minutes and needs nvidia-jetpack)"
        raise BackendMissing("PyCUDA is not installed", str(cause), fix) from cause
    return Gpu(driver, library)
