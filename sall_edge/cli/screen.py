"""`sall-edge screen`."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from sall_edge.artifacts import open_engine
from sall_edge.cli.arguments import Json

if TYPE_CHECKING:
    from sall_edge.screening.verdict import ScreenedPhotograph
    from sall_edge.spec import Task

__all__ = ["screen"]


def screen(
    engine: Annotated[Path, typer.Argument(metavar="ENGINE", help="Bundle folder.")],
    photographs: Annotated[list[Path], typer.Argument(metavar="PHOTO", help="Photographs or folders of them.")],
    as_json: Json = False,
    heatmap: Annotated[Path | None, typer.Option(help="Folder for overlays: where the evidence lies.")] = None,
) -> None:
    """A verdict for every photograph. Exit 1 if one could not be read; the others still come."""
    from sall_edge.runtime.session import open_session
    from sall_edge.screening.overlay import overlay_path, write_overlay
    from sall_edge.screening.verdict import find_photographs
    from sall_edge.screening.verdict import screen as screen_all

    found = find_photographs(photographs)
    results = []
    with open_session(open_engine(engine)) as session:
        tasks = session.engine.manifest.tasks
        for examined in screen_all(session, found):
            results.append(examined.result)
            if heatmap is not None and examined.prediction is not None:
                write_overlay(examined, tasks, overlay_path(heatmap, examined.result))
            if not as_json:
                typer.echo(_line(examined.result, tasks))
    if as_json:
        typer.echo(json.dumps([_json(result) for result in results], indent=2))
    if any(result.error for result in results):
        raise typer.Exit(1)


def _json(result: "ScreenedPhotograph") -> dict[str, object]:
    """All that is known; of a photograph that could not be read, that is its name and the error."""
    return result.model_dump(mode="json", exclude_none=True, exclude_defaults=result.error is not None)


def _line(result: "ScreenedPhotograph", tasks: "tuple[Task, ...]") -> str:
    if problem := result.error:
        return f"{'ERROR':11s}  {result.photo}  {problem.what}\n  why: {problem.why}\n  fix: {problem.fix}"
    if not result.tasks:
        return f"{'RETAKE':11s}  {result.photo}  {', '.join(result.reasons).replace('_', ' ')}"
    grades = []
    for task in tasks:
        verdict = result.tasks[task.name]
        probability = task.referable_probability(verdict.probs)
        grades.append(f"{task.name} {verdict.grade} {task.grades[verdict.grade]}, P(referable) {probability:.2f}")
    word = "REFER" if any(verdict.referable for verdict in result.tasks.values()) else "no referral"
    return f"{word:11s}  {result.photo}  {'; '.join(grades)}"
