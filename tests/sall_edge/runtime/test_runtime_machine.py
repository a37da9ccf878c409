import subprocess
import sys
from pathlib import Path

import pytest
from fakes.jetson_board import ORIN_NANO_JP6, XAVIER_NX, written

from sall_edge.errors import BackendMissing
from sall_edge.runtime import machine
from sall_edge.runtime.jetson import read_device
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


def test_a_jetson_is_judged_with_the_rest(tmp_path: Path) -> None:
    device = read_device(written(tmp_path, ORIN_NANO_JP6))
    found = {check.name: check for check in checks(device, workspace_mib=512)}
    assert found["JetPack"].detail.startswith("6.2 (Jetson Linux 36.4.3)")
    assert "memory for a build" in found
    assert "this machine is not a Jetson" in _named("JetPack").detail


def test_a_jetson_that_is_too_old_has_no_jetson_target(tmp_path: Path) -> None:
    device = read_device(written(tmp_path, XAVIER_NX))
    check = next(check for check in checks(device) if check.name == "Jetson targets")
    assert check.detail == "refused: its last TensorRT is 8.5 (JetPack 5.1)"
    assert "--target openvino-cpu" in check.fix


def test_a_place_that_cannot_be_written_to_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("")
    names = ("write access here", "write access to the cache")
    monkeypatch.chdir(tmp_path)
    found = {check.name: check for check in checks(cache=tmp_path / "new" / "cache") if check.name in names}
    assert [found[name].detail for name in names] == ["yes, the current folder", f"yes, {tmp_path / 'new' / 'cache'}"]
    assert not (tmp_path / "new").exists()
    beneath_a_file = next(check for check in checks(cache=tmp_path / "file" / "cache") if check.name == names[1])
    assert beneath_a_file.detail == f"no, {tmp_path / 'file' / 'cache'}"
    assert beneath_a_file.fix.endswith(f'sudo chown "$USER" {tmp_path / "file"}')


def test_a_current_folder_that_was_deleted_is_no_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "gone").mkdir()
    monkeypatch.chdir(tmp_path / "gone")
    (tmp_path / "gone").rmdir()
    assert checks()


def test_a_disk_that_cannot_be_asked_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(path: Path) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(machine.shutil, "disk_usage", refuse)
    assert _named("disk").detail == "the current folder: Permission denied"
    assert _named("disk").fix == "cd to another folder"


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


def test_provenance_on_a_jetson_names_its_power_mode(tmp_path: Path) -> None:
    jetson = describe(written(tmp_path, ORIN_NANO_JP6))["jetson"]
    assert (jetson["l4t"], jetson["power_mode"]) == ("36.4.3", "25W")
