"""What TensorRT measured of its kernels in earlier builds: a later build takes seconds instead of minutes.

One file for each library, version and GPU; TensorRT itself refuses a cache of another device.
"""

import re
from pathlib import Path

from sall_edge.errors import OutputError
from sall_edge.runtime.cuda import GpuFacts
from sall_edge.writing import file_being_written

__all__ = ["cache_path", "read_cache", "write_cache"]


def cache_path(folder: Path, *, library: str, version: str, gpu: GpuFacts) -> Path:
    """The cache's place in `folder`."""
    device = f"{gpu.name}-sm{gpu.compute_capability}-{gpu.multiprocessors}"
    return folder / (re.sub(r"[^A-Za-z0-9.]+", "-", f"{library}-{version}-{device}") + ".timing")


def read_cache(path: Path) -> bytes:
    """The cache's bytes; empty when there is none yet or it cannot be read, because it only saves time."""
    try:
        return path.read_bytes()
    except OSError:
        return b""


def write_cache(path: Path, content: bytes) -> None:
    """Keeps a cache for the next build; a full or read-only disk costs that build time and nothing else."""
    try:
        with file_being_written(path) as temporary:
            temporary.write_bytes(content)
    except OutputError:
        return
