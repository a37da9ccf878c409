"""Benches with every field filled, by hand: for the tests of reports, and for looking at one.

No number here was measured by anything; what they show is that a report shows them.
"""

import math
from pathlib import Path
from typing import Any

import numpy as np

from sall_edge.artifacts import EngineManifest
from sall_edge.bench.accuracy.columns import Group, Imageability
from sall_edge.bench.accuracy.grading import Flip
from sall_edge.bench.accuracy.metrics import ReliabilityBin, TaskAccuracy
from sall_edge.bench.accuracy.roc import Roc
from sall_edge.bench.accuracy.side_by_side import Reference
from sall_edge.bench.measure import BenchReport
from sall_edge.bench.monitors.monitor import Monitored, Reading
from sall_edge.bench.report.pictures import FlippedPhotograph, Picture
from sall_edge.bench.report.write import Benched, write_report
from sall_edge.bench.speed.latency import Latency, Throughput
from sall_edge.bench.speed.loadgen_log import EarlyStopping, LoadgenRun
from sall_edge.bench.speed.stages import Stage, Stages
from sall_edge.bench.speed.trace import Moment
from sall_edge.spec import Backend, ImageSpec, Precision, Profile, TargetSpec, Task

__all__ = [
    "ABSENT",
    "FACTS",
    "HOSTILE",
    "LOST",
    "NO_DIAGRAMS",
    "accuracy",
    "flip",
    "full_report",
    "manifest",
    "write_made_up",
]

LOST = "photos/lost.jpg"
HOSTILE = "<script src='http://example.org/x.js'>alert(1)</script>"
FACTS = {"date": "2026-01-02 03:04:05+00:00", "command": "sall-edge bench", "labels": HOSTILE}
NO_DIAGRAMS = {
    "distribution_ms": (),
    "over_time": (),
    "monitored": None,
    "stages": None,
    "roc": {},
    "reliability": {},
    "groups": (),
}
"""Quicker to write, where a test asks for words."""
ABSENT = {
    **NO_DIAGRAMS,
    "photographs": 0,
    "failures": {},
    "accuracy": {},
    "reference": None,
    "flips": (),
    "imageability": None,
    "confusion": {},
}
"""What a bench without photographs, sensors and LoadGen leaves out."""


def accuracy(*, sensitivity: float | None = 0.9125, n: int = 640) -> TaskAccuracy:
    """The same for every task and group, but for these two."""
    return TaskAccuracy(
        n=n,
        accuracy=0.625,
        quadratic_weighted_kappa=0.712,
        referable_auc=0.9375,
        sensitivity=sensitivity,
        specificity=0.8755,
        ece=0.0425,
        ece_if_calibrated=(0.03, 0.05),
        brier=0.5123,
        aurc=0.2031,
        interval={
            "referable_auc": (0.8125, 0.9875),
            "quadratic_weighted_kappa": (0.65, 0.76),
            "specificity": (0.84, 0.91),
            **({"sensitivity": (0.8715, 0.9485)} if sensitivity is not None else {}),
        },
    )


def flip(image: str, *, task: str = "dr", is_lost: bool = True) -> Flip:
    """One photograph whose referral changed, narrowly."""
    words = ("referable", "not referable")
    before, after = words if is_lost else words[::-1]
    odds = (0.61, 0.49) if is_lost else (0.49, 0.61)
    return Flip(
        image=image, task=task, before=before, after=after, probability_before=odds[0], probability_after=odds[1]
    )


def manifest(tasks: tuple[Task, ...]) -> EngineManifest:
    """Of a bundle that does not exist."""
    return EngineManifest(
        created="2026-01-02T03:04:05+00:00",
        image=ImageSpec(side_px=320),
        tasks=tasks,
        operating_points={task.name: 0.184 for task in tasks},
        parent_sha256="cd" * 32,
        files={"model.onnx": "ef" * 32, "engine.xml": "01" * 32},
        provenance={"kernels": {"summary": "49 of 53 convolutions INT8"}},
        target=TargetSpec(name="openvino-cpu", title="CPU with OpenVINO", backend=Backend.OPENVINO),
        precision=Precision.INT8,
        backend_version="2026.1",
        blob="engine.xml",
        golden_square=(0,),
    )


