"""A folder of photographs to verdicts: a core each, against reading ahead, one after the other, and the floors.

    python benchmarks/folder.py ENGINE PHOTOGRAPH_OR_FOLDER... [--count 500] [--rounds 3] [--json FILE]

- streams:   `sall_edge.screening.screen` on a session with a stream for each core, as `sall-edge screen` uses it.
- ahead:     the same on a session without: the next photographs are read while all cores infer one.
- in turn:   `examine`, one photograph after the other.
- decode:    the scaled decode alone, on all cores.
- look:      decode, field, square and quality, on all cores.
- infer:     `Session.run` alone, on squares that are ready, on all cores by streams.

With a GPU the slower of decode and infer is the floor. Where the same cores do both, a photograph costs the time of one
and of the other, and `shared_cores` is the most that can be had: one over the sum of `look` and `infer`. Arms take
turns, so that whatever else the machine does hits all of them; the median of the rounds counts.
"""

import argparse
import json
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from sall_edge.artifacts import open_engine
from sall_edge.errors import PhotographError
from sall_edge.fundus.decode import decode, read_bytes
from sall_edge.fundus.prepare import prepare_file
from sall_edge.runtime.machine import describe
from sall_edge.runtime.session import Session, open_session
from sall_edge.screening.ahead import cores, worked_ahead
from sall_edge.screening.photographs import find_photographs
from sall_edge.screening.verdict import examine, look, screen
from sall_edge.spec import ImageSpec


def readable(photographs: list[Path], image: ImageSpec) -> list[Path]:
    """Those that every arm can do to the end."""
    found = []
    for path in photographs:
        try:
            prepare_file(path, image)
        except PhotographError:
            continue
        found.append(path)
    return found


def arms(alone: Session, shared: Session, photographs: list[Path]) -> dict[str, Callable[[], None]]:
    """What takes turns; each does all photographs."""
    image = alone.manifest.image
    squares = [prepare_file(path, image).square for path in photographs]

    def decoded(path: Path) -> None:
        decode(read_bytes(path), name=path.name, side_px=image.side_px)

    def on_all_cores(work: Callable[[Any], object], items: list[Any], threads: int) -> None:
        for _ in worked_ahead(work, items, threads=threads):
            pass

    def screened(session: Session) -> None:
        for _ in screen(session, photographs):
            pass

    def in_turn() -> None:
        for path in photographs:
            examine(alone, path)

    return {
        "streams": lambda: screened(shared),
        "ahead": lambda: screened(alone),
        "in turn": in_turn,
        "decode": lambda: on_all_cores(decoded, photographs, cores()),
        "look": lambda: on_all_cores(lambda path: look(path, image), photographs, cores()),
        "infer": lambda: on_all_cores(shared.run, squares, shared.streams + 1),
    }


def main() -> None:
    """Parses, measures, prints."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("engine", type=Path)
    parser.add_argument("photographs", type=Path, nargs="+")
    parser.add_argument("--count", type=int, default=500)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()

    engine = open_engine(options.engine)
    times: dict[str, list[float]] = {}
    with open_session(engine) as alone, open_session(engine, streams=cores()) as shared:
        found = list(find_photographs(options.photographs))[: options.count]
        photographs = readable(found, alone.manifest.image)
        run = arms(alone, shared, photographs)
        for _ in range(options.rounds):
            for name, arm in run.items():
                start = time.perf_counter()
                arm()
                times.setdefault(name, []).append(time.perf_counter() - start)
    rates = {name: len(photographs) / statistics.median(seconds) for name, seconds in times.items()}
    rates["shared_cores"] = 1 / (1 / rates["look"] + 1 / rates["infer"])
    slower = min(("decode", "infer"), key=rates.__getitem__)
    result = {
        "photographs": len(photographs),
        "images_per_s": {name: round(rate, 1) for name, rate in rates.items()},
        "slower_stage": slower,
        "streams_over_slower_stage": round(rates["streams"] / rates[slower], 3),
        "streams_over_shared_cores": round(rates["streams"] / rates["shared_cores"], 3),
        "streams_over_ahead": round(rates["streams"] / rates["ahead"], 3),
        "streams_over_in_turn": round(rates["streams"] / rates["in turn"], 3),
        "seconds": {name: [round(value, 3) for value in values] for name, values in times.items()},
        "side_px": engine.manifest.image.side_px,
        "precision": engine.manifest.precision.value,
        "device": describe(),
    }
    print(json.dumps({key: value for key, value in result.items() if key != "device"}, indent=2))
    if options.json:
        options.json.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
