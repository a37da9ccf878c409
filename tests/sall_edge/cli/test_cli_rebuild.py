"""`sall-edge rebuild`, and `screen` meanwhile."""

import json
import os
import signal
import sys
from pathlib import Path

import numpy as np
import pytest
from fakes.older_bundle import install_device, install_tensorrt, older, tensorrt_bundle
from PIL import Image

from engines.rebuild_process import BackgroundRebuild
from sall_edge.artifacts import Engine, open_engine
from sall_edge.fundus.phantom import draw_phantom


@pytest.fixture(scope="module")
def photograph(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("eye") / "eye.png"
    Image.fromarray(draw_phantom(np.random.default_rng(3), side_px=320, dr_grade=2, amd_grade=0, eye="R").pixels).save(
        path
    )
    return path


@pytest.fixture
def plan(int8_engine: Engine, tmp_path: Path) -> Engine:
    return tensorrt_bundle(int8_engine, tmp_path / "engine")


def test_an_engine_of_this_version_is_left_alone_unless_forced(sall_edge, int8_engine: Engine, tmp_path: Path) -> None:
    made = older(int8_engine, tmp_path / "engine", backend_version=int8_engine.manifest.backend_version)
    done = sall_edge("rebuild", made.path)
    assert (done.code, done.out) == (
        0,
        f"openvino {made.manifest.backend_version} wrote {made.path}: nothing to do\n",
    )
    assert json.loads(sall_edge("rebuild", made.path, "--json").out)["is_rebuilt"] is False
    assert open_engine(made.path).sha256 == made.sha256
    done = sall_edge("rebuild", made.path, "--force")
    assert done.code == 0, done.err
    assert "not verified: the bundle carries no probes" in done.out
    assert open_engine(made.path).sha256 != made.sha256


def test_an_older_engine_is_rebuilt_with_progress_on_stderr_and_one_line_on_stdout(
    sall_edge, int8_engine: Engine, tmp_path: Path
) -> None:
    old = older(int8_engine, tmp_path / "engine")
    done = sall_edge("rebuild", old.path)
    assert done.code == 0, done.err
    assert done.out.startswith(f"{old.path}  sha256 {open_engine(old.path).sha256}  openvino ")
    assert len(done.out.splitlines()) == 1
    assert "compiling" in done.err


def test_for_a_machine_the_result_is_json_and_so_are_the_steps(sall_edge, int8_engine: Engine, tmp_path: Path) -> None:
    old = older(int8_engine, tmp_path / "engine")
    done = sall_edge("rebuild", old.path, "--json")
    told = json.loads(done.out)
    assert told["is_rebuilt"] is True
    assert (told["rebuilt"]["from"], told["backend"]) == ("2020.1", "openvino")
    assert told["sha256"] == open_engine(old.path).sha256
    assert [json.loads(line) for line in done.err.splitlines()] == [
        {"stage": "compiling", "total": 1},
        {"steps": 1},
        {"stage": "verifying", "total": 1},
        {"steps": 1},
    ]


def test_sigterm_ends_a_rebuild_tidily_and_leaves_the_old_engine(
    sall_edge, int8_engine: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = older(int8_engine, tmp_path / "engine")
    before = signal.getsignal(signal.SIGTERM)

    def terminated(*arguments: object, **options: object) -> None:
        os.kill(os.getpid(), signal.SIGTERM)
        pytest.fail("SIGTERM was not heard")

    monkeypatch.setattr("engines.rebuild.compile_graph", terminated)
    assert sall_edge("rebuild", old.path, "--json").code != 0
    assert [place.name for place in tmp_path.iterdir()] == ["engine"]
    assert open_engine(old.path).sha256 == old.sha256
    assert signal.getsignal(signal.SIGTERM) is before


def test_probes_that_say_no_are_exit_3(
    sall_edge, plan: Engine, photograph: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from sall_edge.errors import GateRefused

    def refuses(*arguments: object, **options: object) -> None:
        raise GateRefused("it does not decide as judged", "dr: probe 3: referral lost", "the old bundle stays")

    install_device(monkeypatch, "10.16.1")
    monkeypatch.setattr("engines.rebuild._proven", refuses)
    done = sall_edge("rebuild", plan.path)
    assert done.code == 3
    assert "why: dr: probe 3: referral lost" in done.err
    assert done.out == ""
    assert open_engine(plan.path).sha256 == plan.sha256


def test_what_is_not_there_is_exit_1_with_a_fix(sall_edge, plan: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "tensorrt", None)
    done = sall_edge("rebuild", plan.path)
    assert done.code == 1
    assert "TensorRT is not installed" in done.err
    assert "fix: on a Jetson make the venv with --system-site-packages" in done.err


def test_screen_says_in_text_that_the_cpu_serves(
    sall_edge, plan: Engine, photograph: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install_tensorrt(monkeypatch, "10.16.1")
    done = sall_edge("screen", plan.path, photograph)
    assert done.code == 0
    assert done.out.count("eye.png") == 1
    (line,) = done.err.splitlines()
    assert line.startswith("note: the CPU serves with the FP32 graph, because ")
    assert line.endswith(f"this machine has 10.16.1, and a plan runs only in the version that wrote it; remedy: "
                         f"sall-edge rebuild {plan.path}")  # fmt: skip


def test_screen_says_in_json_who_serves_each_photograph(
    sall_edge, plan: Engine, int8_engine: Engine, photograph: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "black.png").parent.mkdir(exist_ok=True)
    Image.fromarray(np.zeros((400, 400, 3), np.uint8)).save(tmp_path / "black.png")
    shown = [photograph, tmp_path / "black.png", tmp_path / "missing.png"]
    install_tensorrt(monkeypatch, "10.16.1")
    told = [one["served_by"] for one in json.loads(sall_edge("screen", plan.path, *shown, "--json").out)]
    assert len(told) == 3
    for one in told:
        assert (one["backend"], one["precision"]) == ("openvino", "fp32")
        assert "was compiled by tensorrt 10.3.0" in one["because"]
    (one,) = json.loads(sall_edge("screen", int8_engine.path, photograph, "--json").out)
    assert one["served_by"] == {"backend": "openvino", "precision": "int8", "because": None}


def test_screen_refuses_a_damaged_plan_whatever_its_version(
    sall_edge, plan: Engine, photograph: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install_tensorrt(monkeypatch, "10.16.1")
    (plan.path / plan.manifest.blob).write_bytes(b"cut short")
    done = sall_edge("screen", plan.path, photograph)
    assert done.code == 1
    assert "changed" in done.err
    assert done.out == ""


def _rebuilding(monkeypatch: pytest.MonkeyPatch, script: str) -> list[Path]:
    """`screen --rebuild` starts this instead of a compiler."""
    asked: list[Path] = []

    def started(engine: Path) -> BackgroundRebuild:
        asked.append(engine)
        command = (sys.executable, "-c", f"import json, sys\n{script}")
        return BackgroundRebuild(engine, command=command)

    monkeypatch.setattr("sall_edge.cli.screen.started", started)
    return asked


FINISHES = """
print(json.dumps({"stage": "compiling", "total": 1}), file=sys.stderr)
print(json.dumps({"steps": 1}), file=sys.stderr)
"""
REFUSES = "print('error: it drops referrals', file=sys.stderr); sys.exit(3)"


@pytest.mark.parametrize(
    ("script", "code", "words"),
    [
        (FINISHES, 0, "was rebuilt, and the next screening runs on it"),
        (REFUSES, 3, "was not rebuilt, and the verdicts are the CPU's: it drops referrals"),
        ("sys.exit(9)", 1, "the rebuild ended with exit code 9 and gave no reason"),
    ],
)
def test_screen_can_rebuild_meanwhile_and_waits_for_the_end(
    sall_edge, plan: Engine, photograph: Path, monkeypatch: pytest.MonkeyPatch, script: str, code: int, words: str
) -> None:
    install_tensorrt(monkeypatch, "10.16.1")
    asked = _rebuilding(monkeypatch, script)
    done = sall_edge("screen", plan.path, photograph, "--json", "--rebuild")
    assert done.code == code
    assert json.loads(done.out)[0]["served_by"]["precision"] == "fp32"
    assert words in done.err
    assert asked == [plan.path]


def test_screen_starts_no_rebuild_unasked_or_where_it_would_not_help(
    sall_edge, plan: Engine, int8_engine: Engine, photograph: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = _rebuilding(monkeypatch, "sys.exit(1)")
    install_tensorrt(monkeypatch, "10.16.1")
    assert sall_edge("screen", plan.path, photograph).code == 0
    assert sall_edge("screen", int8_engine.path, photograph, "--rebuild").code == 0
    monkeypatch.setitem(sys.modules, "tensorrt", None)
    done = sall_edge("screen", plan.path, photograph, "--rebuild")
    assert done.code == 0
    assert "TensorRT is not installed" in done.err
    assert asked == []
