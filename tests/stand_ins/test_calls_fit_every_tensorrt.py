"""T3: mypy checks every call that we make of TensorRT against NVIDIA's own signatures, from the oldest to the newest.

The signatures are what pybind11 wrote into the docstrings of NVIDIA's bindings. Our code takes the module as a
parameter `trt`, of which mypy knows nothing; here the parameter is renamed, so that `trt` is the module itself.
Proven: names, number and types of arguments. Not proven: what the functions do.
"""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from stand_ins.install import BINDINGS

ROOT = Path(__file__).parents[2]
STUBS = Path(sys.prefix) / "stand-ins" / "stubs"
CALLERS = (
    "engines/build_progress.py",
    "engines/dla.py",
    "engines/kernels.py",
    "engines/tensorrt.py",
    "sall_edge/runtime/tensorrt.py",
)
SETTINGS = """
[mypy]
strict = True
python_version = 3.10
mypy_path = {stubs}
cache_dir = {cache}
disable_error_code = unused-ignore
follow_imports = silent
[mypy-{untyped}]
ignore_missing_imports = True
follow_imports = skip
"""
UNTYPED = "cv2.*,openvino.*,onnx.*,onnxruntime.*,onnxconverter_common.*,pycuda.*,tensorrt_rtx.*,torch.*,cuda.*"


@pytest.fixture(scope="module")
def sources(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The packages, with `trt` as the module in the files that call TensorRT."""
    folder = tmp_path_factory.mktemp("sources")
    for name in ("sall_edge", "engines", "calibration", "trainer"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in CALLERS:
        text = (folder / name).read_text()
        text = re.sub(r"\btrt: Any\b", "_trt: Any", text).replace("trt=trt", "_trt=trt")
        text = re.sub(r"^    trt = library\(.*\n", "", text, flags=re.MULTILINE)
        if "import tensorrt as trt" not in text:
            text = text.replace("from typing import", "import tensorrt as trt\nfrom typing import", 1)
        (folder / name).write_text(text)
    return folder


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Mypy's: what it learnt of NumPy and pydantic serves every version."""
    return tmp_path_factory.mktemp("mypy") / "cache"


def _complaints(sources: Path, version: str, cache: Path) -> list[str]:
    """What mypy says of our files; what it says of NVIDIA's signatures is theirs."""
    if not (STUBS / version).is_dir():
        pytest.skip(f"{STUBS / version} is not there: `make stand-ins` makes it and says why it could not")
    settings = cache.with_suffix(".ini")
    settings.write_text(SETTINGS.format(stubs=STUBS / version, cache=cache, untyped=UNTYPED))
    command = [sys.executable, "-m", "mypy", "--config-file", settings, *CALLERS]
    done = subprocess.run(command, cwd=sources, capture_output=True, text=True, check=False)
    lines = done.stdout.splitlines()
    assert re.search(rf"checked {len(CALLERS)} source files|no issues found", lines[-1]), done.stdout + done.stderr
    return [line for line in lines if line.startswith(CALLERS)]


@pytest.mark.slow
@pytest.mark.parametrize("version", BINDINGS)
def test_every_call_fits(sources: Path, version: str, cache: Path) -> None:
    assert _complaints(sources, version, cache) == []


@pytest.mark.slow
def test_calls_that_do_not_fit_are_found(sources: Path, cache: Path, tmp_path: Path) -> None:
    """A name, a number of arguments and a type: without this, the test above could not fail."""
    wrong = shutil.copytree(sources, tmp_path / "wrong")
    for name, right, mistake in (
        ("sall_edge/runtime/tensorrt.py", "execute_async_v3(", "execute_async_v4("),
        ("sall_edge/runtime/tensorrt.py", "set_device_memory(scratch, size)", "set_device_memory(scratch)"),
        ("engines/tensorrt.py", "parser.parse_from_file(str(graph))", "parser.parse_from_file(graph)"),
        ("engines/tensorrt.py", "pools.TACTIC_DRAM", "pools.TACTIC_RAM"),
        ("engines/dla.py", "trt.BuilderFlag.GPU_FALLBACK", "trt.BuilderFlag.GPU_FALL_BACK"),
    ):
        text = (wrong / name).read_text()
        assert text.count(right) == 1
        (wrong / name).write_text(text.replace(right, mistake))
    complaints = "\n".join(_complaints(wrong, "10.3.0", cache))
    for sign in ("execute_async_v4", "set_device_memory", "parse_from_file", "TACTIC_RAM", "GPU_FALL_BACK"):
        assert sign in complaints
