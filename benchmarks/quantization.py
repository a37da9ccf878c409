"""This project's INT8 against other quantizers, on the same photographs. One run, arms in turn.

    python benchmarks/quantization.py CHECKPOINT --labels CSV [--labels CSV] [--count 512] [--rounds 5] [--json FILE]

- ours:            `sall-edge calibrate`, as it is.
- onnxruntime:     `quantize_static` with its defaults.
- onnxruntime, s8: the same with symmetric int8, per-channel weights and no outputs quantized, as TensorRT wants it.
- nncf:            `nncf.quantize` with its defaults (pip install nncf).
- modelopt:        `modelopt.onnx.quantization.quantize` with its defaults (pip install "nvidia-modelopt[onnx]", 6 GB).

All are calibrated on the same squares of the split `train` and judged on `test` against FP32, as OpenVINO computes them
(one square at a time, as in screening). TensorRT-RTX says whether it takes the graph and which convolutions are INT8;
it compiles on a CPU and runs nothing here. An arm whose library is not installed is left out and named.
"""

import argparse
import json
import statistics
import tempfile
import time
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from calibration.graphs import open_onnx_model
from calibration.quantize import quantize
from calibration.ranges import measure_ranges
from calibration.sample import choose
from engines.export import export
from engines.gate import GateReport, judge, load_limits
from engines.targets import load_target
from engines.tensorrt import build_plan
from sall_edge.artifacts import OnnxModel, open_checkpoint
from sall_edge.errors import BackendMissing, BuildError
from sall_edge.fundus.labels import in_split, read_labels
from sall_edge.fundus.prepared_set import PreparedSet, prepare_set
from sall_edge.runtime.machine import describe
from sall_edge.runtime.openvino import OpenvinoRunner
from sall_edge.runtime.tensorrt_library import library
from sall_edge.spec import Backend, TaskSet

U8 = NDArray[np.uint8]
PER_ROUND = 60
"""Squares of a round's timing."""

_CELL = 90
"""Characters of a compiler's refusal that a table holds; the JSON has all."""


