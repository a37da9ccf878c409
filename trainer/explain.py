"""How good activation maps are as explanations: whether they point at lesions, and whether the network needs them.

Where lesions are known (phantoms), a map is held against them (`trainer.pointing`). Everywhere, the network is asked
again without the places that the map names (`trainer.deletion`).
"""

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from pydantic import BaseModel, ConfigDict
from torch import nn

from sall_edge.artifacts import Checkpoint
from sall_edge.bench.accuracy.metrics import referable_probability
from sall_edge.errors import TrainingError
from sall_edge.fundus.field import find_field
from sall_edge.fundus.phantom import PhantomRecord, phantom_at, record_at
from sall_edge.fundus.phantom.draw import AMD_GRADES, DR_GRADES
from sall_edge.fundus.prepare import cut_mask, cut_square
from sall_edge.spec import ImageSpec, Task
from trainer.checkpoint import load_network
from trainer.data import tensors_of
from trainer.deletion import DeletionInsertion, deletion_insertion
from trainer.evaluate import BATCH_SIZE, logits_of
from trainer.network import SallNetwork
from trainer.pointing import LesionEnergy, PointingGame, lesion_energy, pointing_game
from trainer.progress import Progress, Silence
from trainer.reliability import softmax

__all__ = ["Examples", "Explanation", "activation_maps", "explain", "phantom_examples"]

U8 = npt.NDArray[np.uint8]
F32 = npt.NDArray[np.float32]
Mask = npt.NDArray[np.bool_]
Ints = npt.NDArray[np.int64]

PHANTOM_TASKS = {"dr": DR_GRADES - 1, "amd": AMD_GRADES - 1}
"""What phantoms are graded for, and have lesions of, with the worst grade."""


class Explanation(BaseModel):
    """What is known of one task's maps.

    Attributes:
        referable: Photographs whose label needs a referral.
        called: Those of them that the network calls referable.
        pointing_game, lesion_energy: Over all referable ones; None where no lesions are known.
        deletion_insertion: Over the called ones, or some of them; None where there is none.
    """

    model_config = ConfigDict(frozen=True)

    referable: int
    called: int
    pointing_game: PointingGame | None
    lesion_energy: LesionEnergy | None
    deletion_insertion: DeletionInsertion | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Examples:
    """Photographs that maps are judged on.

    Attributes:
        squares: (n, side, side, 3) uint8 RGB prepared squares.
        grades: (n,) labels by task name, -1 unknown.
        patients: (n,) whose eye it is.
        lesions: (n, side, side) bool by task name; empty where nobody knows them.
    """

    squares: U8
    grades: Mapping[str, Ints]
    patients: tuple[str, ...]
    lesions: Mapping[str, Mask]


def phantom_examples(
    count: int, tasks: Sequence[Task], image: ImageSpec, *, seed: int, side_px: int, progress: Progress | None = None
) -> Examples:
    """Phantoms that need a referral for at least one task, with their lesions: the first ones of a set.

    Args:
        count: How many are drawn; healthy ones of the set are passed over.
        tasks: Those that phantoms do not have are left out.
        image: How a phantom becomes a square; its lesions go the same way.
        seed: Of the set, see `phantom_at`; not the one that the network was trained on.
        side_px: Side of a phantom.
        progress: Advances by phantoms.

    Raises:
        TrainingError: Phantoms have none of the tasks.
    """
    progress = progress or Silence()
    known = [task for task in tasks if task.referable_from <= PHANTOM_TASKS.get(task.name, 0)]
    if not known:
        what = f"phantoms cannot explain {', '.join(task.name for task in tasks)}"
        raise TrainingError(what, "their lesions are of dr and amd", "give photographs: --labels labels.csv")
    records = _referable_records(seed, count, known)
    squares: list[U8] = []
    lesions: dict[str, list[Mask]] = {task.name: [] for task in known}
    for record in records:
        phantom = phantom_at(seed, record.index, side_px=side_px)
        field = find_field(phantom.pixels)
        squares.append(cut_square(phantom.pixels, field, image))
        for name, masks in lesions.items():
            masks.append(cut_mask(phantom.lesions[name], field, image))
        progress.advance()
    return Examples(
        squares=np.stack(squares),
        grades={name: np.array([_grade(record, name) for record in records], dtype=np.int64) for name in lesions},
        patients=tuple(record.patient_id for record in records),
        lesions={name: np.stack(masks) for name, masks in lesions.items()},
    )


