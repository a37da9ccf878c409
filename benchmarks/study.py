"""What a study gains from kept memory and from networks side by side. One run, arms in turn, ratios.

    python benchmarks/study.py [--rounds 3] [--steps 6] [--json FILE]

- given back: one process on all cores; glibc returns large blocks to the kernel, as it does unless it is told.
- kept:       the same after `sall_edge.allocation.keep_freed_memory`.
- side by side: two such processes, each on half of the cores (`sall-edge study --at-once 2`); their rates add up.

Each arm trains EfficientNet-Lite0 at 224 px with three frozen groups on random tensors, batches of 32, and grades.
"""

import argparse
import json
import statistics
import subprocess
import sys
import time
from pathlib import Path

import torch
from training import bare_step

from sall_edge.allocation import keep_freed_memory
from sall_edge.runtime.machine import describe
from sall_edge.spec import tasks_from_toml
from trainer.network import SallNetwork
from trainer.tasks import task_file

BATCH, SIDE, GROUPS = 32, 224, 3
ARMS = {"given back": 1, "kept": 1, "side by side": 2}
"""Number of processes of each."""


def measured(arm: str, steps: int) -> dict[str, float]:
    """Photographs per second of this process, in training and in grading; medians, the first of each not counted."""
    if arm != "given back":
        keep_freed_memory()
    torch.set_num_threads(max(1, torch.get_num_threads() // ARMS[arm]))
    tasks = tasks_from_toml(task_file("retina")).tasks
    network = SallNetwork(backbone="tf_efficientnet_lite0", tasks=tasks, mean=(0.5,) * 3, std=(0.5,) * 3)
    network.freeze(GROUPS)
    step, images = bare_step(network, BATCH, SIDE), torch.rand(BATCH, SIDE, SIDE, 3) * 255

    def grade() -> None:
        with torch.inference_mode():
            network.eval()(images)

    rates = {}
    for name, work in (("training", step), ("grading", grade)):
        seconds = []
        for _ in range(steps + 1):
            start = time.perf_counter()
            work()
            seconds.append(time.perf_counter() - start)
        rates[name] = BATCH / statistics.median(seconds[1:])
    return rates


def main() -> None:
    """Parses, measures, prints."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--steps", type=int, default=6)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--arm", help=argparse.SUPPRESS)  # a process of an arm
    given = parser.parse_args()
    if given.arm:
        print(json.dumps(measured(given.arm, given.steps)))
        return

    rates: dict[str, dict[str, list[float]]] = {arm: {"training": [], "grading": []} for arm in ARMS}
    for _ in range(given.rounds):
        for arm, count in ARMS.items():
            command = [sys.executable, __file__, "--arm", arm, "--steps", str(given.steps)]
            running = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(count)]
            answers = [json.loads(process.communicate()[0]) for process in running]
            for name, values in rates[arm].items():
                values.append(sum(answer[name] for answer in answers))
    median = {arm: {name: statistics.median(values) for name, values in of.items()} for arm, of in rates.items()}
    ratios = {
        name: {arm: median[arm][name] / median["given back"][name] for arm in ARMS} for name in ("training", "grading")
    }
    for name, of in ratios.items():
        shown = ", ".join(f"{arm} {median[arm][name]:.1f}/s = {ratio:.2f}" for arm, ratio in of.items())
        print(f"{name}: {shown} times what memory given back allows")
    if given.json:
        result = {"photographs_per_second": median, "over_given_back": ratios, "device": describe()}
        given.json.write_text(json.dumps(result, indent=2), encoding="utf-8")


if __name__ == "__main__":
    main()
