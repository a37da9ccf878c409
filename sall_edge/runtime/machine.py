"""What this machine can build and run, and the remedy for what it cannot. Imports no heavy library."""

import os
import platform
import shutil
import sys
from collections.abc import Iterable
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from sall_edge.errors import BackendMissing
from sall_edge.runtime.check import Check
from sall_edge.runtime.cuda import compute_capability
from sall_edge.runtime.cuda_tools import cuda_tools
from sall_edge.runtime.jetson import Device, Sources, read_device
from sall_edge.runtime.jetson_checks import ON_THE_CPU, jetson_checks

__all__ = ["Check", "checks", "cpu_flags", "cpu_model", "describe", "is_int8_exact"]

CPUINFO = Path("/proc/cpuinfo")
MEMINFO = Path("/proc/meminfo")

LEAST_PYTHON = (3, 10)
LEAST_MEMORY_GIB = 2.0
LEAST_DISK_GIB = 2.0

RUN_LIBRARIES = ("numpy", "opencv-python-headless", "openvino", "typer", "rich", "pydantic", "cryptography")
BUILD_LIBRARIES = ("onnx", "onnxruntime", "onnxconverter-common", "polygraphy")
TRAIN_LIBRARIES = ("torch", "torchvision", "timm", "onnxscript", "safetensors", "scikit-learn")
TOP_LEVEL_NAMES = ("trainer", "engines", "calibration")

_ISA_FLAGS = ("avx2", "avx512f", "avx512_vnni", "avx_vnni", "avx512_bf16", "amx_int8", "asimddp", "i8mm")
_EXACT_INT8_FLAGS = frozenset({"avx512_vnni", "avx_vnni", "amx_int8", "asimddp"})


def checks(
    device: Device | None = None, *, cache: Path | None = None, workspace_mib: int | None = None
) -> tuple[Check, ...]:
    """Everything that decides what can be built and run here, in reading order.

    Args:
        device: This machine as a Jetson; None when it is none.
        cache: Where builds keep what they learn; not looked at when None.
        workspace_mib: Of the Jetson's target, for the estimate of a build's memory.
    """
    driver = _driver()
    free_mib = _memory_mib().get("MemAvailable")
    return (
        _python(),
        *_libraries(RUN_LIBRARIES, "to run", "pip install sall-edge"),
        *_libraries(BUILD_LIBRARIES, "to build", "pip install 'sall-edge[build]'"),
        *_libraries(TRAIN_LIBRARIES, "to train", "pip install 'sall-edge[train]'"),
        _cpu(),
        _memory(),
        _disk(),
        _writable("write access here", Path()),
        *((_writable("write access to the cache", cache),) if cache else ()),
        driver,
        *jetson_checks(device, tensorrt=_version("tensorrt"), available_mib=free_mib, workspace_mib=workspace_mib),
        _module("tensorrt", "TensorRT", "on a Jetson make the venv with --system-site-packages"),
        _module("pycuda", "PyCUDA", "pip install pycuda, on a machine with CUDA"),
        _module("tensorrt_rtx", "TensorRT-RTX", "pip install 'sall-edge[rtx]'"),
        *cuda_tools(),
        _top_level_names(),
        *_targets(driver, device),
    )


def cpu_flags() -> tuple[str, ...]:
    """The instruction sets that matter to INT8 and bfloat16, as /proc/cpuinfo spells them."""
    present = set(_cpuinfo("flags", "Features").split())
    return tuple(flag for flag in _ISA_FLAGS if flag in present)


def cpu_model() -> str:
    """The CPU's name, or the architecture where the kernel does not tell."""
    return _cpuinfo("model name", "Model") or platform.machine()


def is_int8_exact() -> bool:
    """Whether the CPU adds INT8 products in 32 bits; without that they saturate at 16."""
    return bool(_EXACT_INT8_FLAGS.intersection(cpu_flags()))


def describe(sources: Sources | None = None) -> dict[str, Any]:
    """This machine and its libraries, for the provenance of an artefact; on a Jetson its power mode too.

    Args:
        sources: Where a Jetson tells about itself.
    """
    libraries = ("sall-edge", *RUN_LIBRARIES, *BUILD_LIBRARIES, "tensorrt", "tensorrt-rtx")
    versions = {name: version for name in libraries if (version := _version(name))}
    device = read_device(sources)
    return {
        "cpu": cpu_model(),
        "cpu_flags": list(cpu_flags()),
        "cores": os.cpu_count(),
        "architecture": platform.machine(),
        "system": platform.platform(),
        "python": platform.python_version(),
        "versions": versions,
        **({"jetson": device.described()} if device else {}),
    }


def _cpuinfo(*keys: str) -> str:
    try:
        lines = CPUINFO.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return ""
    for line in lines:
        key, _, value = line.partition(":")
        if key.strip() in keys:
            return value.strip()
    return ""


def _version(distribution: str) -> str:
    try:
        return metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return ""


def _python() -> Check:
    wanted = ".".join(map(str, LEAST_PYTHON))
    ok = sys.version_info >= LEAST_PYTHON
    return Check(name="Python", ok=ok, detail=platform.python_version(), fix="" if ok else f"install Python {wanted}")


