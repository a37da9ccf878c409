"""Photographs of the gate that travel with an engine: a device sees on them whether its own plan decides as judged.

`probes.npz` holds prepared squares, losslessly packed, with what the FP32 graph and the judged engine said of them.
They are patients' photographs: `build --probes 0` leaves them out.
"""

import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from sall_edge.artifacts import Engine
from sall_edge.bench.accuracy.metrics import referable_probability
from sall_edge.errors import ArtefactForeign, BuildError
from sall_edge.spec import Task

__all__ = ["PROBES", "PROBES_NAME", "Probes", "choose_probes", "read_probes", "write_probes"]

U8 = npt.NDArray[np.uint8]
F32 = npt.NDArray[np.float32]
Ints = npt.NDArray[np.intp]

PROBES_NAME = "probes.npz"

PROBES = 32
"""How many are stored unless told otherwise: with two tasks, nearly eight on each side of each operating point."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Probes:
    """Squares with two answers to each.

    Attributes:
        squares: (n, side, side, 3) uint8 RGB, as `fundus.prepare` made them.
        fp32, judged: By task, (n, K) float32 probabilities of the FP32 graph and of the engine that the gate judged.
    """

    squares: U8
    fp32: dict[str, F32]
    judged: dict[str, F32]

    def differences(self, probs: dict[str, F32]) -> F32:
        """All of |probs - FP32|, of every square, task and grade, in one row."""
        return np.concatenate([np.abs(probs[task] - wanted).ravel() for task, wanted in self.fp32.items()])


def choose_probes(
    squares: U8,
    fp32: dict[str, F32],
    judged: dict[str, F32],
    *,
    tasks: Sequence[Task],
    operating_points: dict[str, float],
    count: int,
) -> Probes:
    """At most `count` of the squares: where rounding does most, and evenly over every task's referable probability.

    The first is the one on which the judged engine was furthest from FP32. Then each task chooses its share, half of
    it from each side of its operating point as far as there are so many, and on each side at the middle of equal parts
    of the ranking. The photograph next to the operating point is left out on purpose: rounding alone moves it across,
    in either direction, and it would refuse a good engine.

    Args:
        squares: (n, side, side, 3) uint8.
        fp32, judged: By task, (n, K) probabilities.
        tasks: In the order of choosing.
        operating_points: By task.
        count: At least 1.
    """
    furthest = np.max([np.abs(judged[task.name] - fp32[task.name]).max(axis=1) for task in tasks], axis=0)
    chosen = [int(furthest.argmax())]
    for position, task in enumerate(tasks):
        share = (count - len(chosen)) // (len(tasks) - position)
        probability = referable_probability(fp32[task.name], task)
        free = np.setdiff1d(np.arange(len(squares)), chosen)
        ranked = free[np.argsort(probability[free], kind="stable")]
        is_referred = probability[ranked] >= operating_points[task.name]
        sides = ranked[~is_referred], ranked[is_referred]
        referred = min(len(sides[1]), max(share // 2, share - len(sides[0])))
        chosen += [*_evenly(sides[0], share - referred), *_evenly(sides[1], referred)]
    rows = sorted(chosen)
    return Probes(
        squares=squares[rows],
        fp32={task.name: fp32[task.name][rows] for task in tasks},
        judged={task.name: judged[task.name][rows] for task in tasks},
    )


def _evenly(ranked: Ints, count: int) -> list[int]:
    """The middles of `count` equal parts; all of them when there are no more."""
    count = min(count, len(ranked))
    middles = (2 * np.arange(count) + 1) * len(ranked) // (2 * max(count, 1))
    return [int(row) for row in ranked[middles]]


def write_probes(probes: Probes, folder: Path) -> None:
    """Writes `probes.npz`: the squares as one PNG, one below the other, which is a third smaller than NumPy's packing.

    Raises:
        BuildError: The picture would be larger than OpenCV reads.
    """
    count, side = probes.squares.shape[:2]
    column = cv2.cvtColor(probes.squares.reshape(count * side, side, 3), cv2.COLOR_RGB2BGR)
    is_packed, png = cv2.imencode(".png", column)
    if not is_packed:
        raise BuildError(f"{count} probes of {side} px cannot be packed", "OpenCV refuses the picture", "store fewer")
    answers = {f"fp32_{task}": probs for task, probs in probes.fp32.items()}
    answers |= {f"judged_{task}": probs for task, probs in probes.judged.items()}
    np.savez(folder / PROBES_NAME, squares=png, **answers)  # type: ignore[arg-type]  # its stub takes a bool for any name


def read_probes(engine: Engine) -> Probes | None:
    """The probes of an engine, None when it was built without.

    Raises:
        ArtefactForeign: The file does not hold what the manifest's tasks and image ask for.
    """
    if PROBES_NAME not in engine.manifest.files:
        return None
    path, tasks, side = engine.path / PROBES_NAME, engine.manifest.tasks, engine.manifest.image.side_px
    try:
        with np.load(path, allow_pickle=False) as file:
            column = cv2.imdecode(file["squares"], cv2.IMREAD_COLOR)
            squares = cv2.cvtColor(column, cv2.COLOR_BGR2RGB).reshape(-1, side, side, 3)
            shapes = {task.name: (len(squares), len(task.grades)) for task in tasks}
            fp32, judged = (
                {name: file[f"{kind}_{name}"].astype(np.float32).reshape(shape) for name, shape in shapes.items()}
                for kind in ("fp32", "judged")
            )
    except (KeyError, ValueError, OSError, zipfile.BadZipFile, cv2.error) as cause:
        fix = "build the engine again"
        raise ArtefactForeign(f"{path} holds no probes of this engine", f"{cause!r}", fix) from cause
    return Probes(squares=squares.astype(np.uint8), fp32=fp32, judged=judged)
