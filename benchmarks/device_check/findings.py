"""What a step has found so far: on disk after every fact, so that a crash loses only what comes after it."""

import json
import traceback
from pathlib import Path
from typing import Any

from sall_edge.errors import SallEdgeError
from sall_edge.writing import file_being_written

__all__ = ["Findings", "read_findings"]


class Findings:
    """Facts by name, with units in the names.

    Args:
        path: The JSON file that holds them.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._facts: dict[str, Any] = {}
        self._error: dict[str, str] | None = None

    def note(self, **facts: Any) -> None:
        """Keeps facts, and writes all of them."""
        self._facts |= facts
        self._write()

    def fail(self, problem: BaseException) -> None:
        """Keeps why the step ended early: what, why and fix where the error has them, else its traceback."""
        if isinstance(problem, SallEdgeError):
            self._error = {"what": problem.what, "why": problem.why, "fix": problem.fix}
        else:
            why = "".join(traceback.format_exception(problem)).strip()
            fix = "send the report: nobody foresaw this"
            self._error = {"what": f"{type(problem).__name__}: {problem}", "why": why, "fix": fix}
        self._write()

    def _write(self) -> None:
        text = json.dumps({"facts": self._facts, "error": self._error}, indent=1)
        with file_being_written(self._path) as temporary:
            temporary.write_text(text, encoding="utf-8")


def read_findings(path: Path) -> tuple[dict[str, Any], dict[str, str] | None]:
    """The facts and the error of a step that has ended, whatever ended it; nothing where it wrote nothing."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}, None
    return content["facts"], content["error"]
