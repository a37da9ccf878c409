"""One engine, measured: latency, throughput, accuracy, and what changed against the FP32 graph."""

from collections.abc import Callable
from typing import Any

import numpy as np
from pydantic import BaseModel, ConfigDict

from sall_edge.artifacts import Engine
from sall_edge.bench.accuracy.columns import Group, Imageability
from sall_edge.bench.accuracy.gradable_set import GradableSet
from sall_edge.bench.accuracy.grading import Flip, predict_all
from sall_edge.bench.accuracy.metrics import ReliabilityBin, TaskAccuracy
from sall_edge.bench.accuracy.roc import Roc
from sall_edge.bench.accuracy.side_by_side import Answer, Reference, ReferenceAnswers, judge_answers
from sall_edge.bench.monitors.here import monitors_here
from sall_edge.bench.monitors.monitor import Monitored
from sall_edge.bench.monitors.watch import Watch
from sall_edge.bench.speed.clinic import Clinic
from sall_edge.bench.speed.latency import Latency, Throughput
from sall_edge.bench.speed.memory import forget_peak
from sall_edge.bench.speed.stages import STAGES_SHARE, Stages, measure_stages
from sall_edge.bench.speed.timing import BATCH, Timing, time_session
from sall_edge.bench.speed.trace import Moment
from sall_edge.errors import LabelsError
from sall_edge.runtime.session import open_session
from sall_edge.spec import Profile, Task

__all__ = ["BenchReport", "bench"]


class BenchReport(BaseModel):
    """What `sall-edge bench --json` prints for one engine.

    Attributes:
        not_for_claims: Why nobody should quote the speed: a short profile, throttling, another process that computed, a
            plain loop instead of LoadGen. Empty when it may be quoted.
        distribution_ms: Latencies in order, thinned to a few hundred: what a distribution is drawn from.
        over_time: Latency against time.
        memory: `peak_rss_mb` from the opening of the engine to the end of a short plain run, without LoadGen's queries
            and the FP32 graph, which a device never holds. `start_rss_mb` was there before the engine.
        clinic: Of the clinic profile.
        tasks: Those of the engine, in output order; empty without labels.
        operating_points: By task.
        photographs: How many were graded: those that `screen` would grade. A quality task is measured on all that the
            engine was asked about, which `answers` lists.
        failures: What is wrong with the files that cannot be read.
        retakes: Reasons of the photographs that `screen` would send back.
        confusion: By task, rows are labels and columns are the engine's grades.
        roc: By task; absent where the labels hold one class only.
        groups: By column and value.
        answers: By photograph that the engine was asked about: what `bench --compare` pairs two runs by.
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
    tasks: tuple[Task, ...] = ()
    operating_points: dict[str, float] = {}
    photographs: int = 0
    failures: dict[str, str] = {}
    retakes: dict[str, tuple[str, ...]] = {}
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
    answers: tuple[Answer, ...] = ()


def bench(
    engine: Engine,
    prepared: GradableSet | None,
    profile: Profile,
    *,
    device: dict[str, Any],
    seconds: float | None = None,
    references: ReferenceAnswers | None = None,
    stage: Callable[[str, int], None] = lambda name, total: None,
    advance: Callable[[], None] = lambda: None,
) -> BenchReport:
    """Measures one engine; without photographs only its speed, on noise.

    Args:
        engine: What is measured.
        prepared: Labelled photographs that were looked at, or None.
        profile: What is asked of it.
        device: This machine, from `runtime.machine.describe`.
        seconds: Instead of the profile's own.
        references: Of the engines measured before on these photographs, whose FP32 graph may be this one's too.
        stage: Called before photographs are graded, with how many steps that takes.
        advance: Called after each step.

    Raises:
        LabelsError: The clinic profile without photographs.
        SallEdgeError: The engine cannot be opened.
    """
    _check_photographs(profile, prepared)
    side = engine.manifest.image.side_px
    noise = np.random.default_rng(0).integers(0, 256, (BATCH, side, side, 3), dtype=np.uint8)
    squares = noise if prepared is None else prepared.squares
    paths = [] if prepared is None else [photograph.path for photograph in prepared.photographs]
    asked_s = profile.seconds if seconds is None else seconds
    start_rss_mb = forget_peak()
    with open_session(engine) as session:
        answered_before = session.answered
        with Watch(monitors_here(session.served_by.backend)) as watch:
            timing = time_session(session, squares, paths, profile, seconds=asked_s, stage=stage, advance=advance)
        monitored = watch.monitored(session.answered - answered_before)
        stages = measure_stages(session, paths, seconds=asked_s * STAGES_SHARE) if paths else None
        if prepared:
            stage("grading, engine and FP32", 2 * len(paths))
        after = predict_all(session, squares, advance=advance) if prepared else {}
    report = _with_speed(engine, profile, timing, monitored, stages, device, start_rss_mb)
    if prepared is None:
        return report
    before = (references or ReferenceAnswers()).of(engine, squares, advance=advance)
    return report.model_copy(update=judge_answers(engine, prepared, before, after))


def _with_speed(
    engine: Engine,
    profile: Profile,
    timing: Timing,
    monitored: Monitored,
    stages: Stages | None,
    device: dict[str, Any],
    start_rss_mb: float,
) -> BenchReport:
    manifest = engine.manifest
    return BenchReport(
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


def _check_photographs(profile: Profile, prepared: GradableSet | None) -> None:
    if profile is Profile.CLINIC and prepared is None:
        raise LabelsError(
            "the clinic profile has no photographs", "it goes from a file to a verdict", "name some: --labels CSV"
        )
