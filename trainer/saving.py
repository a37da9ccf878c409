"""Large things that training writes: a full disk is an error with a remedy, never a crash, and what was there stays."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from safetensors import SafetensorError
from safetensors.torch import save_file
from torch import Tensor

from sall_edge.errors import OutputError

__all__ = ["reserved_map", "save_tensors"]


def save_tensors(tensors: Mapping[str, Tensor], path: Path, metadata: Mapping[str, str] | None = None) -> None:
    """Writes a safetensors file.

    Raises:
        OutputError: The place cannot be written, or is full.
    """
    try:
        save_file(dict(tensors), path, metadata=dict(metadata) if metadata else None)
    except SafetensorError as cause:
        what, fix = f"cannot write {path}", "free some space, then resume"
        raise OutputError(what, str(cause), fix) from cause


def reserved_map(path: Path, dtype: npt.DTypeLike, shape: tuple[int, ...]) -> npt.NDArray[Any]:
    """A new .npy memory map of zeros whose room on the disk is taken at once.

    Without that the file would be sparse, and a disk that fills up later would end the process (SIGBUS) in the middle
    of a write.

    Raises:
        OSError: The place cannot be written, or is full; no file is left.
    """
    try:
        array = np.lib.format.open_memmap(path, mode="w+", dtype=np.dtype(dtype), shape=shape)
        with path.open("r+b") as file:
            os.posix_fallocate(file.fileno(), 0, path.stat().st_size)
    except OSError:
        path.unlink(missing_ok=True)
        raise
    return array
