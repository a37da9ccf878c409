"""The other disease's opinion: teachers' logits and features on every training photograph, bound to those teachers.

Which photographs use them is decided in `losses`: only where a label is missing, so a photograph that is normal for
every task keeps its one-hot labels (found in the authors' release; the binding to hashes is ours).
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file
from torch import Tensor

from sall_edge.artifacts import Checkpoint
from sall_edge.errors import ArtefactForeign
from sall_edge.writing import file_being_written
from trainer.checkpoint import load_network
from trainer.data import Squares
from trainer.evaluate import BATCH_SIZE
from trainer.progress import Progress
from trainer.saving import save_tensors

__all__ = ["Targets", "Teachers", "read_targets", "soft_labels", "write_targets"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Teachers:
    """One network per task, and where its answers are stored once they are computed."""

    checkpoints: Mapping[str, Checkpoint]
    targets: Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Targets:
    """What the teachers say of the training photographs, in the order of the squares.

    Attributes:
        logits: Raw (n, K) float32 by task name.
        features: Pooled (n, C) float32 by task name.
    """

    logits: Mapping[str, Tensor]
    features: Mapping[str, Tensor]


def write_targets(
    path: Path, teachers: Mapping[str, Checkpoint], squares: Squares, *, device: torch.device, progress: Progress
) -> None:
    """Runs each task's teacher on every square and stores its raw logits and pooled features.

    Raises:
        OutputError: The file cannot be written.
    """
    tensors: dict[str, Tensor] = {}
    for name, teacher in teachers.items():
        progress.stage(f"targets {name}", len(squares))
        network = load_network(teacher).to(device)
        features = []
        with torch.inference_mode():
            for images in squares.batches(BATCH_SIZE):
                features.append(network.pooled(images))
                progress.advance(len(images))
            pooled = torch.cat(features)
            tensors |= {f"features/{name}": pooled.cpu(), f"logits/{name}": network.graded(pooled)[name].cpu()}
    with file_being_written(path) as temporary:
        save_tensors(tensors, temporary, metadata={"binding": json.dumps(_binding(teachers, squares), sort_keys=True)})


def read_targets(path: Path, teachers: Mapping[str, Checkpoint], squares: Squares) -> Targets:
    """What `write_targets` stored.

    Raises:
        ArtefactForeign: The file was made by other teachers or for other photographs, or cannot be read.
    """
    fix = f"delete {path} and resume, so that these teachers make their own"
    try:
        with safe_open(path, framework="pt") as file:
            recorded = json.loads((file.metadata() or {}).get("binding", "{}"))
        tensors: dict[str, Tensor] = load_file(path)
    except (SafetensorError, OSError, ValueError) as cause:
        raise ArtefactForeign(f"cannot read {path}", str(cause), fix) from cause
    binding = _binding(teachers, squares)
    if recorded.get("format") != binding["format"]:
        raise ArtefactForeign(f"{path} was written by another version", "its layout is not the present one", fix)
    if recorded.get("photographs") != binding["photographs"]:
        raise ArtefactForeign(f"{path} is for other photographs", "the training split changed", fix)
    for name, digest in binding["teachers"].items():
        if recorded.get("teachers", {}).get(name) != digest:
            why = f"the teacher for {name} is {digest[:16]}…, the file names another"
            raise ArtefactForeign(f"{path} was made by another teacher", why, fix)
    return Targets(
        logits={name: tensors[f"logits/{name}"] for name in teachers},
        features={name: tensors[f"features/{name}"] for name in teachers},
    )


def soft_labels(logits: Mapping[str, Tensor], temperature: float) -> dict[str, Float[Tensor, "N K"]]:
    """softmax(logits / T) by task name."""
    return {name: torch.softmax(z / temperature, dim=1) for name, z in logits.items()}


def _binding(teachers: Mapping[str, Checkpoint], squares: Squares) -> dict[str, Any]:
    return {
        "format": 2,
        "teachers": {name: teacher.sha256 for name, teacher in teachers.items()},
        "photographs": squares.sha256,
    }
