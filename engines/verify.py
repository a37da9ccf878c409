"""Whether an engine that was built again decides as the one that the gate judged: on the bundle's probes.

The gate needs labelled photographs, which a device does not have. It judged the graph on hundreds; what may change on
a device is the arithmetic of another compiler, and that shows on a few photographs that span the probabilities.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from engines.probes import Probes
from engines.smoke import SUM_TOLERANCE
from sall_edge.artifacts import Engine
from sall_edge.bench.accuracy.metrics import referable_probability
from sall_edge.errors import GateRefused
from sall_edge.runtime.session import open_session
from sall_edge.spec import Precision, Task

__all__ = ["Difference", "Verified", "allowed_difference", "verify"]

F32 = npt.NDArray[np.float32]

LARGEST_TIMES_JUDGED, MEAN_TIMES_JUDGED = 4.0, 3.0
"""How much further from FP32 than the judged engine. Measured: two honest compilers of one INT8 graph (docs/adr/0010):
the largest difference of one came to 2.6 times the other's, the mean to 1.5 times. The mean is what finds faults: the
pixels moved aside by one make it 3.5 times, weights of seven bits 9 times, swapped colours 30 times the judged one."""

LEAST_ALLOWED = {Precision.FP32: 1e-3, Precision.FP16: 2e-2, Precision.INT8: 2e-2, Precision.INT8_FP16: 2e-2}
"""Of the largest difference, even where the judged engine happened to be closer: for FP32 and FP16 what `smoke` allows
any compiler; for INT8 what one activation that falls on the other side of a step moves a probability by."""

LEAST_ALLOWED_MEAN = 0.1
"""Of `LEAST_ALLOWED`: a mean that is so small tells one rounding from another and no fault."""

_TOLD = 5
"""Reasons in the message; the error's `reasons` has all."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """Of probabilities from FP32, over all probes, tasks and grades: the largest and the mean."""

    largest: float
    mean: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Verified:
    """What was found to be right.

    Attributes:
        probes: How many squares.
        found, judged, allowed: How far from FP32 the engine is, the judged one was, and it may be.
    """

    probes: int
    found: Difference
    judged: Difference
    allowed: Difference


def allowed_difference(judged: Difference, precision: Precision) -> Difference:
    """How far from FP32 an engine may be when the judged one was so far."""
    least = LEAST_ALLOWED[precision]
    return Difference(
        largest=max(least, LARGEST_TIMES_JUDGED * judged.largest),
        mean=max(least * LEAST_ALLOWED_MEAN, MEAN_TIMES_JUDGED * judged.mean),
    )


def verify(engine: Engine, probes: Probes, *, advance: Callable[[], None] = lambda: None) -> Verified:
    """Runs the engine on the probes, one square at a time as in screening.

    Args:
        engine: The bundle; it need not be sealed yet.
        probes: What the old bundle carries.
        advance: Called for every probe.

    Raises:
        GateRefused: An output is not finite, probabilities do not sum to one, a referral is neither FP32's nor the
            judged engine's, or the probabilities are further from FP32 than allowed.
        SallEdgeError: The engine cannot be opened.
    """
    reasons: list[str] = []
    rows: dict[str, list[F32]] = {task.name: [] for task in engine.manifest.tasks}
    with open_session(engine) as session:
        for number, square in enumerate(probes.squares, start=1):
            prediction = session.run(square)
            for name, probs in prediction.probs.items():
                rows[name].append(probs)
                reasons += _broken(f"{name}: probe {number}", probs, prediction.cams[name])
            advance()
    now = {name: np.stack(probs) for name, probs in rows.items()}
    for task in engine.manifest.tasks:
        reasons += _changed(task, engine.manifest.operating_points[task.name], probes, now[task.name])
    found, judged = _difference(probes, now), _difference(probes, probes.judged)
    allowed = allowed_difference(judged, engine.manifest.precision)
    reasons += _far(found, judged, allowed)
    if reasons:
        raise _refused(engine, tuple(reasons))
    return Verified(probes=len(probes.squares), found=found, judged=judged, allowed=allowed)


def _difference(probes: Probes, probs: dict[str, F32]) -> Difference:
    values = probes.differences(probs)
    return Difference(largest=float(values.max()), mean=float(values.mean()))


def _far(found: Difference, judged: Difference, allowed: Difference) -> list[str]:
    return [
        f"the {name} difference of a probability from FP32 is {here:.4f}, allowed is {most:.4f} (when judged {was:.4f})"
        for name, here, was, most in (
            ("largest", found.largest, judged.largest, allowed.largest),
            ("mean", found.mean, judged.mean, allowed.mean),
        )
        if here > most
    ]


def _broken(where: str, probs: F32, cam: F32) -> list[str]:
    if not (np.isfinite(probs).all() and np.isfinite(cam).all()):
        return [f"{where} has outputs that are not finite"]
    if abs(float(probs.sum()) - 1.0) > SUM_TOLERANCE:
        return [f"{where} has probabilities that sum to {float(probs.sum()):.4f}"]
    return []


def _changed(task: Task, point: float, probes: Probes, now: F32) -> list[str]:
    """A sentence for every probe whose referral is neither FP32's nor the judged engine's; lost ones first."""
    fp32, judged, new = (
        referable_probability(p, task) for p in (probes.fp32[task.name], probes.judged[task.name], now)
    )
    agreed = (fp32 >= point) == (judged >= point)
    changed = agreed & ((new >= point) != (fp32 >= point))
    said = []
    for row in sorted(np.flatnonzero(changed).tolist(), key=lambda row: (fp32[row] < point, row)):
        word = "lost" if fp32[row] >= point else "gained"
        numbers = f"P(referable) {judged[row]:.3f} when judged (FP32 {fp32[row]:.3f}), {new[row]:.3f} now"
        said.append(f"{task.name}: probe {row + 1}: referral {word}, {numbers}, referable from {point:.3f}")
    return said


def _refused(engine: Engine, reasons: tuple[str, ...]) -> GateRefused:
    what = (
        f"the {engine.manifest.precision.value} engine that was built again does not decide as the one that was judged"
    )
    more = (f"and {len(reasons) - _TOLD} more",) if len(reasons) > _TOLD else ()
    fix = (
        "the old bundle stays and the CPU serves it; build with --gate on this device to judge its own engine, "
        "and report this with the output of sall-edge doctor"
    )
    return GateRefused(what, "\n       ".join((*reasons[:_TOLD], *more)), fix, reasons=reasons)
