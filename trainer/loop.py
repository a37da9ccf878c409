"""One network trained on one set of squares: the loop that teachers, students and baselines share."""

import math
from collections.abc import Callable, Mapping
from contextlib import nullcontext
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from torch import Generator, Tensor, nn
from torch.utils.tensorboard.writer import SummaryWriter

from sall_edge.errors import TrainingError
from sall_edge.spec import Arithmetic
from trainer.augment import augment
from trainer.data import Squares, in_batches
from trainer.evaluate import BATCH_SIZE, logits_of, validation_score
from trainer.frozen import Views, pooled_from
from trainer.int8 import Int8View
from trainer.losses import consistency_loss, rounding_loss
from trainer.network import SallNetwork
from trainer.options import TrainingOptions
from trainer.processes import Processes
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
        consistency_weight: Of `consistency_loss`, or of `rounding_loss` with `int8`; with it every photograph stands
            twice in its batch.
        soft, features: Soft labels (n, K) and pooled features (n, C) of the teachers by task, in the order of `train`;
            empty for stages without teachers.
        views: What frozen layers made of the squares; None: they are augmented anew in every epoch.
        int8: With it every photograph passes the network twice, the second time with rounded maps, and the last
            epoch's weights are kept, whatever their score: rounding is learned while the learning rate falls.
    """

    name: str
    train: Squares
    validation: Squares
    loss: Loss
    consistency_weight: float = 0.0
    soft: Mapping[str, Tensor] = field(default_factory=dict)
    features: Mapping[str, Tensor] = field(default_factory=dict)
    views: Views | None = None
    int8: Int8View | None = None

    def steps_per_epoch(self, options: TrainingOptions) -> int:
        """Full batches only: batch normalisation of a small rest would disturb the statistics."""
        return max(1, len(self.train) // options.batch_size)


def fit(
    stage: Stage, first: SallNetwork, options: TrainingOptions, run: Path, *, together: Processes, progress: Progress
) -> State:
    """The stage, trained to its end; goes on from `run/state/STAGE.safetensors` if that is there.

    Args:
        stage: What is learned from what.
        first: The network before the first step, see `start.first_network`.
        options: How.
        run: The run's folder.
        together: The processes that train; the first one alone writes.
        progress: Told of every step.

    Raises:
        TrainingError: The loss is not a number.
        ArtefactForeign: The state file is damaged.
        OutputError: `run` cannot be written.
    """
    path = run / "state" / f"{stage.name}.safetensors"
    state = State.fresh(first.to(together.device), options)
    if path.exists():
        state.restore(path)
    learner = together.learner(_Learner(state.network, options, stage.int8))
    steps = stage.steps_per_epoch(options)
    progress.stage(stage.name, options.epochs * steps)
    progress.advance(state.epoch * steps)
    folder = run / "tensorboard" / stage.name
    with SummaryWriter(str(folder), purge_step=state.epoch) if together.is_first else nullcontext() as board:
        while not state.is_finished(options):
            loss = _train_epoch(state, learner, stage, options, together, progress)
            together.agree(state.average)
            score, parts = together.from_first(lambda: _validated(state, stage))
            record = {"loss": loss, **parts}
            state.close_epoch(record, score, is_kept=stage.int8 is not None)
            progress.note(f"{stage.name} epoch {state.epoch}/{options.epochs}: loss {loss:.3f}, score {score:.3f}")
            if board is not None:
                for name, value in {"score": score, **record}.items():
                    board.add_scalar(name, value, state.epoch - 1)
                state.save(path)
    return state


class _Learner(nn.Module):
    """What a step computes before its loss, in one forward pass: processes average the gradients of that."""

    def __init__(self, network: SallNetwork, options: TrainingOptions, int8: Int8View | None) -> None:
        super().__init__()
        self.network, self.int8 = network, int8
        self.is_bfloat16 = options.arithmetic is Arithmetic.BFLOAT16

    def forward(self, shown: Tensor, *, is_map: bool) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        """Logits and projected features by task, of pixels or of what frozen layers made of them."""
        with torch.autocast(shown.device.type, torch.bfloat16, enabled=self.is_bfloat16):
            pooled = pooled_from(self.network, shown) if is_map else self.network.pooled(shown)
            if self.int8 is not None:
                with self.int8.on():
                    pooled = torch.cat([pooled, self.network.pooled(shown)])
        return self.network.graded(pooled.float()), self.network.projected(pooled.float())


def _train_epoch(
    state: State,
    learner: nn.Module,
    stage: Stage,
    options: TrainingOptions,
    together: Processes,
    progress: Progress,
) -> float:
    """One pass; returns the mean loss."""
    steps = stage.steps_per_epoch(options)
    state.network.train()
    total = 0.0
    with seeded(options.seed, stage.name, state.epoch) as generator:
        drawn = drawn_positions(sampling_weights(stage.train.labels), generator)
        together.part(generator)
        for batch in list(in_batches(len(drawn), options.batch_size))[:steps]:
            positions = together.share(drawn[batch])
            loss = _loss(learner, stage, positions, options, generator, together.device)
            _step(state, loss, stage, options)
            total += loss.item()
            progress.advance()
    return together.mean(total / steps)


def _loss(
    learner: nn.Module,
    stage: Stage,
    positions: npt.NDArray[np.integer],
    options: TrainingOptions,
    generator: Generator,
    device: torch.device,
) -> Tensor:
    """Of these photographs, each augmented anew at every appearance."""
    shown = np.tile(positions, 2) if stage.consistency_weight or stage.int8 is not None else positions
    if stage.int8 is not None:
        inputs = augment(stage.train.images(positions), options.augmentation, generator)
    elif stage.views is not None:
        inputs = stage.views.draw(stage.train.rows[shown], generator)
    else:
        inputs = augment(stage.train.images(shown), options.augmentation, generator)
    logits, projected = learner(inputs.to(device), is_map=stage.views is not None)
    seen = Batch(
        logits=logits,
        projected=projected,
        labels=stage.train.targets(shown).to(device),
        soft={name: probabilities[shown].to(device) for name, probabilities in stage.soft.items()},
        features={name: features[shown].to(device) for name, features in stage.features.items()},
    )
    loss = stage.loss(seen).mean()
    if stage.consistency_weight:
        disagreement = consistency_loss if stage.int8 is None else rounding_loss
        loss = loss + stage.consistency_weight * disagreement(seen.logits).mean()
    return loss


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


def _validated(state: State, stage: Stage) -> tuple[float, dict[str, float]]:
    return validation_score(logits_of(state.average, stage.validation.batches(BATCH_SIZE)), stage.validation)
