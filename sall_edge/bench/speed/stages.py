"""From file to verdict, stage by stage, each beside the least that it could take."""

import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from pydantic import BaseModel, ConfigDict

from sall_edge.bench.speed.floor import (
    DECODE_FLOOR,
    REQUEST_FLOOR,
    TOTAL_FLOOR,
    Floor,
    FloorTimes,
    bare_request,
    without_request,
)
from sall_edge.bench.speed.latency import summarise
from sall_edge.runtime.session import Session
from sall_edge.screening.verdict import Look, judge, look

__all__ = ["STAGES", "STAGES_SHARE", "Stage", "Stages", "measure_stages"]

STAGES = ("decode", "field", "cut", "quality", "copy", "infer", "post")
"""In the order in which a photograph goes through them; together with what lies between them they are the total."""

STAGES_SHARE = 0.25
"""Part of a profile's time that goes to the stages."""

TOTAL = "total"
MOST_PHOTOGRAPHS = 50
MOST_ROUNDS = 20
"""Times 50 photographs they are more than a p99 needs."""
FIRST_ROUND_SHARE = 0.25
"""Part of the time for the round that warms up; what was not reached in it is not measured."""


class Stage(BaseModel):
    """Percentiles of one stage; null where the sample is too small to state one.

    Attributes:
        name: One of STAGES, or "total".
        n: Photographs, times rounds.
        floor: What the least is, in words, such as "bare decode at the same scale"; empty where nothing is asked for.
        floor_p50_ms: The least, measured in turn with the stage, photograph by photograph.
        over_floor: Stage over floor, of the means of the photographs' medians; null without a floor.
    """

    model_config = ConfigDict(frozen=True)

    name: str
    n: int
    p50_ms: float
    p90_ms: float | None
    p99_ms: float | None
    floor: str = ""
    floor_p50_ms: float | None = None
    over_floor: float | None = None


class Stages(BaseModel):
    """All stages of photographs that go from file to verdict one at a time.

    Attributes:
        photographs: How many different ones.
        rounds: How often each.
        stages: In the order of STAGES.
        total: From file to verdict; its floor is the bare decode and the bare request.
        per_photograph_ms: By name of the stage, mean; what a bar of parts is drawn from.
        left_out: Photographs that were tried and have no verdict: they cannot be read, or must not be graded.
    """

    model_config = ConfigDict(frozen=True)

    photographs: int
    rounds: int
    stages: tuple[Stage, ...]
    total: Stage
    per_photograph_ms: dict[str, float]
    left_out: int = 0


@dataclass(slots=True)
class _Samples:
    """Milliseconds of one photograph, a value a round."""

    product: dict[str, list[float]] = field(default_factory=dict)
    floor: dict[str, list[float]] = field(default_factory=dict)

    def add(self, product: dict[str, float], floor: FloorTimes) -> None:
        for name, value in product.items():
            self.product.setdefault(name, []).append(value)
        for name, least in (("decode", floor.decode_ms), ("infer", floor.infer_ms), (TOTAL, floor.total_ms)):
            if least is not None:
                self.floor.setdefault(name, []).append(least)


def measure_stages(
    session: Session,
    paths: Sequence[Path],
    *,
    seconds: float,
    rounds: int = MOST_ROUNDS,
    advance: Callable[[], None] = lambda: None,
) -> Stages | None:
    """Photographs from file to verdict one at a time, and their floors, in turn, photograph by photograph.

    A first round warms up and finds how many photographs the time allows, at most 50, evenly drawn. From then on files
    come from the system's cache. Whole rounds are measured, at least one. None when no photograph that was tried can
    be read and graded.

    Args:
        session: An open engine, from `open_session`.
        paths: Photographs.
        seconds: How long, about; a round that has begun is ended.
        rounds: Most rounds.
        advance: Called after every photograph of every round.
    """
    scales, left_out, floor = _first_round(session, paths, FIRST_ROUND_SHARE * seconds, advance)
    if floor is None:
        return None
    end = time.perf_counter() + (1 - FIRST_ROUND_SHARE) * seconds
    samples = {path: _Samples() for path in scales}
    done = 0
    while done < rounds and (not done or time.perf_counter() < end):
        for path, scale in scales.items():
            product = _product(session, path)[1]
            samples[path].add(product, floor.measure(path, scale))
            advance()
        done += 1
    return _stages(list(samples.values()), session, rounds=done, left_out=left_out)


