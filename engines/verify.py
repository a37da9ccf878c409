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
from sall_edge.bench.accuracy import referable_probability
from sall_edge.errors import GateRefused
from sall_edge.runtime.session import open_session
from sall_edge.spec import Precision, Task

__all__ = ["LEAST_ALLOWED", "TIMES_JUDGED", "Verified", "allowed_difference", "verify"]

F32 = npt.NDArray[np.float32]

TIMES_JUDGED = 2.0
"""The judged engine is one rounding of the FP32 graph and the new one another of the same size: the largest of a few
differences varies, but by less than this. A wrong scale or layout is off by the whole probability."""

LEAST_ALLOWED = {Precision.FP32: 1e-3, Precision.FP16: 2e-2, Precision.INT8: 2e-2}
"""Allowed even where the judged engine happened to be closer: for FP32 and FP16 what `smoke` allows any compiler; for
INT8 what one activation that falls on the other side of a step moves a probability by."""

_TOLD = 5
"""Reasons in the message; the error's `reasons` has all."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Verified:
    """What was found to be right.

    Attributes:
        probes: How many squares.
        largest_difference, allowed: Of a probability from FP32.
    """

    probes: int
    largest_difference: float
    allowed: float


def allowed_difference(probes: Probes, precision: Precision) -> float:
    """How far a probability may be from FP32."""
    return max(LEAST_ALLOWED[precision], TIMES_JUDGED * probes.largest_difference)


def verify(engine: Engine, probes: Probes, *, advance: Callable[[], None] = lambda: None) -> Verified:
    """Runs the engine on the probes, one square at a time as in screening.

    Args:
        engine: The bundle; it need not be sealed yet.
        probes: What the old bundle carries.
        advance: Called for every probe.

    Raises:
        GateRefused: An output is not finite, probabilities do not sum to one, a referral is neither FP32's nor the
            judged engine's, or a probability is further from FP32 than allowed.
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
    largest = max(float(np.abs(probs - probes.fp32[name]).max()) for name, probs in now.items())
    allowed = allowed_difference(probes, engine.manifest.precision)
    if largest > allowed:
        judged = probes.largest_difference
        said = f"a probability differs from FP32 by {largest:.4f}, allowed are {allowed:.4f}"
        reasons.append(f"{said} (the judged engine: {judged:.4f})")
    if reasons:
        raise _refused(engine, tuple(reasons))
    return Verified(probes=len(probes.squares), largest_difference=largest, allowed=allowed)


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
