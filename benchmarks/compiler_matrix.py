"""Network by precision through NVIDIA's compiler: which kernels, how large a plan, how long to compile.

    python benchmarks/compiler_matrix.py [--networks NAME ...] [--side 224] [--seed 0] [--json FILE]

Networks have random weights: kernels are chosen by structure, so the table says nothing of accuracy. TensorRT-RTX
compiles on the CPU for the cards of the target `rtx` and runs nothing here, so it says nothing of speed either, and
nothing of a Jetson's kernels. Every layer of the graph is in one of the columns; "other" are layers that no kernel
names, or that read something else. Two heads that share a kernel count as two layers. "Kernels" are all that the plan
launches, with what stands between the layers: where a convolution is not fused with what follows it, there are more.
"""

import argparse
import json
import re
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch

from calibration.lint import check
from calibration.placement import LINEAR
from calibration.quantize import quantize
from calibration.ranges import measure_ranges
from engines.export import export
from engines.half import write_fp16, write_mixed
from engines.targets import load_target
from engines.tensorrt import build_plan
from sall_edge.artifacts import Checkpoint
from sall_edge.runtime.machine import describe
from sall_edge.runtime.tensorrt_library import library
from sall_edge.spec import Backend, ImageSpec, RangeMethod, tasks_from_toml
from trainer.checkpoint import save_checkpoint
from trainer.network import SallNetwork
from trainer.tasks import task_file

NETWORKS = ("tf_efficientnet_lite0", "resnet50", "inception_v3", "mobilenetv3_large_100")
COLUMNS = ("int8", "fp16", "fp32")
SQUARES = 8


def random_checkpoint(backbone: str, side_px: int, squares: np.ndarray, *, seed: int, folder: Path) -> Checkpoint:
    """An untrained network whose batch norms are settled, so that no activation overflows FP16."""
    tasks = tasks_from_toml(task_file("retina")).tasks
    torch.manual_seed(seed)
    network = SallNetwork(backbone=backbone, tasks=tasks, mean=(0.5,) * 3, std=(0.5,) * 3)
    for module in network.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            torch.nn.init.uniform_(module.weight, 0.5, 1.5)  # ResNets start with branches of zeros
            module.momentum = 1.0
    with torch.no_grad():
        network.train()(torch.from_numpy(squares))
    return save_checkpoint(
        folder / "checkpoint",
        network.eval(),
        image=ImageSpec(side_px=side_px),
        tasks=tasks,
        operating_points={task.name: 0.5 for task in tasks},
        temperatures={},
        provenance={},
    )


def graphs(backbone: str, side_px: int, *, seed: int, folder: Path) -> dict[str, Path]:
    """The network's graph by precision; the quantized ones have passed the lint."""
    squares = np.random.default_rng(seed).integers(0, 256, (SQUARES, side_px, side_px, 3), dtype=np.uint8)
    model = export(random_checkpoint(backbone, side_px, squares, seed=seed, folder=folder), folder / "fp32.onnx")
    qdq = quantize(model, measure_ranges(model, squares, method=RangeMethod.MINMAX), folder / "int8.onnx")
    write_fp16(model.path, folder / "fp16.onnx")
    write_mixed(qdq.path, folder / "mixed.onnx")
    check(onnx.load(folder / "mixed.onnx"))
    return {
        "fp32": model.path,
        "fp16": folder / "fp16.onnx",
        "int8": qdq.path,
        "int8-fp16": folder / "mixed.onnx",
    }


def compiled(graph: Path, side_px: int) -> dict[str, Any]:
    """Layers by what their kernels read, megabytes and seconds."""
    trt = library(Backend.TENSORRT_RTX)
    start = time.perf_counter()
    plan = build_plan(trt, graph, target=load_target("rtx"), image=ImageSpec(side_px=side_px))
    seconds = time.perf_counter() - start
    dtypes = Counter(kernel.dtype for kernel in plan.kernels.kernels for _ in kernel.name.split("+"))
    layers = {name: dtypes.pop(name, 0) for name in COLUMNS}
    return {
        **layers,
        "other": dict(dtypes),
        "kernels": launched(plan.layers),
        "plan_mb": round(len(plan.content) / 1e6, 1),
        "compile_s": round(seconds, 2),
    }


def launched(layers: str) -> int:
    """Kernels in a compiler's list of layers; waits, signals and shapes launch nothing."""
    return sum(kind not in ("signal", "wait", "shape_call") for kind in re.findall(r"LayerType: (\w+)", layers))


def table(rows: list[dict[str, Any]]) -> str:
    """Markdown."""
    lines = [
        "| network | precision | layers | INT8 | FP16 | FP32 | other | kernels | plan MB | compile s |",
        "|---|---|--:|--:|--:|--:|--:|--:|--:|--:|",
    ]
    for row in rows:
        other = sum(row["other"].values())
        counts = " | ".join(str(row[name]) for name in COLUMNS)
        lines.append(
            f"| {row['network']} | {row['precision']} | {row['layers']} | {counts} | {other} "
            f"| {row['kernels']} | {row['plan_mb']:.1f} | {row['compile_s']:.1f} |"
        )
    return "\n".join(lines)


def main() -> None:
    """Parses, compiles, prints."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--networks", nargs="+", default=NETWORKS)
    parser.add_argument("--side", type=int, default=224)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()

    rows = []
    for backbone in options.networks:
        with tempfile.TemporaryDirectory() as folder:
            for precision, graph in graphs(backbone, options.side, seed=options.seed, folder=Path(folder)).items():
                layers = sum(node.op_type in LINEAR for node in onnx.load(graph).graph.node)
                row = {"network": backbone, "precision": precision, "layers": layers}
                rows.append(row | compiled(graph, options.side))
                print(f"{backbone} {precision}: {rows[-1]}", file=sys.stderr)
    print(table(rows))
    if options.json:
        target = load_target("rtx")
        result = {
            "command": f"python benchmarks/compiler_matrix.py --side {options.side} --seed {options.seed}",
            "compiler": f"TensorRT-RTX {library(Backend.TENSORRT_RTX).__version__}",
            "compute_capabilities": target.compute_capabilities,
            "side_px": options.side,
            "weights": "random",
            "device": describe(),
            "rows": rows,
        }
        options.json.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
