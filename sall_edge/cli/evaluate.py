"""`sall-edge evaluate`."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from sall_edge.artifacts import Checkpoint, Engine, open_checkpoint, open_engine
from sall_edge.cli.arguments import Json, Labels, Split

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sall_edge.bench.accuracy.grading import F32
    from sall_edge.bench.accuracy.metrics import TaskAccuracy
    from sall_edge.cli.progress import ProgressBar
    from sall_edge.fundus.prepared_set import PreparedSet
    from sall_edge.spec import Task

__all__ = ["accuracy_table", "evaluate"]

_SHOWN = (
    "referable_auc",
    "quadratic_weighted_kappa",
    "accuracy",
    "sensitivity",
    "specificity",
    "ece",
    "brier",
    "aurc",
)


def evaluate(
    source: Annotated[Path, typer.Argument(metavar="CHECKPOINT|ENGINE", help="Folder of train or of build.")],
    labels: Labels,
    split: Split = "test",
    as_json: Json = False,
    html: Annotated[Path | None, typer.Option(help="Also write one HTML page, with reliability diagrams.")] = None,
) -> None:
    """Accuracy, kappa, AUC, sensitivity, specificity and reliability, with 95 % intervals by patient.

    Every photograph that can be prepared is graded; bench leaves out what screen would send back for a retake.
    """
    from sall_edge.bench.accuracy.grading import measure_accuracy
    from sall_edge.cli.preparing import prepare_shown
    from sall_edge.cli.progress import ProgressBar
    from sall_edge.fundus.labels import in_split, read_labels
    from sall_edge.spec import TaskSet

    if html is not None:
        from sall_edge.bench.report.files import check_page

        check_page(html)
    artefact = open_checkpoint(source) if (source / "weights.safetensors").is_file() else open_engine(source)
    manifest = artefact.manifest
    photographs = in_split(read_labels(labels, TaskSet(tasks=manifest.tasks)), split)
    with ProgressBar() as progress:
        prepared = prepare_shown(photographs, manifest.image, progress)
        progress.stage("grading", len(prepared.squares))
        probs = _predicted(artefact, prepared, progress)
    accuracy = measure_accuracy(prepared.photographs, manifest.tasks, probs, manifest.operating_points)
    if html is not None:
        _write_page(html, f"sall-edge evaluate {source}", labels, split, artefact, prepared, probs, accuracy)
    if as_json:
        typer.echo(json.dumps({name: report.model_dump(mode="json") for name, report in accuracy.items()}, indent=2))
    else:
        typer.echo(accuracy_table(accuracy, manifest.tasks))
        typer.echo(
            f"of all {len(prepared.photographs)} photographs that can be prepared; bench leaves out those that screen "
            "would send back for a retake"
        )


def _predicted(artefact: "Checkpoint | Engine", prepared: "PreparedSet", progress: "ProgressBar") -> "dict[str, F32]":
    """By task, the (n, K) probabilities of the squares."""
    if isinstance(artefact, Checkpoint):
        from sall_edge.allocation import keep_freed_memory
        from trainer.evaluate import predict_checkpoint

        keep_freed_memory()
        return predict_checkpoint(artefact, prepared.squares, progress=progress)
    from sall_edge.bench.accuracy.grading import predict_all
    from sall_edge.runtime.session import open_session

    with open_session(artefact) as session:
        return predict_all(session, prepared.squares, advance=progress.advance)


def _write_page(
    path: Path,
    title: str,
    labels: "Sequence[Path]",
    split: str,
    artefact: "Checkpoint | Engine",
    prepared: "PreparedSet",
    probs: "dict[str, F32]",
    accuracy: "dict[str, TaskAccuracy]",
) -> None:
    from sall_edge.bench.accuracy.grading import labelled_rows
    from sall_edge.bench.report.write import write_evaluation

    tasks = [task for task in artefact.manifest.tasks if task.name in accuracy]
    rows = {task.name: labelled_rows(prepared.photographs, task) for task in tasks}
    write_evaluation(
        path,
        accuracy,
        {name: (grades, probs[name][places]) for name, (places, grades) in rows.items()},
        tasks,
        temperatures=artefact.manifest.temperatures if isinstance(artefact, Checkpoint) else {},
        title=title,
        facts={"labels": ", ".join(map(str, labels)), "split": split, "sha256": artefact.sha256},
    )


def accuracy_table(accuracy: "dict[str, TaskAccuracy]", tasks: "Sequence[Task]") -> str:
    """The accuracy object as lines for people."""
    lines = []
    for task in (task for task in tasks if task.name in accuracy):
        report = accuracy[task.name]
        lines.append(f"{task.title}, n = {report.n}")
        for name in _SHOWN:
            value = getattr(report, name)
            low, high = report.interval.get(name, (None, None))
            interval = "" if low is None else f"  [{low:.3f}, {high:.3f}]"
            if name == "ece":
                interval = "  ({:.3f} if perfectly calibrated, up to {:.3f})".format(*report.ece_if_calibrated)
            lines.append(f"  {name:26s}{'undefined' if value is None else f'{value:.3f}'}{interval}")
    return "\n".join(lines)
