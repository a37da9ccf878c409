"""`sall-edge explain`."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from sall_edge.artifacts import open_checkpoint
from sall_edge.cli.arguments import Json, Split

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sall_edge.artifacts import Checkpoint
    from sall_edge.cli.progress import ProgressBar
    from sall_edge.spec import Task
    from trainer.explain import Examples, Explanation

__all__ = ["explain", "explanation_table"]


def explain(
    checkpoint: Annotated[Path, typer.Argument(metavar="CHECKPOINT", help="Folder of train.")],
    labels: Annotated[
        list[Path] | None, typer.Option("--labels", help="Labels CSV of photographs. May be given again.")
    ] = None,
    split: Split = "test",
    phantoms: Annotated[
        int | None, typer.Option(min=1, help="Instead: so many synthetic photographs that need a referral.")
    ] = None,
    side: Annotated[int, typer.Option(min=256, help="Side of a synthetic photograph, in pixels.")] = 768,
    seed: Annotated[
        int, typer.Option(min=0, help="Draws phantoms and chance; take another one than in training.")
    ] = 1000,
    most: Annotated[int, typer.Option(min=1, help="Photographs a disease for deletion and insertion.")] = 50,
    as_json: Json = False,
) -> None:
    """How good heat maps are: on lesions (phantoms), and whether the network needs what they show."""
    import numpy as np

    from sall_edge.allocation import keep_freed_memory
    from sall_edge.cli.progress import ProgressBar
    from trainer.explain import explain as explain_checkpoint
    from trainer.explain import phantom_examples

    keep_freed_memory()
    if bool(labels) == (phantoms is not None):
        raise typer.BadParameter("give --labels or --phantoms, one of them")
    opened = open_checkpoint(checkpoint)
    tasks, image = opened.manifest.tasks, opened.manifest.image
    with ProgressBar() as progress:
        if phantoms is not None:
            progress.stage("drawing", phantoms)
            examples = phantom_examples(phantoms, tasks, image, seed=seed, side_px=side, progress=progress)
        else:
            examples = _photographs(opened, labels or [], split, progress)
        found = explain_checkpoint(opened, examples, rng=np.random.default_rng(seed), most=most, progress=progress)
    if as_json:
        typer.echo(json.dumps({name: report.model_dump(mode="json") for name, report in found.items()}, indent=2))
    else:
        typer.echo(explanation_table(found, tasks))


def _photographs(checkpoint: "Checkpoint", labels: "Sequence[Path]", split: str, progress: "ProgressBar") -> "Examples":
    """Those of the split that are labelled with a referable grade of any task; only they count."""
    import numpy as np

    from sall_edge.cli.preparing import prepare_shown
    from sall_edge.fundus.labels import in_split, read_labels
    from sall_edge.spec import TaskSet
    from trainer.explain import Examples

    tasks = checkpoint.manifest.tasks
    photographs = [
        photograph
        for photograph in in_split(read_labels(labels, TaskSet(tasks=tasks)), split)
        if any((photograph.grades[task.name] or 0) >= task.referable_from for task in tasks)
    ]
    prepared = prepare_shown(photographs, checkpoint.manifest.image, progress)
    grades = {
        task.name: np.array([-1 if (g := p.grades[task.name]) is None else g for p in prepared.photographs])
        for task in tasks
    }
    patients = tuple(photograph.patient_id for photograph in prepared.photographs)
    return Examples(squares=prepared.squares, grades=grades, patients=patients, lesions={})


def explanation_table(found: "dict[str, Explanation]", tasks: "Sequence[Task]") -> str:
    """The explanations as lines for people."""
    lines = []
    for task in (task for task in tasks if task.name in found):
        report = found[task.name]
        lines.append(f"{task.title}: {report.referable} referable photographs, {report.called} called so")
        if (pointing := report.pointing_game) is not None:
            lines.append(f"  {'map peaks on a lesion':30s}{pointing.share:.3f}   by chance {pointing.chance:.3f}")
        if (energy := report.lesion_energy) is not None:
            lines.append(f"  {'evidence on lesions':30s}{energy.share:.3f}   an even map {energy.even:.3f}")
        if (removed := report.deletion_insertion) is not None:
            for name, better, areas in (
                ("deletion", "lower", removed.deletion),
                ("insertion", "higher", removed.insertion),
            ):
                low, high = areas.interval
                lines.append(
                    f"  {f'{name} ({better} is better)':30s}{areas.by_map:.3f}   random map {areas.by_random:.3f}"
                    f"   difference {areas.difference:+.3f} [{low:+.3f}, {high:+.3f}], n = {removed.n}"
                )
    return "\n".join(lines)
