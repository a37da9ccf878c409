"""One network trained on one set of squares: the loop that teachers, students and baselines share."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import torch
from torch import Generator, Tensor
from torch.utils.tensorboard.writer import SummaryWriter

from sall_edge.errors import TrainingError
from trainer.augment import augment
from trainer.data import Squares, in_batches
from trainer.evaluate import BATCH_SIZE, logits_of, validation_score
from trainer.network import SallNetwork
from trainer.options import Arithmetic, TrainingOptions
from trainer.progress import Progress
from trainer.sampling import drawn_positions, sampling_weights
from trainer.state import State, learning_rate_at, seeded
from trainer.weights import load_backbone_weights, normalisation_of

__all__ = ["Loss", "Stage", "fit"]

Loss = Callable[[Mapping[str, Tensor], Tensor, Mapping[str, Tensor]], Tensor]
"""(logits by task, (N, tasks) labels, soft labels by task) to (N,) losses."""

_ADAPTATION_BATCHES = 12
"""Batches that frozen normalisation takes its statistics from."""

_GRADIENT_NORM = 5.0
"""Longer gradients are shortened to it: one odd photograph must not throw the network off."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """A network to train.

    Attributes:
        name: Such as `teacher-dr`; part of every seed and file name.
        train, validation: Squares labelled for the stage's tasks.
        loss: Per image.
        soft: Soft labels by task, (n, K) in the order of `train`; empty for stages without teachers.
    """

    name: str
    train: Squares
    validation: Squares
    loss: Loss
    soft: Mapping[str, Tensor] = field(default_factory=dict)

    def steps_per_epoch(self, options: TrainingOptions) -> int:
        """Full batches only: batch normalisation of a small rest would disturb the statistics."""
        return max(1, len(self.train) // options.batch_size)


def fit(stage: Stage, options: TrainingOptions, run: Path, *, progress: Progress) -> State:
    """The stage, trained to its end; goes on from `run/state/STAGE.safetensors` if that is there.

    Raises:
        TrainingError: The loss is not a number.
        ArtefactForeign: The state file is damaged.
        OutputError: `run` cannot be written.
    """
    path = run / "state" / f"{stage.name}.safetensors"
    state = State.fresh(_first_network(stage, options), options)
    if path.exists():
        state.restore(path)
    else:
        _adapt(state, stage, options)
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
        images = augment(stage.train.images(positions), options.augmentation, generator)
        with torch.autocast("cpu", torch.bfloat16, enabled=options.arithmetic is Arithmetic.BFLOAT16):
            logits = state.network(images)
        logits = {name: z.float() for name, z in logits.items()}
        soft = {name: probabilities[positions] for name, probabilities in stage.soft.items()}
        loss = stage.loss(logits, stage.train.targets(positions), soft).mean()
        _step(state, loss, stage, options)
        total += loss.item()
        progress.advance()
    return total / steps


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


def _adapt(state: State, stage: Stage, options: TrainingOptions) -> None:
    """Fits what is frozen to fundus photographs, before the first step."""
    count = min(_ADAPTATION_BATCHES, stage.steps_per_epoch(options))
    with seeded(options.seed, stage.name, -2) as generator:
        positions = torch.randperm(len(stage.train), generator=generator).numpy()
        chosen = [positions[batch] for batch in in_batches(len(positions), options.batch_size)][:count]
        shown = (augment(stage.train.images(batch), options.augmentation, generator) for batch in chosen)
        state.network.adapt_frozen_statistics(shown)
    state.average.load_state_dict(state.network.state_dict())


def _first_network(stage: Stage, options: TrainingOptions) -> SallNetwork:
    mean, std = normalisation_of(options.backbone)
    with seeded(options.seed, stage.name, -1):
        network = SallNetwork(
            backbone=options.backbone, tasks=stage.train.tasks, mean=mean, std=std, dropout=options.dropout
        )
    load_backbone_weights(network, options.weights)
    network.freeze(options.frozen_groups)
    return network
