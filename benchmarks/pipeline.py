"""Photograph -> verdict, against the floor, against what one would write first, and against a peer. One run, ratios.

    pip install --target PEER retinalysis-fundusprep
    python benchmarks/pipeline.py ENGINE CHECKPOINT PHOTOGRAPH_OR_FOLDER... [--peer PEER] [--match GLOB] [--count N]
                                  [--rounds 10] [--json FILE]

- ours:   `sall_edge.screening.examine`: read, scaled decode, field of view, square, quality, INT8 engine, verdict.
- floor:  read, the same scaled decode, and the bare OpenVINO request on a square that is ready. Nothing can be faster
          with this decoder and this engine.
- eager:  full decode, INTER_AREA to the square, NumPy normalisation, PyTorch eager FP32 on all cores.
- peer:   full decode, the retina crop of retinalysis-fundusprep to the square, the bundle's FP32 graph in ONNX Runtime:
          its fastest way, and `command`, what its own command does (see `peer_fundusprep.py`). AGPL: timed, never a
          dependency. Left out, and named, where it is not installed.

The arms take turns on every photograph, so that whatever else the machine does hits all of them. Photographs that the
decoder cannot scale (TIFF) are part of the run: they are a user's photographs too. The targets are stated for JPEG of 8
to 10 megapixels (rounded), which are reported apart. A photograph that is not graded never reaches the engine: it is
named and not timed.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from turns import in_turn, write_result

from sall_edge.artifacts import open_checkpoint, open_engine
from sall_edge.bench.speed.bare_request import BareRequest
from sall_edge.bench.speed.floor import Floor
from sall_edge.fundus.decode import decode, read_bytes
from sall_edge.runtime.session import Session, open_session
from sall_edge.screening.photographs import find_photographs
from sall_edge.screening.verdict import examine
from trainer.checkpoint import load_network
from trainer.network import SallNetwork

PAUSE_S = 0.005
CAMERA = "8-10 MP JPEG"
ARMS = ("ours", "floor", "eager", "peer", "command")
TARGETS = {"ours_over_floor": "at most 1.15", "eager_over_ours": "at least 5.5", "peer_over_ours": "at least 8"}


class Peer:
    """The process of `peer_fundusprep.py`; `missing` says why it is left out."""

    def __init__(self, folder: Path | None, graph: Path, side: int) -> None:
        command = [sys.executable, str(Path(__file__).with_name("peer_fundusprep.py")), str(graph), str(side)]
        environment = os.environ | ({"PYTHONPATH": str(folder)} if folder else {})
        pipe = subprocess.PIPE
        self._process = subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True, env=environment)
        self.versions = self._hear()
        self.missing: str | None = self.versions.pop("missing", None)
        self.answers: dict[str, list[dict[str, Any]]] = {"fastest": [], "command": []}

    def photograph_to_probabilities(self, path: Path, way: str) -> float:
        """Milliseconds by its own clock: the pipe between the processes costs it nothing."""
        print(json.dumps([str(path), way]), file=self._process.stdin, flush=True)
        self.answers[way].append(self._hear())
        return float(self.answers[way][-1]["ms"])

    def described(self, rounds: int) -> dict[str, Any]:
        """What the last photograph's time went to, medians, and the circle; nothing where the peer is missing."""
        if self.missing:
            return {}
        last = self.answers["fastest"][-rounds:]
        parts = {name: statistics.median(answer["parts_ms"][name] for answer in last) for name in last[0]["parts_ms"]}
        return {"peer_parts_ms": parts, "peer_radius_px": last[-1]["radius_px"]}

    def close(self) -> None:
        """Ends the process."""
        self._process.communicate()

    def _hear(self) -> dict[str, Any]:
        line = self._process.stdout.readline() if self._process.stdout else ""
        if not line:
            raise SystemExit("the peer's process ended: see its messages above")
        return dict(json.loads(line))


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


def scale_of(path: Path, side: int) -> int:
    """What `ours` divides width and height by while it decodes."""
    return decode(read_bytes(path), name=path.name, side_px=side).scale_denominator