def _referable_records(seed: int, count: int, tasks: Sequence[Task]) -> list[PhantomRecord]:
    records = (record_at(seed, index) for index in itertools.count())
    referable = (r for r in records if any(_grade(r, task.name) >= task.referable_from for task in tasks))
    return list(itertools.islice(referable, count))


def _grade(record: PhantomRecord, task: str) -> int:
    return record.dr_grade if task == "dr" else record.amd_grade


def explain(
    checkpoint: Checkpoint,
    examples: Examples,
    *,
    rng: np.random.Generator,
    most: int = 50,
    progress: Progress | None = None,
) -> dict[str, Explanation]:
    """How good the checkpoint's maps are, by name of the tasks that the examples are graded for.

    Args:
        checkpoint: Its temperatures and operating points decide what is called referable.
        examples: Only their photographs of a referable grade count.
        rng: Draws photographs where there are too many, random maps and bootstrap samples.
        most: Photographs a task that deletion and insertion are measured on.
        progress: A stage for each task.

    Raises:
        ArtefactForeign, TrainingError: The checkpoint cannot be loaded.
    """
    network = load_network(checkpoint)
    return {
        task.name: _explained(network, task, checkpoint, examples, most, rng, progress or Silence())
        for task in network.tasks
        if task.name in examples.grades
    }


def _explained(
    network: SallNetwork,
    task: Task,
    checkpoint: Checkpoint,
    examples: Examples,
    most: int,
    rng: np.random.Generator,
    progress: Progress,
) -> Explanation:
    temperature = checkpoint.manifest.temperatures[task.name]
    rows = np.flatnonzero(examples.grades[task.name] >= task.referable_from)
    squares = examples.squares[rows]
    probs = softmax(logits_of(network, tensors_of(squares, BATCH_SIZE))[task.name], temperature)
    called = np.flatnonzero(referable_probability(probs, task) >= checkpoint.manifest.operating_points[task.name])
    tried = np.sort(rng.permutation(called)[:most])
    progress.stage(f"explaining {task.name}", len(tried))
    maps = activation_maps(network, squares)[task.name]
    removed = None
    if len(tried):
        patients = [examples.patients[i] for i in rows[tried]]
        removed = deletion_insertion(
            network, task, squares[tried], maps[tried],
            rng=rng, patients=patients, temperature=temperature, progress=progress,
        )  # fmt: skip
    lesions = examples.lesions[task.name][rows] if task.name in examples.lesions else None
    return Explanation(
        referable=len(rows),
        called=len(called),
        pointing_game=None if lesions is None else pointing_game(maps, lesions),
        lesion_energy=None if lesions is None else lesion_energy(maps, lesions),
        deletion_insertion=removed,
    )


def activation_maps(network: SallNetwork, squares: U8, *, batch_size: int = BATCH_SIZE) -> dict[str, F32]:
    """Evidence for a referral by task name, each (n, h, w) float32 in logits, as the exported graph gives it.

    A place's value is the mean of the referable grades' weights less the mean of the other grades', applied to the
    features there: positive speaks for a referral (class activation maps, Zhou et al. 2016).

    Args:
        network: In evaluation mode, with linear heads.
        squares: (n, side, side, 3) uint8 RGB prepared squares.
        batch_size: Photographs a pass.
    """
    evidence = torch.stack([_evidence_weights(network, task) for task in network.tasks])  # (tasks, C)
    with torch.inference_mode():
        parts = [
            torch.einsum("nchw,tc->tnhw", network.features(images), evidence).numpy()
            for images in tensors_of(squares, batch_size)
        ]
    maps = np.concatenate(parts, axis=1) if parts else np.zeros((len(network.tasks), 0, 1, 1), np.float32)
    return {task.name: maps[row] for row, task in enumerate(network.tasks)}


def _evidence_weights(network: SallNetwork, task: Task) -> torch.Tensor:
    head = network.heads[task.name]
    if not isinstance(head, nn.Linear):
        raise TypeError(f"head {task.name} is a {type(head).__name__}; an activation map needs a linear head")
    weights = head.weight.detach()
    return weights[task.referable_from :].mean(dim=0) - weights[: task.referable_from].mean(dim=0)
