"""A day in a clinic: a photograph now and then, from file to verdict, beside the same photographs without a pause.

After a pause clocks have dropped and the file is no longer in memory. A bench that only hurries sees neither.
"""

import os
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
from pydantic import BaseModel, ConfigDict

from sall_edge.bench.speed.latency import LEAST_SAMPLES
from sall_edge.runtime.session import Session
from sall_edge.screening.verdict import examine

__all__ = ["LONGEST_GAP_S", "SHORTEST_GAP_S", "Clinic", "Runs", "draw_gaps", "measure_clinic"]

SHORTEST_GAP_S, LONGEST_GAP_S = 30.0, 120.0
"""Between two photographs of a clinic: the other eye, the next patient."""
ROUNDS = 5
"""Of all photographs without a pause; the first only brings files and clocks back, and is not counted."""
DROPPED = "the kernel was asked to drop each file's pages (posix_fadvise); it does not say whether it did"
INSIDE_TIMER = ("read", "decode", "field", "cut", "quality", "copy in", "inference", "copy out", "verdict")


_Timed = tuple[float, dict[str, float]]
"""Milliseconds from file to verdict, and of its parts."""


class Runs(BaseModel):
    """Photographs from file to verdict in one manner.

    Attributes:
        name: "after a gap" or "back to back".
        n: Verdicts.
        p50_ms, largest_ms: Of those.
        p90_ms: Null below 64 verdicts.
        parts_ms: Medians of "decode" (with reading), "prepare" and "infer"; what they leave of p50_ms lies between.
    """

    model_config = ConfigDict(frozen=True)

    name: str
    n: int
    p50_ms: float
    p90_ms: float | None
    largest_ms: float
    parts_ms: dict[str, float]


class Clinic(BaseModel):
    """A session in which photographs came now and then, beside one without pauses; the same photographs in both.

    Attributes:
        photographs: How many different ones came.
        after_gap, back_to_back: The two manners.
        ratio: p50 after a gap over p50 back to back.
        gaps_s: The pause before each photograph.
        inside_timer: What the milliseconds hold.
        page_cache: Whether the files had to be read from the disk after a gap, as far as that is known.
        ended_early: Ctrl-C came before the last gap.
    """

    model_config = ConfigDict(frozen=True)

    photographs: int
    after_gap: Runs
    back_to_back: Runs
    ratio: float
    gaps_s: tuple[float, ...]
    inside_timer: tuple[str, ...] = INSIDE_TIMER
    page_cache: str
    ended_early: bool


def draw_gaps(seconds: float, full_seconds: float, rng: np.random.Generator) -> tuple[float, ...]:
    """Pauses that fill `seconds`: 30 to 120 s each, all equally likely; at least one.

    Args:
        seconds: How long the clinic lasts.
        full_seconds: How long the profile asks for. A shorter clinic has shorter gaps in proportion, not fewer.
        rng: Draws them.
    """
    shrunk = min(1.0, seconds / full_seconds)
    gaps: list[float] = []
    while not gaps or sum(gaps) < seconds:
        gaps.append(float(rng.uniform(SHORTEST_GAP_S, LONGEST_GAP_S)) * shrunk)
    return tuple(gaps)


def measure_clinic(
    session: Session,
    photographs: Sequence[Path],
    gaps_s: Sequence[float],
    *,
    advance: Callable[[], None] = lambda: None,
) -> Clinic:
    """All photographs without a pause, then one after every gap. Ctrl-C ends it, and what was measured stays.

    Args:
        session: An open engine.
        photographs: Files that can be read, taken in turn.
        gaps_s: From `draw_gaps`.
        advance: Called after every photograph that followed a gap.

    Raises:
        KeyboardInterrupt: Ctrl-C before the first photograph after a gap: nothing is there to be kept.
    """
    coming = [photographs[turn % len(photographs)] for turn in range(len(gaps_s))]
    quick: dict[Path, list[_Timed]] = {path: [] for path in coming}
    for _ in range(ROUNDS):
        for path, timed in quick.items():
            timed.append(_timed(session, path))
    slow: list[_Timed] = []
    dropped = DROPPED
    try:
        for path, gap in zip(coming, gaps_s, strict=True):
            time.sleep(gap)
            dropped = _drop_pages(path) or dropped
            slow.append(_timed(session, path))
            advance()
    except KeyboardInterrupt:
        if not slow:
            raise
    return _clinic(coming[: len(slow)], quick, slow, gaps_s, dropped)


def _clinic(
    coming: Sequence[Path],
    quick: Mapping[Path, Sequence[_Timed]],
    slow: Sequence[_Timed],
    gaps_s: Sequence[float],
    page_cache: str,
) -> Clinic:
    came = dict.fromkeys(coming)
    after_gap = _runs("after a gap", slow)
    back_to_back = _runs("back to back", [one for path in came for one in quick[path][1:]])
    return Clinic(
        photographs=len(came),
        after_gap=after_gap,
        back_to_back=back_to_back,
        ratio=after_gap.p50_ms / back_to_back.p50_ms,
        gaps_s=tuple(gaps_s[: len(slow)]),
        page_cache=page_cache,
        ended_early=len(slow) < len(gaps_s),
    )


def _timed(session: Session, path: Path) -> _Timed:
    start = time.perf_counter()
    examined = examine(session, path)
    return (time.perf_counter() - start) * 1e3, examined.result.ms


def _drop_pages(path: Path) -> str:
    """Empty when the kernel was asked; else why it could not be."""
    if not hasattr(os, "posix_fadvise"):
        return "files may have stayed in memory: this system has no posix_fadvise"
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
    except OSError as refused:
        return f"files may have stayed in memory: posix_fadvise: {refused.strerror}"
    finally:
        os.close(descriptor)
    return ""


def _runs(name: str, timed: Sequence[_Timed]) -> Runs:
    totals = [total for total, _ in timed]
    parts = {
        part: round(float(np.median([ms[part] for _, ms in timed if part in ms])), 3)
        for part in ("decode", "prepare", "infer")
        if any(part in ms for _, ms in timed)
    }
    p90 = float(np.percentile(totals, 90, method="inverted_cdf")) if len(totals) >= LEAST_SAMPLES[90] else None
    return Runs(
        name=name,
        n=len(totals),
        p50_ms=float(np.median(totals)),
        p90_ms=p90,
        largest_ms=max(totals),
        parts_ms=parts,
    )
