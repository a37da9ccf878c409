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


class RecordingDriver:
    """The module `pycuda.driver`."""

    def __init__(self) -> None:
        self.calls: list[str] = []
        self.live: dict[int, _Allocation] = {}
        self.depth = 0
        self.retained = 0

    def init(self) -> None:
        self.calls.append("init")

    def Device(self, ordinal: int) -> SimpleNamespace:  # noqa: N802  # PyCUDA's name
        assert ordinal == 0
        return SimpleNamespace(retain_primary_context=self._retain)

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

    def mem_alloc(self, size: int) -> _Allocation:
        return _Allocation(self, "device", size)

    def pagelocked_empty(self, shape: tuple[int, ...], dtype: object) -> SimpleNamespace:
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
        self.trt, self.addresses, self.rows = trt, {}, 0

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

    def create_execution_context(self) -> _Context | None:
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
