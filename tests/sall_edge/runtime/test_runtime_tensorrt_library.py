from types import SimpleNamespace

import pytest
from fakes.recording_gpu import RecordingDriver, RecordingTensorrt

from sall_edge.errors import BackendMissing
from sall_edge.runtime import tensorrt_library
from sall_edge.runtime.tensorrt_library import library, made, shared_logger
from sall_edge.spec import Backend


@pytest.fixture
def driver() -> RecordingDriver:
    return RecordingDriver()


@pytest.fixture
def trt(driver: RecordingDriver) -> RecordingTensorrt:
    return RecordingTensorrt(driver, {})


def test_one_logger_serves_the_process(trt: RecordingTensorrt) -> None:
    assert shared_logger(trt) is shared_logger(trt)


def test_a_tensorrt_that_is_too_old_is_named(monkeypatch: pytest.MonkeyPatch, driver: RecordingDriver) -> None:
    old = RecordingTensorrt(driver, {}, version="8.5.2.2")
    monkeypatch.setattr(tensorrt_library.importlib, "import_module", lambda name: old)
    with pytest.raises(BackendMissing) as error:
        library(Backend.TENSORRT)
    assert error.value.what == "TensorRT 8.5.2.2 is too old"
    assert "JetPack 6" in error.value.why


@pytest.mark.parametrize(
    ("backend", "remedy"), [(Backend.TENSORRT, "--system-site-packages"), (Backend.TENSORRT_RTX, "sall-edge[rtx]")]
)
def test_a_missing_tensorrt_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, backend: Backend, remedy: str
) -> None:
    def fail(name: str) -> None:
        raise ModuleNotFoundError(f"No module named '{name}'")

    monkeypatch.setattr(tensorrt_library.importlib, "import_module", fail)
    with pytest.raises(BackendMissing) as error:
        library(backend)
    assert "is not installed" in error.value.what
    assert remedy in error.value.fix


def test_a_factory_that_makes_nothing_gives_nvidias_reason(trt: RecordingTensorrt) -> None:
    log = shared_logger(trt)

    def fail(logger: object) -> None:
        logger.log(SimpleNamespace(name="ERROR"), "CUDA initialization failure with error: 35")
        raise TypeError("pybind11::init(): factory function returned nullptr")

    with pytest.raises(BackendMissing, match=r"TensorRT 10\.3\.0 does not start") as error:
        made(trt, fail, log)
    assert "the CUDA driver does not start (error 35)" in error.value.why
    assert "nvidia-smi" in error.value.fix


def test_an_error_outlives_the_lines_that_follow_it(trt: RecordingTensorrt, monkeypatch: pytest.MonkeyPatch) -> None:
    """A build of minutes writes more lines than are kept; why it failed may stand near the beginning."""
    monkeypatch.setattr(tensorrt_library, "_LOG_LINES", 10)
    log = shared_logger(trt)
    log.log(SimpleNamespace(name="INTERNAL_ERROR"), "out of memory")
    for number in range(20):
        log.log(SimpleNamespace(name="VERBOSE"), f"tactic {number}")
    assert list(log.errors) == ["out of memory"]
    assert list(log.lines) == [f"tactic {number}" for number in range(10, 20)]
    log.clear()
    assert not log.errors
    assert not log.lines
