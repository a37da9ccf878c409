"""T4: the real PyCUDA and cuda-core move the bytes, a driver in host memory counts and checks them.

Not shown: anything that runs on a GPU, races (its streams work at once), real memory limits, speed.
"""

import ctypes
import gc
import tracemalloc
from collections.abc import Callable

import numpy as np
import pytest
from fakes.host_engine import HostTensorrt
from fakes.small_engine import MANIFEST, SHAPES, SIDE_PX

from sall_edge.errors import DeviceFailed
from sall_edge.runtime.cuda import describe_gpu, open_gpu
from sall_edge.runtime.cuda_graph import no_cuda_graphs, open_cuda_graphs
from sall_edge.runtime.tensorrt import TensorrtRunner

ROWS = MANIFEST.target.max_batch
INFERENCES = 10_000
GROWTH_BYTES = 200_000
"""Python's own bookkeeping while 10,000 inferences run; one leaked square each would be 3 MB."""


def _squares(count: int, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (count, SIDE_PX, SIDE_PX, 3), dtype=np.uint8)


def _opened(open_graphs: Callable = no_cuda_graphs) -> tuple[TensorrtRunner, HostTensorrt]:
    trt = HostTensorrt(SHAPES)
    runner = TensorrtRunner(b"plan", MANIFEST, trt=trt, gpu=open_gpu(), open_graphs=open_graphs)
    return runner, trt


def _close(runner: TensorrtRunner) -> None:
    runner.close()
    gc.collect()


@pytest.mark.parametrize("integrated", [0, 1])
@pytest.mark.parametrize("open_graphs", [no_cuda_graphs, open_cuda_graphs])
def test_the_bytes_of_every_row_go_there_and_back(host_cuda, open_graphs: Callable, integrated: int) -> None:
    host_cuda.set_integrated(integrated)
    runner, _ = _opened(open_graphs)
    for count in (1, ROWS, 1, 2, 1):
        squares = _squares(count, seed=count)
        outputs = runner.infer(squares)
        means = squares.reshape(count, -1).mean(axis=1)
        assert set(outputs) == set(SHAPES) - {"image"}
        for name, values in outputs.items():
            assert values.shape == (count, *SHAPES[name][1:])
            np.testing.assert_allclose(values.reshape(count, -1)[:, -1], means, rtol=1e-6)
    assert runner.stream_ms >= 0
    _close(runner)


def test_memory_is_copied_on_a_card_and_shared_on_a_jetson(host_cuda) -> None:
    runner, _ = _opened()
    copied = host_cuda.live
    _close(runner)
    host_cuda.set_integrated(1)
    runner, _ = _opened()
    shared = host_cuda.live
    _close(runner)
    assert copied["pinned"] == shared["pinned"] == len(SHAPES)
    assert copied["device"] == len(SHAPES) + 1  # and the engine's scratch memory
    assert shared["device"] == 1


def test_a_graph_runs_without_asking_tensorrt_again(host_cuda) -> None:
    runner, trt = _opened(open_cuda_graphs)
    assert runner.execution == "CUDA graph"
    queued = trt.engine.runs
    for seed in range(5):
        squares = _squares(1, seed)
        values = runner.infer(squares)["dr_probs"]
        np.testing.assert_allclose(values[0], squares.mean(), rtol=1e-6)
    assert trt.engine.runs == queued
    runner.infer(_squares(2, 0))
    assert trt.engine.runs == queued + 1
    _close(runner)


def test_a_plan_that_cannot_be_recorded_runs_kernel_by_kernel_and_says_so(host_cuda) -> None:
    class Refusing:
        def record(self, queue: Callable[[], None]) -> None:
            raise RuntimeError("operation not permitted when stream is capturing")

    runner, _ = _opened(lambda stream: Refusing())
    assert runner.execution.startswith("kernel by kernel: this plan cannot be recorded (operation not permitted")
    squares = _squares(1, 3)
    np.testing.assert_allclose(runner.infer(squares)["amd_probs"][0], squares.mean(), rtol=1e-6)
    _close(runner)


@pytest.mark.parametrize("open_graphs", [no_cuda_graphs, open_cuda_graphs])
def test_ten_thousand_inferences_allocate_nothing(host_cuda, open_graphs: Callable) -> None:
    runner, _ = _opened(open_graphs)
    squares = _squares(1, 0)
    for _ in range(100):
        runner.infer(squares)
    before, live = host_cuda.allocations, host_cuda.live
    tracemalloc.start()
    for _ in range(INFERENCES):
        runner.infer(squares)
    grown, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert host_cuda.allocations == before
    assert host_cuda.live == live
    assert grown < GROWTH_BYTES
    _close(runner)


@pytest.mark.parametrize(("integrated", "needed"), [(0, 2 * len(SHAPES) + 1), (1, len(SHAPES) + 1)])
def test_memory_that_runs_out_anywhere_is_an_error_that_releases_everything(
    host_cuda, integrated: int, needed: int
) -> None:
    host_cuda.set_integrated(integrated)
    for allocations in range(needed):
        host_cuda.fail_after(allocations)
        with pytest.raises(DeviceFailed, match="the GPU's memory is not enough for this engine") as error:
            _opened()
        assert "out of memory" in error.value.why
        assert "max_batch" in error.value.fix
        del error
        gc.collect()
        assert host_cuda.is_clean, host_cuda.live
    host_cuda.fail_after(needed)
    runner, _ = _opened()
    _close(runner)


def test_a_second_runner_after_the_first_finds_the_gpu_as_it_was(host_cuda) -> None:
    for seed in range(3):
        runner, _ = _opened(open_cuda_graphs)
        squares = _squares(1, seed)
        np.testing.assert_allclose(runner.infer(squares)["dr_probs"][0], squares.mean(), rtol=1e-6)
        _close(runner)
        assert host_cuda.is_clean


def test_a_write_behind_the_end_of_a_buffer_is_noticed(host_cuda) -> None:
    """The driver's guard works: without this, the tests above could not fail."""
    gpu = open_gpu()
    with gpu.current():
        buffer = gpu.buffer((8,), np.uint8)
    before = host_cuda.violations
    ctypes.memset(buffer.address + 8, 0, 1)
    gpu.close()
    assert host_cuda.violations == before + 1
    ctypes.CDLL("libcuda.so.1").host_cuda_forgive()


def test_the_driver_says_what_gpu_it_is(host_cuda) -> None:
    host_cuda.set_integrated(1)
    facts = describe_gpu()
    assert (facts.name, facts.compute_capability, facts.is_integrated) == ("host memory (no GPU)", "8.7", True)
