"""The networks of a study: each is trained and asked in a folder of its own, one after the other or side by side."""

import json
import multiprocessing
from collections.abc import Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass, replace
from multiprocessing.queues import Queue
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from sall_edge.allocation import keep_freed_memory
from sall_edge.artifacts import Checkpoint, open_checkpoint
from sall_edge.errors import TrainingError
from sall_edge.fundus.labels import LabelledPhotograph, in_split
from sall_edge.spec import Head, Method, TaskSet
from sall_edge.writing import file_being_written
from trainer.comparison import Answers
from trainer.data import Squares, prepared_squares
from trainer.distill import Teachers
from trainer.evaluate import predict_checkpoint
from trainer.methods import needs_teachers
from trainer.options import TrainingOptions
from trainer.progress import Progress, Silence
from trainer.train import train

__all__ = ["Bench", "Entry", "Run", "all_trained"]

_PATIENCE_S = 0.5
"""Between two looks at what the processes have said."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of the table: a method with a head."""

    method: Method
    head: Head = Head.SOFTMAX

    @classmethod
    def named(cls, name: str) -> "Entry":
        """`sall`, or `sall+ordinal`.

        Raises:
            ValueError: No such method or head.
        """
        method, _, head = name.partition("+")
        return cls(Method(method), Head(head) if head else Head.SOFTMAX)

    @property
    def name(self) -> str:
        """As `named` takes it."""
        return self.method.value + ("" if self.head is Head.SOFTMAX else f"+{self.head.value}")


@dataclass(frozen=True, slots=True)
class Run:
    """An entry with a seed: one network, or for `single` one a task."""

    entry: Entry
    seed: int

    @property
    def teachers(self) -> "Run | None":
        """The run whose networks teach this one: those of `single`, so that none is trained for that alone."""
        return Run(Entry(Method.SINGLE), self.seed) if needs_teachers(self.entry.method) else None

    def __str__(self) -> str:
        return f"{self.entry.name}, seed {self.seed}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Bench:
    """What all runs have in common.

    Attributes:
        photographs: Splits train, val and test, with the labels that training may see.
        tasks: What is graded.
        options: Of every run, but for method, head and seed.
        folder: Of the study.
    """

    photographs: tuple[LabelledPhotograph, ...]
    tasks: TaskSet
    options: TrainingOptions
    folder: Path

    @property
    def cache(self) -> Path:
        """Squares and views, which all runs read."""
        return self.folder / "cache"

    def test_squares(self, report: Progress) -> Squares:
        """The test split."""
        chosen = in_split(self.photographs, "test")
        squares, _ = prepared_squares(
            chosen, self.tasks.tasks, self.options.image, self.cache / "test", progress=report
        )
        return squares

    def answers(self, run: Run, report: Progress) -> Answers:
        """Trains the run, or takes up what is there of it, and asks it about the test split."""
        folder = self._folder(run)
        checkpoints = train(
            self.photographs,
            self.tasks,
            replace(self.options, method=run.entry.method, head=run.entry.head, seed=run.seed),
            folder,
            resume=True,
            report=report,
            cache=self.cache,
            teachers=self._teachers(run.teachers) if run.teachers else None,
        )
        return _answered(checkpoints, self.test_squares(Silence()), folder / "test.json", report)

    def _folder(self, run: Run) -> Path:
        return self.folder / "runs" / f"{run.entry.name}-{run.seed}"

    def _teachers(self, run: Run) -> Teachers:
        folder = self._folder(run)
        checkpoints = {task.name: open_checkpoint(folder / f"checkpoint-{task.name}") for task in self.tasks.tasks}
        return Teachers(checkpoints=checkpoints, targets=folder / "targets.safetensors")


def all_trained(bench: Bench, runs: Sequence[Run], *, at_once: int, report: Progress) -> dict[Run, Answers]:
    """What every run answers on the test split.

    Args:
        bench: What they have in common; its cache is filled.
        runs: Teachers of others stand among them.
        at_once: How many train side by side, each in a process with its share of PyTorch's threads.
        report: Told of every step; of runs side by side, of every epoch and every network.

    Raises:
        TrainingError: See `train`; or a process ended before its network did.
    """
    ordered = sorted(runs, key=lambda run: (run.seed, run.entry.method is not Method.SINGLE))  # teachers come first
    if at_once > 1:
        return _side_by_side(bench, ordered, at_once, report)
    answers = {}
    for run in ordered:
        report.note(str(run))
        answers[run] = bench.answers(run, report)
    return answers


