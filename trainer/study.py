"""Methods against each other: the same photographs, backbone, budget and seeds, one network per entry and seed.

    photographs -> labels of one disease (optional) -> runs -> probabilities on the test split -> comparison

Every run is a folder of its own and is resumed or reused; prepared squares, views of frozen layers and teachers are
shared, so a method costs one network a seed.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from sall_edge.errors import TrainingError
from sall_edge.fundus.labels import LabelledPhotograph
from sall_edge.spec import Labelling, TaskSet
from trainer.comparison import Answers, TestSet
from trainer.data import Squares
from trainer.options import TrainingOptions
from trainer.progress import Progress
from trainer.study_runs import Bench, Entry, Run, all_trained
from trainer.train import prepare

__all__ = ["Entry", "Plan", "one_disease_each", "run_study"]


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
    photographs: Sequence[LabelledPhotograph],
    tasks: TaskSet,
    plan: Plan,
    folder: Path,
    *,
    report: Progress,
    at_once: int = 1,
) -> tuple[TestSet, dict[tuple[str, int], Answers]]:
    """The test split, and what the network of every entry (by name) and seed answered on it.

    Args:
        photographs: Splits train, val and test; test photographs always keep all their labels.
        tasks: What is graded.
        plan: What is compared.
        folder: Of the study; a study that was killed goes on where it was.
        report: Told what is going on.
        at_once: How many networks train side by side, each in a process of its own with its share of the cores.

    Raises:
        TrainingError: See `train`; or no photograph of the test split can be used.
    """
    shown = tuple(photographs)
    if plan.labelling is Labelling.ONE_DISEASE:
        shown = tuple(one_disease_each(shown, tasks))
    bench = Bench(photographs=shown, tasks=tasks, options=plan.options, folder=folder)
    test = bench.test_squares(report)
    if not len(test):
        raise TrainingError("nothing to test on", "no photograph of the split `test` can be used", "add such rows")
    prepare(shown, tasks, plan.options, bench.cache, report=report)
    wanted = [Run(entry=entry, seed=seed) for seed in plan.seeds for entry in plan.entries]
    runs = wanted + [run.teachers for run in wanted if run.teachers is not None and run.teachers not in wanted]
    trained = all_trained(bench, list(dict.fromkeys(runs)), at_once=at_once, report=report)
    return _test_set(test, photographs), {(run.entry.name, run.seed): trained[run] for run in wanted}


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


def _test_set(test: Squares, photographs: Sequence[LabelledPhotograph]) -> TestSet:
    sources = {photograph.path: photograph.source_csv.parent.name for photograph in photographs}
    return TestSet(
        grades={task.name: test.labels[:, k] for k, task in enumerate(test.tasks)},
        patients=test.patients,
        sources=tuple(sources[path] for path in test.paths),
    )
