"""Everything that changes while a stage trains, so that a killed run goes on to the same bits."""

import copy
import hashlib
import json
import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file
from torch import Generator, Tensor, nn

from sall_edge.errors import ArtefactForeign
from sall_edge.writing import file_being_written
from trainer.network import SallNetwork
from trainer.options import TrainingOptions
from trainer.saving import save_tensors

__all__ = ["State", "learning_rate_at", "seeded"]

_WARM_UP = 0.1
"""Share of the steps in which the learning rate rises: fresh heads must not shake the ImageNet weights apart."""


@contextmanager
def seeded(seed: int, stage: str, epoch: int) -> Iterator[Generator]:
    """Randomness that depends on these three alone: a generator, and torch's own state for dropout and fresh heads.

    The caller's random state is as before when the block ends.
    """
    number = int.from_bytes(hashlib.sha256(f"{seed}/{stage}/{epoch}".encode()).digest()[:7], "big")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(number)
        yield Generator().manual_seed(number)


def learning_rate_at(step: int, steps: int, peak: float) -> float:
    """Linear warm-up, then half a cosine to zero; a function of the step alone, so there is nothing to save."""
    warm_up = max(1, round(_WARM_UP * steps))
    if step < warm_up:
        return peak * (step + 1) / warm_up
    return peak * 0.5 * (1 + math.cos(math.pi * (step - warm_up) / max(1, steps - warm_up)))


@dataclass(kw_only=True)
class State:
    """A stage in training.

    Attributes:
        network: What the optimizer moves.
        average: Its running average, which is validated and kept.
        best: Weights of the epoch with the best validation score, by name.
        optimizer: AdamW.
        epoch, step: How many are done.
        best_epoch, best_score: Of the epoch whose weights are `best`.
        history: One record an epoch, for people.
    """

    network: SallNetwork
    average: SallNetwork
    optimizer: torch.optim.AdamW
    best: dict[str, Tensor] = field(default_factory=dict)
    epoch: int = 0
    step: int = 0
    best_epoch: int = -1
    best_score: float = -math.inf
    history: list[dict[str, Any]] = field(default_factory=list)

    @classmethod
    def fresh(cls, network: SallNetwork, options: TrainingOptions) -> "State":
        """Before the first step."""
        return cls(network=network, average=copy.deepcopy(network).eval(), optimizer=_optimizer(network, options))

    def follow(self, decay: float) -> None:
        """Moves the average towards the network; it starts fast, so early epochs are not those of the first weights."""
        decay = min(decay, (1 + self.step) / (10 + self.step))
        with torch.no_grad():
            for mine, other in zip(self.average.state_dict().values(), self.network.state_dict().values(), strict=True):
                if mine.is_floating_point():
                    mine.lerp_(other, 1 - decay)
                else:
                    mine.copy_(other)

    def close_epoch(self, record: dict[str, Any], score: float, *, is_kept: bool = False) -> None:
        """Counts an epoch, and keeps the averaged weights if no earlier ones did better, or if `is_kept`."""
        if is_kept or score > self.best_score:
            self.best_epoch, self.best_score = self.epoch, score
            self.best = {name: tensor.clone() for name, tensor in self.average.state_dict().items()}
        self.history.append({"epoch": self.epoch, "score": score, **record})
        self.epoch += 1

    def is_finished(self, options: TrainingOptions) -> bool:
        """All epochs are done, or the last `patience` of them were no better."""
        return self.epoch >= options.epochs or self.epoch - 1 - self.best_epoch >= options.patience

    def finished_network(self) -> SallNetwork:
        """The best epoch's network, in evaluation mode."""
        self.average.load_state_dict(self.best)
        return self.average.eval()

    def save(self, path: Path) -> None:
        """Writes everything, atomically.

        Raises:
            OutputError: The file cannot be written.
        """
        tensors: dict[str, Tensor] = {}
        for prefix, group in (("network", self.network.state_dict()), ("average", self.average.state_dict())):
            tensors |= {f"{prefix}/{name}": tensor.contiguous() for name, tensor in group.items()}
        tensors |= {f"best/{name}": tensor.contiguous() for name, tensor in self.best.items()}
        for index, moments in self.optimizer.state_dict()["state"].items():
            tensors |= {f"optimizer/{index}/{name}": moment.contiguous() for name, moment in moments.items()}
        counters = {name: getattr(self, name) for name in ("epoch", "step", "best_epoch", "best_score", "history")}
        with file_being_written(path) as temporary:
            save_tensors(tensors, temporary, metadata={"counters": json.dumps(counters)})

    def restore(self, path: Path) -> None:
        """Takes everything from a file that `save` wrote.

        Raises:
            ArtefactForeign: The file is damaged or another network's.
        """
        try:
            with safe_open(path, framework="pt") as file:
                counters = json.loads((file.metadata() or {})["counters"])
            groups: dict[str, dict[str, Tensor]] = {"network": {}, "average": {}, "best": {}, "optimizer": {}}
            for name, tensor in load_file(path).items():
                group, _, rest = name.partition("/")
                groups[group][rest] = tensor
            self.network.load_state_dict(groups["network"])
            self.average.load_state_dict(groups["average"])
        except (SafetensorError, OSError, ValueError, KeyError, RuntimeError) as cause:
            fix = f"delete {path}; the stage then starts again"
            raise ArtefactForeign(f"cannot resume from {path}", str(cause).splitlines()[0], fix) from cause
        self.best = groups["best"]
        moments: dict[int, dict[str, Tensor]] = {}
        for name, tensor in groups["optimizer"].items():
            index, _, key = name.partition("/")
            moments.setdefault(int(index), {})[key] = tensor
        self.optimizer.load_state_dict({**self.optimizer.state_dict(), "state": moments})
        for name, value in counters.items():
            setattr(self, name, value)


def _optimizer(network: nn.Module, options: TrainingOptions) -> torch.optim.AdamW:
    """AdamW; biases and normalisation are not decayed, they are no directions to shrink."""
    learning = [p for p in network.parameters() if p.requires_grad]
    matrices = [p for p in learning if p.ndim > 1]
    vectors = [p for p in learning if p.ndim <= 1]
    groups = [{"params": matrices, "weight_decay": options.weight_decay}, {"params": vectors, "weight_decay": 0.0}]
    return torch.optim.AdamW(groups, lr=options.learning_rate)
