"""`sall-edge train`."""

import tempfile
from pathlib import Path
from typing import Annotated

import typer

from sall_edge.cli.arguments import Backbone, Consistency, Labels, Output, Side, Views, Weights
from sall_edge.spec import Arithmetic, Head, ImageSpec, Method, TaskSet, tasks_from_toml

__all__ = ["train"]


def train(
    context: typer.Context,
    tasks: Annotated[Path, typer.Argument(metavar="TASKS", help="Task file (TOML), see docs/tasks.md.")],
    labels: Labels,
    output: Output,
    method: Annotated[Method, typer.Option(help="How the diseases learn from each other.")] = Method.SALL,
    head: Annotated[Head, typer.Option(help="Whether the heads know the order of the grades.")] = Head.SOFTMAX,
    backbone: Backbone = "tf_efficientnet_lite0",
    weights: Weights = "imagenet",
    side: Side = 224,
    epochs: Annotated[
        int | None, typer.Option(min=1, help="Most epochs of each network; 12, or 5 with --finetune-int8.")
    ] = None,
    frozen_groups: Annotated[
        int, typer.Option(min=0, help="Groups of early layers that keep their weights: less time on a CPU.")
    ] = 0,
    consistency: Consistency = 2.0,
    views: Views = 0,
    arithmetic: Annotated[
        Arithmetic, typer.Option(help="Of the convolutions: bfloat16 is faster where the processor has it.")
    ] = Arithmetic.FLOAT32,
    seed: Annotated[int, typer.Option(min=0, help="Decides every random draw.")] = 0,
    finetune_int8: Annotated[
        Path | None,
        typer.Option(metavar="CHECKPOINT", help="Teach this network to keep its verdicts in INT8; no other training."),
    ] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on where a run was stopped.")] = False,
) -> None:
    """Teachers, soft targets, student. RUN/checkpoint is the product.

    With --finetune-int8 the product is a network that stands in for CHECKPOINT where its INT8 engine fails the gate.
    """
    from sall_edge.allocation import keep_freed_memory
    from sall_edge.cli.progress import ProgressBar
    from sall_edge.fundus.labels import read_labels
    from trainer.options import TrainingOptions
    from trainer.train import train as run_training

    keep_freed_memory()
    task_set = tasks_from_toml(tasks)
    if finetune_int8 is not None:
        _refuse_options_of_the_checkpoint(context)
        typer.echo(_finetuned(finetune_int8, task_set, labels, output, epochs=epochs or 5, seed=seed, resume=resume))
        return
    options = TrainingOptions(
        method=method,
        head=head,
        backbone=backbone,
        weights=weights,
        image=ImageSpec(side_px=side),
        epochs=epochs or 12,
        frozen_groups=frozen_groups,
        consistency_weight=consistency,
        views=views,
        arithmetic=arithmetic,
        seed=seed,
    )
    with ProgressBar() as progress:
        checkpoints = run_training(
            read_labels(labels, task_set), task_set, options, output, resume=resume, report=progress
        )
    for checkpoint in checkpoints:
        typer.echo(checkpoint.path)


_FIXED = ("method", "head", "backbone", "weights", "side", "frozen_groups", "consistency", "views", "arithmetic")
"""Options of a training from the start: a fine-tune takes them from its checkpoint, or has no use for them."""


def _refuse_options_of_the_checkpoint(context: typer.Context) -> None:
    for name in _FIXED:
        source = context.get_parameter_source(name)
        if source is not None and source.name == "COMMANDLINE":
            option = f"--{name.replace('_', '-')}"
            raise typer.BadParameter(f"{option} belongs to a training from the start, not to --finetune-int8")


def _finetuned(
    source: Path, tasks: TaskSet, labels: list[Path], output: Path, *, epochs: int, seed: int, resume: bool
) -> Path:
    """The fine-tuned checkpoint's folder."""
    from engines.export import export
    from sall_edge.artifacts import open_checkpoint
    from sall_edge.cli.progress import ProgressBar
    from sall_edge.fundus.labels import read_labels
    from trainer.finetune import finetune_int8, finetune_options

    checkpoint = open_checkpoint(source)
    options = finetune_options(checkpoint, epochs=epochs, seed=seed)
    photographs = read_labels(labels, tasks)
    with tempfile.TemporaryDirectory(prefix="sall-edge-") as folder, ProgressBar() as progress:
        model = export(checkpoint, Path(folder) / "model.onnx")
        return finetune_int8(
            photographs, tasks, checkpoint, model, options, output, resume=resume, report=progress
        ).path
