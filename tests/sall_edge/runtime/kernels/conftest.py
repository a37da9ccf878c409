"""A stand-in for `pycuda.driver` whose kernel is prepare.cu, compiled by g++ with the sanitizers of addresses and of
undefined behaviour.

It shows the arguments of the launch, the kernel's arithmetic, and that nothing beyond the photograph and the square is
touched. It cannot show that PyCUDA or a GPU takes the launch, that a GPU computes the same, nor any speed.
"""

import struct
import subprocess
from collections.abc import Callable
from pathlib import Path
from shutil import which
from types import SimpleNamespace

import numpy as np
import pytest

from sall_edge.runtime.kernels.cubin import SOURCE
from sall_edge.runtime.kernels.prepare import PARAMETERS

FAKES = Path(__file__).parents[3] / "fakes"
SANITIZED = ("-O1", "-g", "-fsanitize=address,undefined", "-fno-sanitize-recover=all")


class DriverOnCpu:
    """Device addresses are keys of `memory`; launches run when the stream is synchronised, all in one process."""

    class Error(Exception):
        pass

    def __init__(self, executable: Path) -> None:
        self._executable = executable
        self.memory: dict[int, np.ndarray] = {}
        self.calls: list[str] = []
        self._queued: list[tuple[bytes, int, int]] = []

    def module_from_buffer(self, cubin: bytes) -> SimpleNamespace:
        if cubin == b"for another driver":
            raise self.Error("cuModuleLoadDataEx failed: device kernel image is invalid")
        return SimpleNamespace(get_function=self._get_function)

    def _get_function(self, name: str) -> "DriverOnCpu":
        assert f"void {name}(" in SOURCE.read_text()
        return self

    def prepare(self, parameters: str) -> "DriverOnCpu":
        self._parameters = parameters
        return self

    def prepared_async_call(self, grid: tuple[int, int], block: tuple[int, int, int], stream: str, *values) -> None:
        assert stream == "the stream"
        self.calls.append("launch")
        source = self.memory[values[0]].tobytes()
        packed = struct.pack(self._parameters, *values)
        launch = struct.pack("=5Iq", *grid, *block, len(source)) + packed + source
        self._queued.append((launch, values[-2], values[-1]))

    def synchronize(self) -> None:
        """Raises CalledProcessError when a sanitizer stops the kernel."""
        launches = b"".join(launch for launch, _, _ in self._queued)
        done = subprocess.run([self._executable], input=launches, capture_output=True, check=True)
        squares, start = np.frombuffer(done.stdout, np.uint8), 0
        for _, address, side in self._queued:
            self.memory[address] = squares[start : start + side * side * 3].reshape(side, side, 3)
            start += side * side * 3
        assert start == len(squares)
        self._queued.clear()


@pytest.fixture(scope="session")
def kernel_on_cpu(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The executable that cuts squares with prepare.cu."""
    if which("g++") is None:
        pytest.skip("no g++ to compile the kernel for the CPU")
    executable = tmp_path_factory.mktemp("kernel") / "cut_on_cpu"
    macros = [f'-DPREPARE_CU="{SOURCE}"', f"-DARGUMENT_BYTES={struct.calcsize(PARAMETERS)}"]
    warnings = ["-std=c++17", "-Wall", "-Wextra", "-Werror"]
    source = Path(__file__).with_name("cut_on_cpu.cpp")
    command = ["g++", *warnings, "-ffp-contract=off", *SANITIZED, f"-I{FAKES}", *macros, source, "-o", executable]
    subprocess.run(command, check=True)
    return executable


@pytest.fixture
def driver(kernel_on_cpu: Path) -> DriverOnCpu:
    return DriverOnCpu(kernel_on_cpu)


def _machine_of(code: bytes) -> str:
    """The architecture that an ELF file of CUDA was compiled for, from its header."""
    assert code[:4] == b"\x7fELF"
    (machine,) = struct.unpack_from("<H", code, 18)
    assert machine == 190  # EM_CUDA
    (flags,) = struct.unpack_from("<I", code, 48)
    is_of_cuda_13 = code[8] >= 8  # the ABI's version: since then the architecture stands one byte further left
    return f"sm_{flags >> 8 & 0xFF if is_of_cuda_13 else flags & 0xFF}"


@pytest.fixture(scope="session")
def machine_of() -> Callable[[bytes], str]:
    return _machine_of
