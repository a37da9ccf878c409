"""TensorRT 10.3 to 11.4 and TensorRT-RTX: a plan, one stream, pinned buffers that are made once.

Only calls that all of these versions share are used, and the module is a parameter (`trt`). No GPU was at hand when
this was written: the order of the calls is tested with recording stand-ins, the calls themselves await a Jetson.
"""

import importlib
from collections import deque
from collections.abc import Mapping
from contextlib import ExitStack
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sall_edge.artifacts import EngineManifest
from sall_edge.errors import ArtefactForeign, BackendMissing
from sall_edge.runtime.cuda import Gpu, open_gpu, require_driver
from sall_edge.spec import Backend

__all__ = ["OLDEST", "TensorrtRunner", "library", "open_runner", "shared_logger"]

U8 = NDArray[np.uint8]
F32 = NDArray[np.float32]

OLDEST = (10, 3)
"""JetPack 6 has 10.3; 8.x (JetPack 5, Xavier) lacks strongly typed networks, so precision would not be the graph's."""
_LOG_LINES = 50_000


@cache
def shared_logger(trt: Any) -> Any:
    """The one logger of this process for one TensorRT module; `lines` holds (severity, text), newest last.

    TensorRT keeps the first logger that it is given for the whole process, so build and run must share it.
    """

    class Log(trt.ILogger):  # type: ignore[misc]  # the base class exists only where TensorRT does
        def __init__(self) -> None:
            trt.ILogger.__init__(self)
            self.lines: deque[tuple[str, str]] = deque(maxlen=_LOG_LINES)

        def log(self, severity: Any, message: str) -> None:
            self.lines.append((str(severity.name), message))

        def errors(self) -> list[str]:
            return [text for severity, text in self.lines if severity in ("ERROR", "INTERNAL_ERROR")]

    return Log()


def library(backend: Backend) -> Any:
    """The Python module of TensorRT or TensorRT-RTX.

    Raises:
        BackendMissing: It is not installed, or older than 10.3.
    """
    if backend is Backend.TENSORRT_RTX:
        return _imported("tensorrt_rtx", "TensorRT-RTX", "pip install 'sall-edge[rtx]'")
    jetpack = "on a Jetson make the venv with --system-site-packages, TensorRT comes with JetPack 6 or later"
    trt = _imported("tensorrt", "TensorRT", f"{jetpack}; elsewhere pip install 'sall-edge[tensorrt]'")
    if tuple(int(part) for part in trt.__version__.split(".")[:2]) < OLDEST:
        why = "strongly typed networks need 10.3, which is JetPack 6; JetPack 5 stays at 8.5"
        raise BackendMissing(f"TensorRT {trt.__version__} is too old", why, jetpack)
    return trt


def _imported(module: str, name: str, fix: str) -> Any:
    try:
        return importlib.import_module(module)
    except (ImportError, OSError) as cause:  # OSError: the wheel is there, its shared library is not
        raise BackendMissing(f"{name} is not installed", str(cause), fix) from cause


class TensorrtRunner:
    """A deserialised plan with its execution context and buffers for the largest batch.

    Args:
        plan: Bytes that `trt.__version__` wrote.
        manifest: Of the engine that the plan belongs to.
        trt: The module `tensorrt` or `tensorrt_rtx`.
        gpu: Owned by the runner from here on, also when opening fails.
    """

    def __init__(self, plan: bytes, manifest: EngineManifest, *, trt: Any, gpu: Gpu) -> None:
        self.version = str(trt.__version__)
        self._gpu = gpu
        self._log = shared_logger(trt)
        self._runtime: Any = None
        self._engine: Any = None
        self._context: Any = None
        with ExitStack() as on_failure:
            on_failure.callback(self.close)
            with gpu.current():
                self._open(plan, manifest, trt)
            on_failure.pop_all()

    def _open(self, plan: bytes, manifest: EngineManifest, trt: Any) -> None:
        self._log.lines.clear()
        self._runtime = trt.Runtime(self._log)
        self._engine = self._runtime.deserialize_cuda_engine(plan)
        if self._engine is None:
            why = "; ".join(self._log.errors()) or "TensorRT gave no reason"
            fix = "build the engine again on this device"
            raise ArtefactForeign(f"TensorRT {self.version} cannot read the plan", why, fix)
        self._context = self._engine.create_execution_context()
        if self._context is None:
            raise self._failure("create an execution context")
        rows = manifest.target.max_batch
        names = [self._engine.get_tensor_name(index) for index in range(self._engine.num_io_tensors)]
        self._outputs = {}
        for name in names:
            row = tuple(self._engine.get_tensor_shape(name))[1:]
            is_output = self._engine.get_tensor_mode(name) == trt.TensorIOMode.OUTPUT
            buffer = self._gpu.buffer((rows, *row), np.float32 if is_output else np.uint8)
            if is_output:
                self._outputs[name] = buffer
            else:
                self._input_name, self._input = name, buffer
            if not self._context.set_tensor_address(name, int(buffer.device)):
                raise self._failure(f"bind {name}")

    def infer(self, squares: U8) -> Mapping[str, F32]:
        """Outputs by name: views of pinned memory, valid until the next call."""
        rows = len(squares)
        with self._gpu.current():
            np.copyto(self._input.host[:rows], squares)
            if not self._context.set_input_shape(self._input_name, squares.shape):
                raise self._failure(f"take a batch of {rows}")
            self._gpu.upload(self._input, rows)
            if not self._context.execute_async_v3(self._gpu.stream.handle):
                raise self._failure("run the engine")
            for buffer in self._outputs.values():
                self._gpu.download(buffer, rows)
            self._gpu.synchronize()
        return {name: buffer.host[:rows] for name, buffer in self._outputs.items()}

    def close(self) -> None:
        """Frees TensorRT's objects first, then the memory that they point to."""
        with self._gpu.current():
            self._context = None
            self._engine = None
            self._runtime = None
        self._gpu.close()

    def _failure(self, verb: str) -> BackendMissing:
        why = "; ".join(self._log.errors()) or "TensorRT gave no reason"
        return BackendMissing(f"TensorRT {self.version} cannot {verb}", why, "free GPU memory, or restart the device")


def open_runner(plan: Path, manifest: EngineManifest, *, trt: Any) -> TensorrtRunner:
    """The plan on this machine's GPU.

    Raises:
        ArtefactForeign: Another version of TensorRT wrote the plan, or it was made for another GPU.
        BackendMissing: No driver, no GPU, no PyCUDA, or TensorRT fails to run.
    """
    if trt.__version__ != manifest.backend_version:
        what = f"{plan} was compiled by {trt.__name__} {manifest.backend_version}"
        why = f"this machine has {trt.__version__}, and a plan runs only in the version that wrote it"
        raise ArtefactForeign(what, why, "build the engine again on this device")
    require_driver()  # before any trt.Runtime, which would end the process without a driver
    return TensorrtRunner(plan.read_bytes(), manifest, trt=trt, gpu=open_gpu())
