from pathlib import Path

import pytest

from sall_edge.runtime import cuda_tools as module
from sall_edge.runtime.check import Check
from sall_edge.runtime.cuda_tools import cuda_tools


def _tools(folder: Path, search_path: str = "/nonexistent") -> dict[str, Check]:
    found = cuda_tools(toolkit=folder / "cuda", library_folders=[folder / "libraries"], search_path=search_path)
    return {check.name: check for check in found}


def test_a_machine_without_cuda_is_told_what_each_part_is_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "find_spec", lambda name: None)
    tools = _tools(tmp_path)
    assert {name: check.detail for name, check in tools.items()} == {
        "nvcc": "not installed (optional: PyCUDA is compiled with its help)",
        "NVRTC": "not found (optional: compiles kernels on the device where no ready one fits its GPU)",
        "cuda-core": "not installed (optional: replays inference as one CUDA graph)",
    }
    assert all(check.fix and not check.ok for check in tools.values())


def test_a_compiler_beside_the_path_is_told_how_to_get_on_it(tmp_path: Path) -> None:
    (tmp_path / "cuda" / "bin").mkdir(parents=True)
    (tmp_path / "cuda" / "bin" / "nvcc").write_text("#!/bin/sh\n")
    check = _tools(tmp_path)["nvcc"]
    assert not check.ok
    assert check.fix == f'export PATH="{tmp_path / "cuda" / "bin"}:$PATH"'
    (tmp_path / "cuda" / "bin" / "nvcc").chmod(0o755)
    assert _tools(tmp_path, search_path=str(tmp_path / "cuda" / "bin"))["nvcc"].ok


@pytest.mark.parametrize("place", ["libraries/libnvrtc.so.12", "libraries/cu13/lib/libnvrtc.so.13"])
def test_nvrtc_is_found_in_the_toolkit_and_in_nvidias_wheels(tmp_path: Path, place: str) -> None:
    (tmp_path / place).parent.mkdir(parents=True)
    (tmp_path / place).write_bytes(b"")
    check = _tools(tmp_path)["NVRTC"]
    assert check.ok
    assert check.detail == str(tmp_path / place)


def test_cuda_core_is_looked_for_without_being_loaded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_package(name: str) -> None:
        raise ModuleNotFoundError("No module named 'cuda'")

    monkeypatch.setattr(module, "find_spec", no_package)
    assert not _tools(tmp_path)["cuda-core"].ok
    monkeypatch.setattr(module, "find_spec", lambda name: object())
    assert _tools(tmp_path)["cuda-core"].detail == "installed"