def _side_by_side(bench: Bench, runs: list[Run], at_once: int, report: Progress) -> dict[Run, Answers]:
    """The next run that has its teachers starts as soon as a process is free."""
    answers: dict[Run, Answers] = {}
    running: dict[Future[Answers], Run] = {}
    report.stage("networks", len(runs))
    with _processes(bench, at_once) as (pool, said):
        while len(answers) < len(runs):
            begun = answers.keys() | set(running.values())
            ready = [run for run in runs if run not in begun and (run.teachers is None or run.teachers in answers)]
            for run in ready[: at_once - len(running)]:
                running[pool.submit(_answers_of, run)] = run
            done, _ = wait(running, timeout=_PATIENCE_S, return_when=FIRST_COMPLETED)
            while not said.empty():
                report.note(said.get())
            for future in done:
                run = running.pop(future)
                answers[run] = _result(future, run)
                report.advance()
    return answers


def _result(future: "Future[Answers]", run: Run) -> Answers:
    try:
        return future.result()
    except BrokenProcessPool as cause:
        fix = "train fewer at once: --at-once 1; the study goes on where it was"
        raise TrainingError(f"the process of {run} or of another run ended", "often memory ran out", fix) from cause


@contextmanager
def _processes(bench: Bench, count: int) -> Iterator[tuple[ProcessPoolExecutor, "Queue[str]"]]:
    """Processes that train for `bench`, and what they say; none outlives the block, whatever ends it."""
    context = multiprocessing.get_context("spawn")  # a fork would take over PyTorch's threads half alive
    said: Queue[str] = context.Queue()
    threads = max(1, torch.get_num_threads() // count)
    others = multiprocessing.active_children()
    pool = ProcessPoolExecutor(count, context, _begin, (bench, said, threads))
    try:
        yield pool, said
    except BaseException:
        for process in multiprocessing.active_children():
            if process not in others:
                process.terminate()
        raise
    finally:
        pool.shutdown(cancel_futures=True)


class _Worker:
    """What a process of the pool was begun with."""

    bench: Bench
    said: "Queue[str]"


def _begin(bench: Bench, said: "Queue[str]", threads: int) -> None:
    keep_freed_memory()
    torch.set_num_threads(threads)
    _Worker.bench, _Worker.said = bench, said


def _answers_of(run: Run) -> Answers:
    return _Worker.bench.answers(run, _Told(run, _Worker.said))


class _Told(Silence):
    """Progress that goes to the process which draws it."""

    def __init__(self, run: Run, said: "Queue[str]") -> None:
        self.run, self.said = run, said

    def note(self, text: str) -> None:
        """Names the run, since several speak."""
        self.said.put(f"{self.run}: {text}")


def _answered(checkpoints: Sequence[Checkpoint], test: Squares, path: Path, report: Progress) -> Answers:
    """What the networks of a run say of the test split, from `path` if they were asked before."""
    key = {"checkpoints": [checkpoint.sha256 for checkpoint in checkpoints], "photographs": test.sha256}
    content = _read(path)
    if content.get("key") != key:
        probs: dict[str, npt.NDArray[np.float32]] = {}
        for checkpoint in checkpoints:
            report.stage("test", len(test))
            probs |= predict_checkpoint(checkpoint, test.pixels[test.rows], progress=report)
        rounded = {name: np.round(values.astype(np.float64), 6).tolist() for name, values in probs.items()}
        content = {"key": key, "probs": rounded}
        with file_being_written(path) as temporary:
            temporary.write_text(json.dumps(content), encoding="utf-8")
    return Answers(probs={name: np.array(values) for name, values in content["probs"].items()})


def _read(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):  # answers that cannot be read are asked for again
        return {}
    return content if isinstance(content, dict) else {}
