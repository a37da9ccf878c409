"""The other disease's opinion: teachers' logits on every training photograph, bound to the teachers that gave them.

Which photographs use them is decided in `losses`: only where a label is missing, so a photograph that is normal for
every task keeps its one-hot labels (found in the authors' release; the binding to hashes is ours).
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor

from sall_edge.artifacts import Checkpoint
from sall_edge.errors import ArtefactForeign
from sall_edge.writing import file_being_written
from trainer.checkpoint import load_network
from trainer.data import Squares
from trainer.evaluate import BATCH_SIZE, logits_of
from trainer.progress import Progress

__all__ = ["read_targets", "soft_labels", "write_targets"]


def write_targets(path: Path, teachers: Mapping[str, Checkpoint], squares: Squares, *, progress: Progress) -> None:
    """Runs each task's teacher on every square and stores its raw logits, (n, K) float32 by task name.

    Raises:
        OutputError: The file cannot be written.
    """
    logits: dict[str, Tensor] = {}
    for name, teacher in teachers.items():
        progress.stage(f"targets {name}", len(squares))
        seen = logits_of(load_network(teacher), squares.batches(BATCH_SIZE), progress=progress)
        logits[name] = torch.from_numpy(seen[name])
    with file_being_written(path) as temporary:
        save_file(logits, temporary, metadata={"binding": json.dumps(_binding(teachers, squares), sort_keys=True)})


def read_targets(path: Path, teachers: Mapping[str, Checkpoint], squares: Squares) -> dict[str, Tensor]:
    """The stored logits, in the order of the squares.

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
    if recorded.get("photographs") != binding["photographs"]:
        raise ArtefactForeign(f"{path} is for other photographs", "the training split changed", fix)
    for name, digest in binding["teachers"].items():
        if recorded.get("teachers", {}).get(name) != digest:
            why = f"the teacher for {name} is {digest[:16]}…, the file names another"
            raise ArtefactForeign(f"{path} was made by another teacher", why, fix)
    return tensors


def soft_labels(logits: Mapping[str, Tensor], temperature: float) -> dict[str, Float[Tensor, "N K"]]:
    """softmax(logits / T) by task name."""
    return {name: torch.softmax(z / temperature, dim=1) for name, z in logits.items()}


def _binding(teachers: Mapping[str, Checkpoint], squares: Squares) -> dict[str, Any]:
    return {"teachers": {name: teacher.sha256 for name, teacher in teachers.items()}, "photographs": squares.sha256}
