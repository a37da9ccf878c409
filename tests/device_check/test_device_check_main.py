import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.device_check import __main__ as program
from benchmarks.device_check.order import Action, Arm, Order, Step
from benchmarks.device_check.process import Ended
from benchmarks.device_check.record import Outcome, StepRecord
from engines.targets import load_target
from sall_edge.artifacts import Engine
from sall_edge.spec import Precision

ROOT = Path(__file__).parents[2]
LEAN = """
import sys
for name in ("torch", "timm", "onnx", "onnxruntime", "onnxconverter_common", "pycuda", "tensorrt", "tensorrt_rtx"):
    sys.modules[name] = None
"""
"""A device on which these are not installed, in every process: Python runs it as `sitecustomize` when it starts."""

OFF = Ended(
    exit_code=0, reason="", seconds=0, peak_resident_mib=0, least_available_mib=0, available_before_mib=0, tail=()
)


@pytest.mark.slow
def test_a_bundle_is_measured_without_torch_onnx_or_a_gpu_and_everything_else_says_why(
    int8_engine: Engine, tmp_path: Path
) -> None:
    (tmp_path / "sitecustomize.py").write_text(LEAN)
    shutil.copytree(int8_engine.path, tmp_path / "somebodys" / "clinic")
    output = tmp_path / "report"
    command = [sys.executable, "-m", "benchmarks.device_check", f"--engine={tmp_path / 'somebodys' / 'clinic'}"]
    command += [f"--output={output}", "--seconds=0.1", "--photographs=4"]
    environment = {**os.environ, "PYTHONPATH": str(tmp_path), "HOME": str(tmp_path / "home")}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 1, done.stderr
    assert done.stdout.splitlines()[0] == (
        f"{output / 'report.md'} and {output / 'report.json'}: please send both. This folder holds no photographs, no "
        "names of people and nothing of a bundle but its measurements."
    )
    report = json.loads((output / "report.json").read_text())
    steps = {step["name"]: step for step in report["steps"]}
    assert report["is_finished"]
    passed = {name for name, step in steps.items() if step["outcome"] == "passed"}
    cpu = {f"{action} cpu {precision}" for action in ("build", "numbers", "speed") for precision in ("int8", "fp32")}
    assert passed == {"doctor", "graphs", *cpu}, steps
    assert steps["device"]["outcome"] == "failed"
    assert steps["device"]["facts"]["machine"]["cores"] == os.cpu_count()
    assert steps["graphs"]["facts"]["graphs"] == ["model.onnx", "qdq.onnx"]
    assert "cannot be made here" in steps["graphs"]["facts"]["fp16"]
    assert steps["speed gpu int8"]["outcome"] == "not run"
    assert steps["speed gpu int8"]["error"]["what"].startswith("`build gpu int8` did not pass: `device` did not pass: ")
    assert "somebodys" not in (output / "report.json").read_text()


def _check(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, outcomes: dict[str, StepRecord]) -> program.Check:
    """The program with steps that end as they are told, and pass when nothing is told."""

    def run(step: Step, order: Order, *, timeout_s: float) -> StepRecord:
        return outcomes.get(step.name, StepRecord(name=step.name, outcome=Outcome.PASSED))

    monkeypatch.setattr(program, "_run", run)
    (tmp_path / "work").mkdir()
    return program.Check(Order(work=tmp_path / "work"), tmp_path / "report", timeout_s=1)


def _device(*, dla_cores: int = 0) -> StepRecord:
    jetson = {"model": "AGX Orin", "jetpack": "6.2", "l4t": "36.4.3", "power_mode": "", "fixed_clocks": None}
    target = load_target("agx-orin").model_dump(mode="json")
    facts = {"target": target, "jetson": {**jetson, "dla_cores": dla_cores}}
    return StepRecord(name="device", outcome=Outcome.PASSED, facts=facts)