def main() -> None:
    """Parses, quantizes, measures, prints."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("source", type=Path, help="a checkpoint, or the model.onnx of one")
    parser.add_argument("--labels", type=Path, action="append", required=True)
    parser.add_argument("--count", type=int, default=512)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", type=Path)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="sall-edge-") as name:
        folder = Path(name)
        if asked.source.is_dir():
            model = export(open_checkpoint(asked.source), folder / "model.onnx")
        else:
            model = open_onnx_model(asked.source)
        photographs = read_labels(asked.labels, TaskSet(tasks=model.manifest.tasks))
        train, tasks = in_split(photographs, "train"), model.manifest.tasks
        drawn = choose(train, tasks, asked.count, rng=np.random.default_rng(asked.seed))
        squares = prepare_set(drawn, model.manifest.image).squares
        test = prepare_set(in_split(photographs, "test"), model.manifest.image)
        graphs, left_out = _graphs(model, squares, folder)
        report = {
            "machine": describe(),
            "side_px": model.manifest.image.side_px,
            "calibration": len(squares),
            "test": len(test.squares),
            "arms": _measured(model, graphs, test, asked.rounds),
            "left_out": left_out,
        }
    print(_table(report))
    if asked.json:
        asked.json.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")


def _graphs(model: OnnxModel, squares: U8, folder: Path) -> tuple[dict[str, tuple[Path, float]], dict[str, str]]:
    """Arm to its graph and the seconds that it took; and the arms that could not be made, with the reason."""
    made: dict[str, tuple[Path, float]] = {"fp32": (model.path, 0.0)}
    left_out: dict[str, str] = {}
    for arm, make in _ARMS.items():
        start = time.perf_counter()
        path = folder / f"{arm.replace(', ', '-')}.onnx"
        try:
            make(model, squares, path)
        except ModuleNotFoundError as cause:
            left_out[arm] = f"{cause.name} is not installed"
            continue
        made[arm] = path, time.perf_counter() - start
        print(f"{arm}: {made[arm][1]:.0f} s", flush=True)
    return made, left_out


def _ours(model: OnnxModel, squares: U8, path: Path) -> None:
    quantize(model, measure_ranges(model, squares), path, squares=squares)


def _onnxruntime(model: OnnxModel, squares: U8, path: Path, **options: Any) -> None:
    from onnxruntime.quantization import CalibrationDataReader, quantize_static

    class Reader(CalibrationDataReader):  # type: ignore[misc]  # onnxruntime ships no types
        def __init__(self) -> None:
            self.waiting = iter(squares)

        def get_next(self) -> dict[str, U8] | None:
            square = next(self.waiting, None)
            return None if square is None else {"image": square[np.newaxis]}

    quantize_static(str(model.path), str(path), Reader(), **options)


def _onnxruntime_s8(model: OnnxModel, squares: U8, path: Path) -> None:
    from onnxruntime.quantization import QuantType

    extra = {
        "ActivationSymmetric": True,
        "WeightSymmetric": True,
        "QuantizeBias": False,
        "OpTypesToExcludeOutputQuantization": ["Conv", "Gemm", "MatMul"],
    }
    kinds = {"activation_type": QuantType.QInt8, "weight_type": QuantType.QInt8}
    _onnxruntime(
        model, squares, path, per_channel=True, op_types_to_quantize=["Conv", "Add"], extra_options=extra, **kinds
    )


def _nncf(model: OnnxModel, squares: U8, path: Path) -> None:
    import onnx

    nncf = import_module("nncf")
    data = nncf.Dataset(list(squares), lambda square: {"image": square[np.newaxis]})
    onnx.save(nncf.quantize(onnx.load(model.path), data, subset_size=len(squares)), path)


def _modelopt(model: OnnxModel, squares: U8, path: Path) -> None:
    quantizer = import_module("modelopt.onnx.quantization")
    quantizer.quantize(str(model.path), calibration_data={"image": squares}, output_path=str(path))


_ARMS: dict[str, Callable[[OnnxModel, U8, Path], None]] = {
    "ours": _ours,
    "onnxruntime": _onnxruntime,
    "onnxruntime, s8": _onnxruntime_s8,
    "nncf": _nncf,
    "modelopt": _modelopt,
}


def _measured(
    model: OnnxModel, graphs: dict[str, tuple[Path, float]], test: PreparedSet, rounds: int
) -> dict[str, dict[str, Any]]:
    manifest, limits = model.manifest, load_limits("clinical")
    runners = {arm: OpenvinoRunner(path, manifest, threads=0) for arm, (path, _) in graphs.items()}  # type: ignore[arg-type]  # it reads the image's side alone
    probs = {
        arm: _probs(runner, test.squares, [task.name for task in manifest.tasks]) for arm, runner in runners.items()
    }
    times: dict[str, list[float]] = {arm: [] for arm in runners}
    for _ in range(rounds):
        for arm, runner in runners.items():
            times[arm].append(_median_ms(runner, test.squares[:PER_ROUND]))
    arms = {}
    for arm, (path, seconds) in graphs.items():
        judged = judge(
            test.photographs, manifest.tasks, manifest.operating_points, probs["fp32"], probs[arm], limits,
            images_sha256="",
        )  # fmt: skip
        median = statistics.median(times[arm])
        arms[arm] = {
            "seconds": round(seconds, 1),
            "openvino_ms": round(median, 3),
            "share_of_fp32": round(statistics.median(a / b for a, b in zip(times[arm], times["fp32"], strict=True)), 3),
            "tasks": {task: _said(found) for task, found in judged.tasks.items()},
            "gate": _verdict(judged),
            "rtx": _rtx(path, model),
        }
    return arms


def _probs(runner: OpenvinoRunner, squares: U8, tasks: list[str]) -> dict[str, NDArray[np.float32]]:
    rows: dict[str, list[NDArray[np.float32]]] = {task: [] for task in tasks}
    for square in squares:
        found = runner.infer(square[np.newaxis])
        for task in tasks:
            rows[task].append(found[f"{task}_probs"][0].copy())
    return {task: np.stack(values) for task, values in rows.items()}


def _median_ms(runner: OpenvinoRunner, squares: U8) -> float:
    times = []
    for square in squares:
        start = time.perf_counter()
        runner.infer(square[np.newaxis])
        times.append((time.perf_counter() - start) * 1000)
    return statistics.median(times)


def _said(gate: Any) -> dict[str, float | None]:
    return {
        "grade_agreement": gate.grade_agreement,
        "lost_referrals": gate.lost_referrals,
        "gained_referrals": gate.gained_referrals,
        "referable_auc": gate.engine.referable_auc if gate.engine else None,
        "auc_kept": gate.engine.referable_auc / gate.fp32.referable_auc
        if gate.engine and gate.fp32 and gate.engine.referable_auc and gate.fp32.referable_auc
        else None,
    }


def _verdict(report: GateReport) -> str:
    return "passed" if report.is_passed else "; ".join(report.refusals)


def _rtx(path: Path, model: OnnxModel) -> str:
    try:
        trt = library(Backend.TENSORRT_RTX)
        plan = build_plan(trt, path, target=load_target("rtx"), image=model.manifest.image)
    except BackendMissing as missing:  # what the other arms measured is not lost
        return f"not compiled: {missing.why.splitlines()[0]}"
    except BuildError as refusal:
        return f"refused: {refusal.why.splitlines()[0]}"
    return f"{plan.kernels.int8} of {len(plan.kernels.kernels)} convolutions INT8"


def _table(report: dict[str, Any]) -> str:
    tasks = list(report["arms"]["fp32"]["tasks"])
    heads = [f"{task}: grades kept, lost, gained, AUC" for task in tasks]
    lines = [f"| | {' | '.join(heads)} | OpenVINO, share of FP32 | TensorRT-RTX | s |", "|---" * (len(tasks) + 4) + "|"]
    for arm, found in report["arms"].items():
        cells = []
        for task in tasks:
            one = found["tasks"][task]
            shares = f"{one['grade_agreement']:.2%}, {one['lost_referrals']:.2%}, {one['gained_referrals']:.2%}"
            auc = one["referable_auc"]
            cells.append(f"{shares}, {'no labels' if auc is None else f'{auc:.4f}'}")
        rtx = found["rtx"] if len(found["rtx"]) < _CELL else found["rtx"][:_CELL] + "…"
        lines.append(f"| {arm} | {' | '.join(cells)} | {found['share_of_fp32']:.2f} | {rtx} | {found['seconds']:.0f} |")
    lines += [f"| {arm} | left out: {why} |" for arm, why in report["left_out"].items()]
    return "\n".join(lines)


if __name__ == "__main__":
    main()
