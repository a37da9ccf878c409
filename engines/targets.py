"""The devices that an engine can be built for: TOML files beside this module, or the user's own."""

from pathlib import Path

from sall_edge.errors import BuildError
from sall_edge.spec import ShippedSpecs, TargetSpec

__all__ = ["load_target", "target_names"]

FOLDER = Path(__file__).parent / "targets"

_SHIPPED = ShippedSpecs(kind="target", folder=FOLDER, model=TargetSpec, error=BuildError, example="engines/targets")


def target_names() -> tuple[str, ...]:
    """The names that `load_target` knows, in alphabetical order."""
    return _SHIPPED.names()


def load_target(name_or_path: str | Path) -> TargetSpec:
    """The target of that name, or the one in a TOML file.

    Args:
        name_or_path: What ends in `.toml` is a path, everything else a name.

    Raises:
        BuildError: No such target, or the file breaks a rule.
    """
    return _SHIPPED.load(name_or_path)
