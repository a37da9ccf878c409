import json
from pathlib import Path

import numpy as np
import pytest

from sall_edge.artifacts import Checkpoint, OnnxModel, QdqModel, open_engine


@pytest.fixture
def lenient(tmp_path: Path) -> Path:
    """Limits that an untrained network on a handful of phantoms can keep."""
    path = tmp_path / "lenient.toml"
    lines = ['name = "lenient"', "least_photographs = 1", "least_referable = 1", "grade_agreement = 0.0"]
    lines += [f"{name} = 1.0" for name in ("lost_referrals", "gained_referrals", "kappa_loss")]
    lines += [f"{name} = 1.0" for name in ("sensitivity_loss", "specificity_loss")] + ["referable_auc_kept = 0.0"]
    path.write_text("\n".join(lines), encoding="utf-8")
    return path


@pytest.mark.slow
def test_an_engine_that_passes_the_gate_carries_its_report(
    sall_edge, tiny_checkpoint: Checkpoint, phantom_labels: Path, lenient: Path, tmp_path: Path
) -> None:
    options = ["--calibration", phantom_labels, "--count", 8, "--method", "minmax"]
    gate = ["--gate", phantom_labels, "--gate-split", "test", "--limits", lenient]
    done = sall_edge("build", tiny_checkpoint.path, *options, *gate, "-o", tmp_path / "engine")
    assert done.code == 0, done.err
    assert "gate: passed lenient on" in done.out
    report = json.loads((tmp_path / "engine" / "gate.json").read_text(encoding="utf-8"))
    assert report["limits"]["name"] == "lenient"
    assert report["tasks"]["dr"]["photographs"] == report["tasks"]["amd"]["photographs"] > 0


def test_an_engine_takes_as_many_of_the_gates_photographs_along_as_it_is_told(
    sall_edge, tiny_model: OnnxModel, phantom_labels: Path, lenient: Path, tmp_path: Path
) -> None:
    options = ["--precision", "fp32", "--gate", phantom_labels, "--gate-split", "test", "--limits", lenient]
    for count in (0, 3):
        done = sall_edge("build", tiny_model.path, *options, "--probes", count, "-o", tmp_path / f"engine{count}")
        assert done.code == 0, done.err
    assert not (tmp_path / "engine0" / "probes.npz").exists()
    with np.load(tmp_path / "engine3" / "probes.npz", allow_pickle=False) as file:
        assert len(file["fp32_dr"]) == 3


def test_an_engine_learns_what_is_familiar_from_its_calibration_and_its_gate(
    sall_edge, tiny_model: OnnxModel, phantom_labels: Path, lenient: Path, tmp_path: Path
) -> None:
    labels = phantom_labels.with_name("familiar.csv")  # beside the photographs, in splits of another size
    lines = phantom_labels.read_text(encoding="utf-8").splitlines()
    patients = dict.fromkeys(line.split(",")[4] for line in lines[1:])
    training = set(list(patients)[: round(len(patients) * 0.85)])
    rows = (line.split(",") for line in lines[1:])
    changed = [",".join([*row[:-1], "train" if row[4] in training else "val"]) for row in rows]
    labels.write_text("\n".join([lines[0], *changed]), encoding="utf-8")
    gate = ["--precision", "fp32", "--calibration", labels, "--gate", labels, "--limits", lenient]
    done = sall_edge("build", tiny_model.path, *gate, "--unfamiliar", 0.3, "-o", tmp_path / "engine")
    assert done.code == 0, done.err
    told = open_engine(tmp_path / "engine").manifest.provenance["familiarity"]
    assert told["training"]["photographs"] >= 32 > told["validation"]["photographs"] > 0
    text = sall_edge("inspect", tmp_path / "engine").out
    assert f"limit       {told['limit']}" in text
    assert f"images_sha256 {told['validation']['images_sha256']}" in text
    few = sall_edge("build", tiny_model.path, *gate, "-o", tmp_path / "few")
    assert few.code == 0, few.err
    assert "gradable validation photographs are too few, 99 are the least" in sall_edge("inspect", tmp_path / "few").out


