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

import onnx
from random_networks import graphs

from calibration.placement import LINEAR
from engines.targets import load_target
from engines.tensorrt import build_plan
from sall_edge.runtime.machine import describe
from sall_edge.runtime.tensorrt_library import library
from sall_edge.spec import Backend, ImageSpec

NETWORKS = ("tf_efficientnet_lite0", "resnet50", "inception_v3", "mobilenetv3_large_100")
COLUMNS = ("int8", "fp16", "fp32")


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
