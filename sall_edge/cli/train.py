"""`sall-edge train`."""

from pathlib import Path
from typing import Annotated

import typer

from sall_edge.cli.arguments import Backbone, Consistency, Labels, Output, Side, Views, Weights
from sall_edge.spec import Arithmetic, Head, ImageSpec, Method, tasks_from_toml

__all__ = ["train"]


def train(
    tasks: Annotated[Path, typer.Argument(metavar="TASKS", help="Task file (TOML), see docs/tasks.md.")],
    labels: Labels,
    output: Output,
    method: Annotated[Method, typer.Option(help="How the diseases learn from each other.")] = Method.SALL,
    head: Annotated[Head, typer.Option(help="Whether the heads know the order of the grades.")] = Head.SOFTMAX,
    backbone: Backbone = "tf_efficientnet_lite0",
    weights: Weights = "imagenet",
    side: Side = 224,
    epochs: Annotated[int, typer.Option(min=1, help="Most epochs of each network.")] = 12,
    frozen_groups: Annotated[
        int, typer.Option(min=0, help="Groups of early layers that keep their weights: less time on a CPU.")
    ] = 0,
    consistency: Consistency = 2.0,
    views: Views = 0,
    arithmetic: Annotated[
        Arithmetic, typer.Option(help="Of the convolutions: bfloat16 is faster where the processor has it.")
    ] = Arithmetic.FLOAT32,
    seed: Annotated[int, typer.Option(min=0, help="Decides every random draw.")] = 0,
    resume: Annotated[bool, typer.Option("--resume", help="Go on where a run was stopped.")] = False,
) -> None:
    """Teachers, soft targets, student. RUN/checkpoint is the product."""
    from sall_edge.cli.progress import ProgressBar
    from sall_edge.fundus.labels import read_labels
    from trainer.allocation import keep_freed_memory
    from trainer.options import TrainingOptions
    from trainer.train import train as run_training

    keep_freed_memory()
    task_set = tasks_from_toml(tasks)
    options = TrainingOptions(
        method=method,
        head=head,
        backbone=backbone,
        weights=weights,
        image=ImageSpec(side_px=side),
        epochs=epochs,
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
