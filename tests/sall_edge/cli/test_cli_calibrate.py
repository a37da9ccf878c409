"""Calibrations that must not reach a patient are refused; what only shows in verdicts stops at the gate (test_gate)."""

import csv
import json
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np

from sall_edge.artifacts import Checkpoint, OnnxModel


def _changed(labels: Path, folder: Path, change: Callable[[np.ndarray], np.ndarray], most: int = 40) -> Path:
    """Other photographs with the same labels."""
    with labels.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))[:most]
    (folder / "images").mkdir(parents=True)
    for row in rows:
        photograph = cv2.imread(str(labels.parent / row["image"]))
        row["image"] = f"images/{Path(row['image']).stem}.png"
        cv2.imwrite(str(folder / row["image"]), change(photograph))
    with (folder / "labels.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows(rows)
    return folder / "labels.csv"


def test_black_photographs_calibrate_nothing(
    sall_edge, tiny_model: OnnxModel, phantom_labels: Path, tmp_path: Path
) -> None:
    labels = _changed(phantom_labels, tmp_path / "black", np.zeros_like)
    done = sall_edge("calibrate", tiny_model.path, "--labels", labels, "-o", tmp_path / "qdq.onnx")
    assert done.code == 1
    assert "no retina on this photograph" in done.err
    assert not (tmp_path / "qdq.onnx").exists()


def test_four_photographs_calibrate_nothing(
    sall_edge, tiny_model: OnnxModel, phantom_labels: Path, tmp_path: Path
) -> None:
    labels = _changed(phantom_labels, tmp_path / "few", lambda photograph: photograph, most=4)
    done = sall_edge("calibrate", tiny_model.path, "--labels", labels, "-o", tmp_path / "qdq.onnx")
    assert done.code == 1
    assert "at least 8 are needed" in done.err
    assert not (tmp_path / "qdq.onnx").exists()


def test_ranges_of_another_graph_are_refused(
    sall_edge, tiny_model: OnnxModel, tiny_checkpoint: Checkpoint, phantom_labels: Path, tmp_path: Path
) -> None:
    first = sall_edge("calibrate", tiny_model.path, "--labels", phantom_labels, "-o", tmp_path / "qdq.onnx")
    assert first.code == 0, first.err
    ranges = json.loads((tmp_path / "qdq.ranges.json").read_text(encoding="utf-8"))
    (tmp_path / "other.json").write_text(json.dumps({**ranges, "model_sha256": "0" * 64}), encoding="utf-8")
    done = sall_edge(
        "calibrate",
        tiny_model.path,
        "--labels",
        phantom_labels,
        "--ranges",
        tmp_path / "other.json",
        "-o",
        tmp_path / "again.onnx",
    )
    assert done.code == 1
    assert "ranges are stale" in done.err
    assert not (tmp_path / "again.onnx").exists()