def test_a_board_with_an_accelerator_is_measured_with_all_that_it_has(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    check = _check(tmp_path, monkeypatch, {"device": _device(dla_cores=2)})
    check.run()
    names = [step.name for step in check.record.steps]
    assert len(names) == len(set(names))
    assert names[:4] == ["doctor", "device", "graphs", "gpu tests"]
    for precision in ("int8-fp16", "int8", "fp16", "fp32"):
        for action in ("build", "build again", "numbers", "speed"):
            assert f"{action} gpu {precision}" in names
    assert {"photograph gpu int8-fp16", "endurance gpu int8-fp16", "rebuild gpu int8-fp16"} <= set(names)
    assert {"build dla fp16", "numbers dla fp16", "speed dla fp16", "speed cpu int8", "speed cpu fp32"} <= set(names)
    assert check.order.target == load_target("agx-orin")


def test_an_accelerator_that_this_tensorrt_lacks_is_no_failure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    device = _device(dla_cores=2)
    device.facts["versions"] = {"tensorrt": "10.16.1"}
    check = _check(tmp_path, monkeypatch, {"device": device})
    check.run()
    (step,) = [step for step in check.record.steps if "dla" in step.name]
    assert (step.name, step.outcome) == ("build dla fp16", Outcome.NOT_RUN)
    assert step.error is not None
    assert "TensorRT 10.16.1 has no DLA" in step.error["why"]
    assert check.record.steps[-1].name == "speed cpu fp32"


def test_what_needs_any_engine_takes_the_first_that_was_built(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    error = {"what": "no kernel", "why": "memory", "fix": "more"}
    failed = StepRecord(name="build gpu int8-fp16", outcome=Outcome.FAILED, error=error)
    check = _check(tmp_path, monkeypatch, {"device": _device(), "build gpu int8-fp16": failed})
    check.run()
    assert check.record.passed("endurance gpu int8")
    assert check.record.step("endurance gpu int8-fp16") is None
    skipped = check.record.step("speed gpu int8-fp16")
    assert skipped is not None
    assert skipped.outcome is Outcome.NOT_RUN
    assert skipped.error == {"what": "`build gpu int8-fp16` did not pass: no kernel", "why": "memory", "fix": "more"}
    assert not [step.name for step in check.record.steps if "dla" in step.name]


def test_the_report_is_on_disk_after_every_step(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    check = _check(tmp_path, monkeypatch, {})
    seen: list[list[str]] = []
    save = check._save

    def saved() -> None:
        save()
        report = json.loads((tmp_path / "report" / "report.json").read_text())
        seen.append([step["name"] for step in report["steps"]])
        assert report["is_finished"] == (len(seen) > len(report["steps"]))

    monkeypatch.setattr(check, "_save", saved)
    check.run()
    assert [len(names) for names in seen[:3]] == [1, 2, 3]


def test_ctrl_c_keeps_what_there_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    check = _check(tmp_path, monkeypatch, {})

    def interrupted(step: Step, order: Order, *, timeout_s: float) -> StepRecord:
        if step.action is Action.GRAPHS:
            raise KeyboardInterrupt
        return StepRecord(name=step.name, outcome=Outcome.PASSED)

    monkeypatch.setattr(program, "_run", interrupted)
    check.run()
    assert [(step.name, step.outcome.value) for step in check.record.steps] == [
        ("doctor", "passed"),
        ("device", "passed"),
        ("the rest", "failed"),
    ]


def test_a_step_is_told_by_its_words_and_its_findings_are_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[list[str]] = []

    def run(command: list[str], *, timeout_s: float) -> Ended:
        told.append(command)
        place = next(word.removeprefix("--findings=") for word in command if word.startswith("--findings="))
        Path(place).write_text('{"facts": {"p50_ms": 2}, "error": null}')
        return OFF

    monkeypatch.setattr(program, "run", run)
    record = program._run(Step(Action.BUILD_AGAIN, Arm.GPU, Precision.INT8), Order(work=tmp_path), timeout_s=5)
    assert record.facts == {"p50_ms": 2}
    assert record.name == "build again gpu int8"
    assert told[0][3:6] == ["--step=build again", "--arm=gpu", "--precision=int8"]
    assert Order.model_validate_json((tmp_path / "order.json").read_text()).work == tmp_path


def test_paths_that_may_name_a_person_are_replaced_longest_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", "/home/somebody")
    order = Order(work=tmp_path, engine=Path("/home/somebody/engines/clinic"))
    private = program.private_paths(order)
    assert private["/home/somebody"] == "~"
    assert private["/home/somebody/engines/clinic"] == "ENGINE"
    lengths = [len(path) for path in private]
    assert lengths == sorted(lengths, reverse=True)
    monkeypatch.setenv("HOME", "/")
    assert "/" not in program.private_paths(order)


def test_a_target_that_does_not_exist_is_an_error_before_anything_runs(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert program.main(["--target", "moon", "--output", str(tmp_path / "report")]) == 1
    assert "there is no target moon" in capsys.readouterr().err
    assert not (tmp_path / "report").exists()
