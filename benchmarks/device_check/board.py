"""What this device is, what is installed on it, how warm it is, and the target that it builds for."""

import contextlib
import csv
import ctypes
import importlib
import subprocess
from importlib import metadata
from pathlib import Path
from typing import Any

from engines.targets import load_target
from sall_edge.errors import BackendMissing
from sall_edge.runtime.cuda import describe_gpu, require_driver
from sall_edge.runtime.jetson import read_device
from sall_edge.runtime.tensorrt_library import library
from sall_edge.spec import Backend, Precision, TargetSpec

__all__ = ["jetson_facts", "nvidia_versions", "sensors", "target_here"]

THERMAL = Path("/sys/class/thermal")
_DISTRIBUTIONS = ("tensorrt", "tensorrt-rtx", "pycuda", "cuda-core", "cuda-bindings", "openvino", "numpy")
_CARD_FIELDS = ("temperature.gpu", "power.draw", "clocks.sm", "driver_version")
_TEGRASTATS_S = 2.5
_COMMAND_S = 10.0


def target_here() -> TargetSpec:
    """The target of this machine's GPU: the board's own, else one that is made up for its compute capability.

    Raises:
        BackendMissing: There is no driver, no GPU, no PyCUDA, or neither TensorRT nor TensorRT-RTX.
    """
    gpu = describe_gpu()
    try:
        importlib.import_module("pycuda.driver")
    except ImportError as cause:
        fix = (
            "in the checkout: pip install '.[jetson]' on a Jetson, '.[tensorrt]' elsewhere; nvcc has to be on the PATH"
        )
        raise BackendMissing("PyCUDA is not installed", str(cause), fix) from cause
    board = read_device()
    if board is not None and board.target:
        library(Backend.TENSORRT)
        return load_target(board.target)
    try:
        library(Backend.TENSORRT)
    except BackendMissing:
        library(Backend.TENSORRT_RTX)
        return load_target("rtx").model_copy(update={"compute_capabilities": (gpu.compute_capability,)})
    return TargetSpec(
        name="this-gpu",
        title=gpu.name,
        backend=Backend.TENSORRT,
        precisions=tuple(Precision),
        compute_capabilities=(gpu.compute_capability,),
    )


def jetson_facts() -> dict[str, Any]:
    """JetPack, power mode and DLA cores, as the board tells; empty on a machine that is no Jetson."""
    board = read_device()
    if board is None:
        return {}
    return {
        **board.described(),
        "jetpack": board.jetpack.name if board.jetpack else "not in the table of sall-edge",
        "module": board.module.title if board.module else "not in the table of sall-edge",
        "target": board.target,
        "dla_cores": board.dla_cores,
    }


def nvidia_versions() -> dict[str, str]:
    """Versions of what is installed, by pip or by JetPack; what is missing is left out."""
    found = {}
    for name in _DISTRIBUTIONS:
        with contextlib.suppress(metadata.PackageNotFoundError):
            found[name] = metadata.version(name)
    with contextlib.suppress(BackendMissing):
        found["tensorrt"] = str(library(Backend.TENSORRT).__version__)
    with contextlib.suppress(BackendMissing):
        version = ctypes.c_int()
        require_driver().cuDriverGetVersion(ctypes.byref(version))
        found["CUDA of the driver"] = f"{version.value // 1000}.{version.value % 1000 // 10}"
    return found


def sensors(*, thermal: Path = THERMAL) -> dict[str, Any]:
    """Temperatures in degrees Celsius by name, and one line of tegrastats or nvidia-smi where they are there."""
    found: dict[str, Any] = {"celsius": _temperatures(thermal)}
    if line := _tegrastats():
        found["tegrastats"] = line
    if card := _nvidia_smi():
        found["nvidia_smi"] = card
    return found


def _temperatures(folder: Path) -> dict[str, float]:
    found = {}
    for zone in sorted(folder.glob("thermal_zone*")):
        with contextlib.suppress(OSError, ValueError):  # a zone that is switched off cannot be read
            found[(zone / "type").read_text().strip()] = int((zone / "temp").read_text()) / 1000
    return found


def _tegrastats() -> str:
    """Its last line within seconds: it never ends by itself."""
    try:
        done = subprocess.run(
            ["tegrastats", "--interval", "500"], capture_output=True, timeout=_TEGRASTATS_S, check=False
        )
        output = done.stdout
    except subprocess.TimeoutExpired as stopped:
        output = stopped.stdout or b""
    except OSError:
        return ""
    lines = output.decode(errors="replace").splitlines()
    return lines[-1] if lines else ""


def _nvidia_smi() -> dict[str, str]:
    command = ["nvidia-smi", f"--query-gpu={','.join(_CARD_FIELDS)}", "--format=csv"]
    try:
        done = subprocess.run(command, capture_output=True, timeout=_COMMAND_S, check=True, text=True)
    except (OSError, subprocess.SubprocessError):
        return {}
    rows = list(csv.reader(done.stdout.splitlines(), skipinitialspace=True))
    return dict(zip(rows[0], rows[1], strict=False)) if len(rows) > 1 else {}
