import shutil
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from fakes.tiny_graph import SIDE_PX, squares

from sall_edge.artifacts import Engine, open_engine, seal
from sall_edge.errors import ArtefactForeign
from sall_edge.runtime.openvino import OpenvinoRunner, library_version, open_runner
from sall_edge.runtime.session import open_session

BATCH_AGREEMENT = 1e-5
"""The two compiled networks order float sums differently."""
CYCLES = 20
LEAST_NETWORK_MIB = 0.5
"""An open tiny network takes 1.2 MiB; closed ones leave a hundredth of that."""


@pytest.fixture
def runner(int8_engine: Engine) -> OpenvinoRunner:
    return open_runner(int8_engine.blob_path, int8_engine.manifest, threads=1)


def test_arithmetic_is_fp32_also_where_the_cpu_has_bfloat16(fp32_engine: Engine) -> None:
    runner = open_runner(fp32_engine.blob_path, fp32_engine.manifest, threads=1)
    compiled = runner._compiled
    assert compiled.get_property("INFERENCE_PRECISION_HINT").to_string() == "f32"


def test_a_batch_is_the_same_as_its_squares_one_by_one(fp32_engine: Engine) -> None:
    images = squares(5, seed=4)
    with open_session(fp32_engine) as session:
        together = session.run_batch(images)
        for index, image in enumerate(images):
            alone = session.run(image)
            for task in ("dr", "amd"):
                np.testing.assert_allclose(alone.probs[task], together.probs[task][index], atol=BATCH_AGREEMENT)
                np.testing.assert_allclose(alone.cams[task], together.cams[task][index], atol=1e-4)


def test_batches_of_changing_size_are_taken(runner: OpenvinoRunner) -> None:
    images = squares(8, seed=6)
    whole = {name: values.copy() for name, values in runner.infer(images).items()}
    for size in (3, 8, 2, 1):
        part = runner.infer(images[:size])
        for name, values in part.items():
            assert values.shape[0] == size
            np.testing.assert_allclose(values, whole[name][:size], atol=1e-3)


def test_a_square_that_is_not_contiguous_is_read_right(runner: OpenvinoRunner) -> None:
    images = squares(2, seed=7)
    turned = images[:, ::-1, :, ::-1]
    for view in (turned, turned[:1]):
        expected = {name: values.copy() for name, values in runner.infer(np.ascontiguousarray(view)).items()}
        for name, values in runner.infer(view).items():
            np.testing.assert_array_equal(values, expected[name])


def test_buffers_of_single_squares_are_made_once(runner: OpenvinoRunner) -> None:
    first, second = squares(2, seed=8)[:, np.newaxis]
    outputs = runner.infer(first)
    addresses = {name: values.ctypes.data for name, values in outputs.items()}
    before = outputs["dr_probs"].copy()
    outputs = runner.infer(second)
    assert {name: values.ctypes.data for name, values in outputs.items()} == addresses
    assert not np.array_equal(outputs["dr_probs"], before)


def test_with_streams_several_threads_infer_at_a_time_and_each_gets_its_own_answer(int8_engine: Engine) -> None:
    images = squares(40, seed=10)
    with open_session(int8_engine) as alone, open_session(int8_engine, streams=3) as shared:
        assert (alone.streams, shared.streams) == (1, 3)
        with ThreadPoolExecutor(4) as pool:  # one more than streams: it waits
            together = list(pool.map(shared.run, images))
        for image, prediction in zip(images, together, strict=True):
            for task, probs in alone.run(image).probs.items():
                np.testing.assert_array_equal(prediction.probs[task], probs)


def test_an_engine_of_another_openvino_works_because_it_is_compiled_here(int8_engine: Engine, tmp_path: Path) -> None:
    copy = tmp_path / "engine"
    shutil.copytree(int8_engine.path, copy)
    (copy / "manifest.json").unlink()
    (copy / "signature").unlink()
    seal(copy, int8_engine.manifest.model_copy(update={"backend_version": "2024.6.0"}))
    image = squares(1, seed=9)[0]
    with open_session(open_engine(copy)) as old, open_session(int8_engine) as new:
        assert old.manifest.backend_version == "2024.6.0"
        assert old.backend_version == library_version()
        np.testing.assert_array_equal(old.run(image).probs["dr"], new.run(image).probs["dr"])


def test_a_graph_that_openvino_cannot_read_is_refused_with_what_to_do(int8_engine: Engine, tmp_path: Path) -> None:
    graph = tmp_path / "graph.onnx"
    graph.write_bytes(int8_engine.blob_path.read_bytes()[:200])
    with pytest.raises(ArtefactForeign) as error:
        open_runner(graph, int8_engine.manifest, threads=1)
    assert f"OpenVINO {library_version()} cannot compile {graph}" == error.value.what
    assert error.value.why
    assert "backend_version" in error.value.fix


@pytest.mark.parametrize("count", [1, 3])
def test_each_inference_tells_its_own_times(runner: OpenvinoRunner, count: int) -> None:
    began = time.perf_counter()
    runner.infer(squares(count, seed=1))
    first = runner.times
    runner.infer(squares(count, seed=2))
    marks = [began, *first, *runner.times, time.perf_counter()]
    assert marks == sorted(marks)
    assert first.copy_ms + first.infer_ms == pytest.approx((first.computed - first.began) * 1e3)


def test_the_version_has_no_build_hash() -> None:
    assert all(part.isdigit() for part in library_version().split("."))


def test_closing_gives_the_memory_back_while_the_runner_still_exists(int8_engine: Engine) -> None:
    image = np.zeros((1, SIDE_PX, SIDE_PX, 3), np.uint8)
    kept = []

    def cycle() -> None:
        runner = open_runner(int8_engine.blob_path, int8_engine.manifest, threads=1)
        runner.infer(image)
        runner.close()
        kept.append(runner)

    for _ in range(5):
        cycle()
    before = _resident_mib()
    for _ in range(CYCLES):
        cycle()
    assert _resident_mib() - before < CYCLES * LEAST_NETWORK_MIB


def _resident_mib() -> float:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * 4096 / (1 << 20)