def _libraries(distributions: Iterable[str], purpose: str, fix: str) -> Iterable[Check]:
    for name in distributions:
        version = _version(name)
        detail = version or f"not installed, needed {purpose}"
        yield Check(name=name, ok=bool(version), detail=detail, fix="" if version else fix)


def _cpu() -> Check:
    ok = is_int8_exact()
    detail = f"{cpu_model()}, {os.cpu_count()} cores, {' '.join(cpu_flags()) or 'no INT8 instructions'}"
    fix = "INT8 may saturate on this CPU: gate every INT8 engine here, or build with --precision fp32"
    return Check(name="CPU", ok=ok, detail=detail, fix="" if ok else fix)


def _memory_mib() -> dict[str, float]:
    """What /proc/meminfo says; empty when it cannot be read."""
    try:
        lines = MEMINFO.read_text(encoding="utf-8").splitlines()
        pairs = [line.partition(":")[::2] for line in lines if line.strip()]
        return {key: float(value.split()[0]) / 1024 for key, value in pairs}
    except (OSError, ValueError, IndexError):
        return {}


def _memory() -> Check:
    found = _memory_mib()
    if not found:
        return Check(name="memory", ok=True, detail="the kernel does not tell")
    total, free = found.get("MemTotal", 0.0) / 1024, found.get("MemAvailable", 0.0) / 1024
    ok = free >= LEAST_MEMORY_GIB
    fix = f"free memory: a build takes up to {LEAST_MEMORY_GIB:.0f} GiB"
    return Check(name="memory", ok=ok, detail=f"{free:.1f} of {total:.1f} GiB free", fix="" if ok else fix)


def _disk() -> Check:
    try:
        free_gib = shutil.disk_usage(Path()).free / (1 << 30)
    except OSError as cause:
        return Check(name="disk", ok=False, detail=f"the current folder: {cause.strerror}", fix="cd to another folder")
    ok = free_gib >= LEAST_DISK_GIB
    fix = f"free disk space: training and builds take up to {LEAST_DISK_GIB:.0f} GiB"
    return Check(name="disk", ok=ok, detail=f"{free_gib:.1f} GiB free here", fix="" if ok else fix)


def _writable(name: str, folder: Path) -> Check:
    """Whether a file can be made in a folder, or the folder itself where it does not exist yet."""
    existing = next((place for place in (folder, *folder.parents) if os.access(place, os.F_OK)), folder)
    ok = existing.is_dir() and os.access(existing, os.W_OK | os.X_OK)
    fix = f'take a folder that you may write to, or: sudo chown "$USER" {existing}'
    where = str(folder) if folder.parts else "the current folder"
    return Check(name=name, ok=ok, detail=f"{'yes' if ok else 'no'}, {where}", fix="" if ok else fix)


def _driver() -> Check:
    try:
        return Check(name="CUDA driver", ok=True, detail=f"a GPU of compute capability {compute_capability()}")
    except BackendMissing as error:
        return Check(name="CUDA driver", ok=False, detail=f"{error.what}: {error.why}", fix=error.fix)


def _module(module: str, name: str, fix: str) -> Check:
    if find_spec(module) is None:
        return Check(name=name, ok=False, detail="not installed", fix=fix)
    return Check(name=name, ok=True, detail=_version(module.replace("_", "-")) or "installed, not by pip")


def _top_level_names() -> Check:
    """Another distribution may own `trainer`, `engines` or `calibration`: then imports find the wrong code."""
    here = Path(__file__).parents[2]
    foreign = []
    for name in TOP_LEVEL_NAMES:
        spec = find_spec(name)
        if spec is None or spec.origin is None or Path(spec.origin).parent.parent != here:
            foreign.append(f"{name} is {spec.origin if spec else 'missing'}")
    fix = "install sall-edge in a virtual environment of its own"
    detail = "; ".join(foreign) or ", ".join(TOP_LEVEL_NAMES) + " are ours"
    return Check(name="package names", ok=not foreign, detail=detail, fix=fix if foreign else "")


def _targets(driver: Check, device: Device | None) -> Iterable[Check]:
    """Which of the targets that ship can be built and run here."""
    yield _can("target openvino-cpu", ("openvino",), fix="pip install sall-edge")
    yield _can("target onnxruntime-cpu", ("onnxruntime",), fix="pip install 'sall-edge[build]'")
    yield _can("target rtx, compile", ("tensorrt_rtx",), fix="pip install 'sall-edge[rtx]'")
    gpu = () if driver.ok else ("a GPU with its driver",)
    yield _can("target rtx, run", ("tensorrt_rtx", "pycuda"), *gpu, fix="run it on a machine with an RTX card")
    if device and device.chip and device.chip.refusal:
        yield Check(name="Jetson targets", ok=False, detail=f"refused: {device.chip.refusal}", fix=ON_THE_CPU)
    else:
        yield _can("Jetson targets", ("tensorrt", "pycuda"), *gpu, fix="build and run on the Jetson itself")


def _can(name: str, modules: tuple[str, ...], *also_missing: str, fix: str) -> Check:
    missing = [*(module for module in modules if find_spec(module) is None), *also_missing]
    detail = f"missing: {', '.join(missing)}" if missing else "can be done here"
    return Check(name=name, ok=not missing, detail=detail, fix=fix if missing else "")
