"""Stand-ins for `pycuda.driver` and `tensorrt` that record every call and move real bytes in host memory.

They show: the order of calls, that buffers are made once, that every resource is released once on every path, that rows
of a batch are not mixed up. They cannot show: that NVIDIA's functions take these arguments, races between streams,
real memory limits, anything about kernels, numerics or speed.
"""

from types import SimpleNamespace

import numpy as np


class _Allocation:
    def __init__(self, driver: "RecordingDriver", kind: str, size: int) -> None:
        self.driver, self.kind, self.content = driver, kind, bytearray(size)
        driver.live[id(self)] = self
        driver.calls.append(f"allocate {kind}")

    def free(self) -> None:
        if not self.driver.depth:
            raise RuntimeError("invalid device context")
        del self.driver.live[id(self)]  # a double free raises KeyError
        self.driver.calls.append(f"free {self.kind}")

    def get_device_pointer(self) -> int:
        return id(self)

    def __int__(self) -> int:
        return id(self)


class _Stream:
    handle = 77

    def __init__(self, driver: "RecordingDriver") -> None:
        if not driver.depth:
            raise RuntimeError("invalid device context")
        self.driver = driver
        driver.calls.append("create stream")

    def synchronize(self) -> None:
        self.driver.calls.append("synchronize")

    def __del__(self) -> None:
        self.driver.calls.append("destroy stream")


class _Event:
    def __init__(self, driver: "RecordingDriver") -> None:
        self.driver = driver

    def record(self, stream: _Stream) -> None:
        self.driver.events += 1

    def time_till(self, later: "_Event") -> float:
        assert self.driver.depth, "no context is current"
        return 1.5


class RecordingDriver:
    """The module `pycuda.driver`."""

    Error = RuntimeError
    MemoryError = type("MemoryError", (RuntimeError,), {})
    device_attribute = SimpleNamespace(INTEGRATED="integrated")
    host_alloc_flags = SimpleNamespace(DEVICEMAP=2)

    def __init__(self, *, is_integrated: bool = False) -> None:
        self.is_integrated = is_integrated
        self.events = 0
        self.calls: list[str] = []
        self.live: dict[int, _Allocation] = {}
        self.depth = 0
        self.retained = 0
        nothing = SimpleNamespace(cuCtxGetCurrent=lambda place: 0, cuCtxPopCurrent_v2=lambda place: 0)
        self.library = nothing  # its stack of contexts is `depth`

    def init(self) -> None:
        self.calls.append("init")

    def Device(self, ordinal: int) -> SimpleNamespace:  # noqa: N802  # PyCUDA's name
        assert ordinal == 0
        attributes = {"integrated": int(self.is_integrated)}
        return SimpleNamespace(retain_primary_context=self._retain, get_attribute=attributes.__getitem__)

    def _retain(self) -> "RecordingDriver":
        self.retained += 1
        return self

    def push(self) -> None:
        self.depth += 1

    def pop(self) -> None:
        self.depth -= 1

    def detach(self) -> None:
        self.retained -= 1
        self.calls.append("detach context")

    def Stream(self) -> _Stream:  # noqa: N802  # PyCUDA's name
        return _Stream(self)

    def Event(self) -> _Event:  # noqa: N802  # PyCUDA's name
        return _Event(self)

    def mem_alloc(self, size: int) -> _Allocation:
        return _Allocation(self, "device", size)

    def pagelocked_empty(self, shape: tuple[int, ...], dtype: object, mem_flags: int = 0) -> SimpleNamespace:
        assert mem_flags == (self.host_alloc_flags.DEVICEMAP if self.is_integrated else 0)
        allocation = _Allocation(self, "pinned", int(np.prod(shape)) * np.dtype(dtype).itemsize)
        array = np.frombuffer(allocation.content, dtype).reshape(shape)
        return _PinnedArray(array, allocation)

    def memcpy_htod_async(self, device: _Allocation, host: np.ndarray, stream: _Stream) -> None:
        self._check(device, host)
        device.content[: host.nbytes] = host.tobytes()
        self.calls.append("upload")

    def memcpy_dtoh_async(self, host: np.ndarray, device: _Allocation, stream: _Stream) -> None:
        self._check(device, host)
        host[...] = np.frombuffer(device.content[: host.nbytes], host.dtype).reshape(host.shape)
        self.calls.append("download")

    def _check(self, device: _Allocation, host: np.ndarray) -> None:
        assert host.flags.c_contiguous
        assert host.nbytes <= len(device.content)
        assert self.depth, "no context is current"


