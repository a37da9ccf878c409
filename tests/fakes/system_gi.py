"""PyGObject, which is a package of the system, for a venv that does not see the system's packages."""

import importlib
import importlib.util
import sys
import sysconfig
import warnings
from pathlib import Path

__all__ = ["SYSTEM_PACKAGES", "gi_folder", "why_no_gstreamer"]

SYSTEM_PACKAGES = Path("/usr/lib/python3/dist-packages")
"""Where Debian, Ubuntu and JetPack keep it, built for the system's Python."""


def gi_folder(folder: Path) -> Path | None:
    """A folder to import `gi` from, made in `folder` where needed; None if there is none for this Python."""
    found = importlib.util.find_spec("gi")
    if found is not None and found.origin is not None:
        return Path(found.origin).parent.parent
    suffix = sysconfig.get_config_var("EXT_SUFFIX")
    if not (SYSTEM_PACKAGES / "gi" / f"_gi{suffix}").is_file():
        return None
    link = folder / "gi"  # it alone: the system's other packages would hide those of the venv
    if not link.exists():
        link.symlink_to(SYSTEM_PACKAGES / "gi")
    return folder


def why_no_gstreamer(folder: Path, *namespaces: str) -> str:
    """Why pipelines cannot be tried here; "" if they can, and `gi` can then be imported."""
    found = gi_folder(folder)
    if found is None:
        return f"no PyGObject for Python {sys.version_info.major}.{sys.version_info.minor} in {SYSTEM_PACKAGES}"
    if str(found) not in sys.path:
        sys.path.append(str(found))
    gi = importlib.import_module("gi")
    try:
        with warnings.catch_warnings():  # its importer is older than Python's rules for importers
            warnings.simplefilter("ignore", ImportWarning)
            for namespace in namespaces:
                gi.require_version(namespace, "1.0")
                importlib.import_module(f"gi.repository.{namespace}")
    except ValueError as missing:
        return str(missing)
    return ""