def full_report(tasks: tuple[Task, ...], **changes: Any) -> BenchReport:
    """An INT8 engine with every field filled; `changes` replace fields."""
    of_tasks = {task.name: accuracy() for task in tasks}
    filled = BenchReport(
        engine="engines/int8",
        engine_sha256="ab" * 32,
        target="openvino-cpu",
        precision="int8",
        profile=Profile.STANDARD,
        device={"cpu": "a made-up CPU", "cpu_flags": ["avx2", "avx512_vnni"], "cores": 4},
        versions={"sall-edge": "0.1.0", "openvino": "2026.1"},
        latency=_latency(),
        throughput=_throughput(),
        memory={"peak_rss_mb": 123.4},
        photographs=700,
        failures={"photos/broken.jpg": "it is empty"},
        accuracy=of_tasks,
        reliability={task.name: _bins() for task in tasks},
        reference=Reference(
            accuracy={task.name: accuracy(sensitivity=0.9205) for task in tasks},
            agreement={task.name: 0.9857 for task in tasks},
            referred={task.name: 143 for task in tasks},
            confusion={task.name: _confusion(len(task.grades), 3) for task in tasks},
            roc={task.name: _roc(0.21, 0.121) for task in tasks},
        ),
        flips=(flip(LOST), flip("photos/new.jpg", is_lost=False)),
        distribution_ms=_distribution(),
        over_time=_over_time(),
        stages=_stages(),
        monitored=_monitored(),
        imageability=_imageability(720, 700),
        confusion={task.name: _confusion(len(task.grades), 5) for task in tasks},
        roc={task.name: _roc(0.25, 0.125) for task in tasks},
        groups=_groups(of_tasks),
    )
    return filled.model_copy(update=changes)


def write_made_up(path: Path, tasks: tuple[Task, ...], *reports: BenchReport, flips: int = 2) -> str:
    """A report of them, with tiny pictures of the first flips; the page's text."""
    square = np.full((20, 30, 3), (200, 100, 50), np.uint8)
    pictures = tuple(Picture(pixels=square, caption=f"picture {i} {HOSTILE}") for i in range(3))
    benched = [
        Benched(
            report=report,
            manifest=manifest(tasks),
            flipped=tuple(FlippedPhotograph(flip=one, pictures=pictures) for one in report.flips[:flips]),
        )
        for report in reports
    ]
    write_report(path, benched, title="A bench", facts=FACTS, pictures=pictures[:1])
    return path.read_text(encoding="utf-8")


def _latency() -> Latency:
    return Latency(
        scenario="SingleStream",
        n=48_000,
        p50_ms=12.25,
        p90_ms=13.5,
        p99_ms=16.75,
        inside_timer=("LoadGen's call", "copy in", "inference", "copy out"),
        estimator="mlcommons-loadgen 6.0; p90 and p99 are its early-stopping estimates",
        loadgen=_run("SingleStream"),
    )


def _throughput() -> Throughput:
    estimator = "mlcommons-loadgen 6.0, Offline"
    return Throughput(images_per_s=431.6, batch=8, estimator=estimator, loadgen=_run("Offline"))


def _over_time() -> tuple[Moment, ...]:
    return tuple(
        Moment(at_s=10.0 * i, n=800, p50_ms=12 + 0.3 * math.sin(i / 6), largest_ms=15 + i * 5 % 7) for i in range(1, 61)
    )


