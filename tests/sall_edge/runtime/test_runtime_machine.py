import subprocess
import sys
from pathlib import Path

import pytest

from sall_edge.errors import BackendMissing
from sall_edge.runtime import machine
from sall_edge.runtime.machine import Check, checks, cpu_flags, cpu_model, describe, is_int8_exact

ROOT = Path(__file__).parents[3]
HEAVY = {"torch", "onnx", "onnxruntime", "openvino", "timm", "cv2", "tensorrt", "tensorrt_rtx", "scipy", "pandas"}


def _named(name: str) -> Check:
    return next(check for check in checks() if check.name == name)


def test_every_check_that_fails_names_a_remedy_and_no_other_does() -> None:
    for check in checks():
        assert bool(check.fix) == (not check.ok), check
        assert check.detail


def test_names_are_unique() -> None:
    names = [check.name for check in checks()]
    assert len(set(names)) == len(names)


def test_nothing_heavy_is_imported() -> None:
    code = (
        "import sys; from sall_edge.runtime.machine import checks, describe; checks(); describe(); print(*sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert not HEAVY & set(done.stdout.split())


def test_a_library_that_is_missing_is_reported_with_its_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "TRAIN_LIBRARIES", ("no-such-library",))
    check = _named("no-such-library")
    assert not check.ok
    assert check.detail == "not installed, needed to train"
    assert check.fix == "pip install 'sall-edge[train]'"


@pytest.mark.parametrize(
    ("lines", "model", "flags", "exact"),
    [
        ("model name : Old CPU\nflags : fpu avx2 sse4_2\n", "Old CPU", ("avx2",), False),
        ("model name : Xeon\nflags : avx2 avx512f avx512_vnni\n", "Xeon", ("avx2", "avx512f", "avx512_vnni"), True),
        ("Features : fp asimd asimddp\nModel : Jetson Orin Nano\n", "Jetson Orin Nano", ("asimddp",), True),
    ],
)
def test_the_cpu_is_judged_by_its_int8_instructions(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, lines: str, model: str, flags: tuple[str, ...], exact: bool
) -> None:
    (tmp_path / "cpuinfo").write_text(lines)
    monkeypatch.setattr(machine, "CPUINFO", tmp_path / "cpuinfo")
    assert cpu_model() == model
    assert cpu_flags() == flags
    assert is_int8_exact() is exact
    check = _named("CPU")
    assert check.ok is exact
    assert ("saturate" in check.fix) is not exact


def test_a_kernel_that_tells_nothing_is_no_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "CPUINFO", tmp_path / "nothing")
    monkeypatch.setattr(machine, "MEMINFO", tmp_path / "nothing")
    assert cpu_model()
    assert _named("memory").detail == "the kernel does not tell"


def test_little_free_memory_is_reported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "meminfo").write_text("MemTotal: 4194304 kB\nMemAvailable: 524288 kB\n")
    monkeypatch.setattr(machine, "MEMINFO", tmp_path / "meminfo")
    check = _named("memory")
    assert not check.ok
    assert check.detail == "0.5 of 4.0 GiB free"


def test_a_jetson_is_recognised_by_its_release_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "release").write_text("# R36 (release), REVISION: 4.3\nmore\n")
    monkeypatch.setattr(machine, "JETPACK_RELEASE", tmp_path / "release")
    assert _named("JetPack").detail == "# R36 (release), REVISION: 4.3"


def test_without_a_driver_the_jetson_targets_cannot_be_built_here(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse() -> str:
        raise BackendMissing("the CUDA driver is not on this machine", "no library", "install it")

    monkeypatch.setattr(machine, "compute_capability", refuse)
    assert _named("CUDA driver").fix == "install it"
    assert "a GPU with its driver" in _named("Jetson targets").detail
    assert _named("target openvino-cpu").ok


def test_with_a_driver_the_gpu_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "compute_capability", lambda: "8.7")
    assert _named("CUDA driver").detail == "a GPU of compute capability 8.7"
    assert "a GPU with its driver" not in _named("Jetson targets").detail


def test_a_foreign_package_of_our_name_is_reported(tmp_path: Path) -> None:
    (tmp_path / "calibration").mkdir()
    (tmp_path / "calibration" / "__init__.py").write_text("")
    code = (
        f"import sys; sys.path.insert(0, {str(tmp_path)!r}); from sall_edge.runtime.machine import checks; "
        "print(*[check.detail for check in checks() if check.name == 'package names'])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert f"calibration is {tmp_path}" in done.stdout
    assert "trainer" not in done.stdout


def test_provenance_names_the_cpu_and_the_libraries() -> None:
    described = describe()
    assert described["cpu"]
    assert described["versions"]["numpy"]
    assert set(described) == {"cpu", "cpu_flags", "cores", "architecture", "system", "python", "versions"}
