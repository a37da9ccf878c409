"""`sall-edge study`."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from sall_edge.cli.arguments import Backbone, Consistency, Labels, Output, Side, Views, Weights
from sall_edge.spec import Head, ImageSpec, Labelling, Method, tasks_from_toml

if TYPE_CHECKING:
    from trainer.study import Entry

__all__ = ["study"]

_METHODS = "single,multitask,sall-paper,sall"


def _entries(text: str) -> "tuple[Entry, ...]":
    from trainer.study import Entry

    try:
        return tuple(Entry.named(name.strip()) for name in text.split(","))
    except ValueError as cause:
        methods, heads = (", ".join(one.value for one in kind) for kind in (Method, Head))
        raise typer.BadParameter(f"{cause}; methods are {methods}; heads are {heads}") from cause


def study(
    tasks: Annotated[Path, typer.Argument(metavar="TASKS", help="Task file (TOML), see docs/tasks.md.")],
    labels: Labels,
    output: Output,
    methods: Annotated[
        str, typer.Option(help="Names, with commas between them; sall+ordinal is sall with an ordinal head.")
    ] = _METHODS,
    seeds: Annotated[int, typer.Option(min=1, help="How many networks of each method: seeds 0, 1, …")] = 3,
    labelling: Annotated[
        Labelling, typer.Option(help="Whether a training photograph keeps all its labels or one disease's.")
    ] = Labelling.ONE_DISEASE,
    backbone: Backbone = "tf_efficientnet_lite0",
    weights: Weights = "imagenet",
    side: Side = 224,
    epochs: Annotated[int, typer.Option(min=1, help="Most epochs of each network.")] = 8,
    frozen_groups: Annotated[int, typer.Option(min=0, help="Groups of early layers that keep their weights.")] = 3,
    consistency: Consistency = 0.0,
    views: Views = 8,
    at_once: Annotated[
        int, typer.Option(min=1, help="Networks that train side by side, each on its share of the cores.")
    ] = 2,
) -> None:
    """Trains every method with every seed and compares them on the test split; goes on where it was stopped."""
    import numpy as np

    from sall_edge.allocation import keep_freed_memory
    from sall_edge.cli.progress import ProgressBar
    from sall_edge.fundus.labels import read_labels
    from sall_edge.writing import file_being_written
    from trainer.comparison import compared
    from trainer.options import TrainingOptions
    from trainer.study import Plan, run_study
    from trainer.study_report import draw_comparison, markdown

    keep_freed_memory()
    entries, task_set = _entries(methods), tasks_from_toml(tasks)
    options = TrainingOptions(
        backbone=backbone,
        weights=weights,
        image=ImageSpec(side_px=side),
        epochs=epochs,
        frozen_groups=frozen_groups,
        consistency_weight=consistency,
        views=views,
    )
    plan = Plan(entries=entries, seeds=tuple(range(seeds)), options=options, labelling=labelling)
    with ProgressBar() as progress:
        photographs = read_labels(labels, task_set)
        test, answers = run_study(photographs, task_set, plan, output, report=progress, at_once=at_once)
    comparison = compared(task_set.tasks, test, answers, rng=np.random.default_rng(0))
    text = markdown(comparison, task_set.tasks)
    for name, content in (("study.json", comparison.model_dump_json(indent=2)), ("study.md", text)):
        with file_being_written(output / name) as temporary:
            temporary.write_text(content + "\n", encoding="utf-8")
    draw_comparison(comparison, task_set.tasks, output / "study.png")
    typer.echo(text)
