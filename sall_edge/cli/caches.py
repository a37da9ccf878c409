"""Where the command line keeps what it may lose: the user's cache folder."""

import os
from pathlib import Path

from sall_edge.runtime.compiled_cache import CompiledCache

__all__ = ["cache_folder", "compiled_cache", "timing_caches"]


def cache_folder() -> Path:
    """`$XDG_CACHE_HOME/sall-edge`, or `~/.cache/sall-edge`; it need not exist."""
    home_cache = os.path.expanduser("~/.cache")  # noqa: PTH111  # Path.home() raises where nobody knows the home folder
    return Path(os.environ.get("XDG_CACHE_HOME") or home_cache) / "sall-edge"


def timing_caches() -> Path:
    """Where builds keep what TensorRT measured of its kernels."""
    return cache_folder() / "timing"


def compiled_cache() -> CompiledCache:
    """Where OpenVINO's compiled networks are kept."""
    return CompiledCache(folder=cache_folder() / "openvino")
