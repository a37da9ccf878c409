"""What has been done and found, and where it is kept: `report.json` and `report.md`, whole after every step."""

import json
from dataclasses import asdict, dataclass, field
from enum import Enum
from pathlib import Path
from typing import Any

from sall_edge.writing import file_being_written

__all__ = ["Outcome", "Record", "StepRecord", "save"]

JSON_NAME, MARKDOWN_NAME = "report.json", "report.md"


class Outcome(str, Enum):
    """How a step ended; a step that was not run says why."""

    PASSED = "passed"
    FAILED = "failed"
    NOT_RUN = "not run"


@dataclass(frozen=True, slots=True, kw_only=True)
class StepRecord:
    """A step that is over.

    Attributes:
        name: As in `order.Step.name`.
        outcome: How it ended.
        error: what, why and fix, where it did not pass.
        facts: What it found, with units in the names; also of a step that failed half-way.
        seconds: From its process's start to its end.
        peak_resident_mib: The most memory that its process had in the CPU's sight.
        memory_taken_mib: By how much the system's available memory sank meanwhile, whoever took it.
        tail: Its last lines, where it failed.
    """

    name: str
    outcome: Outcome
    error: dict[str, str] | None = None
    facts: dict[str, Any] = field(default_factory=dict)
    seconds: float = 0.0
    peak_resident_mib: float = 0.0
    memory_taken_mib: float = 0.0
    tail: tuple[str, ...] = ()


@dataclass(slots=True, kw_only=True)
class Record:
    """The report so far.

    Attributes:
        started: UTC, ISO 8601.
        options: What was asked for.
        steps: In the order of running.
        is_finished: False while it runs, and for ever when the device stopped.
    """

    started: str
    options: dict[str, Any]
    steps: list[StepRecord] = field(default_factory=list)
    is_finished: bool = False

    def step(self, name: str) -> StepRecord | None:
        """The step of that name, once it is over."""
        return next((step for step in self.steps if step.name == name), None)

    def passed(self, name: str) -> bool:
        """Whether it is over and passed."""
        step = self.step(name)
        return step is not None and step.outcome is Outcome.PASSED

    def facts(self, name: str) -> dict[str, Any]:
        """What a step found; empty when it has not been run."""
        step = self.step(name)
        return step.facts if step else {}


def save(record: Record, markdown: str, folder: Path, *, private: dict[str, str]) -> None:
    """Writes both files, each in one step.

    Args:
        record: The report so far.
        markdown: The same for people.
        folder: Where they go.
        private: Texts that must not leave the device, and what stands for them; longer ones first.

    Raises:
        OutputError: The place cannot be written.
    """
    content = json.dumps(asdict(record), indent=2, ensure_ascii=False)
    for name, text in ((JSON_NAME, content), (MARKDOWN_NAME, markdown)):
        for secret, stands_for in private.items():
            text = text.replace(secret, stands_for)
        with file_being_written(folder / name) as temporary:
            temporary.write_text(text, encoding="utf-8")
