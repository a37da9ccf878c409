"""Which of CUDA's optional parts are here, and what each is for. Looked for as files: nothing is loaded."""

import shutil
import sysconfig
from collections.abc import Iterable
from importlib.util import find_spec
from pathlib import Path

from sall_edge.runtime.check import Check

__all__ = ["cuda_tools"]

TOOLKIT = Path("/usr/local/cuda")
LIBRARY_FOLDERS = (
    TOOLKIT / "lib64",
    Path("/usr/lib/aarch64-linux-gnu"),
    Path("/usr/lib/x86_64-linux-gnu"),
    Path(sysconfig.get_path("platlib")) / "nvidia",  # where NVIDIA's wheels put theirs
)


def cuda_tools(
    *,
    toolkit: Path = TOOLKIT,
    library_folders: Iterable[Path] = LIBRARY_FOLDERS,
    search_path: str | None = None,
) -> Iterable[Check]:
    """The CUDA compiler, NVRTC and cuda-core.

    Args:
        toolkit: Where CUDA's toolkit lies.
        library_folders: Where shared libraries lie; subfolders named lib and */lib are looked into too.
        search_path: Instead of the environment's PATH.
    """
    yield _compiler(toolkit, search_path)
    yield _nvrtc(library_folders)
    yield _cuda_core()


def _compiler(toolkit: Path, search_path: str | None) -> Check:
    name, purpose = "nvcc", "optional: PyCUDA is compiled with its help"
    if found := shutil.which("nvcc", path=search_path):
        return Check(name=name, ok=True, detail=found)
    beside = toolkit / "bin" / "nvcc"
    if beside.is_file():
        fix = f'export PATH="{beside.parent}:$PATH"'
        return Check(name=name, ok=False, detail=f"{beside} is not on the PATH ({purpose})", fix=fix)
    fix = "on a Jetson: sudo apt install nvidia-jetpack"
    return Check(name=name, ok=False, detail=f"not installed ({purpose})", fix=fix)


def _nvrtc(folders: Iterable[Path]) -> Check:
    name, purpose = "NVRTC", "optional: compiles kernels on the device where no ready one fits its GPU"
    for folder in folders:
        for pattern in ("libnvrtc.so.*", "*/lib/libnvrtc.so.*"):
            for library in _matches(folder, pattern):
                return Check(name=name, ok=True, detail=str(library))
    fix = "on a Jetson: sudo apt install nvidia-jetpack"
    return Check(name=name, ok=False, detail=f"not found ({purpose})", fix=fix)


def _matches(folder: Path, pattern: str) -> list[Path]:
    try:
        return sorted(folder.glob(pattern))
    except OSError:
        return []


def _cuda_core() -> Check:
    name, purpose = "cuda-core", "optional: replays inference as one CUDA graph"
    try:
        found = find_spec("cuda.core") is not None
    except ImportError:  # no package `cuda` at all
        found = False
    fix = "on a Jetson: pip install '.[jetson]' in the checkout"
    detail = "installed" if found else f"not installed ({purpose})"
    return Check(name=name, ok=found, detail=detail, fix="" if found else fix)
