"""Whether the network needs the places that its maps name: it is asked again without them, and without random ones."""

from collections.abc import Sequence

import cv2
import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict

from sall_edge.bench.accuracy.metrics import referable_probability
from sall_edge.spec import Task
from trainer.data import tensors_of
from trainer.evaluate import BATCH_SIZE, logits_of
from trainer.network import SallNetwork
from trainer.pointing import enlarged
from trainer.progress import Progress, Silence
from trainer.reliability import softmax

__all__ = ["Comparison", "DeletionInsertion", "blurred", "deletion_insertion", "random_maps"]

U8 = npt.NDArray[np.uint8]
F32 = npt.NDArray[np.float32]
F64 = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]

STEPS = 10
"""Tenths of the retina that are taken away or put back, one after another."""

BLUR_SHARE = 1 / 16
"""Standard deviation of the blur, of the side: 14 px of 224, where no vessel and no lesion but the largest is left."""

FEATHER_SHARE = 1 / 28
"""Standard deviation of the soft edge between photograph and copy, of the side: 8 px of 224. Hard edges look like
lesions: with random patches deleted, healthy photographs became more referable, not less."""

DARKEST_RETINA = 10
"""Grey level of the brightest channel; below it lies surround with the noise of a JPEG, or what the frame cut off."""

BOOTSTRAP_ROUNDS = 1000

_TINY = np.float32(1e-6)
"""What is divided by far from any retina, where nothing is kept."""


class Comparison(BaseModel):
    """A mean over photographs for the network's maps and for random ones.

    Attributes:
        by_map, by_random: Mean area under the curve of the probability of a referable grade, 0 to 1.
        difference: by_map - by_random.
        interval: Its 95 % percentile bootstrap interval; both maps of a photograph stay together, and so do both eyes
            of a patient.
        map_curve, random_curve: The mean curves, from nothing changed by the map to everything.
    """

    model_config = ConfigDict(frozen=True)

    by_map: float
    by_random: float
    difference: float
    interval: tuple[float, float]
    map_curve: tuple[float, ...]
    random_curve: tuple[float, ...]


class DeletionInsertion(BaseModel):
    """Deletion: a good map is below a random one. Insertion: it is above. `n` photographs."""

    model_config = ConfigDict(frozen=True)

    n: int
    deletion: Comparison
    insertion: Comparison


def random_maps(rng: np.random.Generator, count: int, grid: tuple[int, int]) -> F32:
    """(count, h, w) float32 normal noise on the grid of the activation maps: as coarse as they are, and ignorant."""
    return rng.standard_normal((count, *grid), dtype=np.float32)


def deletion_insertion(
    network: SallNetwork,
    task: Task,
    squares: U8,
    maps: F32,
    *,
    rng: np.random.Generator,
    patients: Sequence[str] | None = None,
    temperature: float = 1.0,
    steps: int = STEPS,
    progress: Progress | None = None,
) -> DeletionInsertion:
    """How the probability of a referable grade falls and rises with the places of most evidence.

    Deletion replaces the retina, from the most evidence to the least, by a strongly blurred copy of the photograph;
    insertion starts with the blurred copy and puts the photograph back in the same order (Petsiuk et al. 2018, RISE,
    arXiv 1806.07421; there deletion fills with grey and edges are hard, which on a retina are lesions of their own).
    Random maps of the same grid go through the same, so that the coarseness of the maps counts for both.

    Args:
        network: In evaluation mode.
        task: Whose probability is watched.
        squares: (n, side, side, 3) uint8 RGB prepared squares, n > 0: photographs that the network calls referable.
        maps: (n, h, w) evidence, any grid.
        rng: Draws the random maps and the bootstrap samples.
        patients: (n,) who each belongs to; None: each to its own.
        temperature: What divides the logits.
        steps: Number of equal shares of the retina.
        progress: Advances by photographs.

    Raises:
        ValueError: No photograph, or another number of maps or patients.
    """
    patients = [str(i) for i in range(len(squares))] if patients is None else patients
    if not len(squares) == len(maps) == len(patients) or len(squares) == 0:
        raise ValueError(f"got {len(squares)} squares, {len(maps)} maps, {len(patients)} patients: equal and > 0")
    progress = progress or Silence()
    noise = random_maps(rng, len(squares), (maps.shape[1], maps.shape[2]))
    curves = np.zeros((4, len(squares), steps + 1))  # deleted and inserted by map, by noise
    for i, square in enumerate(squares):
        variants = np.concatenate([_variants(square, order, steps) for order in (maps[i], noise[i])])
        probs = softmax(logits_of(network, tensors_of(variants, BATCH_SIZE))[task.name], temperature)
        curves[:, i] = referable_probability(probs, task).reshape(4, steps + 1)
        progress.advance()
    return DeletionInsertion(
        n=len(squares),
        deletion=_compared(curves[0], curves[2], patients, rng),
        insertion=_compared(curves[1], curves[3], patients, rng),
    )


