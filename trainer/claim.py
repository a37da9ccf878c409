"""Whose a run's folder is: a run goes on only with the options, tasks and photographs that it began with."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from sall_edge.errors import TrainingError
from sall_edge.fundus.labels import LabelledPhotograph
from sall_edge.spec import TaskSet
from sall_edge.writing import file_being_written
from trainer.options import TrainingOptions

__all__ = ["claim"]


def claim(
    run: Path, options: TrainingOptions, tasks: TaskSet, photographs: Sequence[LabelledPhotograph], *, resume: bool
) -> None:
    """Writes what this run is, or refuses a folder that is another run's.

    Raises:
        TrainingError: The folder holds another run, or this one and `resume` is not given.
        OutputError: It cannot be written.
    """
    path = run / "options.json"
    wanted = {
        "options": options.to_json(),
        "tasks": tasks.model_dump(mode="json"),
        "photographs": [[str(p.path), p.split, *p.grades.values()] for p in photographs if p.split in ("train", "val")],
    }
    if not path.exists():
        with file_being_written(path) as temporary:
            temporary.write_text(json.dumps(wanted, indent=1), encoding="utf-8")
        return
    if not resume:
        fix = "add --resume to go on with it, or choose another folder"
        raise TrainingError(f"{run} holds a run already", "it would be overwritten", fix)
    try:
        recorded = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as cause:
        raise TrainingError(f"cannot read {path}", str(cause), "start in another folder") from cause
    if differing := _differing(recorded, wanted):
        fix = "resume with the options that it began with, or choose another folder"
        raise TrainingError(f"{run} is another run", f"it began with other {', '.join(differing)}", fix)


def _differing(recorded: Any, wanted: dict[str, Any]) -> list[str]:
    """Names of what is not as it was, options one by one."""
    recorded = recorded if isinstance(recorded, dict) else {}
    names = [name for name in ("tasks", "photographs") if recorded.get(name) != wanted[name]]
    before = recorded.get("options", {})
    return [name for name, value in wanted["options"].items() if before.get(name) != value] + names
