"""One engine, measured: latency, throughput, accuracy, and what changed against the FP32 graph."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict, Field

from sall_edge.artifacts import Engine
from sall_edge.bench.accuracy import ReliabilityBin, TaskAccuracy, measure_task, referable_probability, reliability_bins
from sall_edge.bench.clinic import Clinic
from sall_edge.bench.columns import Group, Imageability
from sall_edge.bench.latency import Latency, Throughput
from sall_edge.bench.memory import forget_peak
from sall_edge.bench.monitor import Monitored
from sall_edge.bench.monitors.here import monitors_here
from sall_edge.bench.stages import STAGES_SHARE, Stages, measure_stages
from sall_edge.bench.timing import BATCH, time_session
from sall_edge.bench.trace import Moment
from sall_edge.bench.watch import Watch
from sall_edge.errors import LabelsError
from sall_edge.fundus.labels import LabelledPhotograph
from sall_edge.fundus.prepared_set import PreparedSet
from sall_edge.runtime.session import Session, open_reference, open_session
from sall_edge.spec import Profile, Task

__all__ = [
    "BenchReport",
    "Flip",
    "Moment",
    "Reference",
    "bench",
    "labelled_rows",
    "measure_accuracy",
]

U8 = npt.NDArray[np.uint8]
F32 = npt.NDArray[np.float32]
Ints = npt.NDArray[np.int64]


class Flip(BaseModel):
    """A photograph whose referral differs between the engine and the FP32 graph."""

    model_config = ConfigDict(frozen=True, populate_by_name=True)

    image: str
    task: str
    before: str = Field(serialization_alias="from")
    after: str = Field(serialization_alias="to")
    probability_before: float
    probability_after: float


class Reference(BaseModel):
    """The FP32 graph on the same photographs; `agreement` is the share with the same grade."""

    model_config = ConfigDict(frozen=True)

    precision: str = "fp32"
    accuracy: dict[str, TaskAccuracy]
    agreement: dict[str, float]


class Roc(BaseModel):
    """A curve over all operating points, thinned; and where the frozen one lies.

    Attributes:
        false_positive_rate, true_positive_rate: Equally many points from (0, 0) to (1, 1), 0..1.
        operating_point: The frozen one's false positive rate and true positive rate.
    """

    model_config = ConfigDict(frozen=True)

    false_positive_rate: tuple[float, ...]
    true_positive_rate: tuple[float, ...]
    operating_point: tuple[float, float]


class BenchReport(BaseModel):
    """What `sall-edge bench --json` prints for one engine.

    Attributes:
        not_for_claims: Why nobody should quote the speed: a short profile, throttling, another process that computed, a
            plain loop instead of LoadGen. Empty when it may be quoted.
        memory: `peak_rss_mb` from the opening of the engine to the end of a short plain run, without LoadGen's queries
            and the FP32 graph, which a device never holds. `start_rss_mb` was there before the engine.
        clinic: Of the clinic profile.
        distribution_ms: Latencies in order, thinned to a few hundred: what a distribution is drawn from.
        over_time: Latency against time.
        confusion: By task, rows are labels and columns are the engine's grades.
        roc: By task; absent where the labels hold one class only.
        groups: By column and value.
    """

    model_config = ConfigDict(frozen=True)

    engine: str
    engine_sha256: str
    target: str
    precision: str
    profile: Profile
    device: dict[str, Any]
    versions: dict[str, str]
    latency: Latency
    throughput: Throughput
    memory: dict[str, float]
    photographs: int = 0
    failures: dict[str, str] = {}
    accuracy: dict[str, TaskAccuracy] = {}
    reliability: dict[str, tuple[ReliabilityBin, ...]] = {}
    reference: Reference | None = None
    flips: tuple[Flip, ...] = ()
    not_for_claims: tuple[str, ...] = ()
    distribution_ms: tuple[float, ...] = ()
    over_time: tuple[Moment, ...] = ()
    clinic: Clinic | None = None
    stages: Stages | None = None
    monitored: Monitored | None = None
    imageability: Imageability | None = None
    confusion: dict[str, tuple[tuple[int, ...], ...]] = {}
    roc: dict[str, Roc] = {}
    groups: tuple[Group, ...] = ()


def predict_all(session: Session, squares: U8, *, advance: Callable[[], None] = lambda: None) -> dict[str, F32]:
    """Per task the (n, K) probabilities, one square at a time as in screening."""
    rows: dict[str, list[F32]] = {}
    for square in squares:
        for name, probs in session.run(square).probs.items():
            rows.setdefault(name, []).append(probs)
        advance()
    return {name: np.stack(probs) for name, probs in rows.items()}


def measure_accuracy(
    photographs: Sequence[LabelledPhotograph],
    tasks: Sequence[Task],
    probs: dict[str, F32],
    operating_points: dict[str, float],
    *,
    seed: int = 0,
) -> dict[str, TaskAccuracy]:
    """The `accuracy` object: every task that has labels here, over its labelled photographs."""
    report: dict[str, TaskAccuracy] = {}
    for task in tasks:
        labelled, grades = labelled_rows(photographs, task)
        if len(labelled):
            patients = [photographs[i].patient_id for i in labelled]
            rng = np.random.default_rng(seed)
            point = operating_points[task.name]
            report[task.name] = measure_task(task, grades, probs[task.name][labelled], point, patients, rng=rng)
    return report


def labelled_rows(photographs: Sequence[LabelledPhotograph], task: Task) -> tuple[Ints, Ints]:
    """Positions of the photographs that have a grade for the task, and those grades."""
    known = [(i, grade) for i, p in enumerate(photographs) if (grade := p.grades.get(task.name)) is not None]
    table = np.array(known, dtype=np.int64).reshape(-1, 2)
    return table[:, 0], table[:, 1]


def find_flips(
    photographs: Sequence[LabelledPhotograph],
    tasks: Sequence[Task],
    before: dict[str, F32],
    after: dict[str, F32],
    operating_points: dict[str, float],
) -> tuple[Flip, ...]:
    """Every photograph whose referral changes; lost referrals first, since they do the harm."""
    words = {True: "referable", False: "not referable"}
    flips: list[Flip] = []
    for task in tasks:
        old, new = referable_probability(before[task.name], task), referable_probability(after[task.name], task)
        point = operating_points[task.name]
        flips += [
            Flip(
                image=str(photographs[i].path),
                task=task.name,
                before=words[bool(old[i] >= point)],
                after=words[bool(new[i] >= point)],
                probability_before=float(old[i]),
                probability_after=float(new[i]),
            )
            for i in np.flatnonzero((old >= point) != (new >= point)).tolist()
        ]
    return tuple(sorted(flips, key=lambda flip: (flip.after == "referable", flip.task, flip.image)))


def bench(
    engine: Engine,
    prepared: PreparedSet | None,
    profile: Profile,
    *,
    device: dict[str, Any],
    seconds: float | None = None,
    stage: Callable[[str, int], None] = lambda name, total: None,
    advance: Callable[[], None] = lambda: None,
) -> BenchReport:
    """Measures one engine; without photographs only its speed, on noise.

    Args:
        engine: What is measured.
        prepared: Labelled photographs, or None.
        profile: What is asked of it.
        device: This machine, from `runtime.machine.describe`.
        seconds: Instead of the profile's own.
        stage: Called before photographs are graded, with how many steps that takes.
        advance: Called after each step.

    Raises:
        LabelsError: The clinic profile without photographs.
        SallEdgeError: The engine cannot be opened.
    """
    _check_photographs(profile, prepared)
    manifest = engine.manifest
    side = manifest.image.side_px
    noise = np.random.default_rng(0).integers(0, 256, (BATCH, side, side, 3), dtype=np.uint8)
    squares = noise if prepared is None else prepared.squares
    paths = [] if prepared is None else [photograph.path for photograph in prepared.photographs]
    asked_s = profile.seconds if seconds is None else seconds
    start_rss_mb = forget_peak()
    with open_session(engine) as session:
        before = session.answered
        with Watch(monitors_here(session.served_by.backend)) as watch:
            timing = time_session(session, squares, paths, profile, seconds=asked_s, stage=stage, advance=advance)
        monitored = watch.monitored(session.answered - before)
        stages = measure_stages(session, paths, seconds=asked_s * STAGES_SHARE) if paths else None
        if prepared:
            stage("grading, engine and FP32", 2 * len(paths))
        after = predict_all(session, squares, advance=advance) if prepared else {}
    report = BenchReport(
        engine=str(engine.path),
        engine_sha256=engine.sha256,
        target=manifest.target.name,
        precision=manifest.precision.value,
        profile=profile,
        device={name: fact for name, fact in device.items() if name != "versions"},
        versions=device["versions"],
        latency=timing.speed.latency,
        throughput=timing.speed.throughput,
        memory={"peak_rss_mb": timing.peak_rss_mb, "start_rss_mb": start_rss_mb},
        not_for_claims=timing.not_for_claims(profile, monitored.throttled),
        distribution_ms=timing.speed.trace.distribution_ms(),
        over_time=timing.speed.trace.over_time(),
        clinic=timing.clinic,
        stages=stages,
        monitored=monitored,
    )
    return report if prepared is None else _with_accuracy(report, engine, prepared, after, advance)


def _check_photographs(profile: Profile, prepared: PreparedSet | None) -> None:
    if profile is Profile.CLINIC and prepared is None:
        raise LabelsError(
            "the clinic profile has no photographs", "it goes from a file to a verdict", "name some: --labels CSV"
        )


def _with_accuracy(
    report: BenchReport,
    engine: Engine,
    prepared: PreparedSet,
    after: dict[str, F32],
    advance: Callable[[], None],
) -> BenchReport:
    tasks, points = engine.manifest.tasks, engine.manifest.operating_points
    with open_reference(engine) as session:
        before = predict_all(session, prepared.squares, advance=advance)
    agreement = {
        task.name: float((before[task.name].argmax(axis=1) == after[task.name].argmax(axis=1)).mean()) for task in tasks
    }
    reference = Reference(accuracy=measure_accuracy(prepared.photographs, tasks, before, points), agreement=agreement)
    reliability = {}
    for task in tasks:
        labelled, grades = labelled_rows(prepared.photographs, task)
        if len(labelled):
            reliability[task.name] = reliability_bins(grades, after[task.name][labelled])
    return report.model_copy(
        update={
            "reliability": reliability,
            "photographs": len(prepared.photographs),
            "failures": {str(path): what for path, what in prepared.failures},
            "accuracy": measure_accuracy(prepared.photographs, tasks, after, points),
            "reference": reference,
            "flips": find_flips(prepared.photographs, tasks, before, after, points),
        }
    )
