import subprocess
import sys
from types import SimpleNamespace

import pytest

from benchmarks.device_check import perform as module
from benchmarks.device_check.findings import read_findings
from benchmarks.device_check.order import Action, Order, Step
from benchmarks.device_check.perform import perform
from engines.targets import load_target
from sall_edge.errors import BackendMissing
from sall_edge.runtime.cuda import GpuFacts


@pytest.fixture
def order(tmp_path) -> Order:
    return Order(work=tmp_path)


@pytest.fixture
def pytest_says(monkeypatch):
    """pytest, started by the step, ends so."""

    def says(code: int, out: str, err: str = "") -> None:
        done = SimpleNamespace(returncode=code, stdout=out, stderr=err)
        monkeypatch.setattr(module.subprocess, "run", lambda *arguments, **options: done)

    return says


def test_tests_that_pass_or_are_not_there_are_told_by_their_last_line(order, found, tmp_path, pytest_says) -> None:
    for code, line in ((0, "18 passed in 60s"), (5, "18 deselected in 1s")):
        pytest_says(code, f"....\n{line}\n")
        assert perform(Step(Action.TESTS), order, found[0]) == 0
        assert found[1]()["summary"] == line


def test_a_test_that_fails_fails_the_step_with_what_pytest_said(order, found, tmp_path, pytest_says) -> None:
    pytest_says(1, "F.\nFAILED tests/gpu/x.py::y\n1 failed, 1 passed in 2s\n", "Segmentation fault")
    assert perform(Step(Action.TESTS), order, found[0]) == 1
    facts, error = read_findings(tmp_path / "findings.json")
    assert "FAILED tests/gpu/x.py::y" in facts["last_lines"]
    assert facts["errors"] == ["Segmentation fault"]
    assert error is not None
    assert (error["what"], error["why"]) == ("a test for a device failed", "1 failed, 1 passed in 2s")


def test_without_pytest_the_step_says_what_to_install(order, found, tmp_path, pytest_says) -> None:
    pytest_says(1, "", f"{sys.executable}: No module named pytest")
    assert perform(Step(Action.TESTS), order, found[0]) == 1
    _, error = read_findings(tmp_path / "findings.json")
    assert error == {
        "what": "the tests for a device did not run",
        "why": "pytest is not installed",
        "fix": "pip install 'pytest>=8' 'hypothesis>=6.100'",
    }


def test_what_is_known_without_a_gpu_is_kept_when_there_is_none(order, found, tmp_path, monkeypatch) -> None:
    def missing() -> None:
        raise BackendMissing("the CUDA driver is not on this machine", "no library", "install it")

    monkeypatch.setattr(module, "describe_gpu", missing)
    monkeypatch.setattr(module, "sensors", lambda: {"celsius": {}})
    assert perform(Step(Action.DEVICE), order, found[0]) == 1
    facts, error = read_findings(tmp_path / "findings.json")
    assert {"source", "machine", "jetson", "versions", "sensors"} == set(facts)
    assert error == {"what": "the CUDA driver is not on this machine", "why": "no library", "fix": "install it"}


def test_a_gpu_and_its_target_are_told(order, found, monkeypatch) -> None:
    gpu = GpuFacts(name="Orin", compute_capability="8.7", multiprocessors=16, is_integrated=True)
    monkeypatch.setattr(module, "describe_gpu", lambda: gpu)
    monkeypatch.setattr(module, "target_here", lambda: load_target("openvino-cpu"))
    monkeypatch.setattr(module, "sensors", lambda: {"celsius": {}})
    assert perform(Step(Action.DEVICE), order, found[0]) == 0
    assert found[1]()["gpu"]["multiprocessors"] == 16
    assert found[1]()["target"]["name"] == "openvino-cpu"


def test_an_error_that_nobody_foresaw_is_kept_and_shown(order, found, tmp_path, monkeypatch) -> None:
    def fail(*arguments: object, **options: object) -> None:
        raise subprocess.CalledProcessError(-11, "doctor")

    monkeypatch.setattr(module.subprocess, "run", fail)
    with pytest.raises(subprocess.CalledProcessError):
        perform(Step(Action.DOCTOR), order, found[0])
    _, error = read_findings(tmp_path / "findings.json")
    assert error is not None
    assert "died with <Signals.SIGSEGV: 11>" in error["what"]
