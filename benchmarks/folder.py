"""A folder of photographs to verdicts: reading ahead on all cores, against one after the other and against the floors.

    python benchmarks/folder.py ENGINE PHOTOGRAPH_OR_FOLDER... [--count 500] [--rounds 3] [--json FILE]

- ahead:     `sall_edge.screening.screen`, as `sall-edge screen` uses it.
- in turn:   `examine`, one photograph after the other.
- decode:    the scaled decode alone, on all cores.
- infer:     `Session.run` alone, on squares that are ready.

The slower of the last two is the floor: a folder cannot be done faster than its slowest stage. Arms take turns, so that
whatever else the machine does hits all of them; the median of the rounds counts.
"""

import argparse
import json
import statistics
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from sall_edge.artifacts import open_engine
from sall_edge.errors import PhotographError
from sall_edge.fundus.decode import decode, read_bytes
from sall_edge.fundus.prepare import prepare_file
from sall_edge.runtime.machine import describe
from sall_edge.runtime.session import Session, open_session
from sall_edge.screening.verdict import examine, find_photographs, screen
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


def arms(session: Session, photographs: list[Path]) -> dict[str, Callable[[], None]]:
    """What takes turns; each does all photographs."""
    image = session.manifest.image
    squares = [prepare_file(path, image).square for path in photographs]

    def decoded(path: Path) -> None:
        decode(read_bytes(path), name=path.name, side_px=image.side_px)

    def decode_all() -> None:
        with ThreadPoolExecutor() as pool:
            list(pool.map(decoded, photographs))

    def infer_all() -> None:
        for square in squares:
            session.run(square)

    def in_turn() -> None:
        for path in photographs:
            examine(session, path)

    def ahead() -> None:
        for _ in screen(session, photographs):
            pass

    return {"ahead": ahead, "in turn": in_turn, "decode": decode_all, "infer": infer_all}


def main() -> None:
    """Parses, measures, prints."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("engine", type=Path)
    parser.add_argument("photographs", type=Path, nargs="+")
    parser.add_argument("--count", type=int, default=500)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()

    times: dict[str, list[float]] = {}
    with open_session(open_engine(options.engine)) as session:
        found = list(find_photographs(options.photographs))[: options.count]
        photographs = readable(found, session.manifest.image)
        run = arms(session, photographs)
        for _ in range(options.rounds):
            for name, arm in run.items():
                start = time.perf_counter()
                arm()
                times.setdefault(name, []).append(time.perf_counter() - start)
        rates = {name: len(photographs) / statistics.median(seconds) for name, seconds in times.items()}
        slower = min(("decode", "infer"), key=rates.__getitem__)
        result = {
            "photographs": len(photographs),
            "images_per_s": {name: round(rate, 1) for name, rate in rates.items()},
            "slower_stage": slower,
            "ahead_over_slower_stage": round(rates["ahead"] / rates[slower], 3),
            "ahead_over_in_turn": round(rates["ahead"] / rates["in turn"], 3),
            "seconds": {name: [round(value, 3) for value in values] for name, values in times.items()},
            "side_px": session.manifest.image.side_px,
            "precision": session.manifest.precision.value,
            "device": describe(),
        }
    print(json.dumps({key: value for key, value in result.items() if key != "device"}, indent=2))
    if options.json:
        options.json.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
