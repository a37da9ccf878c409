import os
import sys
import time
from pathlib import Path

import pytest
from fakes.older_bundle import older

from engines.rebuild_process import BackgroundRebuild, RebuildStatus, State
from sall_edge.artifacts import Engine, open_engine

PATIENCE_S = 60.0
"""For a process that imports OpenVINO on a busy machine."""


def _ended(rebuild: BackgroundRebuild) -> RebuildStatus:
    start = time.monotonic()
    while (status := rebuild.poll()).state is State.RUNNING:
        assert time.monotonic() - start < PATIENCE_S
        time.sleep(0.02)
    return status


def _script(text: str) -> tuple[str, ...]:
    return sys.executable, "-c", f"import json, os, signal, sys, time\n{text}"


def _until(rebuild: BackgroundRebuild, stage: str) -> RebuildStatus:
    start = time.monotonic()
    while (status := rebuild.poll()).stage != stage:
        assert time.monotonic() - start < PATIENCE_S
        time.sleep(0.02)
    return status


@pytest.mark.slow
def test_a_rebuild_beside_the_screening_ends_with_the_new_engine_in_its_place(
    judged_engine: Engine, tmp_path: Path
) -> None:
    old = older(judged_engine, tmp_path / "engine")
    with BackgroundRebuild(old.path) as rebuild:
        status = _ended(rebuild)
    assert status == RebuildStatus(state=State.FINISHED, stage="verifying", done=17, total=17, exit_code=0)
    assert open_engine(old.path).manifest.provenance["rebuilt"]["from"] == "2020.1"


@pytest.mark.slow
def test_a_rebuild_that_fails_says_what_the_command_says(judged_engine: Engine, tmp_path: Path) -> None:
    old = older(judged_engine, tmp_path / "engine")
    (old.path / "qdq.onnx").write_bytes(b"damaged")
    with BackgroundRebuild(old.path) as rebuild:
        status = _ended(rebuild)
    assert (status.state, status.exit_code) == (State.FAILED, 1)
    assert status.reason.startswith(f"{old.path / 'qdq.onnx'} changed\n  why: its sha256 is not ")
    assert "fix: " in status.reason


def test_what_libraries_write_before_the_error_is_no_part_of_the_reason(tmp_path: Path) -> None:
    text = "print('a warning', file=sys.stderr); print('error: refused\\n  why: probes', file=sys.stderr); sys.exit(3)"
    with BackgroundRebuild(tmp_path, command=_script(text)) as rebuild:
        status = _ended(rebuild)
    assert (status.exit_code, status.reason) == (3, "refused\n  why: probes")
    with BackgroundRebuild(tmp_path, command=_script("sys.exit(1)")) as rebuild:
        assert _ended(rebuild).reason == "the rebuild ended with exit code 1 and gave no reason"


def test_progress_is_told_while_it_runs(tmp_path: Path) -> None:
    lines = [{"stage": "compiling", "total": 1}, {"steps": 1}, {"stage": "verifying", "total": 9}, {"steps": 2}]
    text = f"print(*(json.dumps(line) for line in {lines}), sep='\\n', file=sys.stderr, flush=True); time.sleep(60)"
    with BackgroundRebuild(tmp_path, command=_script(text)) as rebuild:
        assert _until(rebuild, "verifying") == RebuildStatus(state=State.RUNNING, stage="verifying", done=2, total=9)


def test_a_compiler_that_the_kernel_kills_takes_nobody_along(tmp_path: Path) -> None:
    with BackgroundRebuild(tmp_path, command=_script("os.kill(os.getpid(), signal.SIGKILL)")) as rebuild:
        status = _ended(rebuild)
    assert status.state is State.FAILED
    assert status.reason == (
        "the rebuild was ended by SIGKILL; the kernel kills so when memory runs out, the old engine stays"
    )


def test_it_runs_at_the_lowest_priority_and_is_the_first_to_be_killed_for_memory(tmp_path: Path) -> None:
    with BackgroundRebuild(tmp_path, command=_script("time.sleep(60)")) as rebuild:
        pid = rebuild._process.pid
        assert os.getpriority(os.PRIO_PROCESS, pid) == 19
        assert Path(f"/proc/{pid}/oom_score_adj").read_text() == "1000\n"


INTERRUPTIBLE = """
signal.signal(signal.SIGTERM, signal.default_int_handler)
print(json.dumps({"stage": "compiling", "total": 1}), file=sys.stderr, flush=True)
try:
    time.sleep(60)
except KeyboardInterrupt:
    open(sys.argv[3], "w").write("tidied up")
"""


def test_it_does_not_outlive_its_owner_and_may_tidy_up(tmp_path: Path) -> None:
    with BackgroundRebuild(tmp_path / "note", command=_script(INTERRUPTIBLE)) as rebuild:
        _until(rebuild, "compiling")
    assert (tmp_path / "note").read_text() == "tidied up"
    assert rebuild._process.returncode == 0
    rebuild.stop()


def test_a_compiler_that_does_not_listen_is_killed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("engines.rebuild_process.SECONDS_TO_STOP", 0.2)
    text = "signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
    text += "print(json.dumps({'stage': 'compiling', 'total': 1}), file=sys.stderr, flush=True)\ntime.sleep(60)"
    with BackgroundRebuild(tmp_path, command=_script(text)) as rebuild:
        _until(rebuild, "compiling")
    assert rebuild._process.returncode == -9
