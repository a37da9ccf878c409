"""A first try of an engine that was just compiled, next to its FP32 graph, on squares that need no photograph."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from sall_edge.artifacts import Engine
from sall_edge.errors import ParityError
from sall_edge.runtime.session import open_reference, open_session
from sall_edge.spec import ImageSpec, Precision

__all__ = ["SMOKE_SQUARES", "SUM_TOLERANCE", "TOLERANCES", "smoke"]

SMOKE_SQUARES = 4
SMOKE_SEED = 0
SUM_TOLERANCE = 1e-4
"""Probabilities are a float32 softmax over a few grades: rounding stays far below."""
TOLERANCES = {Precision.FP32: 1e-3, Precision.FP16: 2e-2, Precision.INT8: 1.0, Precision.INT8_FP16: 1.0}
"""Largest difference of a probability from the FP32 graph. Two FP32 compilers differ by the order of their sums, FP16
by its ten bits; a wrong layout or scale differs by more. INT8 is judged on photographs, by bench, not on noise."""


def smoke(engine: Engine) -> dict[str, Any]:
    """Runs the engine before it is sealed, next to the FP32 graph.

    Returns:
        Number of squares and the largest difference of a probability from the FP32 graph.

    Raises:
        ParityError: Probabilities are not finite, do not sum to one, or an FP32 engine differs from its graph.
    """
    squares = _smoke_squares(engine.manifest.image)
    with open_session(engine) as session, open_reference(engine) as reference:
        got, wanted = session.run_batch(squares), reference.run_batch(squares)
        single = session.run(squares[0])
    largest = 0.0
    for task, probs in got.probs.items():
        for values in (probs, single.probs[task][np.newaxis]):
            if not np.allclose(values.sum(axis=1), 1.0, atol=SUM_TOLERANCE):  # also false for nan
                why = f"{task}_probs sum to {values.sum(axis=1).tolist()}, not to 1"
                raise _parity(engine, why)
        largest = max(largest, float(np.abs(probs - wanted.probs[task]).max()))
    tolerance = TOLERANCES[engine.manifest.precision]
    if largest > tolerance:
        raise _parity(engine, f"probabilities differ by {largest:.4f}, allowed are {tolerance}")
    return {"squares": len(squares), "largest_difference_from_fp32": largest}


def _parity(engine: Engine, why: str) -> ParityError:
    what = f"the engine for {engine.manifest.target.name} does not compute what its graph says"
    return ParityError(what, why, "report it with the graph and the output of sall-edge doctor")


def _smoke_squares(image: ImageSpec) -> NDArray[np.uint8]:
    """(N, side, side, 3) uint8: black, a ramp, and noise, which drive every activation."""
    side = image.side_px
    squares = np.random.default_rng(SMOKE_SEED).integers(0, 256, (SMOKE_SQUARES, side, side, 3), dtype=np.uint8)
    squares[0] = 0
    squares[1] = np.linspace(0, 255, side, dtype=np.uint8)[:, np.newaxis, np.newaxis]
    return squares
