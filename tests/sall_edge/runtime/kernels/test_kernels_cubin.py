import importlib
from collections.abc import Callable
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from sall_edge.errors import BackendMissing
from sall_edge.runtime.kernels import cubin
from sall_edge.runtime.kernels.ahead import CAPABILITIES
from sall_edge.runtime.kernels.cubin import architecture, compile_with_nvrtc, cubin_compiled_ahead, cubin_name

NO_NVRTC = "cuda-core is not installed (pip install cuda-core), or finds no NVRTC"


@pytest.fixture
def nvrtc() -> None:
    """Skips where NVRTC cannot be had."""
    pytest.importorskip("cuda.bindings.nvrtc", reason=NO_NVRTC, exc_type=ImportError)
    pytest.importorskip("cuda.core", reason=NO_NVRTC, exc_type=ImportError)


def stand_in_for_cuda_core(monkeypatch: pytest.MonkeyPatch, modules: dict[str, Any]) -> None:
    """It shows which module is taken and what becomes of its errors, not that NVIDIA's takes these calls."""

    def import_module(name: str) -> Any:
        if name not in modules:
            raise ModuleNotFoundError(f"No module named '{name}'")
        return modules[name]

    monkeypatch.setattr(cubin, "importlib", SimpleNamespace(import_module=import_module))


class StandIn(ModuleType):
    """A cuda-core whose compiler answers with what it was given, or raises."""

    def __init__(self, failure: Exception | None = None) -> None:
        super().__init__("cuda.core")
        self.failure = failure

    def ProgramOptions(self, **options: object) -> dict[str, object]:  # noqa: N802  # NVIDIA's name
        return options

    def Program(self, source: str, language: str, options: dict[str, object]) -> SimpleNamespace:  # noqa: N802
        if self.failure:
            raise self.failure
        assert "cut_square" in source
        text = f"{language} {options['arch']} fma={options['fma']}"
        return SimpleNamespace(compile=lambda kind: SimpleNamespace(code=f"{kind} {text}".encode()))


def test_an_architecture_is_named_after_the_compute_capability() -> None:
    assert [architecture(capability) for capability in ("8.7", "12.0")] == ["sm_87", "sm_120"]


def test_a_cubin_compiled_ahead_is_taken(tmp_path: Path) -> None:
    (tmp_path / cubin_name("8.7")).write_bytes(b"compiled ahead")
    assert cubin_compiled_ahead("8.7", folder=tmp_path) == b"compiled ahead"


def test_a_cubin_of_an_earlier_source_or_another_gpu_is_not_taken(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / cubin_name("8.6")).write_bytes(b"for another GPU")
    (tmp_path / cubin_name("8.7")).write_bytes(b"of an earlier source")
    changed = tmp_path / "prepare.cu"
    changed.write_text(cubin.SOURCE.read_text() + "\n// changed\n")
    monkeypatch.setattr(cubin, "SOURCE", changed)
    assert cubin_compiled_ahead("8.7", folder=tmp_path) is None


def test_the_older_name_of_cuda_core_serves(monkeypatch: pytest.MonkeyPatch) -> None:
    modules = {"cuda.core": ModuleType("cuda.core"), "cuda.core.experimental": StandIn()}
    stand_in_for_cuda_core(monkeypatch, modules)
    assert compile_with_nvrtc("7.5") == b"cubin c++ sm_75 fma=False"


def test_a_missing_cuda_core_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    stand_in_for_cuda_core(monkeypatch, {"cuda.core": ModuleType("cuda.core")})
    with pytest.raises(BackendMissing) as error:
        compile_with_nvrtc("8.7")
    assert error.value.what == "the kernel that prepares photographs is not compiled for sm_87"
    assert "cuda.core has no Program; No module named 'cuda.core.experimental'" in error.value.why
    assert "python -m sall_edge.runtime.kernels" in error.value.fix
    assert "pip install 'cuda-core[cu12]'" in error.value.fix


def test_a_missing_library_of_nvrtc_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    stand_in_for_cuda_core(monkeypatch, {"cuda.core": StandIn(RuntimeError("Failure finding libnvrtc.so"))})
    with pytest.raises(BackendMissing, match=r"NVRTC cannot compile .* for sm_87") as error:
        compile_with_nvrtc("8.7")
    assert error.value.why == "Failure finding libnvrtc.so"


def test_a_bug_of_ours_is_not_taken_for_a_missing_library(monkeypatch: pytest.MonkeyPatch) -> None:
    stand_in_for_cuda_core(monkeypatch, {"cuda.core": StandIn(TypeError("unexpected keyword argument"))})
    with pytest.raises(TypeError, match="unexpected keyword"):
        compile_with_nvrtc("8.7")


@pytest.mark.usefixtures("nvrtc")
@pytest.mark.parametrize("capability", CAPABILITIES)
def test_nvrtc_compiles_the_kernel_without_a_gpu(machine_of: Callable[[bytes], str], capability: str) -> None:
    try:
        cubin = compile_with_nvrtc(capability)
    except BackendMissing as refusal:
        if capability == "8.7" or "gpu-architecture" not in refusal.why:
            raise
        pytest.skip(f"this NVRTC does not know {architecture(capability)} yet")
    assert machine_of(cubin) == architecture(capability)


@pytest.mark.usefixtures("nvrtc")
def test_a_gpu_that_nvrtc_does_not_know_is_an_error_with_its_words() -> None:
    assert importlib.import_module("cuda.core")
    with pytest.raises(BackendMissing, match="for sm_20") as error:
        compile_with_nvrtc("2.0")
    assert "gpu-architecture" in error.value.why
