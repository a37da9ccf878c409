"""Numbers that the kernel writes into files."""

from collections.abc import Iterable
from pathlib import Path

__all__ = ["integer", "integers", "text"]


def text(path: Path) -> str:
    """What a file says; empty when it cannot be read."""
    try:
        return path.read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return ""


def integer(path: Path) -> int | None:
    """The number in a file; None when it cannot be read or is none. A sensor that is switched off fails to read."""
    try:
        return int(text(path))
    except ValueError:
        return None


def integers(paths: Iterable[Path]) -> list[int]:
    """The numbers of those files that can be read."""
    return [number for path in paths if (number := integer(path)) is not None]
