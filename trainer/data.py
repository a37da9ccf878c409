"""Prepared squares with their labels: every photograph is decoded and prepared once, then read from a memory map."""

import hashlib
import json
import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from jaxtyping import Int64, UInt8
from torch import Tensor

from sall_edge.errors import OutputError, PhotographError
from sall_edge.fundus.labels import LabelledPhotograph
from sall_edge.fundus.prepare import prepare_file
from sall_edge.spec import ImageSpec, Task
from sall_edge.writing import file_being_written
from trainer.losses import UNKNOWN
from trainer.progress import Progress
from trainer.saving import reserved_map

__all__ = ["Squares", "in_batches", "prepared_squares", "tensors_of"]

_SAVE_EVERY = 256
"""Photographs between two writes of the index: what a kill can cost."""

Key = tuple[str, int, int]
"""Absolute path, bytes and modification time (ns) of a photograph: what its square is remembered by."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Squares:
    """Prepared photographs and their grades, in a fixed order.

    Attributes:
        pixels: (rows, side, side, 3) uint8 RGB memory map, shared by all parts of the same cache.
        rows: (n,) where each photograph stands in `pixels`.
        labels: (n, tasks) int64 grades, -1 unknown.
        patients: (n,) whose eye it is.
        paths: (n,) the photographs.
        tasks: The columns of `labels`.
    """

    pixels: npt.NDArray[np.uint8]
    rows: npt.NDArray[np.int64]
    labels: npt.NDArray[np.int64]
    patients: tuple[str, ...]
    paths: tuple[Path, ...]
    tasks: tuple[Task, ...]

    def __len__(self) -> int:
        return len(self.rows)

    def images(self, positions: npt.NDArray[np.integer]) -> UInt8[Tensor, "N side side 3"]:
        """The squares at these positions (0..n-1), copied from the map."""
        return torch.from_numpy(np.ascontiguousarray(self.pixels[self.rows[positions]]))

    def batches(self, size: int) -> Iterator[UInt8[Tensor, "N side side 3"]]:
        """All squares in order, `size` at a time."""
        return (self.images(positions) for positions in in_batches(len(self), size))

    def targets(self, positions: npt.NDArray[np.integer]) -> Int64[Tensor, "N tasks"]:
        """Their grades."""
        return torch.from_numpy(self.labels[positions])

    def at(self, positions: npt.NDArray[np.integer]) -> "Squares":
        """Only these photographs; the pixels are shared."""
        return replace(
            self,
            rows=self.rows[positions],
            labels=self.labels[positions],
            patients=tuple(self.patients[i] for i in positions),
            paths=tuple(self.paths[i] for i in positions),
        )

    def for_tasks(self, tasks: tuple[Task, ...]) -> "Squares":
        """The photographs that are labelled for at least one of these tasks, with those columns only."""
        names = [task.name for task in self.tasks]
        labels = self.labels[:, [names.index(task.name) for task in tasks]]
        chosen = np.flatnonzero((labels != UNKNOWN).any(axis=1))
        return replace(self.at(chosen), labels=labels[chosen], tasks=tasks)

    @property
    def sha256(self) -> str:
        """Hex digest of which photographs these are, in order (their paths, not their pixels)."""
        return hashlib.sha256("\n".join(str(path) for path in self.paths).encode()).hexdigest()


def in_batches(count: int, size: int) -> Iterator[npt.NDArray[np.int64]]:
    """Positions 0..count-1 in consecutive batches."""
    for start in range(0, count, size):
        yield np.arange(start, min(start + size, count))


def tensors_of(squares: npt.NDArray[np.uint8], size: int) -> Iterator[UInt8[Tensor, "N side side 3"]]:
    """An array of squares in order, `size` at a time."""
    return (torch.from_numpy(np.ascontiguousarray(squares[positions])) for positions in in_batches(len(squares), size))


def prepared_squares(
    photographs: Sequence[LabelledPhotograph],
    tasks: tuple[Task, ...],
    image: ImageSpec,
    cache: Path,
    *,
    progress: Progress,
    threads: int | None = None,
) -> tuple[Squares, tuple[PhotographError, ...]]:
    """The photographs as squares, from the cache where they are already there.

    Args:
        photographs: Kept in order.
        tasks: Columns of the labels.
        image: How a photograph becomes a square.
        cache: Folder for `squares.npy` and `squares.json`; a run that was killed goes on where it was.
        progress: Advances once a photograph.
        threads: Decoders; OpenCV leaves the interpreter's lock. None: one a core.

    Returns:
        The squares, and why some photographs are not among them; those never stop the others.

    Raises:
        OutputError: The cache cannot be written.
    """
    store = _Store(cache, image, [photograph.path for photograph in photographs])
    progress.stage("prepare", len(photographs))
    problems: list[PhotographError] = []
    pool = ThreadPoolExecutor(threads or os.cpu_count())
    try:
        for done, problem in enumerate(pool.map(store.fill, range(len(photographs))), start=1):
            if problem is not None:
                problems.append(problem)
                progress.note(str(problem))
            progress.advance()
            if done % _SAVE_EVERY == 0:
                store.save()
    finally:
        pool.shutdown(cancel_futures=True)  # an interrupt must not wait for all that is left
        store.save()
    labels = [[_label(photograph, task) for task in tasks] for photograph in photographs]
    everything = Squares(
        pixels=store.pixels,
        rows=np.arange(len(photographs)),
        labels=np.array(labels, dtype=np.int64).reshape(len(photographs), len(tasks)),
        patients=tuple(photograph.patient_id for photograph in photographs),
        paths=tuple(photograph.path for photograph in photographs),
        tasks=tasks,
    )
    return everything.at(np.flatnonzero(store.is_filled)), tuple(problems)


def _label(photograph: LabelledPhotograph, task: Task) -> int:
    grade = photograph.grades.get(task.name)
    return UNKNOWN if grade is None else grade


class _Store:
    """`squares.npy`, one row a photograph, and `squares.json`, which says whose square each row holds."""

    def __init__(self, folder: Path, image: ImageSpec, paths: Sequence[Path]) -> None:
        self.paths = paths
        self.image = image
        self.index_path = folder / "squares.json"
        self.keys = [_key(path) for path in paths]
        known = _read_index(self.index_path, image)
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self.pixels = self._open(folder / "squares.npy", known)
        except OSError as cause:
            fix = "free some space, or give another folder"
            raise OutputError(f"cannot write {folder / 'squares.npy'}", cause.strerror or str(cause), fix) from cause
        self.is_filled = np.array([key in known for key in self.keys], dtype=bool)
        self.save()

    def _open(self, path: Path, known: dict[Key, int]) -> npt.NDArray[np.uint8]:
        shape = (len(self.keys), self.image.side_px, self.image.side_px, 3)
        if known and all(known.get(key, row) == row for row, key in enumerate(self.keys)):
            pixels = np.load(path, mmap_mode="r+")
            if pixels.shape == shape and pixels.dtype == np.uint8:
                return pixels  # type: ignore[no-any-return]  # numpy types np.load as Any
        old = np.load(path, mmap_mode="r") if known else None
        new = path.with_name("squares.new.npy")
        pixels = reserved_map(new, np.uint8, shape)
        for row, key in enumerate(self.keys):
            if old is not None and key in known:
                pixels[row] = old[known[key]]
        self.index_path.unlink(missing_ok=True)  # it spoke of the old rows
        new.replace(path)
        return pixels

    def fill(self, row: int) -> PhotographError | None:
        """Prepares one photograph unless it is there; its failure is the return value, so the others go on."""
        if self.is_filled[row]:
            return None
        try:
            self.pixels[row] = prepare_file(self.paths[row], self.image).square
        except PhotographError as problem:
            return problem
        self.is_filled[row] = True
        return None

    def save(self) -> None:
        """Pixels first, then the index that vouches for them."""
        rows = [[*self.keys[row], int(row)] for row in np.flatnonzero(self.is_filled)]
        if isinstance(self.pixels, np.memmap):
            self.pixels.flush()
        with file_being_written(self.index_path) as temporary:
            temporary.write_text(json.dumps({"image": self.image.sha256, "rows": rows}), encoding="utf-8")


def _key(path: Path) -> Key:
    try:
        status = path.stat()
    except OSError:  # preparing it says what is wrong with it
        return str(path.absolute()), -1, -1
    return str(path.absolute()), status.st_size, status.st_mtime_ns


def _read_index(path: Path, image: ImageSpec) -> dict[Key, int]:
    """Rows by key; empty when there is no index, or it belongs to another preparation or cannot be read."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        if content["image"] != image.sha256 or not path.with_name("squares.npy").is_file():
            return {}
        return {(str(name), int(size), int(time)): int(row) for name, size, time, row in content["rows"]}
    except (OSError, ValueError, KeyError, TypeError):  # a cache that cannot be read is made again
        return {}
