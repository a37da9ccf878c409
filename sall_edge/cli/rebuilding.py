"""A rebuild that runs beside a command, shown until it ends."""

import time
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from sall_edge.cli.progress import ProgressBar

if TYPE_CHECKING:
    from engines.rebuild_process import BackgroundRebuild, RebuildStatus

__all__ = ["awaited", "started"]

_POLL_S = 0.2


def started(engine: Path) -> "BackgroundRebuild":
    """A rebuild of the engine, running; it ends with its `with` block."""
    from engines.rebuild_process import BackgroundRebuild

    return BackgroundRebuild(engine)


def awaited(rebuild: "BackgroundRebuild", engine: Path) -> int:
    """Shows the rebuild on stderr until it ends; the exit code of the command: 0, 3 when the probes said no, else 1."""
    stage, done = "", 0
    with ProgressBar() as progress:
        while (status := rebuild.poll()).exit_code is None:
            if status.stage != stage:
                progress.stage(status.stage, status.total)
                stage, done = status.stage, 0
            progress.advance(status.done - done)
            done = status.done
            time.sleep(_POLL_S)
    typer.echo(_outcome(status, engine), err=True)
    return status.exit_code if status.exit_code in (0, 3) else 1


def _outcome(status: "RebuildStatus", engine: Path) -> str:
    if status.exit_code == 0:
        return f"note: {engine} was rebuilt, and the next screening runs on it"
    return f"error: {engine} was not rebuilt, and the verdicts are the CPU's: {status.reason}"