def _run(scenario: str) -> LoadgenRun:
    return LoadgenRun(
        version="6.0",
        scenario=scenario,
        seeds={"qsl_rng_seed": 11, "sample_index_rng_seed": 12, "schedule_rng_seed": 13},
        settings={"min_query_count": 64, "test_mode": "PerformanceOnly"},
        min_duration_s=600,
        queries=48_000,
        is_valid=True,
        invalid_because=(),
        p50_ms=12.25,
        images_per_s=431.6 if scenario == "Offline" else None,
        early_stopping=EarlyStopping(p90_ms=13.5, p99_ms=16.75, said="Early stopping satisfied."),
    )


def _distribution() -> tuple[float, ...]:
    """400 quantiles of a logistic distribution's exponential, to the right of 11 ms."""
    return tuple(11.0 + 1.25 * ((i + 0.5) / (399.5 - i)) ** 0.33 for i in range(400))


def _stages() -> Stages:
    medians = {"decode": 21.0, "field": 1.9, "cut": 2.4, "quality": 1.2, "copy": 0.2, "infer": 12.25, "post": 0.05}
    floors = {"decode": ("bare decode at the same scale", 20.1), "infer": ("bare request", 11.9)}
    return Stages(
        photographs=40,
        rounds=5,
        stages=tuple(_stage(name, ms, *floors.get(name, ("", None))) for name, ms in medians.items()),
        total=_stage("total", 39.2, "bare decode and bare request", 32.0),
        per_photograph_ms={name: 1.03 * ms for name, ms in medians.items()},
    )


def _stage(name: str, p50_ms: float, floor: str, floor_p50_ms: float | None) -> Stage:
    over = None if floor_p50_ms is None else p50_ms / floor_p50_ms
    return Stage(
        name=name,
        n=200,
        p50_ms=p50_ms,
        p90_ms=1.2 * p50_ms,
        p99_ms=None,
        floor=floor,
        floor_p50_ms=floor_p50_ms,
        over_floor=over,
    )


def _monitored() -> Monitored:
    readings = tuple(
        Reading(at_s=5.0 * i, temperature_c=66 - 14 * math.exp(-i / 30), clock_mhz=3100 - 3 * i % 40, power_w=14.5)
        for i in range(120)
    )
    return Monitored(
        sources=("RAPL", "sysfs"),
        silent={"GPU clock": "there is no GPU here"},
        readings=readings,
        energy_mj_per_photograph=177.5,
    )


def _roc(bend: float, point: float) -> Roc:
    rates = tuple(i / 100 for i in range(101))
    return Roc(
        false_positive_rate=rates,
        true_positive_rate=tuple(rate**bend for rate in rates),
        operating_point=(point, point**bend),
    )


def _confusion(size: int, wrong: int) -> tuple[tuple[int, ...], ...]:
    counts = {0: 100, 1: wrong}
    return tuple(tuple(counts.get(abs(label - grade), 0) for grade in range(size)) for label in range(size))


def _bins() -> tuple[ReliabilityBin, ...]:
    return tuple(
        ReliabilityBin(low=i / 10, high=(i + 1) / 10, n=40 * i, confidence=i / 10 + 0.05, accuracy=i / 10 + 0.02)
        for i in range(3, 10)
    )


def _imageability(n: int, gradable: int) -> Imageability:
    return Imageability(
        n=n,
        gradable=gradable,
        share=gradable / n,
        interval=(gradable / n - 0.012, min(1.0, gradable / n + 0.011)),
        reasons={"too_dark": 14, "unreadable": 1, "blurred": 9},
    )


def _groups(of_tasks: dict[str, TaskAccuracy]) -> tuple[Group, ...]:
    values = [("set", "odir/labels.csv"), ("set", "other/labels.csv"), ("eye", "R"), ("eye", "L"), ("camera", "")]
    return tuple(
        Group(
            column=column,
            value=value,
            imageability=_imageability(360, 350),
            accuracy={} if value == "" else {name: accuracy(n=310 - 10 * i) for name in of_tasks},
        )
        for i, (column, value) in enumerate(values)
    )
