"""Cubins for every GPU that the project names, compiled with nvcc before anything is installed on a device."""

import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from shutil import which

from sall_edge.errors import BackendMissing, BuildError
from sall_edge.runtime.kernels.cubin import PACKAGE, RECIPE, SOURCE, architecture, cubin_name

__all__ = ["CAPABILITIES", "Cubin", "compile_ahead", "find_nvcc"]

CAPABILITIES = ("7.5", "8.6", "8.7", "8.9", "9.0", "11.0", "12.0")
"""Turing, Ampere, Orin, Ada, Hopper, Thor, Blackwell. Others compile at run time."""

_NVCC_OF_JETPACK = "/usr/local/cuda/bin/nvcc"  # which is not on a fresh Jetson's PATH


@dataclass(frozen=True, slots=True, kw_only=True)
class Cubin:
    """What became of one architecture.

    Attributes:
        architecture: Such as "sm_87".
        path: The compiled file; None when it was skipped.
        skipped_because: Why there is none; empty when there is one.
    """

    architecture: str
    path: Path | None
    skipped_because: str


def find_nvcc() -> str:
    """The path of NVIDIA's compiler.

    Raises:
        BackendMissing: It is neither on the PATH nor where JetPack puts it.
    """
    found = which("nvcc") or which(_NVCC_OF_JETPACK)
    if found is None:
        why = f"it is neither on the PATH nor at {_NVCC_OF_JETPACK}"
        fix = "install NVIDIA's CUDA toolkit, or leave it: with cuda-core installed, NVRTC compiles on the device"
        raise BackendMissing("nvcc is not on this machine", why, fix)
    return found


def compile_ahead(nvcc: str, *, folder: Path = PACKAGE) -> Iterator[Cubin]:
    """One cubin after the other; those of an earlier source are removed first.

    Args:
        nvcc: Path of the compiler. Architectures that it does not know are skipped.
        folder: Where the cubins go.

    Raises:
        BuildError: The compiler cannot be asked what it knows, or fails.
    """
    known = _ran([nvcc, "--list-gpu-arch"]).split()
    wanted = {cubin_name(capability) for capability in CAPABILITIES}
    for old in folder.glob("prepare-*.cubin"):
        if old.name not in wanted:
            old.unlink()
    for capability in CAPABILITIES:
        name = architecture(capability)
        if name.replace("sm_", "compute_") not in known:
            yield Cubin(architecture=name, path=None, skipped_because=f"{nvcc} does not know it")
            continue
        path = folder / cubin_name(capability)
        partial = path.with_suffix(".partial")
        _ran([nvcc, "-cubin", f"-arch={name}", f"--{RECIPE}", "-o", str(partial), str(SOURCE)])
        partial.replace(path)
        yield Cubin(architecture=name, path=path, skipped_because="")


def _ran(command: list[str]) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        why = done.stderr.strip() or f"it ended with code {done.returncode}"
        raise BuildError(f"{' '.join(command)} failed", why, "install a CUDA toolkit from 12.0 on, with its g++")
    return done.stdout
