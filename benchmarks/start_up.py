"""From process start to the first verdict, against a bare script on OpenVINO and OpenCV. Fresh processes, in turn.

    python benchmarks/start_up.py ENGINE PHOTOGRAPH [--rounds 31] [--json FILE]

- ours:  `sall-edge screen ENGINE PHOTOGRAPH`, the installed command (`python -m sall_edge` where there is none).
- bare:  `bare_start.py`: imports OpenCV and OpenVINO, loads the engine's graph with the same hints, decodes at the same
         scale, infers once, prints.

Both run after the files were read once: this is a warm page cache, not a cold boot. Wall time and the largest resident
memory (wait4's ru_maxrss) of each process. Targets: 1.3 times the bare script for both. Then where our time goes:
phases of one process, and the packages that take longest to import (`-X importtime`, which itself adds some).
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from collections import defaultdict
from pathlib import Path
from typing import Any

from turns import in_turn, in_words, ratio, write_result

from sall_edge.artifacts import Engine, open_engine
from sall_edge.fundus.decode import decode, read_bytes

TARGETS = {"time": 1.3, "peak_rss": 1.3}
BUSIEST = 15

PHASES = """
import json, sys, time
begin = time.perf_counter()
from pathlib import Path
import sall_edge.cli, sall_edge.cli.screen
from sall_edge.artifacts import open_engine
command = time.perf_counter()
from sall_edge.runtime.session import open_session
from sall_edge.screening.verdict import examine
library = time.perf_counter()
engine = open_engine(Path(sys.argv[1]))
verified = time.perf_counter()
import openvino
loaded = time.perf_counter()
session = open_session(engine)
opened = time.perf_counter()
examine(session, Path(sys.argv[2]))
first = time.perf_counter()
examine(session, Path(sys.argv[2]))
second = time.perf_counter()
marks = [begin, command, library, verified, loaded, opened, first, second]
names = ["import the command", "import screening", "verify the engine", "import openvino", "open the session",
         "first photograph", "second photograph"]
print(json.dumps({name: round((b - a) * 1e3, 1) for name, a, b in zip(names, marks, marks[1:])}))
"""
"""What `screen` does, step by step, with a clock between the steps."""


class Program:
    """A command that is run again and again; `peak_kib` holds the largest resident memory of each run."""

    def __init__(self, command: list[str]) -> None:
        self.command = command
        self.peak_kib: list[int] = []

    def run(self) -> float:
        """Milliseconds from before the process was made until it has ended."""
        start = time.perf_counter()
        # No output is read: a pipe and its reader would be part of the time.
        process = subprocess.Popen(self.command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        _, status, usage = os.wait4(process.pid, 0)
        elapsed = (time.perf_counter() - start) * 1e3
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            subprocess.run(self.command, check=True)  # once more, for its messages
        self.peak_kib.append(usage.ru_maxrss)
        return elapsed


def programs(engine: Engine, photograph: Path) -> dict[str, Program]:
    """The two commands."""
    side = engine.manifest.image.side_px
    scale = decode(read_bytes(photograph), name=photograph.name, side_px=side).scale_denominator
    installed = Path(sys.executable).with_name("sall-edge")
    ours = [str(installed)] if installed.exists() else [sys.executable, "-m", "sall_edge"]
    script = str(Path(__file__).with_name("bare_start.py"))
    return {
        "ours": Program([*ours, "screen", str(engine.path), str(photograph)]),
        "bare": Program([sys.executable, script, str(engine.blob_path), str(side), str(photograph), str(scale)]),
    }


def last_line(command: list[str], runs: int) -> dict[str, float]:
    """Medians of the JSON objects that a command prints last."""
    found = defaultdict(list)
    for _ in range(runs):
        text = subprocess.run(command, check=True, capture_output=True, text=True).stdout
        for name, value in json.loads(text.splitlines()[-1]).items():
            found[name].append(value)
    return {name: statistics.median(values) for name, values in found.items()}


def imports(command: list[str]) -> dict[str, Any]:
    """Milliseconds of importing by top-level package, its own modules only, and the count of modules."""
    program = [sys.executable, "-X", "importtime", "-c", "from sall_edge.cli import main; main()", *command]
    text = subprocess.run(program, check=True, capture_output=True, text=True).stderr
    by_package: dict[str, float] = defaultdict(float)
    modules = 0
    for line in text.splitlines():
        parts = line.removeprefix("import time:").split("|")
        if line.startswith("import time:") and parts[0].strip().isdigit():
            by_package[parts[2].strip().split(".")[0]] += int(parts[0]) / 1e3
            modules += 1
    busiest = sorted(by_package.items(), key=lambda item: -item[1])[:BUSIEST]
    return {
        "modules": modules,
        "all_ms": round(sum(by_package.values()), 1),
        "own_ms_by_package": {name: round(ms, 1) for name, ms in busiest},
    }


def main() -> None:
    """Parses, measures, prints."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("engine", type=Path)
    parser.add_argument("photograph", type=Path)
    parser.add_argument("--rounds", type=int, default=31)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()

    pair = programs(open_engine(options.engine), options.photograph)
    samples = in_turn({name: program.run for name, program in pair.items()}, rounds=options.rounds)
    peaks = {name: [kib / 1024 for kib in program.peak_kib[1:]] for name, program in pair.items()}
    screen = ["screen", str(options.engine), str(options.photograph)]
    phases = [sys.executable, "-c", PHASES, str(options.engine), str(options.photograph)]
    runs = min(5, options.rounds)
    result = {
        "rounds": options.rounds,
        "p50_ms": {name: round(statistics.median(values), 1) for name, values in samples.items()},
        "peak_rss_mib": {name: round(statistics.median(values), 1) for name, values in peaks.items()},
        "time": ratio(samples["ours"], samples["bare"]),
        "peak_rss": ratio(peaks["ours"], peaks["bare"]),
        "targets": TARGETS,
        "command": [Path(pair["ours"].command[0]).name, "screen"],
        "phases_ms": {
            "ours": last_line(phases, runs),
            "bare": last_line([*pair["bare"].command, "--phases"], runs),
            "python alone": round(statistics.median(Program([sys.executable, "-c", ""]).run() for _ in range(runs)), 1),
        },
        "imports": imports(screen),
    }
    print(json.dumps(result, indent=2))
    print(in_words("ours over bare, time", result["time"]))
    print(in_words("ours over bare, peak memory", result["peak_rss"]))
    write_result(options.json, result)


if __name__ == "__main__":
    main()
