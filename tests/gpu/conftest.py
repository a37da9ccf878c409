"""T6 needs a GPU with its driver, PyCUDA, and TensorRT or TensorRT-RTX; `test_on_a_device.py` skips without."""

from collections.abc import Iterator
from typing import Any

import pytest

from benchmarks.device_check.board import target_here
from sall_edge.runtime.cuda import Gpu, open_gpu
from sall_edge.runtime.tensorrt_library import library
from sall_edge.spec import TargetSpec


@pytest.fixture(scope="session")
def target() -> TargetSpec:
    """What is built for: the GPU of this machine."""
    return target_here()


@pytest.fixture(scope="session")
def trt(target: TargetSpec) -> Any:
    """The module that builds and runs."""
    return library(target.backend)


@pytest.fixture
def gpu(target: TargetSpec) -> Iterator[Gpu]:
    """A context of our own, which stays when a session ends; current while the test runs."""
    gpu = open_gpu()
    with gpu.current():
        yield gpu
    gpu.close()
