"""Photograph -> verdict, against the floor and against what one would write first. One run, ratios.

    python benchmarks/pipeline.py ENGINE CHECKPOINT PHOTOGRAPH_OR_FOLDER... [--rounds 10] [--json FILE]

- ours:   `sall_edge.screening.examine`: read, scaled decode, field of view, square, quality, INT8 engine, verdict.
- floor:  read, the same scaled decode, and the bare OpenVINO request on a square that is ready. Nothing can be faster
          with this decoder and this engine.
- eager:  full decode, INTER_AREA to the square, NumPy normalisation, PyTorch eager FP32 on all cores.

The three take turns on every photograph, so that whatever else the machine does hits all of them. Photographs that the
decoder cannot scale (TIFF) are part of the run: they are a user's photographs too.
"""

import argparse
import json
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import openvino as ov
import torch

from sall_edge.artifacts import Engine, open_checkpoint, open_engine
from sall_edge.fundus.decode import decode, read_bytes
from sall_edge.fundus.prepare import prepare_file
from sall_edge.runtime.machine import describe
from sall_edge.runtime.session import Session, open_session
from sall_edge.screening.verdict import examine, find_photographs
from trainer.checkpoint import load_network
from trainer.network import SallNetwork


def bare_request(engine: Engine, square: np.ndarray) -> Callable[[], object]:
    """OpenVINO with nothing of ours around it: the engine's graph on a square that is already in its buffer."""
    model = ov.Core().read_model(engine.blob_path)
    model.reshape([1, *square.shape])
    hints = {"PERFORMANCE_HINT": "LATENCY", "INFERENCE_PRECISION_HINT": "f32"}
    request = ov.compile_model(model, "CPU", hints).create_infer_request()
    request.set_input_tensor(ov.Tensor(square[None].copy()))

    def infer() -> None:
        request.start_async()
        request.wait()

    return infer


def floor(path: Path, flag: int, request: Callable[[], object]) -> None:
    """Scaled decode and the bare request."""
    cv2.imdecode(np.frombuffer(path.read_bytes(), np.uint8), flag)
    request()


def eager(path: Path, network: SallNetwork, side: int) -> None:
    """What a user would write."""
    photograph = cv2.cvtColor(cv2.imread(str(path)), cv2.COLOR_BGR2RGB)
    square = cv2.resize(photograph, (side, side), interpolation=cv2.INTER_AREA)
    scaled = (square.astype(np.float32) / 255 - np.float32(network.mean)) / np.float32(network.std)
    with torch.inference_mode():
        features = network.backbone(torch.from_numpy(scaled.transpose(2, 0, 1)[None].copy()))
        pooled = features.mean(dim=(2, 3))
        for head in network.heads.values():
            head(pooled).softmax(dim=1)


def decode_flag(path: Path, side: int) -> int:
    """The OpenCV flag of the scale that `ours` decodes at."""
    scale = decode(read_bytes(path), name=path.name, side_px=side).scale_denominator
    reduced = {2: cv2.IMREAD_REDUCED_COLOR_2, 4: cv2.IMREAD_REDUCED_COLOR_4, 8: cv2.IMREAD_REDUCED_COLOR_8}
    return reduced.get(scale, cv2.IMREAD_COLOR)


def measure(session: Session, network: SallNetwork, photographs: tuple[Path, ...], rounds: int) -> dict[str, list]:
    """Median milliseconds of each arm, per photograph."""
    side = session.engine.manifest.image.side_px
    rows: dict[str, list] = {"photograph": [], "ours": [], "floor": [], "eager": []}
    for path in photographs:
        flag = decode_flag(path, side)
        request = bare_request(session.engine, prepare_file(path, session.engine.manifest.image).square)
        arms: dict[str, Callable[[], object]] = {
            "ours": lambda path=path: examine(session, path),
            "floor": lambda path=path, flag=flag, request=request: floor(path, flag, request),
            "eager": lambda path=path: eager(path, network, side),
        }
        samples: dict[str, list[float]] = {name: [] for name in arms}
        for index in range(rounds + 1):
            for name, arm in arms.items():
                start = time.perf_counter()
                arm()
                if index:  # the first round warms up
                    samples[name].append((time.perf_counter() - start) * 1e3)
        rows["photograph"].append(path.name)
        for name, values in samples.items():
            rows[name].append(statistics.median(values))
    return rows


def main() -> None:
    """Parses, measures, prints."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("engine", type=Path)
    parser.add_argument("checkpoint", type=Path)
    parser.add_argument("photographs", type=Path, nargs="+")
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()

    network = load_network(open_checkpoint(options.checkpoint))
    with open_session(open_engine(options.engine)) as session:
        rows = measure(session, network, find_photographs(options.photographs), options.rounds)
    total = {name: sum(rows[name]) for name in ("ours", "floor", "eager")}
    result = {
        "photographs": len(rows["photograph"]),
        "rounds": options.rounds,
        "mean_ms": {name: value / len(rows["photograph"]) for name, value in total.items()},
        "ours_over_floor": total["ours"] / total["floor"],
        "eager_over_ours": total["eager"] / total["ours"],
        "device": describe(),
        "rows": rows,
    }
    for name, ours, bare, naive in zip(*(rows[column] for column in rows), strict=True):
        ratios = f"ours / floor {ours / bare:5.2f}   eager / ours {naive / ours:6.2f}"
        print(f"{name:32s} ours {ours:7.1f} ms   floor {bare:7.1f} ms   eager {naive:7.1f} ms   {ratios}")
    print(f"all: ours / floor = {result['ours_over_floor']:.2f}   eager / ours = {result['eager_over_ours']:.2f}")
    if options.json:
        options.json.write_text(json.dumps(result, indent=2), encoding="utf-8")


if __name__ == "__main__":
    main()
