"""The other commands, end to end, on a network that was never trained."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from sall_edge.artifacts import Checkpoint, Engine, OnnxModel, QdqModel, open_engine, sha256_of_file

Run = Callable[..., Any]  # the fixture of tests/conftest.py

BENCH_KEYS = {
    "engine", "target", "precision", "device", "versions", "latency", "throughput", "memory", "accuracy", "reference",
    "flips",
}  # fmt: skip
ACCURACY_KEYS = {
    "n", "accuracy", "quadratic_weighted_kappa", "referable_auc", "sensitivity", "specificity", "ece", "brier",
    "aurc",
    "ece_if_calibrated", "interval",
}  # fmt: skip


@pytest.fixture
def brief_profile(monkeypatch: pytest.MonkeyPatch) -> None:
    """A quick profile of half a second."""
    from sall_edge.spec import Profile

    monkeypatch.setattr(Profile, "seconds", 0.5)


def test_no_arguments_show_the_commands(sall_edge: Run) -> None:
    done = sall_edge()
    assert done.code == 2
    for command in (
        "demo",
        "doctor",
        "phantom",
        "train",
        "evaluate",
        "explain",
        "export",
        "calibrate",
        "build",
        "bench",
        "screen",
    ):
        assert command in done.out + done.err


def test_an_unknown_option_is_a_usage_error(sall_edge: Run) -> None:
    assert sall_edge("doctor", "--nonsense").code == 2


def test_phantom_writes_photographs_and_labels(sall_edge: Run, tmp_path: Path) -> None:
    done = sall_edge("phantom", tmp_path / "out", "--count", 6, "--side", 256, "--seed", 1)
    assert done.code == 0, done.err
    assert Path(done.out.strip()) == tmp_path / "out" / "labels.csv"
    assert len(list((tmp_path / "out" / "images").iterdir())) == 6


@pytest.mark.slow
def test_export_calibrate_build_inspect(
    sall_edge: Run, tiny_checkpoint: Checkpoint, phantom_labels: Path, tmp_path: Path
) -> None:
    model, quantized, engine = tmp_path / "model.onnx", tmp_path / "qdq.onnx", tmp_path / "engine"
    assert sall_edge("export", tiny_checkpoint.path, "-o", model).code == 0
    done = sall_edge("calibrate", model, "--labels", phantom_labels, "--count", 16, "-o", quantized)
    assert done.code == 0, done.err
    assert quantized.with_suffix(".ranges.json").is_file()
    assert sall_edge("build", quantized, "--target", "openvino-cpu", "-o", engine).code == 0
    done = sall_edge("inspect", engine, "--json")
    manifest = json.loads(done.out)
    assert manifest["precision"] == "int8"
    assert manifest["target"]["name"] == "openvino-cpu"
    assert {"model.onnx", "qdq.onnx"} <= set(manifest["files"])
    assert manifest["operating_points"] == tiny_checkpoint.manifest.operating_points
    text = sall_edge("inspect", engine).out
    assert open_engine(engine).sha256 in text
    assert "referable: moderate" in text


@pytest.mark.slow
def test_build_takes_a_checkpoint_and_calibrates(
    sall_edge: Run, tiny_checkpoint: Checkpoint, phantom_labels: Path, tmp_path: Path
) -> None:
    done = sall_edge(
        "build", tiny_checkpoint.path, "--calibration", phantom_labels, "--count", 16, "-o", tmp_path / "engine"
    )
    assert done.code == 0, done.err
    assert open_engine(tmp_path / "engine").manifest.precision.value == "int8"


def test_build_of_int8_without_photographs_says_what_to_do(
    sall_edge: Run, tiny_checkpoint: Checkpoint, tmp_path: Path
) -> None:
    done = sall_edge("build", tiny_checkpoint.path, "-o", tmp_path / "engine")
    assert done.code == 1
    assert "--calibration labels.csv" in done.err
    assert not list(tmp_path.iterdir())


def test_build_of_fp32_needs_no_photographs(sall_edge: Run, tiny_model: OnnxModel, tmp_path: Path) -> None:
    done = sall_edge("build", tiny_model.path, "--precision", "fp32", "-o", tmp_path / "engine")
    assert done.code == 0, done.err
    assert open_engine(tmp_path / "engine").manifest.precision.value == "fp32"


def test_build_for_an_unknown_target_lists_the_known(sall_edge: Run, tiny_model: OnnxModel, tmp_path: Path) -> None:
    done = sall_edge("build", tiny_model.path, "--precision", "fp32", "--target", "toaster", "-o", tmp_path / "engine")
    assert done.code == 1
    assert "openvino-cpu" in done.err


def test_build_for_a_jetson_says_plainly_what_is_missing(sall_edge: Run, tiny_qdq: QdqModel, tmp_path: Path) -> None:
    done = sall_edge("build", tiny_qdq.path, "--target", "orin-nano", "-o", tmp_path / "engine")
    assert done.code == 1
    assert "fix:" in done.err
    assert not list(tmp_path.iterdir())


def test_onnx_from_elsewhere_is_refused(sall_edge: Run, tmp_path: Path) -> None:
    import onnx
    from onnx import TensorProto, helper

    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, [1])
    y = helper.make_tensor_value_info("y", TensorProto.FLOAT, [1])
    graph = helper.make_graph([helper.make_node("Identity", ["x"], ["y"])], "g", [x], [y])
    onnx.save(helper.make_model(graph), tmp_path / "foreign.onnx")
    done = sall_edge("build", tmp_path / "foreign.onnx", "--precision", "fp32", "-o", tmp_path / "engine")
    assert done.code == 1
    assert "foreign.onnx" in done.err
    assert "fix:" in done.err


@pytest.mark.usefixtures("brief_profile")
def test_bench_reports_the_contract(sall_edge: Run, tiny_engine: Engine, phantom_labels: Path, tmp_path: Path) -> None:
    page = tmp_path / "bench.html"
    done = sall_edge("bench", tiny_engine.path, "--labels", phantom_labels, "--json", "--html", page)
    assert done.code == 0, done.err
    report = json.loads(done.out)
    assert set(report) >= BENCH_KEYS
    assert report["latency"]["scenario"] == "SingleStream"
    assert report["latency"]["p50_ms"] > 0
    assert set(report["accuracy"]) == {"dr", "amd"}
    assert set(report["accuracy"]["dr"]) == ACCURACY_KEYS
    assert set(report["reference"]) == {
        "precision", "accuracy", "agreement", "referred", "confusion", "roc", "groups"
    }  # fmt: skip
    assert all(set(flip) >= {"image", "task", "from", "to"} for flip in report["flips"])
    assert report["imageability"]["gradable"] == report["photographs"] == len(report["answers"]) > 0
    assert {group["column"] for group in report["groups"]} >= {"eye"}
    assert page.with_suffix(".json").read_text(encoding="utf-8") == done.out
    assert "## Verdict" in page.with_suffix(".md").read_text(encoding="utf-8")
    html = page.read_text(encoding="utf-8")
    assert "Referable AUC" in html
    assert "<svg" in html
    assert "http" not in html  # the page needs no network
    command = f"sall-edge bench {tiny_engine.path} --labels {phantom_labels} --json --html {page}"
    assert command in html
    assert f"{phantom_labels} (sha256 {sha256_of_file(phantom_labels)})" in html


@pytest.mark.usefixtures("brief_profile")
def test_bench_without_labels_measures_speed_only(sall_edge: Run, tiny_engine: Engine) -> None:
    report = json.loads(sall_edge("bench", tiny_engine.path, "--json").out)
    assert report["accuracy"] == {}
    assert report["throughput"]["images_per_s"] > 0


def test_evaluate_gives_the_same_for_a_checkpoint_and_its_fp32_engine(
    sall_edge: Run, tiny_checkpoint: Checkpoint, tiny_model: OnnxModel, phantom_labels: Path, tmp_path: Path
) -> None:
    assert sall_edge("build", tiny_model.path, "--precision", "fp32", "-o", tmp_path / "engine").code == 0
    reports = [
        json.loads(sall_edge("evaluate", source, "--labels", phantom_labels, "--json").out)
        for source in (tiny_checkpoint.path, tmp_path / "engine")
    ]
    assert reports[0]["dr"]["n"] == reports[1]["dr"]["n"]
    assert reports[0]["dr"]["referable_auc"] == pytest.approx(reports[1]["dr"]["referable_auc"], abs=0.02)
    assert reports[0]["amd"]["ece"] == pytest.approx(reports[1]["amd"]["ece"], abs=0.02)
    page = tmp_path / "page.html"
    done = sall_edge("evaluate", tiny_checkpoint.path, "--labels", phantom_labels, "--html", page)
    assert "referable_auc" in done.out
    assert "photographs that can be prepared; bench leaves out those that screen would send back" in done.out
    assert "before the temperature of 1.50" in page.read_text(encoding="utf-8")


def test_labels_with_an_unknown_grade_are_refused(sall_edge: Run, tiny_engine: Engine, tmp_path: Path) -> None:
    labels = tmp_path / "labels.csv"
    labels.write_text("image,dr_grade,patient_id,split\na.jpg,7,p1,test\n")
    done = sall_edge("evaluate", tiny_engine.path, "--labels", labels)
    assert done.code == 1
    assert "7" in done.err


def test_a_patient_in_two_splits_is_refused(sall_edge: Run, tiny_engine: Engine, tmp_path: Path) -> None:
    labels = tmp_path / "labels.csv"
    labels.write_text("image,dr_grade,patient_id,split\na.jpg,0,p1,train\nb.jpg,0,p1,test\n")
    done = sall_edge("evaluate", tiny_engine.path, "--labels", labels)
    assert done.code == 1
    assert "p1" in done.err


def test_a_changed_engine_is_refused_by_every_command(sall_edge: Run, tiny_engine: Engine, tmp_path: Path) -> None:
    shutil.copytree(tiny_engine.path, tmp_path / "engine")
    blob = tmp_path / "engine" / tiny_engine.manifest.blob
    data = bytearray(blob.read_bytes())
    data[len(data) // 2] ^= 1
    blob.write_bytes(bytes(data))
    for command in (
        ["inspect", tmp_path / "engine"],
        ["bench", tmp_path / "engine"],
        ["screen", tmp_path / "engine", "x"],
    ):
        done = sall_edge(*command)
        assert done.code == 1
        assert "changed" in done.err


def test_doctor_names_every_check_with_a_remedy(sall_edge: Run) -> None:
    checks = json.loads(sall_edge("doctor", "--json").out)["checks"]
    assert all(set(check) == {"name", "ok", "detail", "fix"} for check in checks)
    assert all(check["fix"] for check in checks if not check["ok"])
    assert any("openvino" in check["name"].lower() and check["ok"] for check in checks)
    assert "fix:" in sall_edge("doctor").out
