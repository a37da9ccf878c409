"""One network trained on one set of squares: the loop that teachers, students and baselines share."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from torch import Generator, Tensor
from torch.utils.tensorboard.writer import SummaryWriter

from sall_edge.errors import TrainingError
from trainer.augment import augment
from trainer.data import Squares, in_batches
from trainer.evaluate import BATCH_SIZE, logits_of, validation_score
from trainer.frozen import Views, pooled_from
from trainer.network import SallNetwork
from trainer.options import Arithmetic, TrainingOptions
from trainer.progress import Progress
from trainer.sampling import drawn_positions, sampling_weights
from trainer.state import State, learning_rate_at, seeded

__all__ = ["Batch", "Loss", "Stage", "fit"]

_GRADIENT_NORM = 5.0
"""Longer gradients are shortened to it: one odd photograph must not throw the network off."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """What a loss sees of a step.

    Attributes:
        logits: Raw (N, K) by task.
        projected: (N, C) by task: the network's features as each teacher would have them; empty without projections.
        labels: (N, tasks) grades, -1 unknown.
        soft: (N, K) soft labels by task; empty without teachers.
        features: (N, C) teachers' pooled features by task; empty without teachers.
    """

    logits: Mapping[str, Tensor]
    projected: Mapping[str, Tensor]
    labels: Tensor
    soft: Mapping[str, Tensor]
    features: Mapping[str, Tensor]


Loss = Callable[[Batch], Tensor]
"""A batch to (N,) losses."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """A network to train.

    Attributes:
        name: Such as `teacher-dr`; part of every seed and file name.
        train, validation: Squares labelled for the stage's tasks.
        loss: Per image.
        soft, features: Soft labels (n, K) and pooled features (n, C) of the teachers by task, in the order of `train`;
            empty for stages without teachers.
        views: What frozen layers made of the squares; None: they are augmented anew in every epoch.
    """

    name: str
    train: Squares
    validation: Squares
    loss: Loss
    soft: Mapping[str, Tensor] = field(default_factory=dict)
    features: Mapping[str, Tensor] = field(default_factory=dict)
    views: Views | None = None

    def steps_per_epoch(self, options: TrainingOptions) -> int:
        """Full batches only: batch normalisation of a small rest would disturb the statistics."""
        return max(1, len(self.train) // options.batch_size)


def fit(stage: Stage, first: SallNetwork, options: TrainingOptions, run: Path, *, progress: Progress) -> State:
    """The stage, trained to its end; goes on from `run/state/STAGE.safetensors` if that is there.

    Args:
        stage: What is learned from what.
        first: The network before the first step, see `start.first_network`.
        options: How.
        run: The run's folder.
        progress: Told of every step.

    Raises:
        TrainingError: The loss is not a number.
        ArtefactForeign: The state file is damaged.
        OutputError: `run` cannot be written.
    """
    path = run / "state" / f"{stage.name}.safetensors"
    state = State.fresh(first, options)
    if path.exists():
        state.restore(path)
    steps = stage.steps_per_epoch(options)
    progress.stage(stage.name, options.epochs * steps)
    progress.advance(state.epoch * steps)
    with SummaryWriter(str(run / "tensorboard" / stage.name), purge_step=state.epoch) as board:
        while not state.is_finished(options):
            with seeded(options.seed, stage.name, state.epoch) as generator:
                loss = _train_epoch(state, stage, options, generator, progress)
            logits = logits_of(state.average, stage.validation.batches(BATCH_SIZE))
            score, parts = validation_score(logits, stage.validation)
            for name, value in {"loss": loss, "score": score, **parts}.items():
                board.add_scalar(name, value, state.epoch)
            progress.note(f"{stage.name} epoch {state.epoch + 1}/{options.epochs}: loss {loss:.3f}, score {score:.3f}")
            state.close_epoch({"loss": loss, **parts}, score)
            state.save(path)
    return state


def _train_epoch(
    state: State, stage: Stage, options: TrainingOptions, generator: Generator, progress: Progress
) -> float:
    """One pass; returns the mean loss."""
    steps = stage.steps_per_epoch(options)
    drawn = drawn_positions(sampling_weights(stage.train.labels), generator)
    state.network.train()
    total = 0.0
    for batch in list(in_batches(len(drawn), options.batch_size))[:steps]:
        positions = drawn[batch]
        with torch.autocast("cpu", torch.bfloat16, enabled=options.arithmetic is Arithmetic.BFLOAT16):
            pooled = _pooled(state.network, stage, positions, options, generator).float()
        seen = Batch(
            logits=state.network.graded(pooled),
            projected=state.network.projected(pooled),
            labels=stage.train.targets(positions),
            soft={name: probabilities[positions] for name, probabilities in stage.soft.items()},
            features={name: features[positions] for name, features in stage.features.items()},
        )
        loss = stage.loss(seen).mean()
        _step(state, loss, stage, options)
        total += loss.item()
        progress.advance()
    return total / steps


def _pooled(
    network: SallNetwork,
    stage: Stage,
    positions: npt.NDArray[np.integer],
    options: TrainingOptions,
    generator: Generator,
) -> Tensor:
    if stage.views is not None:
        return pooled_from(network, stage.views.draw(stage.train.rows[positions], generator))
    return network.pooled(augment(stage.train.images(positions), options.augmentation, generator))


def _step(state: State, loss: Tensor, stage: Stage, options: TrainingOptions) -> None:
    if not math.isfinite(loss.item()):
        what = f"the loss of {stage.name} is {loss.item()} in epoch {state.epoch + 1}"
        fix = f"start again with a lower learning rate than {options.learning_rate}"
        raise TrainingError(what, "the weights have left the range of numbers", fix)
    rate = learning_rate_at(state.step, options.epochs * stage.steps_per_epoch(options), options.learning_rate)
    for group in state.optimizer.param_groups:
        group["lr"] = rate
    state.optimizer.zero_grad()
    loss.backward()  # type: ignore[no-untyped-call]  # torch leaves it untyped
    torch.nn.utils.clip_grad_norm_(state.network.parameters(), _GRADIENT_NORM)
    state.optimizer.step()
    state.step += 1
    state.follow(options.average_decay)
