"""`sall-edge screen`."""

import json
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from sall_edge.artifacts import open_engine
from sall_edge.cli.arguments import Json
from sall_edge.cli.quality_limits import LimitsFile, limits_of
from sall_edge.cli.rebuilding import awaited, started
from sall_edge.cli.serving import serving

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sall_edge.fundus.quality import QualityLimits
    from sall_edge.runtime.session import Session
    from sall_edge.screening.verdict import ScreenedPhotograph
    from sall_edge.spec import Task

__all__ = ["screen"]


def screen(
    engine: Annotated[Path, typer.Argument(metavar="ENGINE", help="Bundle folder.")],
    photographs: Annotated[list[Path], typer.Argument(metavar="PHOTO", help="Photographs or folders of them.")],
    as_json: Json = False,
    heatmap: Annotated[Path | None, typer.Option(help="Folder for overlays: where the evidence lies.")] = None,
    quality: LimitsFile = None,
    rebuild: Annotated[
        bool, typer.Option("--rebuild", help="Compile a plan of another TensorRT again meanwhile, and wait for it.")
    ] = False,
) -> None:
    """A verdict for every photograph. Exit 1 if one could not be read; the others still come.

    Where the engine's plan cannot run here, the CPU serves with its FP32 graph: stderr and `served_by` say why.
    """
    from sall_edge.screening.ahead import streams_for
    from sall_edge.screening.photographs import find_photographs

    found = find_photographs(photographs)
    limits = limits_of(quality)
    with ExitStack() as until_the_end:
        opened = open_engine(engine)
        streams = streams_for(len(found), threads=opened.manifest.target.threads)
        session, stand_in = until_the_end.enter_context(serving(opened, streams=streams))
        running = None
        if rebuild and stand_in is not None and stand_in.is_stale:
            running = until_the_end.enter_context(started(engine))
        are_all_read = _screened(session, found, limits, heatmap, as_json)
        code = 0 if running is None else awaited(running, engine)
    raise typer.Exit(code if are_all_read else 1)


def _screened(
    session: "Session", photographs: "Sequence[Path]", limits: "QualityLimits", heatmap: Path | None, as_json: bool
) -> bool:
    """Prints every verdict; whether all photographs could be read."""
    from sall_edge.screening.overlay import overlay_path, write_overlay
    from sall_edge.screening.verdict import screen as screen_all

    tasks = session.manifest.tasks
    results = []
    for examined in screen_all(session, photographs, limits=limits):
        results.append(examined.result)
        if heatmap is not None and examined.prediction is not None:
            write_overlay(examined, tasks, overlay_path(heatmap, examined.result))
        if not as_json:
            typer.echo(_line(examined.result, tasks))
    if as_json:
        typer.echo(json.dumps([_json(result) for result in results], indent=2))
    return not any(result.error for result in results)


def _json(result: "ScreenedPhotograph") -> dict[str, object]:
    """All that is known; of a photograph that could not be read, that is its name, who would have served, and why."""
    known = result.model_dump(mode="json", exclude_none=True, exclude_defaults=result.error is not None)
    if result.served_by is not None:
        known["served_by"] = result.served_by.model_dump(mode="json")  # `because` is null when the engine serves
    return known


def _line(result: "ScreenedPhotograph", tasks: "tuple[Task, ...]") -> str:
    if problem := result.error:
        return f"{'ERROR':11s}  {result.photo}  {problem.what}\n  why: {problem.why}\n  fix: {problem.fix}"
    if not result.tasks:
        return f"{'RETAKE':11s}  {result.photo}  {', '.join(result.reasons).replace('_', ' ')}"
    grades = []
    for task in (task for task in tasks if task.name in result.tasks):
        verdict = result.tasks[task.name]
        probability = task.referable_probability(verdict.probs)
        grades.append(f"{task.name} {verdict.grade} {task.grades[verdict.grade]}, P(referable) {probability:.2f}")
    word = "REFER" if any(verdict.referable for verdict in result.tasks.values()) else "no referral"
    if result.familiarity is not None and result.familiarity.is_unfamiliar:
        word = "LOOK AT IT" if word == "no referral" else word
        grades.append("unlike the training photographs: a person has to look")
    return f"{word:11s}  {result.photo}  {'; '.join(grades)}"
