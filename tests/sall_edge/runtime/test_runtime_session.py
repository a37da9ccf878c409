import shutil
import sys
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
from fakes.tiny_graph import SIDE_PX, TASKS, squares

import sall_edge.runtime.onnxruntime
import sall_edge.runtime.openvino
from sall_edge.artifacts import Engine, open_engine
from sall_edge.errors import ArtefactForeign, BackendMissing
from sall_edge.runtime.inference_times import InferenceTimes
from sall_edge.runtime.session import Session, open_reference, open_session
from sall_edge.spec import Backend

AGREEMENT = 1e-5
"""OpenVINO and ONNX Runtime order float sums differently; bfloat16 would be off by 1e-3."""
INT8_AGREEMENT = 0.02
"""One step of an int8 activation may fall the other way; through two layers that moves a probability by less."""


class _CountingRunner:
    """Answers with the square's index in its first pixel; counts what a session asks."""

    version = "0.1"
    streams = 1
    times = InferenceTimes(0.0, 0.001, 0.003)

    def __init__(self) -> None:
        self.sizes: list[int] = []
        self.closed = 0
        self.buffers: dict[str, np.ndarray] = {}

    def infer(self, images: np.ndarray) -> Mapping[str, np.ndarray]:
        self.sizes.append(len(images))
        first = images[:, 0, 0, 0].astype(np.float32)
        for task in TASKS:
            self.buffers[f"{task.name}_probs"] = first[:, np.newaxis].repeat(len(task.grades), axis=1)
            self.buffers[f"{task.name}_cam"] = first[:, np.newaxis, np.newaxis].repeat(4, axis=1).repeat(4, axis=2)
        return self.buffers

    def close(self) -> None:
        self.closed += 1


@pytest.fixture
def runner() -> _CountingRunner:
    return _CountingRunner()


@pytest.fixture
def counting(int8_engine: Engine, runner: _CountingRunner) -> Session:
    return Session(engine=int8_engine, runner=runner)


def test_squares_are_counted_as_they_are_answered(counting: Session) -> None:
    counting.run(squares(1, seed=0)[0])
    counting.run_batch(squares(5, seed=0))
    assert counting.answered == 6


def test_the_times_are_the_runners_until_the_session_is_closed(counting: Session) -> None:
    assert (counting.times.copy_ms, counting.times.infer_ms) == pytest.approx((1.0, 2.0))
    counting.close()
    with pytest.raises(ValueError, match="is closed"):
        _ = counting.times


@pytest.mark.parametrize(
    "square",
    [
        np.zeros((SIDE_PX, SIDE_PX + 1, 3), np.uint8),
        np.zeros((SIDE_PX, SIDE_PX), np.uint8),
        np.zeros((3, SIDE_PX, SIDE_PX), np.uint8),
        np.zeros((SIDE_PX, SIDE_PX, 4), np.uint8),
        np.zeros((1, SIDE_PX, SIDE_PX, 3), np.uint8),
        np.zeros((SIDE_PX, SIDE_PX, 3), np.float32),
        np.zeros((SIDE_PX, SIDE_PX, 3), np.int8),
    ],
    ids=lambda square: f"{square.shape} {square.dtype}",
)
def test_a_wrong_square_is_refused_with_what_it_is_and_what_is_needed(
    counting: Session, runner: _CountingRunner, square: np.ndarray
) -> None:
    with pytest.raises(ValueError, match="the engine eats") as error:
        counting.run(square)
    assert f"{square.shape} {square.dtype}" in str(error.value)
    assert f"({SIDE_PX}, {SIDE_PX}, 3) uint8" in str(error.value)
    assert not runner.sizes


@pytest.mark.parametrize(
    "batch",
    [
        np.zeros((0, SIDE_PX, SIDE_PX, 3), np.uint8),
        np.zeros((SIDE_PX, SIDE_PX, 3), np.uint8),
        np.zeros((2, SIDE_PX, SIDE_PX, 3), np.float32),
        np.zeros((2, SIDE_PX, SIDE_PX, 1), np.uint8),
    ],
    ids=lambda batch: f"{batch.shape} {batch.dtype}",
)
def test_a_wrong_batch_is_refused(counting: Session, runner: _CountingRunner, batch: np.ndarray) -> None:
    with pytest.raises(ValueError, match="the engine eats"):
        counting.run_batch(batch)
    assert not runner.sizes


def test_a_large_batch_is_cut_at_the_targets_limit_and_put_together_in_order(
    counting: Session, runner: _CountingRunner
) -> None:
    images = np.zeros((19, SIDE_PX, SIDE_PX, 3), np.uint8)
    images[:, 0, 0, 0] = np.arange(19)
    prediction = counting.run_batch(images)
    assert runner.sizes == [8, 8, 3]
    np.testing.assert_array_equal(prediction.probs["dr"][:, 0], np.arange(19))
    assert prediction.probs["dr"].shape == (19, 3)
    assert prediction.cams["amd"].shape == (19, 4, 4)


def test_predictions_belong_to_the_caller(counting: Session, runner: _CountingRunner) -> None:
    prediction = counting.run(np.full((SIDE_PX, SIDE_PX, 3), 5, np.uint8))
    for buffer in runner.buffers.values():
        buffer[...] = -1
    assert prediction.probs["dr"].tolist() == [5, 5, 5]
    assert prediction.cams["dr"].min() == 5


