"""What INT8 costs, layer by layer: each one quantized alone, and then the costliest given back to float.

    FP32 graph + ranges + squares -> Sensitivity -> table, JSON, picture; the ladder gives layers back in its order

Weights are rounded to nearest here: costs are those before refinement (`refine`).
"""

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence

import numpy as np
import onnx
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict

from calibration.equalise import equalised
from calibration.graphs import load_proto
from calibration.placement import place
from calibration.quantize import with_qdq
from calibration.ranges import Ranges, check_ranges
from calibration.recentre import recentred
from calibration.sessions import open_inner_session
from sall_edge.artifacts import GraphManifest, OnnxModel
from sall_edge.bench.accuracy.metrics import referable_probability

__all__ = ["Cost", "Sensitivity", "measure_sensitivity", "step_count"]

U8 = NDArray[np.uint8]
Probs = Mapping[str, NDArray[np.float32]]

_AT_ONCE = 16
"""Squares in a session's call."""

_LEAST = 1e-9
"""Probabilities below it are taken for it: the logarithm of a rounded 0 says nothing."""


class Cost(BaseModel):
    """What some INT8 layers do to the answers.

    Attributes:
        layer: Quantized alone; or the last one that was given back.
        kl: By task, mean KL(FP32 || INT8) of the grades' probabilities, in nats.
        grades, referrals: Shares of all answers (photographs times tasks) whose grade, and whose referral, changes.
    """

    model_config = ConfigDict(frozen=True)

    layer: str
    kl: dict[str, float]
    grades: float
    referrals: float

    @property
    def total_kl(self) -> float:
        """Summed over tasks."""
        return sum(self.kl.values())


class Sensitivity(BaseModel):
    """Costs of a graph on some photographs.

    Attributes:
        model_sha256, images_sha256: What was measured on what.
        images: Number of photographs.
        alone: Every INT8 layer by itself, the costliest first.
        given_back: (number of layers in float, cost of the others) for the costliest 0, 1, 2, 4, … layers.
    """

    model_config = ConfigDict(frozen=True)

    model_sha256: str
    images_sha256: str
    images: int
    alone: tuple[Cost, ...]
    given_back: tuple[tuple[int, Cost], ...]


def step_count(model: OnnxModel) -> int:
    """How many times `measure_sensitivity` advances."""
    layers = len(place(load_proto(model).graph).layers)
    return layers + len(list(_doubling(layers)))


def measure_sensitivity(
    model: OnnxModel, ranges: Ranges, squares: U8, *, advance: Callable[[], None] = lambda: None
) -> Sensitivity:
    """Costs by ONNX Runtime, which computes Q/DQ graphs as they are written.

    Args:
        model: The FP32 graph.
        ranges: Measured on that graph.
        squares: (N, side, side, 3) uint8 prepared photographs.
        advance: Called after every quantized graph, `step_count` times.

    Raises:
        CalibrationError: The ranges belong to another graph.
    """
    check_ranges(ranges, model)
    exact = equalised(recentred(load_proto(model)), ranges.channels)
    layers = place(exact.graph).layers
    manifest = model.manifest
    wanted = _answers(exact, manifest, squares)

    def cost(layer: str, kept: Sequence[str]) -> Cost:
        found = _cost(
            layer, wanted, _answers(with_qdq(exact, ranges.amax, keep_float=kept), manifest, squares), manifest
        )
        advance()
        return found

    alone = [cost(layer, [other for other in layers if other != layer]) for layer in layers]
    alone.sort(key=lambda one: -one.total_kl)
    order = [one.layer for one in alone]
    given_back = [(count, cost(order[count - 1] if count else "", order[:count])) for count in _doubling(len(layers))]
    return Sensitivity(
        model_sha256=model.sha256,
        images_sha256=hashlib.sha256(np.ascontiguousarray(squares).tobytes()).hexdigest(),
        images=len(squares),
        alone=tuple(alone),
        given_back=tuple(given_back),
    )


def _doubling(layers: int) -> Iterator[int]:
    """0, 1, 2, 4, … while at least one layer stays INT8."""
    yield 0
    count = 1
    while count < layers:
        yield count
        count *= 2


def _answers(proto: onnx.ModelProto, manifest: GraphManifest, squares: U8) -> Probs:
    names = [f"{task.name}_probs" for task in manifest.tasks]
    session = open_inner_session(proto, names)
    parts = [session.run(names, {"image": squares[at : at + _AT_ONCE]}) for at in range(0, len(squares), _AT_ONCE)]
    return {
        task.name: np.concatenate(found) for task, found in zip(manifest.tasks, zip(*parts, strict=True), strict=True)
    }


def _cost(layer: str, wanted: Probs, found: Probs, manifest: GraphManifest) -> Cost:
    kl, grades, referrals = {}, [], []
    for task in manifest.tasks:
        p, q = (np.maximum(np.asarray(probs[task.name], np.float64), _LEAST) for probs in (wanted, found))
        kl[task.name] = max(0.0, float((p * np.log(p / q)).sum(axis=1).mean()))
        grades.append((p.argmax(axis=1) != q.argmax(axis=1)).mean())
        point = manifest.operating_points[task.name]
        was, becomes = (referable_probability(probs, task) >= point for probs in (p, q))
        referrals.append((was != becomes).mean())
    return Cost(layer=layer, kl=kl, grades=float(np.mean(grades)), referrals=float(np.mean(referrals)))
