"""Starts pytest in processes that have a stand-in: T3, NVIDIA's bindings, and T4, the real PyCUDA in host memory."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from stand_ins.install import BINDINGS

HERE = Path(__file__).parent
PLACE = Path(sys.prefix) / "stand-ins"
"""Where the Makefile has `install.py` put them."""


def _run(folder: str, stand_in: str, libraries: str) -> None:
    for name in (stand_in, libraries):
        if not (PLACE / name).is_dir():
            pytest.skip(f"{PLACE / name} is not there: `make stand-ins` installs it and says why it could not")
    environment = {
        **os.environ,
        "SALL_EDGE_STAND_IN": stand_in,
        "PYTHONPATH": str(PLACE / stand_in),
        "LD_LIBRARY_PATH": str(PLACE / libraries),
    }
    command = [sys.executable, "-m", "pytest", "-q", "-ra", "-p", "no:cacheprovider", str(HERE / folder)]
    done = subprocess.run(command, env=environment, cwd=HERE.parents[1], capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    assert " passed" in done.stdout
    assert " skipped" not in done.stdout, done.stdout


@pytest.mark.slow
def test_the_runtime_on_real_pycuda_in_host_memory() -> None:
    _run("on_host_cuda", "pycuda", "cuda")


@pytest.mark.slow
@pytest.mark.parametrize("version", ["10.3.0", "11.4.0.106"])
def test_builder_and_runtime_on_nvidias_bindings(version: str) -> None:
    assert version in BINDINGS
    _run("on_bindings", f"tensorrt-{version}", "null")
