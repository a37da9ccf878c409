"""A TensorRT whose engine computes on the CPU, from the addresses that it was given: with the real PyCUDA below it.

It shows that the bytes of every row arrive where an engine would read them, and come back. It queues its work through
the driver (cuLaunchHostFunc), so a CUDA graph records it. It shows nothing about TensorRT.
"""

import ctypes
from types import SimpleNamespace

import numpy as np

_CALL = ctypes.CFUNCTYPE(None, ctypes.c_void_p)


class HostContext:
    """Every output element of row i becomes the mean of square i; all memory is touched to its last byte."""

    def __init__(self, engine: "HostEngine") -> None:
        self.engine, self.addresses, self.shape = engine, {}, None
        self._call = _CALL(self._compute)
        self._driver = ctypes.CDLL("libcuda.so.1")

    def set_device_memory(self, memory: int, size: int) -> None:
        self.scratch = (ctypes.c_ubyte * size).from_address(memory)

    def set_tensor_address(self, name: str, address: int) -> bool:
        self.addresses[name] = address
        return True

    def set_input_shape(self, name: str, shape: tuple[int, ...]) -> bool:
        self.shape = shape
        return True

    def execute_async_v3(self, stream: int) -> bool:
        self.engine.runs += 1
        return self._driver.cuLaunchHostFunc(ctypes.c_void_p(stream), self._call, None) == 0

    def _compute(self, data: object) -> None:
        ctypes.memset(ctypes.addressof(self.scratch), 0x5A, len(self.scratch))
        size = int(np.prod(self.shape))
        pixels = (ctypes.c_ubyte * size).from_address(self.addresses["image"])
        means = np.frombuffer(pixels, np.uint8).reshape(self.shape[0], -1).mean(axis=1)
        for name, shape in self.engine.shapes.items():
            if name != "image":
                values = np.ones((self.shape[0], *shape[1:]), np.float32)
                values *= means.reshape(-1, *[1] * (values.ndim - 1))
                ctypes.memmove(self.addresses[name], values.ctypes.data, values.nbytes)


class HostEngine:
    """`shapes` by name; `image` is the input."""

    device_memory_size_v2 = 4096

    def __init__(self, shapes: dict[str, tuple[int, ...]]) -> None:
        self.shapes, self.num_io_tensors, self.runs = shapes, len(shapes), 0

    def create_execution_context(self, strategy: object) -> HostContext:
        return HostContext(self)

    def get_tensor_name(self, index: int) -> str:
        return list(self.shapes)[index]

    def get_tensor_shape(self, name: str) -> tuple[int, ...]:
        return self.shapes[name]

    def get_tensor_mode(self, name: str) -> str:
        return "input" if name == "image" else "output"


class HostTensorrt:
    """The module `tensorrt`, as far as a runtime needs it."""

    __name__ = "tensorrt"
    __version__ = "10.3.0"
    TensorIOMode = SimpleNamespace(INPUT="input", OUTPUT="output")
    ExecutionContextAllocationStrategy = SimpleNamespace(USER_MANAGED="user managed")

    class ILogger:
        """The base of our logger."""

    def __init__(self, shapes: dict[str, tuple[int, ...]]) -> None:
        self.engine = HostEngine(shapes)

    def Runtime(self, logger: object) -> SimpleNamespace:  # noqa: N802  # TensorRT's name
        return SimpleNamespace(deserialize_cuda_engine=lambda plan: self.engine)