def test_close_releases_once_and_a_closed_session_says_so(counting: Session, runner: _CountingRunner) -> None:
    with counting:
        pass
    counting.close()
    assert runner.closed == 1
    with pytest.raises(ValueError, match="is closed"):
        counting.run(np.zeros((SIDE_PX, SIDE_PX, 3), np.uint8))
    with pytest.raises(ValueError, match="is closed"):
        counting.run_batch(np.zeros((1, SIDE_PX, SIDE_PX, 3), np.uint8))


def test_an_error_inside_the_with_block_still_closes(counting: Session, runner: _CountingRunner) -> None:
    with pytest.raises(ZeroDivisionError), counting:
        raise ZeroDivisionError
    assert runner.closed == 1


@pytest.mark.parametrize("opener", [open_session, open_reference])
def test_other_pixels_than_the_engine_was_trained_on_are_refused(int8_engine: Engine, opener: object) -> None:
    moved = tuple((value + 40) % 256 for value in int8_engine.manifest.golden_square)
    manifest = int8_engine.manifest.model_copy(update={"golden_square": moved})
    with pytest.raises(ArtefactForeign):
        opener(Engine(path=int8_engine.path, manifest=manifest, sha256=int8_engine.sha256))


@pytest.mark.parametrize(
    ("backend", "module", "remedy"),
    [
        (Backend.OPENVINO, "openvino", "pip install openvino"),
        (Backend.ONNXRUNTIME, "onnxruntime", "pip install 'sall-edge[build]'"),
        (Backend.TENSORRT, "tensorrt", "--system-site-packages"),
    ],
)
def test_a_missing_backend_is_an_error_that_says_what_to_install_and_nothing_else_runs(
    int8_engine: Engine, monkeypatch: pytest.MonkeyPatch, backend: Backend, module: str, remedy: str
) -> None:
    monkeypatch.setitem(sys.modules, module, None)  # what Python does for a module that is not there
    monkeypatch.delitem(sys.modules, "sall_edge.runtime.openvino_library", raising=False)
    if module != "tensorrt":  # sall_edge.runtime.tensorrt imports its library only when asked
        monkeypatch.delitem(sys.modules, f"sall_edge.runtime.{module}")
        monkeypatch.delattr(sall_edge.runtime, module)
    target = int8_engine.manifest.target.model_copy(update={"backend": backend})
    manifest = int8_engine.manifest.model_copy(update={"target": target})
    with pytest.raises(BackendMissing) as error:
        open_session(Engine(path=int8_engine.path, manifest=manifest, sha256=""))
    assert "is not installed" in error.value.what
    assert remedy in error.value.fix


def test_openvino_and_onnxruntime_agree_on_the_int8_graph(int8_engine: Engine, onnxruntime_engine: Engine) -> None:
    images = squares(12, seed=2)
    with open_session(int8_engine) as fast, open_session(onnxruntime_engine) as exact:
        got, wanted = fast.run_batch(images), exact.run_batch(images)
    for task in TASKS:
        assert np.ptp(wanted.probs[task.name], axis=0).max() > INT8_AGREEMENT  # the graph tells squares apart
        np.testing.assert_allclose(got.probs[task.name], wanted.probs[task.name], atol=INT8_AGREEMENT)
        np.testing.assert_array_equal(got.probs[task.name].argmax(1), wanted.probs[task.name].argmax(1))


def test_the_reference_is_the_fp32_graph_in_fp32_arithmetic(int8_engine: Engine, fp32_engine: Engine) -> None:
    ort = pytest.importorskip("onnxruntime")
    images = squares(5, seed=3)
    graph = ort.InferenceSession(str(int8_engine.reference_path), providers=["CPUExecutionProvider"])
    wanted = dict(zip([o.name for o in graph.get_outputs()], graph.run(None, {"image": images}), strict=True))
    with open_reference(int8_engine) as reference, open_session(fp32_engine) as session:
        for opened in (reference, session):
            prediction = opened.run_batch(images)
            for task in TASKS:
                np.testing.assert_allclose(prediction.probs[task.name], wanted[f"{task.name}_probs"], atol=AGREEMENT)
                np.testing.assert_allclose(prediction.cams[task.name], wanted[f"{task.name}_cam"], atol=1e-3)
            np.testing.assert_allclose(prediction.features, wanted["features"], atol=AGREEMENT)
            np.testing.assert_allclose(opened.run(images[4]).features, wanted["features"][4], atol=AGREEMENT)


def test_a_session_says_which_engine_and_which_version(fp32_engine: Engine) -> None:
    with open_session(fp32_engine, threads=1) as session:
        assert session.engine == fp32_engine
        assert session.manifest == fp32_engine.manifest
        assert session.backend_version == fp32_engine.manifest.backend_version


def test_paths_may_hold_blanks_and_umlauts(fp32_engine: Engine, tmp_path: Path) -> None:
    copy = tmp_path / "Augenklinik Köln"
    shutil.copytree(fp32_engine.path, copy)
    with open_session(open_engine(copy)) as session:
        assert session.run(squares(1, seed=0)[0]).probs["dr"].sum() == pytest.approx(1, abs=1e-5)
