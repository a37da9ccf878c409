"""A trained network as a folder: `weights.safetensors` and `manifest.json`. Nothing unpickles."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file

from sall_edge.artifacts import Checkpoint, CheckpointManifest, open_checkpoint, seal
from sall_edge.errors import ArtefactForeign
from sall_edge.spec import ImageSpec, Task
from sall_edge.writing import folder_being_written
from trainer.network import SallNetwork
from trainer.saving import save_tensors

__all__ = ["WEIGHTS_NAME", "load_network", "save_checkpoint"]

WEIGHTS_NAME = "weights.safetensors"


def save_checkpoint(
    folder: Path,
    network: SallNetwork,
    *,
    image: ImageSpec,
    tasks: tuple[Task, ...],
    operating_points: Mapping[str, float],
    temperatures: Mapping[str, float],
    provenance: Mapping[str, Any],
    parent_sha256: str | None = None,
) -> Checkpoint:
    """The network, written to a folder that replaces what stood there.

    Args:
        folder: The checkpoint's folder.
        network: Its weights are stored in float32.
        image: The preparation that its photographs had.
        tasks: In output order.
        operating_points: Task name to the least calibrated probability of a referable grade that is called referable.
        temperatures: Task name to what divides the raw logits before the softmax.
        provenance: JSON values: options, versions, measurements.
        parent_sha256: Hash of the artefact that it was made from, if any.

    Raises:
        OutputError: The folder cannot be written.
    """
    manifest = CheckpointManifest(
        image=image,
        tasks=tasks,
        operating_points=dict(operating_points),
        temperatures=dict(temperatures),
        parent_sha256=parent_sha256,
        provenance=dict(provenance),
        backbone=network.backbone_name,
        mean=network.mean,
        std=network.std,
    )
    with folder_being_written(folder) as temporary:
        # safetensors stores plain row-major tensors; channels-last is a layout in memory only.
        weights = {name: tensor.detach().contiguous() for name, tensor in network.state_dict().items()}
        save_tensors(weights, temporary / WEIGHTS_NAME)
        seal(temporary, manifest)
    return open_checkpoint(folder)


def load_network(checkpoint: Checkpoint) -> SallNetwork:
    """The network of a checkpoint, in evaluation mode.

    Raises:
        ArtefactForeign: The weights are not those of the manifest's backbone and tasks.
        TrainingError: This version of timm does not know the backbone.
    """
    manifest = checkpoint.manifest
    with torch.random.fork_rng(devices=[]):  # the random initial weights are replaced; leave the caller's randomness
        network = SallNetwork(backbone=manifest.backbone, tasks=manifest.tasks, mean=manifest.mean, std=manifest.std)
    path = checkpoint.path / WEIGHTS_NAME
    try:
        network.load_state_dict(load_file(path))
    except (SafetensorError, OSError, RuntimeError) as cause:
        why = str(cause).strip().splitlines()[-1].strip()
        fix = "train again, or install the timm version that stands in the manifest's provenance"
        raise ArtefactForeign(f"{path} does not fit {manifest.backbone}", why, fix) from cause
    return network.eval()
