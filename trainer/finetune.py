"""A network that loses verdicts in INT8 learns to keep them: a few epochs through the rounding of its own engine."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from calibration.layers import int8_layers
from calibration.sample import choose
from sall_edge.artifacts import Checkpoint, OnnxModel, open_checkpoint
from sall_edge.errors import TrainingError
from sall_edge.fundus.labels import LabelledPhotograph, in_split
from sall_edge.spec import TaskSet
from trainer.checkpoint import load_network
from trainer.claim import claim
from trainer.data import Squares
from trainer.evaluate import BATCH_SIZE, logits_of
from trainer.finished import write_finished
from trainer.int8 import Int8View
from trainer.loop import Batch, Stage, fit
from trainer.losses import distillation_loss
from trainer.network import SallNetwork
from trainer.options import TrainingOptions
from trainer.processes import Processes
from trainer.progress import Progress, Silence
from trainer.train import prepared_splits

__all__ = ["finetune_int8", "finetune_options"]

Rows = NDArray[np.int64]

ROUNDING_WEIGHT = 64.0
"""Of the change that rounding makes, next to the divergence from what the network said before."""

LEARNING_RATE = 4e-4
BATCH_SIZE_OF_STEPS = 16

CALIBRATION_PHOTOGRAPHS = 256
"""Photographs that say how far maps reach."""

_EXAMPLES = 2
_NAME = "finetune-int8"


def finetune_options(checkpoint: Checkpoint, *, epochs: int, seed: int) -> TrainingOptions:
    """The options of a fine-tune of this network."""
    manifest = checkpoint.manifest
    return TrainingOptions(
        backbone=manifest.backbone,
        weights=f"checkpoint {checkpoint.sha256}",
        image=manifest.image,
        epochs=epochs,
        batch_size=BATCH_SIZE_OF_STEPS,
        learning_rate=LEARNING_RATE,
        weight_decay=0.0,
        dropout=0.0,
        consistency_weight=ROUNDING_WEIGHT,
        seed=seed,
    )


def finetune_int8(
    photographs: Sequence[LabelledPhotograph],
    tasks: TaskSet,
    checkpoint: Checkpoint,
    model: OnnxModel,
    options: TrainingOptions,
    run: Path,
    *,
    resume: bool,
    report: Progress,
    cache: Path | None = None,
) -> Checkpoint:
    """The checkpoint `run/checkpoint`, whose weights INT8 stores without an error, and whose maps bear rounding.

    It is a network of its own, with its own operating points: export, calibrate and judge it like any other. Nothing
    learns from labels here: targets are what the network said of the plain squares.

    Args:
        photographs: Those of the splits `train` and `val` are used.
        tasks: Those of the checkpoint.
        checkpoint: The network that fails its gate.
        model: Its FP32 graph.
        options: See `finetune_options`.
        run: A folder of its own.
        resume: Whether `run` may hold an earlier part of the same run.
        report: Told what is going on.
        cache: Folder of prepared squares; `run/cache` unless given.

    Raises:
        TrainingError: The checkpoint grades other tasks, a layer of its graph is no convolution; or see `train`.
        CalibrationError: The photographs give no ranges.
        ArtefactError: A file is damaged or another run's.
        OutputError: `run` cannot be written.
    """
    if tasks.tasks != checkpoint.manifest.tasks:
        why = "the checkpoint grades other tasks than the task file, or grades them in another way"
        raise TrainingError(f"{checkpoint.path} cannot be fine-tuned with these tasks", why, "give its own task file")
    together = Processes(options)
    report = report if together.is_first else Silence()
    folder = run / "checkpoint"
    with together.first_alone():
        claim(run, options, tasks, photographs, resume=resume or not together.is_first)
        if (folder / "signature").is_file():
            return open_checkpoint(folder)
        squares = prepared_splits(photographs, tasks, options, cache or run / "cache", report)
    network = load_network(checkpoint)
    stage = _stage(network, squares, _calibration_rows(photographs, tasks, squares["train"]), model, options, report)
    state = fit(stage, network, options, run, together=together, progress=report)
    with together.first_alone():
        if together.is_first:
            write_finished(state, stage, options, run, folder, provenance={}, parent_sha256=checkpoint.sha256)
    return open_checkpoint(folder)


def _stage(
    network: SallNetwork,
    squares: Mapping[str, Squares],
    rows: Rows,
    model: OnnxModel,
    options: TrainingOptions,
    report: Progress,
) -> Stage:
    """What the network learns: its own answers, through the rounding that these rows of the training squares decide."""
    train = squares["train"]
    report.stage("targets", len(train))
    logits = logits_of(network, train.batches(BATCH_SIZE), progress=report)
    report.stage("measuring ranges", len(rows))
    layers = int8_layers(model, list(train.images(rows).numpy()), advance=report.advance)
    return Stage(
        name=_NAME,
        train=train,
        validation=squares["val"],
        loss=_divergence,
        consistency_weight=options.consistency_weight,
        soft={name: torch.softmax(torch.from_numpy(z), dim=1) for name, z in logits.items()},
        int8=Int8View(network, layers, train.images(rows[:_EXAMPLES])),
    )


def _divergence(batch: Batch) -> Tensor:
    losses = [distillation_loss(z, batch.soft[name], temperature=1.0) for name, z in batch.logits.items()]
    return sum(losses[1:], start=losses[0])


def _calibration_rows(photographs: Sequence[LabelledPhotograph], tasks: TaskSet, squares: Squares) -> Rows:
    """Positions in the training squares of photographs that say how far maps reach."""
    position = {path: row for row, path in enumerate(squares.paths)}
    usable = [photograph for photograph in in_split(photographs, "train") if photograph.path in position]
    drawn = choose(usable, tasks.tasks, CALIBRATION_PHOTOGRAPHS, rng=np.random.default_rng(0))
    return np.array([position[photograph.path] for photograph in drawn], np.int64)
