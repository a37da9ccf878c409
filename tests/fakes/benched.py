"""Reports of benches that never ran: answers drawn from labels, latencies from a clock that drifts."""

import math

import numpy as np

from sall_edge.bench.accuracy.side_by_side import Answer
from sall_edge.bench.measure import BenchReport
from sall_edge.bench.speed.latency import Latency, Throughput
from sall_edge.bench.speed.trace import Moment
from sall_edge.spec import Profile, Task

TASK = Task(name="dr", title="DR", column="dr_grade", grades=("none", "mild", "severe"), referable_from=1)


def answers(seed: int, *, count: int = 200, skill: float = 1.5, noise: float = 0.0) -> tuple[Answer, ...]:
    """One patient for two photographs; labels and difficulty depend on nothing but the count.

    Args:
        seed: Of the noise.
        count: Photographs.
        skill: How far the label moves the logits.
        noise: Standard deviation of what differs from seed to seed, in logits.
    """
    shared, own = np.random.default_rng(99), np.random.default_rng(seed)
    labels = shared.integers(3, size=count)
    logits = shared.normal(size=(count, 3)) + skill * np.eye(3)[labels] + noise * own.normal(size=(count, 3))
    probs = (np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)).astype(np.float32)
    return tuple(
        Answer(
            image=f"images/{i}.jpg",
            sha256=f"{i:064x}",
            patient=i // 2,
            labels={"dr": int(labels[i])},
            probs={"dr": tuple(float(str(p)) for p in probs[i])},
        )
        for i in range(count)
    )


def over_time(seed: int, *, p50_ms: float = 5.0, moments: int = 40) -> tuple[Moment, ...]:
    """A run of which neighbouring moments are alike, as clocks and neighbours make them."""
    rng = np.random.default_rng(seed)
    drift, run = 0.0, []
    for i in range(moments):
        drift = 0.7 * drift + 0.01 * float(rng.normal())
        value = p50_ms * math.exp(drift)
        run.append(Moment(at_s=i + 1.0, n=100, p50_ms=value, largest_ms=2 * value))
    return tuple(run)


def benched(seed: int = 0, *, p50_ms: float = 5.0, of: tuple[Answer, ...] = ()) -> BenchReport:
    """A report of a standard run."""
    moments = over_time(seed, p50_ms=p50_ms)
    return BenchReport(
        engine="engines/int8",
        engine_sha256="ab" * 32,
        target="openvino-cpu",
        precision="int8",
        profile=Profile.STANDARD,
        device={"cpu": "a CPU", "cores": 2, "python": "3.11.7"},
        versions={"openvino": "2026.1"},
        latency=Latency(
            scenario="SingleStream",
            n=4000,
            p50_ms=float(np.median([moment.p50_ms for moment in moments])),
            p90_ms=1.5 * p50_ms,
            p99_ms=None,
            inside_timer=("inference",),
        ),
        throughput=Throughput(images_per_s=1000 / p50_ms, batch=8),
        memory={"peak_rss_mb": 300.0},
        tasks=(TASK,),
        operating_points={"dr": 0.6},
        over_time=moments,
        answers=of,
    )
