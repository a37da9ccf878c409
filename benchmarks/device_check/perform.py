"""One step, in the process that it has for itself."""

import faulthandler
import json
import os
import subprocess
import sys
from dataclasses import asdict

from benchmarks.device_check.board import jetson_facts, nvidia_versions, sensors, target_here
from benchmarks.device_check.findings import Findings
from benchmarks.device_check.order import Action, Arm, Order, Step
from sall_edge.errors import BackendMissing, SallEdgeError
from sall_edge.runtime.cuda import describe_gpu
from sall_edge.runtime.machine import describe
from sall_edge.spec import Precision

__all__ = ["perform"]

TEST_FOLDERS = ("tests/gpu", "tests/sall_edge/runtime/kernels")
_PYTEST_LINES = 100
_NO_TESTS = 5
"""pytest's exit code when it ran none."""


def perform(step: Step, order: Order, found: Findings) -> int:
    """Does the step; 0, or 1 when it failed with a reason that stands in the findings."""
    faulthandler.enable()
    try:
        _perform(step, order, found)
    except Exception as problem:  # whatever it is, it belongs in the report
        found.fail(problem)
        if not isinstance(problem, SallEdgeError):
            raise
        return 1
    return 0


def _perform(step: Step, order: Order, found: Findings) -> None:
    match step:
        case Step(Action.DOCTOR):
            _doctor(found)
        case Step(Action.DEVICE):
            _device(found)
        case Step(Action.TESTS):
            _tests(found)
        case Step(Action.GRAPHS):
            from benchmarks.device_check.graphs import make_graphs

            make_graphs(order, found)
        case Step(action, Arm() as arm, Precision() as precision):
            _measure(action, arm, precision, order, found)


def _measure(action: Action, arm: Arm, precision: Precision, order: Order, found: Findings) -> None:
    from benchmarks.device_check import builds, speeds

    match action:
        case Action.BUILD:
            builds.build(order, arm, precision, found)
        case Action.BUILD_AGAIN:
            builds.build_again(order, arm, precision, found)
        case Action.NUMBERS:
            builds.compare(order, arm, precision, found)
        case Action.SPEED:
            speeds.measure_speed(order, arm, precision, found)
        case Action.PHOTOGRAPH:
            speeds.measure_photographs(order, precision, found)
        case Action.ENDURANCE:
            speeds.endure(order, precision, found)
        case Action.REBUILD:
            builds.rebuild_copy(order, precision, found)


def _doctor(found: Findings) -> None:
    command = [sys.executable, "-m", "sall_edge", "doctor", "--json"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    found.note(checks=json.loads(done.stdout)["checks"])


def _device(found: Findings) -> None:
    """What is known without a GPU first: it is in the report when the rest fails."""
    found.note(source=_commit(), machine=describe(), jetson=jetson_facts(), versions=nvidia_versions())
    found.note(sensors=sensors())
    found.note(gpu=asdict(describe_gpu()))
    found.note(target=target_here().model_dump(mode="json"))


def _commit() -> str:
    """Of the checkout that is measured."""
    command = ["git", "describe", "--always", "--dirty", "--abbrev=12", "--exclude=*"]
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.SubprocessError):
        return "unknown: this is no git checkout"


def _tests(found: Findings) -> None:
    options = ("-m", "gpu", "-q", "-ra", "--tb=short", "--disable-warnings", "-p", "no:cacheprovider")
    command = [sys.executable, "-m", "pytest", *options, *TEST_FOLDERS]
    # What else is installed on a device (ROS, for one) brings plugins that break a plain run.
    environment = {**os.environ, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    lines = done.stdout.splitlines()
    found.note(exit_code=done.returncode, summary=lines[-1] if lines else "", last_lines=lines[-_PYTEST_LINES:])
    if "No module named pytest" in done.stderr:
        fix = "pip install 'pytest>=8' 'hypothesis>=6.100'"
        raise BackendMissing("the tests for a device did not run", "pytest is not installed", fix)
    if done.returncode not in (0, _NO_TESTS):
        found.note(errors=done.stderr.splitlines()[-_PYTEST_LINES:])
        why = lines[-1] if lines else done.stderr[-500:]
        raise SallEdgeError("a test for a device failed", why, "send the report: it holds pytest's last lines")
