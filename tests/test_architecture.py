"""The house itself: what may be imported where, and what the wheel holds."""

import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from fakes.older_bundle import older

from sall_edge.artifacts import Engine, open_engine
from sall_edge.cli import COMMANDS

ROOT = Path(__file__).parent.parent
HEAVY = ("torch", "onnx", "timm", "scipy", "pandas", "sqlalchemy", "alembic")
TOP_LEVEL = {"sall_edge", "trainer", "engines", "calibration"}

REPORT_MODULES = """
import sys
sys.argv = ["sall-edge", *sys.argv[1:]]
from sall_edge.cli import main
try:
    main()
except SystemExit as stop:
    assert not stop.code, stop.code
print("MODULES", *sorted(name for name in sys.modules if "." not in name or name.startswith("sall_edge.cli.")))
"""


def _modules_after(*arguments: object) -> set[str]:
    command = [sys.executable, "-c", REPORT_MODULES, *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=ROOT)
    return set(done.stdout.splitlines()[-1].split()[1:])


def test_help_imports_nothing_heavy() -> None:
    modules = _modules_after("--help")
    assert not modules & {*HEAVY, "openvino", "cv2"}


def test_screen_imports_no_training_or_compiling_library(tiny_engine: Engine, phantom_labels: Path) -> None:
    photograph = next((phantom_labels.parent / "images").iterdir())
    modules = _modules_after("screen", tiny_engine.path, photograph)
    assert "openvino" in modules
    assert not modules & set(HEAVY)
    assert "openvino_telemetry" not in modules  # a device in a clinic reports to nobody
    commands = {name for name in COMMANDS if f"sall_edge.cli.{name}" in modules}
    assert commands == {"screen"}  # each has its own imports to wait for


def test_a_device_rebuilds_its_plan_without_a_training_or_graph_library(tiny_engine: Engine, tmp_path: Path) -> None:
    old = older(tiny_engine, tmp_path / "engine")
    modules = _modules_after("rebuild", old.path)
    assert "openvino" in modules
    assert not modules & {*HEAVY, "onnxruntime", "onnxconverter_common", "polygraphy"}
    assert open_engine(old.path).manifest.provenance["rebuilt"]["from"] == "2020.1"


@pytest.mark.slow
def test_the_wheel_holds_the_four_packages_and_nothing_else(tmp_path: Path) -> None:
    source = tmp_path / "source"  # a copy, because setuptools leaves its build folder beside what it builds
    for name in TOP_LEVEL:
        shutil.copytree(ROOT / name, source / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "LICENSE", "README.md"):
        shutil.copy(ROOT / name, source)
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", str(tmp_path), str(source)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    (wheel,) = tmp_path.glob("*.whl")
    names = zipfile.ZipFile(wheel).namelist()
    assert {name.split("/")[0] for name in names if ".dist-info/" not in name} == TOP_LEVEL
    assert {"sall_edge/py.typed", "sall_edge/bench/report/templates/report.html", "trainer/tasks/retina.toml"} <= set(
        names
    )
    assert {"sall_edge/screening/report/report.typ", "sall_edge/screening/messages/de.toml"} <= set(names)
    assert {"engines/targets/openvino-cpu.toml", "sall_edge/runtime/kernels/prepare.cu"} <= set(names)

    assert "sall_edge/screening/examination/programmes/icdr.toml" in names

    steps = {"env.py", "versions/r0001_first_tables.py"}
    assert {f"sall_edge/screening/store/migrations/{step}" for step in steps} <= set(names)

    assert not [name for name in names if name.endswith((".safetensors", ".onnx", ".pth", ".jpg"))]


def test_the_import_layers_hold() -> None:
    lint = Path(sys.executable).with_name("lint-imports")
    done = subprocess.run([lint, "--no-cache"], capture_output=True, text=True, cwd=ROOT, check=False)
    assert done.returncode == 0, done.stdout