def _variants(square: U8, evidence: F32, steps: int) -> U8:
    """(2 * (steps + 1), side, side, 3): more and more deleted, then more and more inserted."""
    is_retina = _retina(square)
    rank = _ranks(evidence, is_retina)
    deleted = [_softened(rank < step / steps, is_retina) for step in range(steps)]
    share = np.stack([*deleted, np.ones_like(rank)])  # of the copy in every pixel
    share[0] = 0
    share = np.concatenate([share, 1 - share])[..., None]
    mixed: U8 = (share * blurred(square) + (1 - share) * square).round().astype(np.uint8)
    return mixed


def _softened(mask: Mask, is_retina: Mask) -> F32:
    """(side, side) 0 to 1: the mask with soft edges, except along the rim of the retina."""
    sigma = FEATHER_SHARE * len(mask)
    weight = np.maximum(cv2.GaussianBlur(is_retina.astype(np.float32), (0, 0), sigma), _TINY)
    soft: F32 = np.minimum(cv2.GaussianBlur(mask.astype(np.float32), (0, 0), sigma) / weight, np.float32(1))
    return soft


def _ranks(evidence: F32, is_retina: Mask) -> F32:
    """(side, side): the share of the retina that has more evidence than a pixel; 2 outside, where nothing changes."""
    side = is_retina.shape[0]
    strength = enlarged(evidence, side)[is_retina]
    order = np.argsort(-strength, kind="stable")
    place = np.empty(len(order), np.float32)
    place[order] = np.arange(len(order), dtype=np.float32) / max(len(order), 1)
    ranks = np.full((side, side), 2, np.float32)
    ranks[is_retina] = place
    return ranks


def blurred(square: U8) -> U8:
    """A copy of (side, side, 3) without detail; the surround stays as it is and does not darken the retina's rim."""
    is_retina = _retina(square)
    sigma = BLUR_SHARE * square.shape[0]
    weight = cv2.GaussianBlur(is_retina.astype(np.float32), (0, 0), sigma)
    light = cv2.GaussianBlur(np.where(is_retina[..., None], square, 0).astype(np.float32), (0, 0), sigma)
    mean = light / np.maximum(weight, _TINY)[..., None]
    return np.where(is_retina[..., None], np.clip(mean.round(), 0, 255), square).astype(np.uint8)


def _retina(square: U8) -> Mask:
    """(side, side) bool: what is not black; nothing else can be taken away."""
    return np.asarray(square.max(axis=2) >= DARKEST_RETINA)


def _compared(by_map: F64, by_random: F64, patients: Sequence[str], rng: np.random.Generator) -> Comparison:
    """(n, steps + 1) curves each, as areas under them by the trapezoid rule."""
    areas = [((curve[:, 1:] + curve[:, :-1]) / 2).mean(axis=1) for curve in (by_map, by_random)]
    _, owner = np.unique(np.asarray(patients), return_inverse=True)
    differences, sizes = np.bincount(owner, areas[0] - areas[1]), np.bincount(owner)
    draws = rng.multinomial(len(sizes), np.full(len(sizes), 1 / len(sizes)), size=BOOTSTRAP_ROUNDS)
    low, high = np.percentile((draws @ differences) / (draws @ sizes), [2.5, 97.5])
    return Comparison(
        by_map=float(areas[0].mean()),
        by_random=float(areas[1].mean()),
        difference=float((areas[0] - areas[1]).mean()),
        interval=(float(low), float(high)),
        map_curve=tuple(float(p) for p in by_map.mean(axis=0)),
        random_curve=tuple(float(p) for p in by_random.mean(axis=0)),
    )
