"""Labelled photographs as `screen` sees them: those that it would grade as squares, the others with their reasons."""

from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from sall_edge.errors import LabelsError
from sall_edge.fundus.labels import LabelledPhotograph
from sall_edge.fundus.prepared_set import room_for_squares
from sall_edge.screening.ahead import worked_ahead
from sall_edge.screening.verdict import look
from sall_edge.spec import ImageSpec

__all__ = ["UNREADABLE", "GradableSet", "Stopped", "look_at_all"]

U8 = npt.NDArray[np.uint8]

UNREADABLE = "unreadable"
"""The reason of a photograph whose file cannot be read; the other reasons are those of `screen`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Stopped:
    """A photograph that `screen` would not grade.

    Attributes:
        photograph: Which.
        reasons: Why not: of `fundus.quality`, or no_field_of_view, or unreadable.
        error: What is wrong with its file; "" if it could be read.
    """

    photograph: LabelledPhotograph
    reasons: tuple[str, ...]
    error: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class GradableSet:
    """Labelled photographs, looked at with one image specification.

    Attributes:
        photographs: Those that may be graded, n of them.
        squares: (n, side, side, 3) uint8.
        sha256s: (n,) hashes of their files.
        stopped: The others.
    """

    photographs: tuple[LabelledPhotograph, ...]
    squares: U8
    sha256s: tuple[str, ...]
    stopped: tuple[Stopped, ...]

    def labelled_by(self, photographs: Sequence[LabelledPhotograph]) -> "GradableSet":
        """The same photographs with the labels of other tasks; nothing is read again.

        Args:
            photographs: The same files, from the same CSVs.
        """
        by_path = {photograph.path: photograph for photograph in photographs}
        return replace(
            self,
            photographs=tuple(by_path[photograph.path] for photograph in self.photographs),
            stopped=tuple(replace(one, photograph=by_path[one.photograph.path]) for one in self.stopped),
        )


def look_at_all(
    photographs: Sequence[LabelledPhotograph],
    image: ImageSpec,
    *,
    threads: int | None = None,
    advance: Callable[[], None] = lambda: None,
) -> GradableSet:
    """Every photograph looked at as `screen` does, in their order.

    Args:
        photographs: Any number: their squares lie in an unnamed file in the temporary folder, not in memory.
        image: The preparation.
        threads: That read and prepare; None takes one for each core.
        advance: Called after every photograph.

    Raises:
        LabelsError: None may be graded.
        OutputError: The temporary folder has no room.
    """
    squares = room_for_squares(len(photographs), image.side_px)
    good: list[LabelledPhotograph] = []
    sha256s: list[str] = []
    stopped: list[Stopped] = []
    paths = [photograph.path for photograph in photographs]
    with closing(worked_ahead(lambda path: look(path, image), paths, threads=threads)) as looked:
        for photograph, seen in zip(photographs, looked, strict=True):
            if seen.error is not None:
                stopped.append(Stopped(photograph=photograph, reasons=(UNREADABLE,), error=seen.error.what))
            elif seen.prepared is None or seen.reasons:
                stopped.append(Stopped(photograph=photograph, reasons=seen.reasons))
            else:
                squares[len(good)] = seen.prepared.square
                good.append(photograph)
                sha256s.append(seen.prepared.sha256)
            advance()
    if not good:
        first = f"{paths[0]}: {stopped[0].error or ', '.join(stopped[0].reasons)}" if stopped else "the split is empty"
        raise LabelsError("no photograph can be graded", first, "check --labels and --split")
    return GradableSet(
        photographs=tuple(good), squares=squares[: len(good)], sha256s=tuple(sha256s), stopped=tuple(stopped)
    )
