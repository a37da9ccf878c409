"""What `Session.run` adds to the bare OpenVINO request, and whether anything grows from call to call. One run.

    python benchmarks/session_overhead.py ENGINE [--rounds 3000] [--calls 10000] [--json FILE]

- bare:        start and wait for a request of the engine's graph, compiled with the same hints and threads, on a square
               that lies in its buffer; nobody reads the outputs.
- bare again:  the same, compiled a second time: how far two arms differ that do not.
- session:     `Session.run`: checks, copies the square in, starts, waits, copies every output out.

The arms take turns on the same square. Ratios are of medians; the interval draws blocks of rounds again. Target: at
most 1.03. Then `Session.run` alone, `--calls` times for resident memory and as often under tracemalloc; what is kept
after the second half of the calls beyond what was kept after the first is growth.
"""

import argparse
import gc
import json
import statistics
import tracemalloc
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from turns import in_turn, in_words, ratio, write_result

from sall_edge.artifacts import open_engine
from sall_edge.bench.speed.bare_request import BareRequest
from sall_edge.runtime.session import Session, open_session

TARGET = 1.03
SETTLE = 200
"""Calls before memory is looked at: buffers that are made once are no growth."""


def overhead(session: Session, square: np.ndarray, rounds: int) -> dict[str, Any]:
    """Medians and ratios."""
    engine = session.engine
    first, second = (
        BareRequest(engine.blob_path, square, threads=engine.manifest.target.threads) for _ in ("bare", "bare again")
    )
    arms: dict[str, Callable[[], float | None]] = {
        "bare": first.infer,
        "bare again": second.infer,
        "session": lambda: (session.run(square), None)[1],
    }
    samples = in_turn(arms, rounds=rounds, warm_up=SETTLE)
    return {
        "rounds": rounds,
        "p50_ms": {name: round(statistics.median(values), 4) for name, values in samples.items()},
        "least_ms": {name: round(min(values), 4) for name, values in samples.items()},
        "session_over_bare": ratio(samples["session"], samples["bare"]),
        "bare_again_over_bare": ratio(samples["bare again"], samples["bare"]),
        "target": TARGET,
    }


def resident_kib() -> int:
    """Of this process, now."""
    lines = Path("/proc/self/status").read_text(encoding="utf-8").splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmRSS"))


def run_often(session: Session, square: np.ndarray, calls: int) -> None:
    """What memory is looked at before and after."""
    for _ in range(calls):
        session.run(square)


def resident_growth(session: Session, square: np.ndarray, calls: int) -> dict[str, Any]:
    """Resident memory in ten looks; objects that the collector knows; its collections."""
    run_often(session, square, SETTLE)
    gc.collect()
    objects = len(gc.get_objects())
    collections = [generation["collections"] for generation in gc.get_stats()]
    looks = [resident_kib()]
    for _ in range(10):
        run_often(session, square, calls // 10)
        looks.append(resident_kib())
    collected = [generation["collections"] for generation in gc.get_stats()]
    gc.collect()
    return {
        "rss_kib": looks,
        "rss_growth_second_half_kib": looks[10] - looks[5],
        "objects_growth": len(gc.get_objects()) - objects,
        "collections_by_generation": [after - before for before, after in zip(collections, collected, strict=True)],
    }


def traced_growth(session: Session, square: np.ndarray, calls: int) -> dict[str, Any]:
    """Bytes that Python and NumPy hold longer than a call, by line, and what one call takes and gives back."""
    ignored = (tracemalloc.Filter(inclusive=False, filename_pattern=tracemalloc.__file__),)
    tracemalloc.start()
    run_often(session, square, SETTLE)
    snapshots = []
    for _ in range(3):
        gc.collect()
        snapshots.append(tracemalloc.take_snapshot().filter_traces(ignored))
        if len(snapshots) < 3:
            run_often(session, square, calls // 2)
    tracemalloc.reset_peak()
    before = tracemalloc.get_traced_memory()[0]
    session.run(square)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    halves = [after.compare_to(earlier, "lineno") for earlier, after in pairwise(snapshots)]
    grown = sorted((line for line in halves[1] if line.size_diff > 0), key=lambda line: -line.size_diff)
    return {
        "traced_growth_bytes_by_half": [sum(line.size_diff for line in half) for half in halves],
        "traced_growth_bytes_per_call": round(sum(line.size_diff for line in halves[1]) / (calls // 2), 3),
        "lines_that_grew": [f"{line.traceback}: {line.size_diff} B in {line.count_diff} blocks" for line in grown[:8]],
        "transient_bytes_of_a_call": peak - before,
    }


def main() -> None:
    """Parses, measures, prints."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("engine", type=Path)
    parser.add_argument("--rounds", type=int, default=3000)
    parser.add_argument("--calls", type=int, default=10_000)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()

    engine = open_engine(options.engine)
    side = engine.manifest.image.side_px
    square = np.random.default_rng(0).integers(0, 256, (side, side, 3), dtype=np.uint8)
    with open_session(engine) as session:
        result = {
            "precision": engine.manifest.precision.value,
            "side_px": side,
            "threads": engine.manifest.target.threads,
            "overhead": overhead(session, square, options.rounds),
            "calls": options.calls,
            "resident": resident_growth(session, square, options.calls),
            "traced": traced_growth(session, square, options.calls),
        }
    print(json.dumps(result, indent=2))
    for name in ("session_over_bare", "bare_again_over_bare"):
        print(in_words(name, result["overhead"][name]))
    write_result(options.json, result)


if __name__ == "__main__":
    main()
