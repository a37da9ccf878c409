"""INT8 calibration, stage by stage, against what cannot be avoided: decoding, preparing, and bare FP32 inference.

    python benchmarks/calibration_speed.py MODEL.onnx --photographs FOLDER [--count 512] [--json FILE]

- floor:   `prepare_set` on the photographs, and the FP32 graph in ONNX Runtime, one square at a time.
- ranges:  `measure_ranges` on the same squares: histograms of every map that will be quantized.
- refine:  `quantize` with squares: rounding for the layers' real inputs and bias correction (ADR 3).

The folder's photographs are taken in turn until there are `count` of them. Memory is what the process holds itself
(anonymous, not files that the system may page out), sampled while each stage runs.
"""

import argparse
import json
import tempfile
import threading
import time
from collections.abc import Callable
from itertools import cycle, islice
from pathlib import Path
from typing import Any

import numpy as np

from calibration.graphs import load_proto, open_onnx_model
from calibration.quantize import quantize
from calibration.ranges import measure_ranges
from calibration.sessions import open_inner_session
from sall_edge.fundus.labels import LabelledPhotograph
from sall_edge.fundus.prepared_set import prepare_set
from sall_edge.runtime.machine import describe
from sall_edge.screening.photographs import find_photographs


class Watch:
    """Seconds and the largest anonymous memory (MB) of a stage."""

    def __init__(self) -> None:
        self.stages: dict[str, dict[str, float]] = {}

    def __call__(self, name: str, work: Callable[[], Any]) -> Any:
        """What the work returns."""
        largest, done = [anonymous_mb()], threading.Event()

        def sample() -> None:
            while not done.wait(0.05):
                largest.append(anonymous_mb())

        sampler = threading.Thread(target=sample)
        sampler.start()
        start = time.perf_counter()
        try:
            result = work()
        finally:
            seconds = time.perf_counter() - start
            done.set()
            sampler.join()
        self.stages[name] = {"s": round(seconds, 2), "anonymous_mb": round(max(largest))}
        print(f"{name:8s} {seconds:7.2f} s   {max(largest):6.0f} MB", flush=True)
        return result


def anonymous_mb() -> float:
    """Memory of this process that no file backs."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("RssAnon")) / 1024


def photographs_of(folder: Path, count: int) -> list[LabelledPhotograph]:
    """The folder's photographs, in turn, without labels."""
    paths = islice(cycle(find_photographs([folder])), count)
    return [
        LabelledPhotograph(
            path=path, grades={}, patient_id=str(row), eye="", split="train", source_csv=folder, extra={}
        )
        for row, path in enumerate(paths)
    ]


def main() -> None:
    """Runs the stages and prints the ratios."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path)
    parser.add_argument("--photographs", type=Path, required=True)
    parser.add_argument("--count", type=int, default=512)
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    model, watch = open_onnx_model(given.model), Watch()
    photographs = photographs_of(given.photographs, given.count)
    squares = watch("prepare", lambda: prepare_set(photographs, model.manifest.image)).squares
    names = [f"{task.name}_probs" for task in model.manifest.tasks]
    session = open_inner_session(load_proto(model), names)
    watch("fp32", lambda: [session.run(names, {"image": square[np.newaxis]}) for square in squares])
    ranges = watch("ranges", lambda: measure_ranges(model, squares))
    with tempfile.TemporaryDirectory() as folder:
        watch("refine", lambda: quantize(model, ranges, Path(folder) / "qdq.onnx", squares=squares))
    seconds = {name: stage["s"] for name, stage in watch.stages.items()}
    floor = seconds["prepare"] + seconds["fp32"]
    report = {
        "model": str(given.model), "side_px": model.manifest.image.side_px, "photographs": given.count,
        "files": len({photograph.path for photograph in photographs}), "stages": watch.stages,
        "ranges_over_floor": round((seconds["prepare"] + seconds["ranges"]) / floor, 3),
        "all_over_floor": round((seconds["prepare"] + seconds["ranges"] + seconds["refine"]) / floor, 3),
        "device": describe(),
    }  # fmt: skip
    print(f"ranges: {report['ranges_over_floor']} of the floor; with refinement {report['all_over_floor']}")
    if given.json:
        given.json.write_text(json.dumps(report, indent=2) + "\n")


if __name__ == "__main__":
    main()
