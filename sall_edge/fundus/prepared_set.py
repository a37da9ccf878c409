"""Labelled photographs as squares: decoded side by side, kept in a temporary file that the system pages in and out."""

import os
import tempfile
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from sall_edge.errors import LabelsError, OutputError, PhotographError
from sall_edge.fundus.labels import LabelledPhotograph
from sall_edge.fundus.prepare import prepare_file
from sall_edge.spec import ImageSpec

__all__ = ["PreparedSet", "prepare_set", "room_for_squares"]

U8 = npt.NDArray[np.uint8]


@dataclass(frozen=True, slots=True, kw_only=True)
class PreparedSet:
    """Labelled photographs as squares.

    Attributes:
        photographs: Those that could be prepared, n of them.
        squares: (n, side, side, 3) uint8.
        failures: Path and what went wrong, for the rest.
    """

    photographs: tuple[LabelledPhotograph, ...]
    squares: U8
    failures: tuple[tuple[Path, str], ...]


def prepare_set(
    photographs: Sequence[LabelledPhotograph],
    image: ImageSpec,
    *,
    threads: int | None = None,
    advance: Callable[[], None] = lambda: None,
) -> PreparedSet:
    """The squares of all photographs that can be prepared, in their order; the others are listed and lose nothing.

    Args:
        photographs: Any number: their squares lie in an unnamed file in the temporary folder, not in memory.
        image: The preparation.
        threads: Decoders; OpenCV leaves the interpreter's lock. None: one a core.
        advance: Called after every photograph.

    Raises:
        LabelsError: None can be prepared.
        OutputError: The temporary folder has no room.
    """
    squares = room_for_squares(len(photographs), image.side_px)
    good: list[LabelledPhotograph] = []
    failures: list[tuple[Path, str]] = []
    with closing(_prepared(photographs, image, threads)) as results:
        for photograph, found in zip(photographs, results, strict=True):
            if isinstance(found, PhotographError):
                failures.append((photograph.path, found.what))
            else:
                squares[len(good)] = found
                good.append(photograph)
            advance()
    if not good:
        first = failures[0][1] if failures else "the split is empty"
        raise LabelsError("no photograph can be measured", first, "check --labels and --split")
    return PreparedSet(photographs=tuple(good), squares=squares[: len(good)], failures=tuple(failures))


def room_for_squares(count: int, side: int) -> U8:
    """(count, side, side, 3) uint8 in a file that vanishes with the array.

    Raises:
        OutputError: The temporary folder has no room.
    """
    shape = (max(count, 1), side, side, 3)
    try:
        with tempfile.TemporaryFile(prefix="sall-edge-") as file:
            os.posix_fallocate(file.fileno(), 0, int(np.prod(shape)))  # or a full disk would be a fatal signal later
            return np.memmap(file, np.uint8, "r+", shape=shape)
    except OSError as cause:
        what = f"no room for {count} squares in {tempfile.gettempdir()}"
        raise OutputError(what, cause.strerror or str(cause), "free some space, or set TMPDIR") from cause


def _prepared(
    photographs: Sequence[LabelledPhotograph], image: ImageSpec, threads: int | None
) -> Generator[U8 | PhotographError, None, None]:
    """Squares in order, or why there is none; whoever stops asking stops the decoders."""

    def attempt(photograph: LabelledPhotograph) -> U8 | PhotographError:
        try:
            return prepare_file(photograph.path, image).square
        except PhotographError as problem:
            return problem

    pool = ThreadPoolExecutor(threads or os.cpu_count())
    try:
        yield from pool.map(attempt, photographs)
    finally:
        pool.shutdown(cancel_futures=True)