class _PinnedArray(np.ndarray):
    """An array whose `base` is the allocation, as PyCUDA's page-locked arrays have it."""

    def __new__(cls, array: np.ndarray, allocation: _Allocation) -> "_PinnedArray":
        made = np.ndarray.__new__(cls, array.shape, array.dtype, buffer=array)
        made._allocation = allocation
        return made

    @property
    def base(self) -> _Allocation:
        return self._allocation

    def __array_finalize__(self, parent: object) -> None:
        self._allocation = getattr(parent, "_allocation", None)


class _Severity:
    def __init__(self, name: str) -> None:
        self.name = name


class _Context:
    def __init__(self, trt: "RecordingTensorrt") -> None:
        self.trt, self.addresses, self.rows, self.scratch = trt, {}, 0, None

    def set_device_memory(self, memory: int, size: int) -> None:
        assert size == self.trt.scratch_bytes
        assert memory in self.trt.driver.live
        self.scratch = memory

    def set_tensor_address(self, name: str, address: int) -> bool:
        self.trt.calls.append(f"bind {name}")
        self.addresses[name] = address
        return self.trt.fail_at != "set_tensor_address"

    def set_input_shape(self, name: str, shape: tuple[int, ...]) -> bool:
        self.trt.calls.append(f"shape {name}")
        self.rows = shape[0]
        return self.trt.fail_at != "set_input_shape"

    def execute_async_v3(self, stream: int) -> bool:
        """Every output element of row i becomes the first pixel of square i."""
        assert stream == _Stream.handle
        assert self.scratch is not None, "the context has no memory"
        self.trt.calls.append("execute")
        live = self.trt.driver.live
        row_bytes = int(np.prod(self.trt.shapes["image"][1:]))
        pixels = live[self.addresses["image"]].content
        for name, shape in self.trt.shapes.items():
            if name != "image":
                values = np.ones((self.rows, *shape[1:]), np.float32)
                for row in range(self.rows):
                    values[row] *= pixels[row * row_bytes]
                live[self.addresses[name]].content[: values.nbytes] = values.tobytes()
        return self.trt.fail_at != "execute_async_v3"

    def __del__(self) -> None:
        self.trt.calls.append("destroy execution context")


class _Engine:
    def __init__(self, trt: "RecordingTensorrt") -> None:
        self.trt = trt
        self.num_io_tensors = len(trt.shapes)
        self.device_memory_size_v2 = trt.scratch_bytes

    def create_execution_context(self, strategy: str) -> _Context | None:
        assert strategy == "user managed"
        return None if self.trt.fail_at == "create_execution_context" else _Context(self.trt)

    def get_tensor_name(self, index: int) -> str:
        return list(self.trt.shapes)[index]

    def get_tensor_shape(self, name: str) -> tuple[int, ...]:
        return self.trt.shapes[name]

    def get_tensor_mode(self, name: str) -> str:
        return "input" if name == "image" else "output"

    def __del__(self) -> None:
        self.trt.calls.append("destroy engine")


class RecordingTensorrt:
    """The module `tensorrt`; a plan is any bytes, except b"bad"."""

    __name__ = "tensorrt"
    TensorIOMode = SimpleNamespace(INPUT="input", OUTPUT="output")
    ExecutionContextAllocationStrategy = SimpleNamespace(USER_MANAGED="user managed")
    scratch_bytes = 512

    class ILogger:
        pass

    def __init__(self, driver: RecordingDriver, shapes: dict[str, tuple[int, ...]], version: str = "10.3.0") -> None:
        self.__version__ = version
        self.driver, self.shapes = driver, shapes
        self.calls = driver.calls
        self.fail_at = ""

    def Runtime(self, logger: object) -> SimpleNamespace:  # noqa: N802  # TensorRT's name
        assert isinstance(logger, self.ILogger)

        def deserialize(plan: bytes) -> _Engine | None:
            if plan == b"bad":
                logger.log(_Severity("ERROR"), "magic tag does not match")
                return None
            self.calls.append("deserialize")
            return _Engine(self)

        return SimpleNamespace(deserialize_cuda_engine=deserialize)
