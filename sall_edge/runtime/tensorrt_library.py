"""NVIDIA's Python modules: which are here, the one logger that each may have, and factories that can fail."""

import importlib
from collections import deque
from collections.abc import Callable
from functools import cache
from typing import Any, TypeVar

from sall_edge.errors import BackendMissing
from sall_edge.runtime.nvidia_errors import explain
from sall_edge.spec import Backend

__all__ = ["OLDEST", "library", "made", "shared_logger"]

MadeT = TypeVar("MadeT")

OLDEST = (10, 3)
"""JetPack 6 has 10.3; 8.x (JetPack 5, Xavier) lacks strongly typed networks, so precision would not be the graph's."""
_LOG_LINES = 50_000
_ERRORS = 100


@cache
def shared_logger(trt: Any) -> Any:
    """The one logger of this process for one TensorRT module; `lines` holds what it was told, newest last.

    TensorRT keeps the first logger that it is given for the whole process, so build and run must share it.
    """

    class Log(trt.ILogger):  # type: ignore[misc]  # the base class exists only where TensorRT does
        def __init__(self) -> None:
            trt.ILogger.__init__(self)
            self.lines: deque[str] = deque(maxlen=_LOG_LINES)
            self.errors: deque[str] = deque(maxlen=_ERRORS)  # of their own: a build has more lines than are kept

        def log(self, severity: Any, message: str) -> None:
            self.lines.append(message)
            if severity.name in ("ERROR", "INTERNAL_ERROR"):
                self.errors.append(message)

        def clear(self) -> None:
            self.lines.clear()
            self.errors.clear()

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


def made(trt: Any, factory: Callable[[Any], MadeT], log: Any) -> MadeT:
    """A `Builder` or `Runtime`, with TensorRT's reason when it makes none.

    Raises:
        BackendMissing: NVIDIA's factory returned nothing, which the bindings report as a TypeError.
    """
    try:
        return factory(log)
    except TypeError as cause:
        explanation = explain(log.errors or [str(cause)], fix="check the driver with nvidia-smi and sall-edge doctor")
        raise BackendMissing(f"TensorRT {trt.__version__} does not start", explanation.why, explanation.fix) from cause
