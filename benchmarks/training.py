"""The training loop against a bare loop on random tensors of the same shape. One run, ratios.

    python benchmarks/training.py [--backbone NAME] [--side 224] [--batch-size 32] [--steps 30] [--frozen-groups 0]

- ours: `trainer.loop.fit`: draw positions, read squares from the memory map, augment, forward, loss, backward, clip,
        step, running average of the weights.
- bare: forward, cross-entropy, backward, step, on one batch of random tensors that is ready in memory.

A bare step follows every step of ours, so that whatever else the machine does hits both. Squares are random pixels:
what is in them costs nothing.
"""

import argparse
import json
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from torch.nn import functional

from sall_edge.runtime.machine import describe
from sall_edge.spec import ImageSpec, Method, Task, tasks_from_toml
from trainer.data import Squares
from trainer.loop import Stage, fit
from trainer.losses import multitask_loss
from trainer.network import SallNetwork
from trainer.options import TrainingOptions
from trainer.processes import Processes
from trainer.progress import Silence
from trainer.start import first_network
from trainer.tasks import task_file

WARM_UP = 5
"""Steps that are not counted: the optimizer's moments and the allocator's blocks are made in the first ones."""


class Turns(Silence):
    """Progress that times every step of the loop, and takes a bare step after it."""

    def __init__(self, bare: Callable[[], None]) -> None:
        self.bare = bare
        self.seconds: dict[str, list[float]] = {"ours": [], "bare": []}
        self.began: float | None = None

    def advance(self, n: int = 1) -> None:
        """A step of ours has ended."""
        if n != 1:  # resumed steps
            return
        now = time.perf_counter()
        if self.began is not None:
            self.seconds["ours"].append(now - self.began)
            self.bare()
            self.seconds["bare"].append(time.perf_counter() - now)
        self.began = time.perf_counter()


def random_squares(folder: Path, tasks: tuple[Task, ...], count: int, side: int) -> Squares:
    """Squares of noise in a memory map, with random grades."""
    rng = np.random.default_rng(0)
    path = folder / "squares.npy"
    np.save(path, rng.integers(5, 256, (count, side, side, 3), dtype=np.uint8))
    return Squares(
        pixels=np.load(path, mmap_mode="r"),
        rows=np.arange(count),
        labels=np.stack([rng.integers(0, len(task.grades), count) for task in tasks], axis=1),
        patients=tuple(str(number) for number in range(count)),
        paths=tuple(Path(str(number)) for number in range(count)),
        tasks=tasks,
    )


def bare_step(network: SallNetwork, batch_size: int, side: int) -> Callable[[], None]:
    """What a step cannot do without."""
    network.train()
    images = torch.rand(batch_size, side, side, 3) * 255
    labels = {task.name: torch.randint(len(task.grades), (batch_size,)) for task in network.tasks}
    optimizer = torch.optim.AdamW([p for p in network.parameters() if p.requires_grad], lr=1e-5)

    def step() -> None:
        loss = sum(functional.cross_entropy(z, labels[name]) for name, z in network(images).items())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        loss.item()

    return step


def main() -> None:
    """Parses, measures, prints."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--backbone", default="tf_efficientnet_lite0")
    parser.add_argument("--side", type=int, default=224)
    parser.add_argument("--batch-size", type=int, default=32)
    parser.add_argument("--steps", type=int, default=30)
    parser.add_argument("--frozen-groups", type=int, default=0)
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()

    options = TrainingOptions(
        method=Method.MULTITASK,
        backbone=given.backbone,
        image=ImageSpec(side_px=given.side),
        epochs=1,
        batch_size=given.batch_size,
        frozen_groups=given.frozen_groups,
    )
    tasks = tasks_from_toml(task_file("retina")).tasks
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        squares = random_squares(folder, tasks, given.batch_size * (given.steps + WARM_UP), given.side)
        first, other = (first_network("student", tasks, squares, options, folder, projections={}) for _ in range(2))
        turns = Turns(bare_step(other, given.batch_size, given.side))
        validation = squares.at(np.arange(given.batch_size))
        stage = Stage(
            name="student",
            train=squares,
            validation=validation,
            loss=lambda batch: multitask_loss(batch.logits, batch.labels),
        )
        fit(stage, first, options, folder / "run", together=Processes(options), progress=turns)
    median = {arm: statistics.median(seconds[WARM_UP:]) for arm, seconds in turns.seconds.items()}
    result = {
        "options": {name: str(value) for name, value in vars(given).items() if name != "json"},
        "photographs_per_second": {arm: given.batch_size / seconds for arm, seconds in median.items()},
        "ours_over_bare_throughput": median["bare"] / median["ours"],
        "device": describe(),
    }
    for arm, rate in result["photographs_per_second"].items():
        print(f"{arm}: {rate:.1f} photographs/s")
    print(f"ours / bare = {result['ours_over_bare_throughput']:.3f}")
    if given.json:
        given.json.write_text(json.dumps(result, indent=2), encoding="utf-8")


if __name__ == "__main__":
    main()
