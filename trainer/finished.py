"""A stage that is over becomes a checkpoint: temperatures and operating points are fitted on the validation split."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import timm
import torch

from sall_edge.spec import Role
from sall_edge.writing import file_being_written
from trainer.checkpoint import save_checkpoint
from trainer.data import Squares
from trainer.evaluate import BATCH_SIZE, logits_of
from trainer.int8 import Int8View
from trainer.loop import Stage
from trainer.losses import UNKNOWN
from trainer.network import SallNetwork
from trainer.options import TrainingOptions
from trainer.reliability import fitted_temperature, operating_point, refusal_point, softmax
from trainer.state import State

__all__ = ["write_finished"]


def write_finished(
    state: State,
    stage: Stage,
    options: TrainingOptions,
    run: Path,
    folder: Path,
    *,
    provenance: Mapping[str, Any],
    parent_sha256: str | None = None,
) -> None:
    """The stage's best network as a checkpoint in `folder`, its history in `run`; its state is removed.

    Raises:
        OutputError: The folder cannot be written.
    """
    network = state.finished_network()
    network.finish()
    Int8View.leave(network)
    temperatures, points = _fitted(network, stage.validation, options)
    known_of_run = {
        "stage": stage.name,
        "options": options.to_json(),
        "versions": {"torch": torch.__version__, "timm": timm.__version__},
        "photographs": {"train": len(stage.train), "val": len(stage.validation)},
        "validation": state.history[state.best_epoch],
    }
    save_checkpoint(
        folder,
        network,
        image=options.image,
        tasks=stage.train.tasks,
        operating_points=points,
        temperatures=temperatures,
        provenance={**provenance, **known_of_run},
        parent_sha256=parent_sha256,
    )
    _write_history(run / "history.json", stage.name, state)
    (run / "state" / f"{stage.name}.safetensors").unlink(missing_ok=True)


def _fitted(
    network: SallNetwork, validation: Squares, options: TrainingOptions
) -> tuple[dict[str, float], dict[str, float]]:
    """Temperatures and operating points by task; a disease's is chosen by sensitivity, that of quality by its cost."""
    logits = logits_of(network, validation.batches(BATCH_SIZE))
    temperatures, points = {}, {}
    for k, task in enumerate(validation.tasks):
        known = np.flatnonzero(validation.labels[:, k] != UNKNOWN)
        z, grades = logits[task.name][known], validation.labels[known, k]
        temperatures[task.name] = fitted_temperature(z, grades)
        probs = softmax(z, temperatures[task.name])
        if task.role is Role.QUALITY:
            points[task.name] = refusal_point(task, grades, probs, options.most_refused)
        else:
            points[task.name] = operating_point(task, grades, probs, options.wanted_sensitivity)
    return temperatures, points


def _write_history(path: Path, stage: str, state: State) -> None:
    history = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    history[stage] = state.history
    with file_being_written(path) as temporary:
        temporary.write_text(json.dumps(history, indent=1), encoding="utf-8")
