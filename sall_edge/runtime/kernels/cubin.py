"""The machine code of `prepare.cu` for one GPU: compiled ahead with nvcc, or here and now with NVRTC.

A cubin's name holds the hash of what it was compiled from, so a changed source never runs with an old cubin.
"""

import hashlib
import importlib
from pathlib import Path
from typing import Any

from sall_edge.errors import BackendMissing

__all__ = ["PACKAGE", "SOURCE", "architecture", "compile_with_nvrtc", "cubin_compiled_ahead", "cubin_name"]

PACKAGE = Path(__file__).parent
SOURCE = PACKAGE / "prepare.cu"

RECIPE = "fmad=false"
"""Every compiler's option: fused multiply-adds stand in the source, or numbers would differ from OpenCV's."""

_CUDA_CORE = ("cuda.core", "cuda.core.experimental")  # the second is its name before 1.0
_FIX = (
    "compile it ahead: python -m sall_edge.runtime.kernels (needs nvcc, which JetPack has in /usr/local/cuda/bin), "
    "or pip install 'cuda-core[cu12]' (JetPack 6) or 'cuda-core[cu13]' (JetPack 7)"
)


def architecture(capability: str) -> str:
    """The compilers' name of a GPU: "sm_87" for the compute capability "8.7"."""
    return "sm_" + capability.replace(".", "")


def cubin_name(capability: str) -> str:
    """The file name of the cubin that belongs to the present source: `prepare-<hash>.sm_87.cubin`."""
    digest = hashlib.sha256(RECIPE.encode() + SOURCE.read_bytes()).hexdigest()
    return f"prepare-{digest[:16]}.{architecture(capability)}.cubin"


def cubin_compiled_ahead(capability: str, *, folder: Path = PACKAGE) -> bytes | None:
    """The kernel for a GPU as `python -m sall_edge.runtime.kernels` left it in `folder`; None when it did not."""
    path = folder / cubin_name(capability)
    return path.read_bytes() if path.is_file() else None


def compile_with_nvrtc(capability: str) -> bytes:
    """A cubin for a GPU, which need not be there.

    Raises:
        BackendMissing: `cuda-core` or NVRTC's library is missing, or NVRTC does not know the GPU.
    """
    core = _cuda_core(capability)
    try:
        options = core.ProgramOptions(arch=architecture(capability), fma=False)
        program = core.Program(SOURCE.read_text(encoding="utf-8"), "c++", options)
        return bytes(program.compile("cubin").code)
    except Exception as cause:
        # cuda-core's own error class is private; a missing library is a RuntimeError or an OSError. The rest is a bug.
        if not isinstance(cause, (RuntimeError, OSError)) and not type(cause).__module__.startswith("cuda."):
            raise
        what = f"NVRTC cannot compile the kernel that prepares photographs for {architecture(capability)}"
        raise BackendMissing(what, str(cause).strip(), _FIX) from cause


def _cuda_core(capability: str) -> Any:
    reasons = []
    for name in _CUDA_CORE:
        try:
            core = importlib.import_module(name)
        except ImportError as cause:
            reasons.append(str(cause))
            continue
        if hasattr(core, "Program"):
            return core
        reasons.append(f"{name} has no Program")
    what = f"the kernel that prepares photographs is not compiled for {architecture(capability)}"
    raise BackendMissing(what, f"NVRTC cannot compile it here: {'; '.join(reasons)}", _FIX)
