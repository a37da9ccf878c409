"""Trains a small network, in one process or as one of several: a launcher starts this file for a test.

Everything random is the same however many processes there are: one view of each photograph, no dropout, and layers
that normalise each photograph by itself.
"""

import json
import sys
from pathlib import Path

import numpy as np
import torch

from sall_edge.spec import ImageSpec, Method, Task
from trainer.data import Squares
from trainer.frozen import frozen_views
from trainer.loop import Stage, fit
from trainer.losses import multitask_loss
from trainer.network import SallNetwork
from trainer.options import TrainingOptions
from trainer.processes import Processes
from trainer.progress import Silence

SIDE = 64
COUNT = 48


def train(folder: Path) -> None:
    """Writes `folder/history.json`, from the first process."""
    options = TrainingOptions(
        method=Method.MULTITASK,
        backbone="test_convnext",
        image=ImageSpec(side_px=SIDE),
        epochs=3,
        batch_size=16,
        frozen_groups=1,
        views=1,
        dropout=0.0,
    )
    together = Processes(options)
    task = Task(name="red", title="Red", column="red", grades=("none", "some", "much"), referable_from=1)
    rng = np.random.default_rng(0)
    squares = Squares(
        pixels=rng.integers(5, 256, (COUNT, SIDE, SIDE, 3), dtype=np.uint8),
        rows=np.arange(COUNT),
        labels=(np.arange(COUNT) % 3)[:, None],
        patients=tuple(map(str, range(COUNT))),
        paths=tuple(Path(str(number)) for number in range(COUNT)),
        tasks=(task,),
    )
    torch.manual_seed(0)
    network = SallNetwork(
        backbone=options.backbone, tasks=(task,), mean=(0.5,) * 3, std=(0.5,) * 3, dropout=options.dropout
    )
    network.freeze(options.frozen_groups)
    with together.first_alone():
        views = frozen_views(network, squares, options, folder / "views", progress=Silence())
    stage = Stage(
        name="student",
        train=squares,
        validation=squares,
        loss=lambda batch: multitask_loss(batch.logits, batch.labels),
        consistency_weight=1.0,
        views=views,
    )
    state = fit(stage, network, options, folder, together=together, progress=Silence())
    if together.is_first:
        content = {"processes": together.count, "history": state.history}
        (folder / "history.json").write_text(json.dumps(content), encoding="utf-8")


if __name__ == "__main__":
    torch.set_num_threads(1)
    train(Path(sys.argv[1]))