def test_a_gate_that_says_no_is_exit_3_and_no_engine(
    sall_edge, tiny_qdq: QdqModel, tiny_model: OnnxModel, phantom_labels: Path, tmp_path: Path
) -> None:
    done = sall_edge(
        "build", tiny_qdq.path, "--model", tiny_model.path, "--gate", phantom_labels, "-o", tmp_path / "engine"
    )
    assert done.code == 3
    assert "whether the gate's photographs also calibrated" in done.err
    assert "labelled photographs decide nothing, at least 100" in done.err
    assert "add labelled photographs to the gate" in done.err
    assert "engine.gate.json names every changed verdict" in done.err
    assert [path.name for path in tmp_path.iterdir()] == ["engine.gate.json"]


def test_a_gate_on_the_calibration_photographs_is_refused(
    sall_edge, tiny_checkpoint: Checkpoint, phantom_labels: Path, tmp_path: Path
) -> None:
    options = ["--calibration", phantom_labels, "--gate", phantom_labels, "--gate-split", "train"]
    done = sall_edge("build", tiny_checkpoint.path, *options, "-o", tmp_path / "engine")
    assert done.code == 1
    assert "photographs for calibration also serve the gate" in done.err
    assert "the same patient" in done.err
    assert not (tmp_path / "engine").exists()


def test_a_graph_remembers_the_photographs_that_calibrated_it(
    sall_edge, tiny_model: OnnxModel, phantom_labels: Path, lenient: Path, tmp_path: Path
) -> None:
    graph, engine = tmp_path / "qdq.onnx", tmp_path / "engine"
    done = sall_edge("calibrate", tiny_model.path, "--labels", phantom_labels, "--count", 8, "-o", graph)
    assert done.code == 0, done.err
    assert "8 calibration images; 256 or more are advised" in done.err
    options = ["--model", tiny_model.path, "--gate", phantom_labels, "--limits", lenient, "-o", engine]
    refused = sall_edge("build", graph, "--gate-split", "train", *options)
    assert refused.code == 1
    assert "photographs for calibration also serve the gate" in refused.err
    passed = sall_edge("build", graph, "--gate-split", "test", *options)
    assert passed.code == 0, passed.err
    assert "share no patient and no pixels" in passed.err
    photographs = tmp_path / "qdq.calibration.csv"
    photographs.write_text(photographs.read_text(encoding="utf-8") + "more,,,\n", encoding="utf-8")
    assert "is not the list of qdq.onnx" in sall_edge("build", graph, "--gate-split", "test", *options).err


@pytest.mark.slow
def test_auto_ships_what_passes_and_tells_every_rung(
    sall_edge, tiny_checkpoint: Checkpoint, phantom_labels: Path, lenient: Path, tmp_path: Path
) -> None:
    limits = lenient.read_text(encoding="utf-8").replace("grade_agreement = 0.0", "grade_agreement = 1.0")
    lenient.write_text(limits + "\n", encoding="utf-8")
    options = ["--calibration", phantom_labels, "--count", 8, "--gate", phantom_labels, "--gate-split", "test"]
    done = sall_edge(
        "build", tiny_checkpoint.path, "--precision", "auto", *options, "--limits", lenient, "-o", tmp_path / "engine"
    )
    assert done.code == 0, done.err
    rungs = [line for line in done.err.splitlines() if " ms" in line]
    assert rungs[0].startswith("int8 ")
    assert rungs[-1].startswith("fp32, for comparison")
    assert any(line.endswith("passed") for line in rungs)
    report = json.loads((tmp_path / "engine" / "gate.json").read_text(encoding="utf-8"))
    assert report["tasks"]["dr"]["grade_agreement"] == 1.0


def test_auto_without_photographs_to_judge_is_a_usage_error(
    sall_edge, tiny_model: OnnxModel, phantom_labels: Path, tmp_path: Path
) -> None:
    done = sall_edge(
        "build", tiny_model.path, "--precision", "auto", "--calibration", phantom_labels, "-o", tmp_path / "engine"
    )
    assert done.code == 2
    assert "needs --gate" in done.err
