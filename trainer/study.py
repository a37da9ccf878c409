"""Methods against each other: the same photographs, backbone, budget and seeds, one network per entry and seed.

    photographs -> labels of one disease (optional) -> runs -> probabilities on the test split -> comparison

Every run is a folder of its own and is resumed or reused; prepared squares, views of frozen layers and teachers are
shared, so a method costs one network a seed.
"""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from sall_edge.artifacts import Checkpoint
from sall_edge.errors import TrainingError
from sall_edge.fundus.labels import LabelledPhotograph, in_split
from sall_edge.spec import Head, Labelling, Method, TaskSet
from sall_edge.writing import file_being_written
from trainer.comparison import Answers, TestSet
from trainer.data import Squares, prepared_squares
from trainer.distill import Teachers
from trainer.evaluate import predict_checkpoint
from trainer.methods import needs_teachers
from trainer.options import TrainingOptions
from trainer.progress import Progress
from trainer.train import train

__all__ = ["Entry", "Plan", "one_disease_each", "run_study"]


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


_TEACHERS = Entry(Method.SINGLE)
"""Its networks teach the methods that need teachers."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What is compared.

    Attributes:
        entries: In the order of the table.
        seeds: Each trains every entry once.
        options: Of every run, but for method, head and seed.
        labelling: Whether training photographs keep all their labels or those of one disease each.
    """

    entries: tuple[Entry, ...]
    seeds: tuple[int, ...]
    options: TrainingOptions
    labelling: Labelling

    def __post_init__(self) -> None:
        for name, values in (("methods", [entry.name for entry in self.entries]), ("seeds", self.seeds)):
            if not values or len(set(values)) < len(values):
                raise TrainingError(
                    f"{name} are {list(values)}", "a study needs one at least, each once", "name others"
                )


def run_study(
    photographs: Sequence[LabelledPhotograph], tasks: TaskSet, plan: Plan, folder: Path, *, report: Progress
) -> tuple[TestSet, dict[tuple[str, int], Answers]]:
    """The test split, and what the network of every entry (by name) and seed answered on it.

    Args:
        photographs: Splits train, val and test; test photographs always keep all their labels.
        tasks: What is graded.
        plan: What is compared.
        folder: Of the study; a study that was killed goes on where it was.
        report: Told what is going on.

    Raises:
        TrainingError: See `train`; or no photograph of the test split can be used.
    """
    shown = list(photographs)
    if plan.labelling is Labelling.ONE_DISEASE:
        shown = one_disease_each(shown, tasks)
    image = plan.options.image
    test, _ = prepared_squares(
        in_split(photographs, "test"), tasks.tasks, image, folder / "cache" / "test", progress=report
    )
    if not len(test):
        raise TrainingError("nothing to test on", "no photograph of the split `test` can be used", "add such rows")
    answers: dict[tuple[str, int], Answers] = {}
    for seed in plan.seeds:
        teachers: Teachers | None = None
        for entry in _in_order(plan.entries):
            run = folder / "runs" / f"{entry.name}-{seed}"
            report.note(f"{entry.name}, seed {seed}")
            checkpoints = train(
                shown,
                tasks,
                replace(plan.options, method=entry.method, head=entry.head, seed=seed),
                run,
                resume=True,
                report=report,
                cache=folder / "cache",
                teachers=teachers if needs_teachers(entry.method) else None,
            )
            if entry == _TEACHERS:
                by_task = {c.manifest.tasks[0].name: c for c in checkpoints}
                teachers = Teachers(checkpoints=by_task, targets=run / "targets.safetensors")
            if entry in plan.entries:
                answers[entry.name, seed] = _answered(checkpoints, test, run / "test.json", report)
    return _test_set(test, photographs), answers


def one_disease_each(photographs: Sequence[LabelledPhotograph], tasks: TaskSet) -> list[LabelledPhotograph]:
    """Training photographs with the labels of one disease, drawn for each patient, as in `Labelling.ONE_DISEASE`.

    Photographs that are normal for every task keep all their labels, as the paper shares them between its tasks.
    """
    names = [task.name for task in tasks.tasks]
    thinned = []
    for photograph in photographs:
        known = [name for name in names if photograph.grades.get(name) is not None]
        if photograph.split != "train" or len(known) < 2 or not any(photograph.grades[name] for name in known):
            thinned.append(photograph)
            continue
        digest = hashlib.sha256(f"one disease of {photograph.patient_id}".encode()).digest()
        kept = known[digest[0] % len(known)]
        grades = {name: grade if name == kept else None for name, grade in photograph.grades.items()}
        thinned.append(replace(photograph, grades=grades))
    return thinned


def _in_order(entries: Sequence[Entry]) -> list[Entry]:
    """`single` first, and wanted or not where others need it: its networks are their teachers."""
    others = [entry for entry in entries if entry != _TEACHERS]
    is_needed = _TEACHERS in entries or any(needs_teachers(entry.method) for entry in others)
    return [_TEACHERS, *others] if is_needed else others


def _answered(checkpoints: Sequence[Checkpoint], test: Squares, path: Path, report: Progress) -> Answers:
    """What the networks of a run say of the test split, from `path` if it was asked before."""
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


def _test_set(test: Squares, photographs: Sequence[LabelledPhotograph]) -> TestSet:
    sources = {photograph.path: photograph.source_csv.parent.name for photograph in photographs}
    return TestSet(
        grades={task.name: test.labels[:, k] for k, task in enumerate(test.tasks)},
        patients=test.patients,
        sources=tuple(sources[path] for path in test.paths),
    )
