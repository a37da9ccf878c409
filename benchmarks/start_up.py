"""From process start to the first verdict, against a bare script on OpenVINO and OpenCV. Fresh processes, in turn.

    python benchmarks/start_up.py ENGINE PHOTOGRAPH [--rounds 31] [--json FILE]

- ours:        `sall-edge screen ENGINE PHOTOGRAPH`, the installed command (`python -m sall_edge` where there is none),
               with the compiled network that it kept the last time.
- bare:        `bare_start.py`: imports OpenCV and OpenVINO, imports the compiled network, decodes at the same scale,
               infers once, prints.
- ours, first: the same as `ours` with an empty cache: it compiles the graph and keeps the network.
- bare, first: the same as `bare`, compiling the network that the product compiles: the graph with what
               `openvino_rewrites` rewrites, saved as OpenVINO's IR.

All run after the files were read once: this is a warm page cache, not a cold boot. Wall time and the largest resident
memory (wait4's ru_maxrss) of each process, taken by a launcher that holds next to nothing: a process inherits the peak
of the one that started it. Targets: 1.3 times the bare script for both, `ours` over `bare`. Then where our time goes:
phases of one process, and the packages that take longest to import (`-X importtime`, which itself adds some).
"""

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
from collections import defaultdict
from pathlib import Path
from typing import Any

import numpy as np
from turns import in_turn, in_words, ratio, write_result

from sall_edge.artifacts import Engine, open_engine
from sall_edge.bench.speed.bare_request import BareRequest
from sall_edge.fundus.decode import decode, read_bytes
from sall_edge.runtime.openvino_library import ov
from sall_edge.runtime.openvino_rewrites import read_network

TARGETS = {"time": 1.3, "peak_rss": 1.3}
BUSIEST = 15

LAUNCHER = """
import os, sys, time
nowhere = [(os.POSIX_SPAWN_OPEN, number, "/dev/null", os.O_WRONLY, 0) for number in (1, 2)]
start = time.perf_counter()
process = os.posix_spawn(sys.argv[1], sys.argv[1:], os.environ, file_actions=nowhere)
_, status, usage = os.wait4(process, 0)
print((time.perf_counter() - start) * 1e3, usage.ru_maxrss, os.waitstatus_to_exitcode(status))
"""
"""Milliseconds from before the process was made until it has ended, KiB, exit code. No pipe and no reader is timed."""

PHASES = """
import json, sys, time
marks = [("", time.perf_counter())]
def mark(name):
    marks.append((name, time.perf_counter()))
from pathlib import Path
from sall_edge.cli import screen as _
from sall_edge.artifacts import open_engine
from sall_edge.cli.caches import compiled_cache
mark("import the command")
engine = open_engine(Path(sys.argv[1]))
mark("verify the engine")
from sall_edge.runtime.serving import open_serving
session, _ = open_serving(engine, compiled_cache=compiled_cache())
mark("import what runs and open the session")
from sall_edge.screening.verdict import examine
mark("import screening")
for name in ("first photograph", "second photograph"):
    examine(session, Path(sys.argv[2]))
    mark(name)
print(json.dumps({after[0]: round((after[1] - before[1]) * 1e3, 1) for before, after in zip(marks, marks[1:])}))
"""
"""What `screen` does, step by step, with a clock between the steps."""


class Program:
    """A command that is run again and again; `peak_kib` holds the largest resident memory of each run."""

    def __init__(self, command: list[str], *, cache: Path | None = None, is_first: bool = False) -> None:
        self.command = command
        self._environment = os.environ | ({"XDG_CACHE_HOME": str(cache)} if cache else {})
        self._forgotten = cache if is_first else None
        self.peak_kib: list[int] = []

    def run(self) -> float:
        """Milliseconds from before the process was made until it has ended."""
        if self._forgotten:
            shutil.rmtree(self._forgotten, ignore_errors=True)
        launch = [sys.executable, "-I", "-S", "-c", LAUNCHER, *self.command]
        said = subprocess.run(launch, check=True, stdout=subprocess.PIPE, text=True, env=self._environment).stdout
        ms, kib, code = said.split()
        if int(code):
            subprocess.run(self.command, check=True, env=self._environment)  # once more, for its messages
        self.peak_kib.append(int(kib))
        return float(ms)


def programs(engine: Engine, photograph: Path, folder: Path) -> dict[str, Program]:
    """The commands; what they keep is kept in a folder of this run."""
    side = engine.manifest.image.side_px
    scale = decode(read_bytes(photograph), name=photograph.name, side_px=side).scale_denominator
    installed = Path(sys.executable).with_name("sall-edge")
    ours = [str(installed)] if installed.exists() else [sys.executable, "-m", "sall_edge"]
    script = str(Path(__file__).with_name("bare_start.py"))
    blob = folder / "network.blob"
    request = BareRequest(engine.blob_path, np.zeros((side, side, 3), np.uint8))
    blob.write_bytes(request.compiled.export_model().getvalue())
    network = folder / "network.xml"
    ov.save_model(read_network(ov.Core(), engine.blob_path, (1, side, side, 3)), network, compress_to_fp16=False)
    screen = [*ours, "screen", str(engine.path), str(photograph)]
    rest = [str(side), str(photograph), str(scale)]
    return {
        "ours": Program(screen, cache=folder / "kept"),
        "bare": Program([sys.executable, script, str(blob), *rest]),
        "ours, first": Program(screen, cache=folder / "first", is_first=True),
        "bare, first": Program([sys.executable, script, str(network), *rest]),
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


def measure(engine: Engine, photograph: Path, rounds: int, folder: Path) -> dict[str, Any]:
    """Everything."""
    found = programs(engine, photograph, folder)
    samples = in_turn({name: program.run for name, program in found.items()}, rounds=rounds)
    peaks = {name: [kib / 1024 for kib in program.peak_kib[1:]] for name, program in found.items()}
    runs = min(5, rounds)
    os.environ["XDG_CACHE_HOME"] = str(folder / "kept")  # of this script's children
    screen = ["screen", str(engine.path), str(photograph)]
    alone = Program([sys.executable, "-c", ""])
    return {
        "rounds": rounds,
        "p50_ms": {name: round(statistics.median(values), 1) for name, values in samples.items()},
        "peak_rss_mib": {name: round(statistics.median(values), 1) for name, values in peaks.items()},
        "time": ratio(samples["ours"], samples["bare"]),
        "peak_rss": ratio(peaks["ours"], peaks["bare"]),
        "first_time": ratio(samples["ours, first"], samples["bare, first"]),
        "first_peak_rss": ratio(peaks["ours, first"], peaks["bare, first"]),
        "targets": TARGETS,
        "command": [Path(found["ours"].command[0]).name, "screen"],
        "phases_ms": {
            "ours": last_line([sys.executable, "-c", PHASES, *screen[1:]], runs),
            "bare": last_line([*found["bare"].command, "--phases"], runs),
            "python alone": round(statistics.median(alone.run() for _ in range(runs)), 1),
        },
        "imports": imports(screen),
    }


def main() -> None:
    """Parses, measures, prints."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("engine", type=Path)
    parser.add_argument("photograph", type=Path)
    parser.add_argument("--rounds", type=int, default=31)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()

    with tempfile.TemporaryDirectory() as folder:
        result = measure(open_engine(options.engine), options.photograph, options.rounds, Path(folder))
    print(json.dumps(result, indent=2))
    for name in ("time", "peak_rss", "first_time", "first_peak_rss"):
        print(in_words(f"ours over bare, {name}", result[name]))
    write_result(options.json, result)


if __name__ == "__main__":
    main()
