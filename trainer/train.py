"""Photographs to a checkpoint: teachers, targets, student; or one of the baselines that it is compared with."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from torch import Tensor

from sall_edge.artifacts import Checkpoint, open_checkpoint
from sall_edge.errors import TrainingError
from sall_edge.fundus.labels import LabelledPhotograph, in_split
from sall_edge.spec import Method, Task, TaskSet
from trainer.claim import claim
from trainer.data import Squares, prepared_squares
from trainer.distill import Teachers, read_targets, soft_labels, write_targets
from trainer.finished import write_finished
from trainer.frozen import Views, frozen_views
from trainer.loop import Loss, Stage, fit
from trainer.losses import UNKNOWN, multitask_loss
from trainer.methods import loss_of
from trainer.network import SallNetwork
from trainer.options import TrainingOptions
from trainer.processes import Processes
from trainer.progress import Progress, Silence
from trainer.start import first_network

__all__ = ["TrainingOptions", "prepare", "prepared_splits", "train"]


def prepare(
    photographs: Sequence[LabelledPhotograph],
    tasks: TaskSet,
    options: TrainingOptions,
    cache: Path,
    *,
    report: Progress,
) -> None:
    """Fills `cache` with all that runs on these photographs share: squares, frozen statistics, views.

    `train` does so itself. Runs side by side that begin with a full cache do not write to it.

    Raises:
        TrainingError, OutputError: See `train`.
    """
    squares = prepared_splits(photographs, tasks, options, cache, report)["train"]
    first = first_network("student", tasks.tasks, squares, options, cache, projections={})
    if options.views:
        frozen_views(first, squares, options, cache / "views", progress=report)


def train(
    photographs: Sequence[LabelledPhotograph],
    tasks: TaskSet,
    options: TrainingOptions,
    run: Path,
    *,
    resume: bool,
    report: Progress,
    cache: Path | None = None,
    teachers: Teachers | None = None,
) -> tuple[Checkpoint, ...]:
    """The checkpoints of a run: `run/checkpoint`; for `single`, `run/checkpoint-TASK` for each task in order.

    Besides them the folder holds `teachers/TASK`, `targets.safetensors`, `options.json`, `history.json`,
    `tensorboard/` and, while a stage is under way, `state/`. A run that was killed goes on with `resume` and gives the
    same weights to the bit on the same machine with the same number of threads; finished stages are reused.

    Args:
        photographs: Those of the splits `train` and `val` are used. Unusable ones are noted and left out.
        tasks: What the network grades.
        options: Everything else that decides the result.
        run: A folder of its own.
        resume: Whether `run` may hold an earlier part of the same run.
        report: Told what is going on.
        cache: Folder of prepared squares and of views of frozen layers; `run/cache` unless given, so that several runs
            can share one.
        teachers: Those of an earlier run on the same photographs; trained in `run` unless given.

    Raises:
        TrainingError: Labels or options that cannot give a network, a run that is there already or is another one,
            a loss that is not a number.
        ArtefactError: A file of an earlier part is damaged or another run's.
        OutputError: `run` cannot be written.
    """
    together = Processes(options)
    report = report if together.is_first else Silence()
    cache = cache or run / "cache"
    with together.first_alone():
        claim(run, options, tasks, photographs, resume=resume or not together.is_first)
        squares = prepared_splits(photographs, tasks, options, cache, report)
    builder = _Builder(squares["train"], squares["val"], options, run, cache, together, report)
    match options.method:
        case Method.SINGLE:
            return tuple(
                builder.checkpoint(f"single-{task.name}", (task,), run / f"checkpoint-{task.name}")
                for task in tasks.tasks
            )
        case Method.MULTITASK | Method.MULTITASK_NORMAL | Method.LABEL_SMOOTHING:
            return (builder.checkpoint("student", tasks.tasks, run / "checkpoint", loss=loss_of(options)),)
        case Method.DISTILL | Method.SALL_PAPER | Method.SALL | Method.SALL_FEATURE:
            return (builder.student(tasks.tasks, teachers or builder.teachers(tasks.tasks)),)


def prepared_splits(
    photographs: Sequence[LabelledPhotograph],
    tasks: TaskSet,
    options: TrainingOptions,
    cache: Path,
    report: Progress,
) -> dict[str, Squares]:
    """The squares of `train` and `val`, with labels that can give a network.

    Raises:
        TrainingError: Labels that cannot.
        OutputError: `cache` cannot be written.
    """
    squares: dict[str, Squares] = {}
    for split in ("train", "val"):
        chosen = in_split(photographs, split)
        squares[split], _ = prepared_squares(chosen, tasks.tasks, options.image, cache / split, progress=report)
    for task in tasks.tasks:
        _check_labels(task, squares)
        for grade in _unseen_grades(task, squares["train"]):
            report.note(
                f"{task.name} {grade} ({task.grades[grade]}) has no training photograph: it will not be learned"
            )
    return squares


class _Builder:
    """Turns stages into checkpoints, unless they are there already."""

    def __init__(
        self,
        train: Squares,
        validation: Squares,
        options: TrainingOptions,
        run: Path,
        cache: Path,
        together: Processes,
        progress: Progress,
    ) -> None:
        self.train, self.validation = train, validation
        self.options, self.run, self.cache, self.together, self.progress = options, run, cache, together, progress

    def checkpoint(
        self,
        name: str,
        tasks: tuple[Task, ...],
        folder: Path,
        *,
        loss: Loss = lambda batch: multitask_loss(batch.logits, batch.labels),
        is_deployed: bool = True,
        soft: Mapping[str, Tensor] | None = None,
        features: Mapping[str, Tensor] | None = None,
        provenance: Mapping[str, Any] | None = None,
    ) -> Checkpoint:
        """A finished stage: trained, its temperatures and operating points fitted on the validation split."""
        if (folder / "signature").is_file():
            return open_checkpoint(folder)
        sizes = {task: tensor.shape[1] for task, tensor in (features or {}).items()}
        with self.together.first_alone():
            first = first_network(name, tasks, self.train, self.options, self.cache, projections=sizes)
        stage = Stage(
            name=name,
            train=self.train.for_tasks(tasks),
            validation=self.validation.for_tasks(tasks),
            loss=loss,
            consistency_weight=self.options.consistency_weight if is_deployed else 0.0,
            soft=soft or {},
            features=features or {},
            views=self._views(first),
        )
        state = fit(stage, first, self.options, self.run, together=self.together, progress=self.progress)
        with self.together.first_alone():
            if self.together.is_first:
                write_finished(state, stage, self.options, self.run, folder, provenance=provenance or {})
        return open_checkpoint(folder)

    def teachers(self, tasks: tuple[Task, ...]) -> Teachers:
        """One network for each task."""
        made = {}
        for task in tasks:
            folder = self.run / "teachers" / task.name
            made[task.name] = self.checkpoint(f"teacher-{task.name}", (task,), folder, is_deployed=False)
        return Teachers(checkpoints=made, targets=self.run / "targets.safetensors")

    def student(self, tasks: tuple[Task, ...], teachers: Teachers) -> Checkpoint:
        """The network that learns every task from labels and from the teachers."""
        shown = self.train.for_tasks(tasks)
        with self.together.first_alone():
            if not teachers.targets.exists():
                write_targets(
                    teachers.targets,
                    teachers.checkpoints,
                    shown,
                    device=self.together.device,
                    progress=self.progress,
                )
        targets = read_targets(teachers.targets, teachers.checkpoints, shown)
        return self.checkpoint(
            "student",
            tasks,
            self.run / "checkpoint",
            loss=loss_of(self.options),
            soft=soft_labels(targets.logits, self.options.soft_temperature),
            features=targets.features if self.options.method is Method.SALL_FEATURE else None,
            provenance={"teachers": {name: teacher.sha256 for name, teacher in teachers.checkpoints.items()}},
        )

    def _views(self, first: SallNetwork) -> Views | None:
        if not self.options.views:
            return None
        with self.together.first_alone():
            return frozen_views(
                first.to(self.together.device), self.train, self.options, self.cache / "views", progress=self.progress
            )


def _check_labels(task: Task, squares: Mapping[str, Squares]) -> None:
    """Refuses what would train without a word and mean nothing."""
    for split, part in squares.items():
        column = part.labels[:, part.tasks.index(task)]
        grades = column[column != UNKNOWN]
        if len(grades) == 0:
            why = f"no photograph of the split `{split}` that can be used has a grade in column `{task.column}`"
            raise TrainingError(f"nothing to learn {task.name} from", why, "add labels, or drop the task")
        sides = {bool(grade >= task.referable_from) for grade in grades}
        if len(sides) < 2:
            kind = "referable" if True in sides else "below the referable grade"
            why = f"its {len(grades)} photographs are all {kind} ({task.referable_from} and more)"
            fix = f"add photographs of the other kind to `{split}`, by patient"
            raise TrainingError(f"{task.name} has one class only in `{split}`", why, fix)


def _unseen_grades(task: Task, squares: Squares) -> list[int]:
    seen = set(squares.labels[:, squares.tasks.index(task)].tolist())
    return [grade for grade in range(len(task.grades)) if grade not in seen]
