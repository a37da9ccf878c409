"""The devices that an engine can be built for: TOML files beside this module, or the user's own."""

from pathlib import Path

from sall_edge.errors import BuildError
from sall_edge.spec import TargetSpec, spec_from_toml

__all__ = ["load_target", "target_names"]

FOLDER = Path(__file__).parent / "targets"


def target_names() -> tuple[str, ...]:
    """The names that `load_target` knows, in alphabetical order."""
    return tuple(sorted(file.stem for file in FOLDER.glob("*.toml")))


def load_target(name_or_path: str | Path) -> TargetSpec:
    """The target of that name, or the one in a TOML file.

    Args:
        name_or_path: What ends in `.toml` is a path, everything else a name.

    Raises:
        BuildError: No such target, or the file breaks a rule.
    """
    if str(name_or_path).endswith(".toml"):
        return spec_from_toml(Path(name_or_path), TargetSpec, BuildError)
    if str(name_or_path) not in target_names():
        why = f"the targets are {', '.join(target_names())}"
        fix = "take one of them, or copy its TOML from engines/targets and give the path of your copy"
        raise BuildError(f"there is no target {name_or_path}", why, fix)
    return spec_from_toml(FOLDER / f"{name_or_path}.toml", TargetSpec, BuildError)
