"""Which files are meant by what somebody names: photographs, and folders of them."""

from collections.abc import Iterable
from pathlib import Path

from sall_edge.errors import UnreadablePhotograph

__all__ = ["find_photographs"]

PHOTOGRAPH_SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".tif", ".tiff"})


def find_photographs(paths: Iterable[Path]) -> tuple[Path, ...]:
    """The files themselves, and for folders every photograph below, sorted.

    Raises:
        UnreadablePhotograph: A folder holds no photograph.
    """
    found: list[Path] = []
    for path in paths:
        if not path.is_dir():
            found.append(path)
            continue
        inside = sorted(p for p in path.rglob("*") if p.suffix.lower() in PHOTOGRAPH_SUFFIXES and p.is_file())
        if not inside:
            suffixes = " ".join(sorted(PHOTOGRAPH_SUFFIXES))
            raise UnreadablePhotograph(f"{path} holds no photograph", f"looked for {suffixes}", "name another folder")
        found += inside
    return tuple(found)
