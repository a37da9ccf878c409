"""Arms that take turns, ratios between them, the JSON that keeps the result: what the scripts of this folder share."""

import json
import random
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from sall_edge.runtime.machine import describe

RESAMPLES = 1000
BLOCKS = 30
"""Rounds of one block stand or fall together: what else the machine does lasts longer than a round."""


def in_turn(
    arms: Mapping[str, Callable[[], float | None]], *, rounds: int, warm_up: int = 1, pause_s: float = 0.0
) -> dict[str, list[float]]:
    """Milliseconds by arm, one a round, in an order that is drawn for each: no arm always follows the same one.

    Args:
        arms: What takes turns. An arm that returns a number has measured itself, in milliseconds.
        rounds: How many count.
        warm_up: How many go before and do not count.
        pause_s: After each arm: threads of the one before go on spinning for a while.
    """
    samples: dict[str, list[float]] = {name: [] for name in arms}
    names = list(arms)
    order = random.Random(0)
    for index in range(-warm_up, rounds):
        for name in order.sample(names, len(names)):
            start = time.perf_counter()
            own_ms = arms[name]()
            ms = (time.perf_counter() - start) * 1e3 if own_ms is None else own_ms
            if index >= 0:
                samples[name].append(ms)
            time.sleep(pause_s)
    return samples


def ratio(above: Sequence[float], below: Sequence[float], *, seed: int = 0) -> dict[str, float]:
    """Ratio of the medians of two arms of one run, with its 95 % interval: whole blocks of rounds are drawn again."""
    blocks = np.array_split(np.arange(len(above)), min(BLOCKS, len(above)))
    top, bottom = np.asarray(above), np.asarray(below)
    rng = np.random.default_rng(seed)
    drawn = []
    for _ in range(RESAMPLES):
        rows = np.concatenate([blocks[i] for i in rng.integers(0, len(blocks), len(blocks))])
        drawn.append(np.median(top[rows]) / np.median(bottom[rows]))
    low, high = np.percentile(drawn, [2.5, 97.5])
    value = statistics.median(above) / statistics.median(below)
    return {"ratio": round(value, 4), "low": round(float(low), 4), "high": round(float(high), 4)}


def ratio_within_rounds(above: Sequence[float], below: Sequence[float], *, seed: int = 0) -> dict[str, float]:
    """Median over rounds of the ratio within a round, with its 95 % interval: rounds are drawn again.

    For arms of seconds: where a machine changes between two speeds from round to round, medians of arms compare one
    speed with the other.
    """
    ratios = np.asarray(above) / np.asarray(below)
    draws = np.random.default_rng(seed).integers(0, len(ratios), (RESAMPLES, len(ratios)))
    low, high = np.percentile(np.median(ratios[draws], axis=1), [2.5, 97.5])
    return {"ratio": round(float(np.median(ratios)), 4), "low": round(float(low), 4), "high": round(float(high), 4)}


def percentiles(values: Sequence[float]) -> dict[str, float]:
    """p50, p90 and the most."""
    return {
        "p50": round(statistics.median(values), 1),
        "p90": round(float(np.percentile(values, 90)), 1),
        "max": round(max(values), 1),
    }


def in_words(name: str, found: Mapping[str, float]) -> str:
    """A ratio on one line."""
    return f"{name}: {found['ratio']:.3f} ({found['low']:.3f} to {found['high']:.3f})"


def write_result(path: Path | None, result: Mapping[str, Any]) -> None:
    """The result with this machine's description beside it; nothing where no file is asked for."""
    if path is not None:
        path.write_text(json.dumps({**result, "device": describe()}, indent=2) + "\n", encoding="utf-8")
