from pathlib import Path

import numpy as np
import pytest
from fakes.recording_gpu import RecordingDriver, RecordingTensorrt
from fakes.tiny_graph import SIDE_PX, TASKS, squares

from engines.targets import load_target
from sall_edge.artifacts import Engine, EngineManifest
from sall_edge.errors import ArtefactForeign, BackendMissing, DeviceFailed
from sall_edge.runtime import tensorrt
from sall_edge.runtime.cuda import Gpu
from sall_edge.runtime.session import Session
from sall_edge.runtime.tensorrt import TensorrtRunner, open_runner

SHAPES = {
    "image": (-1, SIDE_PX, SIDE_PX, 3),
    **{f"{task.name}_probs": (-1, len(task.grades)) for task in TASKS},
    **{f"{task.name}_cam": (-1, 4, 4) for task in TASKS},
}


@pytest.fixture
def driver() -> RecordingDriver:
    return RecordingDriver()


@pytest.fixture
def trt(driver: RecordingDriver) -> RecordingTensorrt:
    return RecordingTensorrt(driver, SHAPES)


@pytest.fixture
def manifest(int8_engine: Engine) -> EngineManifest:
    changes = {"target": load_target("orin-nano"), "backend_version": "10.3.0", "blob": "engine.plan"}
    return int8_engine.manifest.model_copy(update=changes)


def _opened(trt: RecordingTensorrt, driver: RecordingDriver, manifest: EngineManifest) -> TensorrtRunner:
    return TensorrtRunner(b"plan", manifest, trt=trt, gpu=Gpu(driver, driver.library))


@pytest.mark.parametrize(("count", "shaped"), [(1, []), (3, ["shape image"])])
def test_one_inference_is_upload_execute_download_synchronize(
    trt: RecordingTensorrt, driver: RecordingDriver, manifest: EngineManifest, count: int, shaped: list[str]
) -> None:
    """The context of a single square has its shape from opening on."""
    runner = _opened(trt, driver, manifest)
    for _ in range(2):
        driver.calls.clear()
        runner.infer(squares(count, seed=0))
        assert driver.calls == ["upload", *shaped, "execute", *["download"] * 4, "synchronize"]
    assert driver.depth == 0
    runner.close()


def test_computing_begins_when_the_square_lies_in_pinned_memory_and_ends_with_the_stream(
    trt: RecordingTensorrt, driver: RecordingDriver, manifest: EngineManifest
) -> None:
    """By the CPU's clock; how long a GPU takes, the recording cannot show."""
    runner = _opened(trt, driver, manifest)
    assert runner.times == (0, 0, 0)  # warming up is no inference
    runner.infer(squares(1, seed=0))
    assert 0 < runner.times.began < runner.times.copied < runner.times.computed
    runner.close()


def test_an_accelerator_which_has_no_batches_answers_them_square_by_square(
    trt: RecordingTensorrt, driver: RecordingDriver, manifest: EngineManifest, int8_engine: Engine
) -> None:
    target = load_target("agx-orin").model_copy(update={"dla_core": 0})
    manifest = manifest.model_copy(update={"target": target})
    runner = _opened(trt, driver, manifest)
    engine = Engine(path=int8_engine.path, manifest=manifest, sha256="")
    photographs = squares(3, seed=1)
    with Session(engine=engine, runner=runner) as session:
        answers = session.run_batch(photographs).probs["dr"]
    np.testing.assert_array_equal(answers[:, 0], photographs[:, 0, 0, 0])