def measure(
    session: Session, network: SallNetwork, peer: Peer, photographs: Sequence[Path], rounds: int
) -> tuple[list[dict[str, Any]], list[str]]:
    """Median milliseconds of each arm, one row a photograph; and the photographs that are not graded."""
    side = session.manifest.image.side_px
    request = BareRequest(session.engine.blob_path, np.zeros((side, side, 3), np.uint8))
    floor = Floor(request.infer)
    rows, ungraded = [], []
    for path in photographs:
        examined = examine(session, path)
        if examined.prediction is None or examined.square is None:
            ungraded.append(path.name)
            continue
        request.load(examined.square)
        scale = scale_of(path, side)
        arms: dict[str, Callable[[], float | None]] = {
            "ours": lambda path=path: (examine(session, path), None)[1],
            "floor": lambda path=path, scale=scale: floor.measure(path, scale).total_ms,
            "eager": lambda path=path: eager(path, network, side),
        }
        if peer.missing is None:
            arms["peer"] = lambda path=path: peer.photograph_to_probabilities(path, "fastest")
            arms["command"] = lambda path=path: peer.photograph_to_probabilities(path, "command")
        samples = in_turn(arms, rounds=rounds, pause_s=PAUSE_S)
        height, width = cv2.imread(str(path)).shape[:2]
        rows.append(
            {
                "photograph": path.name,
                "megapixels": round(height * width / 1e6, 1),
                "scale": scale,
                **{name: statistics.median(values) for name, values in samples.items()},
                **peer.described(rounds),
            }
        )
        print(in_words(rows[-1]), file=sys.stderr, flush=True)
    return rows, ungraded


def is_camera_jpeg(row: dict[str, Any]) -> bool:
    """Whether the targets are stated for it."""
    return 8 <= round(row["megapixels"]) <= 10 and Path(row["photograph"]).suffix.lower() in (".jpg", ".jpeg")


def summarise(rows: list[dict[str, Any]]) -> dict[str, Any] | None:
    """Ratios of sums over photographs, and the worst photograph of each; None without any."""
    if not rows:
        return None
    names = [name for name in ARMS if name in rows[0]]
    total = {name: sum(row[name] for row in rows) for name in names}
    pairs = [("ours", "floor"), ("eager", "ours"), *((name, "ours") for name in names[3:])]
    return {
        "photographs": len(rows),
        "mean_ms": {name: value / len(rows) for name, value in total.items()},
        **{f"{a}_over_{b}": round(total[a] / total[b], 3) for a, b in pairs},
        "range_over_photographs": {
            f"{a}_over_{b}": [round(f(row[a] / row[b] for row in rows), 3) for f in (min, max)] for a, b in pairs
        },
    }


def in_words(row: dict[str, Any]) -> str:
    """A photograph on one line."""
    arms = "  ".join(f"{name} {row[name]:6.1f} ms" for name in ARMS if name in row)
    return f"{row['photograph']:28s} {row['megapixels']:4.1f} MP  1/{row['scale']}  {arms}"


def main() -> None:
    """Parses, measures, prints."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("engine", type=Path)
    parser.add_argument("checkpoint", type=Path)
    parser.add_argument("photographs", type=Path, nargs="+")
    parser.add_argument("--peer", type=Path, help="folder that retinalysis-fundusprep was installed to")
    parser.add_argument("--match", default="*", help="only photographs whose name looks like this")
    parser.add_argument("--count", type=int, help="that many photographs, spread over all")
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()

    found = [path for path in find_photographs(options.photographs) if path.match(options.match)]
    chosen = found[:: max(1, len(found) // options.count)][: options.count] if options.count else found
    network = load_network(open_checkpoint(options.checkpoint))
    with open_session(open_engine(options.engine)) as session:
        peer = Peer(options.peer, session.engine.reference_path, session.manifest.image.side_px)
        rows, ungraded = measure(session, network, peer, chosen, options.rounds)
        peer.close()
        result = {
            "rounds": options.rounds,
            "targets": TARGETS,
            CAMERA: summarise([row for row in rows if is_camera_jpeg(row)]),
            "all": summarise(rows),
            "not_graded": ungraded,
            "peer": peer.missing or peer.versions,
            "side_px": session.manifest.image.side_px,
            "precision": session.manifest.precision.value,
            "threads": {"torch": torch.get_num_threads(), "opencv": cv2.getNumThreads()},
        }
    print(json.dumps(result, indent=2))
    if peer.missing:
        print(
            f"The peer is left out: {peer.missing}. pip install --target PEER retinalysis-fundusprep, then --peer PEER"
        )
    write_result(options.json, result | {"rows": rows})


if __name__ == "__main__":
    main()
