"""The task files that ship: copy one to describe other diseases or other grades."""

from pathlib import Path

from sall_edge.errors import LabelsError

__all__ = ["task_file", "task_files"]


def task_files() -> tuple[str, ...]:
    """Names of the task files that ship."""
    return tuple(sorted(path.stem for path in Path(__file__).parent.glob("*.toml")))


def task_file(name: str) -> Path:
    """The task file of this name, such as `retina`.

    Raises:
        LabelsError: None that ships has this name.
    """
    path = Path(__file__).parent / f"{name}.toml"
    if name not in task_files():
        raise LabelsError(f"no task file {name!r}", f"these ship: {', '.join(task_files())}", "give the path of a TOML")
    return path