def test_each_row_of_a_batch_gets_its_own_answer(
    trt: RecordingTensorrt, driver: RecordingDriver, manifest: EngineManifest, int8_engine: Engine
) -> None:
    photographs = squares(11, seed=1)  # more than the target's largest batch
    engine = Engine(path=int8_engine.path, manifest=manifest, sha256="")
    with Session(engine=engine, runner=_opened(trt, driver, manifest)) as session:
        prediction = session.run_batch(photographs)
        single = session.run(photographs[3])
    first_pixels = photographs[:, 0, 0, 0].astype(np.float32)
    np.testing.assert_array_equal(prediction.probs["dr"], np.repeat(first_pixels[:, np.newaxis], 3, axis=1))
    np.testing.assert_array_equal(prediction.cams["amd"][:, 3, 3], first_pixels)
    np.testing.assert_array_equal(single.probs["amd"], [first_pixels[3]] * 2)
    assert session.backend_version == "10.3.0"


def test_closing_frees_tensorrt_first_then_memory_then_the_context(
    trt: RecordingTensorrt, driver: RecordingDriver, manifest: EngineManifest
) -> None:
    runner = _opened(trt, driver, manifest)
    driver.calls.clear()
    runner.close()
    kinds = list(dict.fromkeys(driver.calls))
    assert kinds[:2] == ["destroy execution context", "destroy engine"]
    assert kinds[-1] == "detach context"
    assert sorted(kinds[2:-1]) == ["destroy stream", "free device", "free pinned"]
    assert not driver.live
    assert driver.retained == driver.depth == 0


@pytest.mark.parametrize("step", ["create_execution_context", "set_tensor_address"])
def test_an_open_that_fails_releases_everything(
    trt: RecordingTensorrt, driver: RecordingDriver, manifest: EngineManifest, step: str
) -> None:
    trt.fail_at = step
    with pytest.raises(DeviceFailed, match=r"TensorRT 10\.3\.0 cannot"):
        _opened(trt, driver, manifest)
    assert not driver.live
    assert driver.retained == driver.depth == 0


@pytest.mark.parametrize("step", ["set_input_shape", "execute_async_v3"])
def test_an_inference_that_fails_is_an_error_and_leaves_the_context_stack_clean(
    trt: RecordingTensorrt, driver: RecordingDriver, manifest: EngineManifest, step: str
) -> None:
    runner = _opened(trt, driver, manifest)
    trt.fail_at = step
    with pytest.raises(DeviceFailed, match=r"TensorRT 10\.3\.0 cannot"):
        runner.infer(squares(2, seed=0))
    assert driver.depth == 0
    runner.close()
    assert not driver.live


def test_a_plan_that_tensorrt_refuses_is_foreign_and_says_why(
    trt: RecordingTensorrt, driver: RecordingDriver, manifest: EngineManifest
) -> None:
    with pytest.raises(ArtefactForeign) as error:
        TensorrtRunner(b"bad", manifest, trt=trt, gpu=Gpu(driver, driver.library))
    assert error.value.why.startswith("the plan was written by another version of TensorRT, or for another GPU")
    assert error.value.why.endswith("magic tag does not match")
    assert error.value.fix == "build it again on this device: sall-edge rebuild ENGINE"
    assert driver.retained == 0


def test_a_plan_of_another_version_is_refused_before_it_is_read(
    driver: RecordingDriver, manifest: EngineManifest, tmp_path: Path
) -> None:
    newer = RecordingTensorrt(driver, SHAPES, version="10.16.1")
    with pytest.raises(ArtefactForeign) as error:
        open_runner(tmp_path / "there is none.plan", manifest, trt=newer)
    assert "tensorrt 10.3.0" in error.value.what
    assert "10.16.1" in error.value.why
    assert driver.calls == []


def test_the_driver_is_asked_before_tensorrt_is_touched(
    trt: RecordingTensorrt, driver: RecordingDriver, manifest: EngineManifest, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse() -> None:
        raise BackendMissing("the CUDA driver is not on this machine", "", "")

    monkeypatch.setattr(tensorrt, "require_driver", refuse)
    with pytest.raises(BackendMissing, match="the CUDA driver is not on this machine"):
        open_runner(Path("engine.plan"), manifest, trt=trt)
    assert driver.calls == []
