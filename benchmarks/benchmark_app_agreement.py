"""This project's latency against OpenVINO's own `benchmark_app` on the same graph. One run, in turn.

    python benchmarks/benchmark_app_agreement.py ENGINE [--rounds 11] [--seconds 5] [--json FILE]

- benchmark_app:  the program of the openvino wheel in its own process: synchronous, batch one, the same performance
                  hint, precision hint and threads, as the engine's session, on the same network: the engine's graph
                  with what `openvino_rewrites` rewrites, saved as OpenVINO's IR. Its latency is the request's own
                  clock, in C++; its input stays where it is and nobody reads the outputs.
- bench:          what `sall-edge bench` reports as p50: MLPerf's LoadGen around `Session.run`, or the plain loop where
                  LoadGen is not installed.
- plain loop:     `sall_edge.bench.speed.latency.measure_latency`.
- bare request:   start and wait, timed from Python: between this and the plain loop lie our copies and checks, between
                  this and benchmark_app lies the call from Python (`python_call_ms`: our clock less OpenVINO's).

Each round opens every arm anew, in an order that is drawn: where memory comes to lie differs from process to process.
Target: p50 of bench within 5 % of benchmark_app's, as the median over rounds of the ratio within a round.
"""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from turns import in_turn, in_words, ratio_within_rounds, write_result

from sall_edge.artifacts import Engine, open_engine
from sall_edge.bench.speed.bare_request import BareRequest
from sall_edge.bench.speed.latency import measure_latency
from sall_edge.bench.speed.loadgen import loadgen_latency, loadgen_library
from sall_edge.bench.speed.trace import Trace
from sall_edge.errors import BackendMissing
from sall_edge.runtime.openvino import compile_properties
from sall_edge.runtime.openvino_library import ov
from sall_edge.runtime.openvino_rewrites import read_network
from sall_edge.runtime.session import open_session

TARGET = 0.05
SQUARES = 8


def benchmark_app_ms(engine: Engine, seconds: int) -> float:
    """Its median latency."""
    side, threads = engine.manifest.image.side_px, engine.manifest.target.threads
    hints = compile_properties(threads=threads)
    program = "import sys; from openvino.tools.benchmark.main import main; sys.exit(main())"
    with tempfile.TemporaryDirectory() as folder:
        more = {"INFERENCE_NUM_THREADS": str(threads)} if threads else {}
        config = Path(folder) / "config.json"
        config.write_text(json.dumps({"CPU": more}), encoding="utf-8")
        network = Path(folder) / "network.xml"
        ov.save_model(read_network(ov.Core(), engine.blob_path, (1, side, side, 3)), network, compress_to_fp16=False)
        options = {
            "-m": str(network),
            "-d": "CPU",
            "-api": "sync",
            "-hint": str(hints["PERFORMANCE_HINT"]).lower(),
            "-infer_precision": str(hints["INFERENCE_PRECISION_HINT"]),
            "-shape": f"[1,{side},{side},3]",
            "-t": str(seconds),
            "-load_config": str(config),
            "-report_type": "no_counters",
            "-report_folder": folder,
        }
        command = [sys.executable, "-c", program, *(part for pair in options.items() for part in pair), "-json_stats"]
        subprocess.run(command, check=True, capture_output=True)
        report = json.loads((Path(folder) / "benchmark_report.json").read_text(encoding="utf-8"))
    return float(report["execution_results"]["latency (ms)"])


def plain_ms(engine: Engine, squares: np.ndarray, seconds: float) -> float:
    """The plain loop's median."""
    with open_session(engine) as session:
        return measure_latency(session, squares, seconds=seconds).p50_ms


def bench_ms(engine: Engine, squares: np.ndarray, seconds: float) -> float:
    """LoadGen's median, after the short look that `sall-edge bench` takes too."""
    with open_session(engine) as session:
        pilot, trace = Trace(), Trace()
        measure_latency(session, squares, seconds=0.5, trace=pilot)
        expected_ms = min(pilot.milliseconds)
        run = loadgen_latency(loadgen_library(), session, squares, trace, seconds=seconds, expected_ms=expected_ms)
    return run.p50_ms


def bare_ms(engine: Engine, squares: np.ndarray, seconds: float, python_call_ms: list[float]) -> float:
    """The bare request's median; what the call from Python took is added to the list."""
    request = BareRequest(engine.blob_path, squares[0], threads=engine.manifest.target.threads)
    samples: list[float] = []
    end = time.perf_counter() + seconds
    while (start := time.perf_counter()) < end:
        request.infer()
        samples.append((time.perf_counter() - start) * 1e3)
        python_call_ms.append(samples[-1] - request.own_ms)
    return statistics.median(samples)


def arms(engine: Engine, seconds: int, python_call_ms: list[float]) -> dict[str, Callable[[], float | None]]:
    """What takes turns; each measures itself."""
    side = engine.manifest.image.side_px
    squares = np.random.default_rng(0).integers(0, 256, (SQUARES, side, side, 3), dtype=np.uint8)
    found: dict[str, Callable[[], float | None]] = {
        "benchmark_app": lambda: benchmark_app_ms(engine, seconds),
        "bench": lambda: bench_ms(engine, squares, seconds),
        "plain loop": lambda: plain_ms(engine, squares, seconds),
        "bare request": lambda: bare_ms(engine, squares, seconds, python_call_ms),
    }
    try:
        loadgen_library()
    except BackendMissing as missing:
        print(f"bench is the plain loop: {missing.what}", file=sys.stderr)
        found["bench"] = found["plain loop"]
    return found


def main() -> None:
    """Parses, measures, prints."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("engine", type=Path)
    parser.add_argument("--rounds", type=int, default=11)
    parser.add_argument("--seconds", type=int, default=5)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()

    engine = open_engine(options.engine)
    python_call_ms: list[float] = []
    samples = in_turn(arms(engine, options.seconds, python_call_ms), rounds=options.rounds, warm_up=0)
    against = {name: ratio_within_rounds(values, samples["benchmark_app"]) for name, values in samples.items()}
    result: dict[str, Any] = {
        "rounds": options.rounds,
        "seconds": options.seconds,
        "p50_ms": {name: round(statistics.median(values), 3) for name, values in samples.items()},
        "least_ms": {name: round(min(values), 3) for name, values in samples.items()},
        "over_benchmark_app": against,
        "python_call_ms": round(statistics.median(python_call_ms), 4),
        "target": f"bench within {TARGET:.0%}",
        "agrees": abs(against["bench"]["ratio"] - 1) <= TARGET,
        "precision": engine.manifest.precision.value,
        "side_px": engine.manifest.image.side_px,
        "rounds_ms": {name: [round(value, 3) for value in values] for name, values in samples.items()},
    }
    print(json.dumps(result, indent=2))
    print(in_words("bench over benchmark_app", against["bench"]))
    write_result(options.json, result)


if __name__ == "__main__":
    main()
