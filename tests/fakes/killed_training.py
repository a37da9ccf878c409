"""A training that is killed at a step, and what two runs that are the same have in common."""

import torch
from safetensors.torch import load_file

from sall_edge.artifacts import Checkpoint
from trainer.progress import Silence

__all__ = ["KillAfter", "Killed", "assert_same_bits", "weights_of"]


class Killed(Exception):
    """Stands for a kill: nothing catches it."""


class KillAfter(Silence):
    """Progress that ends the process, as it were, after so many steps of a stage."""

    def __init__(self, stage: str, steps: int) -> None:
        self.victim, self.left, self.current = stage, steps, ""

    def stage(self, name: str, total: int) -> None:
        self.current = name

    def advance(self, n: int = 1) -> None:
        if self.current == self.victim:
            self.left -= n
            if self.left < 0:
                raise Killed


def weights_of(checkpoint: Checkpoint) -> dict[str, torch.Tensor]:
    """By name."""
    return load_file(checkpoint.path / "weights.safetensors")


def assert_same_bits(first: Checkpoint, second: Checkpoint) -> None:
    """Weights, temperatures and operating points."""
    a, b = weights_of(first), weights_of(second)
    assert a.keys() == b.keys()
    assert all(torch.equal(a[name], b[name]) for name in a)
    assert first.manifest.temperatures == second.manifest.temperatures
    assert first.manifest.operating_points == second.manifest.operating_points
