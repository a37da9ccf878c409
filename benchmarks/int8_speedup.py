"""INT8 over FP32 in OpenVINO on this CPU, and which layers are INT8. One run, ratios.

    python benchmarks/int8_speedup.py [--networks NAME:SIDE ...] [--rounds 300] [--seed 0] [--json FILE]

Networks have random weights (`random_networks.py`) and are calibrated on noise: kernels are chosen by structure, so the
times hold for trained weights too, and nothing is said of accuracy. Both graphs are compiled as a session compiles them
and take turns on the same square. The target, at least 2 times on a CPU with VNNI instructions, is stated for
EfficientNet-Lite0 at 512 px and ResNet-50 at 224 px.

The tables come from OpenVINO: `get_runtime_model` names each layer's kernel and precision, and a second compilation
with PERF_COUNT says what each takes. Counting costs time itself: shares are to be read, sums are not.
"""

import argparse
import json
import statistics
import tempfile
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import openvino as ov
from random_networks import graphs
from turns import in_turn, in_words, ratio, write_result

from sall_edge.bench.speed.bare_request import BareRequest
from sall_edge.runtime.machine import cpu_flags, is_int8_exact
from sall_edge.runtime.openvino import compile_properties
from sall_edge.runtime.openvino_rewrites import read_network

NETWORKS = (
    "tf_efficientnet_lite0:512",
    "resnet50:224",
    "tf_efficientnet_lite0:224",
    "tf_efficientnet_lite0:320",
    "resnet50:512",
)
TARGETS = {"tf_efficientnet_lite0:512": 2.0, "resnet50:224": 2.0}
LINEAR = ("Convolution", "FullyConnected", "MatMul")
COUNTED = 30
"""Inferences that the shares are medians of."""
SLOWEST = 12


def layers(compiled: ov.CompiledModel) -> list[dict[str, str]]:
    """Kind, kernel and precision of everything that OpenVINO runs."""
    found = []
    for node in compiled.get_runtime_model().get_ordered_ops():
        facts = {name: value.astype(str) for name, value in node.get_rt_info().items() if name in FACTS}
        if "layerType" in facts:
            names = {ours: facts.get(theirs, "") for theirs, ours in FACTS.items()}
            found.append({"name": node.get_friendly_name(), **names})
    return found


FACTS = {"layerType": "kind", "runtimePrecision": "precision", "primitiveType": "kernel"}


def profile(graph: Path, square: np.ndarray) -> dict[str, float]:
    """Microseconds by layer, medians of `COUNTED` inferences."""
    core = ov.Core()
    model = read_network(core, graph, (1, *square.shape))
    properties = compile_properties(threads=0) | {"PERF_COUNT": True}
    request = core.compile_model(model, "CPU", properties).create_infer_request()
    request.set_input_tensor(ov.Tensor(square[None].copy()))
    samples: dict[str, list[float]] = defaultdict(list)
    for index in range(COUNTED + 5):
        request.infer()
        for layer in request.profiling_info if index >= 5 else ():
            samples[layer.node_name].append(layer.real_time.total_seconds() * 1e6)
    return {name: statistics.median(values) for name, values in samples.items()}


def described(graph: Path, request: BareRequest, square: np.ndarray) -> dict[str, Any]:
    """What a graph became: linear layers by precision, time by kind and precision, the slowest layers."""
    took = profile(graph, square)
    found = [layer | {"us": round(took.get(layer["name"], 0.0), 1)} for layer in layers(request.compiled)]
    total = sum(layer["us"] for layer in found) or 1.0
    precisions: dict[str, int] = defaultdict(int)
    shares: dict[str, float] = defaultdict(float)
    for layer in found:
        if layer["kind"] in LINEAR:
            precisions[layer["precision"]] += 1
        shares[f"{layer['kind']} {layer['precision']}"] += layer["us"] / total
    return {
        "linear_layers_by_precision": dict(precisions),
        "share_of_time": {n: round(s, 3) for n, s in sorted(shares.items(), key=lambda pair: -pair[1]) if s > 0.002},
        "slowest": sorted(found, key=lambda layer: -layer["us"])[:SLOWEST],
        "linear_layers_in_float": [
            layer for layer in found if layer["kind"] in LINEAR and layer["precision"] not in ("u8", "i8")
        ],
    }


def compare(network: str, *, rounds: int, seed: int) -> dict[str, Any]:
    """One network, both precisions."""
    backbone, _, side = network.partition(":")
    square = np.random.default_rng(seed).integers(0, 256, (int(side), int(side), 3), dtype=np.uint8)
    with tempfile.TemporaryDirectory() as folder:
        made = graphs(backbone, int(side), seed=seed, folder=Path(folder))
        requests = {name: BareRequest(made[name], square) for name in ("fp32", "int8")}
        arms: dict[str, Callable[[], float | None]] = {name: requests[name].infer for name in requests}
        samples = in_turn(arms, rounds=rounds, warm_up=10)
        tables = {name: described(made[name], requests[name], square) for name in requests}
    speedup = ratio(samples["fp32"], samples["int8"])
    return {
        "network": network,
        "p50_ms": {name: round(statistics.median(values), 3) for name, values in samples.items()},
        "least_ms": {name: round(min(values), 3) for name, values in samples.items()},
        "fp32_over_int8": speedup,
        "target": TARGETS.get(network),
        "int8": tables["int8"],
        "fp32": tables["fp32"],
    }


def main() -> None:
    """Parses, measures, prints."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--networks", nargs="+", default=NETWORKS, help="timm's name, a colon, the side in pixels")
    parser.add_argument("--rounds", type=int, default=300)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()

    rows = []
    for network in options.networks:
        row = compare(network, rounds=options.rounds, seed=options.seed)
        rows.append(row)
        print(in_words(f"{network}, fp32 / int8", row["fp32_over_int8"]), row["p50_ms"], flush=True)
        print(json.dumps({name: row["int8"][name] for name in ("linear_layers_by_precision", "share_of_time")}))
    result = {
        "weights": "random",
        "rounds": options.rounds,
        "seed": options.seed,
        "cpu_flags": list(cpu_flags()),
        "int8_is_exact": is_int8_exact(),
        "rows": rows,
    }
    write_result(options.json, result)


if __name__ == "__main__":
    main()