def _first_round(
    session: Session, paths: Sequence[Path], seconds: float, advance: Callable[[], None]
) -> tuple[dict[Path, int], int, Floor | None]:
    """The scale of each photograph that will be measured, how many were left out, and what measures the floor."""
    end = time.perf_counter() + seconds
    scales: dict[Path, int] = {}
    left_out = 0
    floor: Floor | None = None
    for path in _evenly(paths)[:MOST_PHOTOGRAPHS]:
        looked, _ = _product(session, path)
        advance()
        if looked.prepared is None or looked.reasons:
            left_out += 1
        else:
            if floor is None:
                compiling = time.perf_counter()
                floor = Floor(bare_request(session, looked.prepared.square))
                end += time.perf_counter() - compiling
            scales[path] = looked.prepared.scale_denominator
            floor.measure(path, scales[path])
        if scales and time.perf_counter() > end:
            break
    return scales, left_out, floor


def _evenly(paths: Sequence[Path]) -> list[Path]:
    """All of them, so ordered that any number from the start is spread over the whole (van der Corput)."""
    return [paths[index] for index in sorted(range(len(paths)), key=lambda index: f"{index:032b}"[::-1])]


def _product(session: Session, path: Path) -> tuple[Look, dict[str, float]]:
    """One photograph through the product, as `screening.examine` does it, and the milliseconds of each stage.

    The stages are only known of a photograph that was graded.
    """
    start = time.perf_counter()
    looked = look(path, session.manifest.image)
    seen = time.perf_counter()
    judge(session, looked)
    end = time.perf_counter()
    if looked.prepared is None or looked.reasons:
        return looked, {}
    times = session.times
    return looked, {
        "decode": looked.prepared.decode_ms,
        "field": looked.prepared.field_ms,
        "cut": looked.prepared.cut_ms,
        "quality": looked.quality_ms,
        "copy": times.copy_ms,
        "infer": times.infer_ms,
        "post": (end - seen) * 1e3 - times.copy_ms - times.infer_ms,
        TOTAL: (end - start) * 1e3,
    }


def _stages(samples: Sequence[_Samples], session: Session, *, rounds: int, left_out: int) -> Stages:
    has_request = "infer" in samples[0].floor
    absent = without_request(session.served_by.backend)
    floors = {
        "decode": DECODE_FLOOR,
        "infer": REQUEST_FLOOR if has_request else absent,
        TOTAL: TOTAL_FLOOR if has_request else absent,
    }
    stages = {name: _stage(name, samples, floors.get(name, "")) for name in (*STAGES, TOTAL)}
    return Stages(
        photographs=len(samples),
        rounds=rounds,
        stages=tuple(stages[name] for name in STAGES),
        total=stages[TOTAL],
        per_photograph_ms={name: statistics.fmean(_all(samples, name)) for name in STAGES},
        left_out=left_out,
    )


def _all(samples: Sequence[_Samples], name: str) -> list[float]:
    return [value for one in samples for value in one.product[name]]


def _stage(name: str, samples: Sequence[_Samples], floor: str) -> Stage:
    summary = summarise(_all(samples, name), scenario="SingleStream", inside_timer=(name,))
    least = [one.floor[name] for one in samples if name in one.floor]
    medians = statistics.fmean(statistics.median(one.product[name]) for one in samples)
    return Stage(
        name=name,
        n=summary.n,
        p50_ms=summary.p50_ms,
        p90_ms=summary.p90_ms,
        p99_ms=summary.p99_ms,
        floor=floor,
        floor_p50_ms=statistics.median(value for values in least for value in values) if least else None,
        over_floor=medians / statistics.fmean(statistics.median(values) for values in least) if least else None,
    )
