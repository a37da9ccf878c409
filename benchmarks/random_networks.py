"""Graphs of networks with random weights, as `compiler_matrix.py` and `int8_speedup.py` compile them."""

from pathlib import Path

import numpy as np
import onnx
import torch

from calibration.lint import check
from calibration.quantize import quantize
from calibration.ranges import measure_ranges
from engines.export import export
from engines.half import write_fp16, write_mixed
from sall_edge.artifacts import Checkpoint
from sall_edge.spec import ImageSpec, RangeMethod, tasks_from_toml
from trainer.checkpoint import save_checkpoint
from trainer.network import SallNetwork
from trainer.tasks import task_file

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
