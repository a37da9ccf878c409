import ctypes
import subprocess
from pathlib import Path
from shutil import which

import numpy as np
import pytest
from fakes.recording_gpu import RecordingDriver

from sall_edge.errors import BackendMissing
from sall_edge.runtime import cuda
from sall_edge.runtime.cuda import Gpu, GpuFacts, compute_capability, describe_gpu, open_gpu, require_driver

DRIVER = """
int cuInit(unsigned flags) { return STATUS; }
int cuDeviceGetAttribute(int *value, int attribute, int device) {
    if (NO_DEVICE) return 101;
    *value = attribute == 75 ? 8 : attribute == 76 ? 7 : attribute == 18 ? 1 : 16;
    return 0;
}
int cuDeviceGetName(char *name, int size, int device) { name[0] = 'O', name[1] = 0; return 0; }
"""

needs_compiler = pytest.mark.skipif(which("cc") is None, reason="no C compiler to make a stand-in driver")


def _driver(folder: Path, **values: int) -> str:
    """A shared library that answers as a driver would; it shows that ctypes calls are well formed, and no more."""
    source = folder / "driver.c"
    source.write_text(DRIVER)
    macros = [f"-D{name}={value}" for name, value in values.items()]
    library = folder / "libdriver.so"
    subprocess.run(["cc", "-shared", "-fPIC", *macros, "-o", library, source], check=True)
    return str(library)


def test_a_machine_without_a_driver_says_so() -> None:
    with pytest.raises(BackendMissing) as error:
        require_driver(library="libcuda-that-is-nowhere.so.1")
    assert error.value.what == "the CUDA driver is not on this machine"
    assert "libcuda-that-is-nowhere.so.1" in error.value.why
    assert "nvidia-jetpack" in error.value.fix


@needs_compiler
def test_a_driver_that_does_not_start_says_so(tmp_path: Path) -> None:
    with pytest.raises(BackendMissing) as error:
        require_driver(library=_driver(tmp_path, STATUS=999, NO_DEVICE=0))
    assert error.value.why == "cuInit answered 999"


@needs_compiler
def test_the_compute_capability_is_read_from_the_driver(tmp_path: Path) -> None:
    library = _driver(tmp_path, STATUS=0, NO_DEVICE=0)
    assert isinstance(require_driver(library=library), ctypes.CDLL)
    assert compute_capability(library=library) == "8.7"
    facts = GpuFacts(name="O", compute_capability="8.7", multiprocessors=16, is_integrated=True)
    assert describe_gpu(library=library) == facts


@needs_compiler
def test_a_driver_without_a_gpu_says_so(tmp_path: Path) -> None:
    with pytest.raises(BackendMissing, match="the CUDA driver finds no GPU"):
        compute_capability(library=_driver(tmp_path, STATUS=0, NO_DEVICE=1))


def test_a_missing_pycuda_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(name: str) -> None:
        raise ModuleNotFoundError(f"No module named '{name}'")

    monkeypatch.setattr(cuda, "require_driver", lambda: None)
    monkeypatch.setattr(cuda.importlib, "import_module", fail)
    with pytest.raises(BackendMissing) as error:
        open_gpu()
    assert error.value.what == "PyCUDA is not installed"
    assert "pip install pycuda" in error.value.fix


def test_the_driver_is_asked_before_pycuda(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse() -> None:
        raise BackendMissing("the CUDA driver is not on this machine", "", "")

    monkeypatch.setattr(cuda, "require_driver", refuse)
    monkeypatch.setattr(cuda.importlib, "import_module", lambda name: pytest.fail("PyCUDA was imported first"))
    with pytest.raises(BackendMissing, match="driver"):
        open_gpu()


def test_rows_come_back_as_they_were_sent() -> None:
    driver = RecordingDriver()
    gpu = Gpu(driver, driver.library)
    with gpu.current():
        buffer = gpu.buffer((4, 3), np.float32)
        buffer.host[...] = np.arange(12).reshape(4, 3)
        gpu.upload(buffer, 2)
        buffer.host[...] = -1
        gpu.download(buffer, 2)
        gpu.synchronize()
    np.testing.assert_array_equal(buffer.host, [[0, 1, 2], [3, 4, 5], [-1, -1, -1], [-1, -1, -1]])
    gpu.close()


def test_close_frees_all_even_when_one_free_fails() -> None:
    driver = RecordingDriver()
    gpu = Gpu(driver, driver.library)
    with gpu.current():
        gpu.buffer((4,), np.uint8)
        last = gpu.buffer((4,), np.uint8)
    assert len(driver.live) == 4
    del driver.live[int(last.device)]  # freed by somebody else: its free raises KeyError
    with pytest.raises(KeyError):
        gpu.close()
    assert not driver.live
    assert driver.retained == driver.depth == 0


def test_a_stream_that_cannot_be_made_gives_the_context_back(monkeypatch: pytest.MonkeyPatch) -> None:
    driver = RecordingDriver()

    def fail() -> None:
        raise RuntimeError("out of memory")

    monkeypatch.setattr(driver, "Stream", fail)
    with pytest.raises(RuntimeError, match="out of memory"):
        Gpu(driver, driver.library)
    assert driver.retained == driver.depth == 0
