"""The steps on a GPU over stand-ins that record calls: paths are taken, times mean nothing."""

import pytest
from fakes.older_bundle import tensorrt_bundle
from fakes.recording_gpu import RecordingDriver, RecordingTensorrt
from fakes.tiny_graph import SIDE_PX, TASKS

from benchmarks.device_check import builds, speeds
from benchmarks.device_check.order import Arm
from sall_edge.runtime.cuda import Gpu
from sall_edge.spec import Precision

INT8 = Precision.INT8
SHAPES = {
    "image": (-1, SIDE_PX, SIDE_PX, 3),
    **{f"{task.name}_probs": (-1, len(task.grades)) for task in TASKS},
    **{f"{task.name}_cam": (-1, 4, 4) for task in TASKS},
}


class _Driver(RecordingDriver):
    """Takes memory of either kind, and says that 24 MiB of it leaked after it was asked twice."""

    asked = 0

    def pagelocked_empty(self, shape, dtype, mem_flags=0):
        self.is_integrated = bool(mem_flags)
        return super().pagelocked_empty(shape, dtype, mem_flags)

    def mem_get_info(self) -> tuple[int, int]:
        assert self.depth, "no context is current"
        self.asked += 1
        return (1024 if self.asked < 3 else 1000) << 20, 2 << 30


class _Graphs:
    def __init__(self, stream: int) -> None:
        pass

    def record(self, queue):
        return _Recorded(queue)


class _Recorded:
    def __init__(self, queue) -> None:
        self.launch = queue

    def close(self) -> None:
        pass


@pytest.fixture
def jetson(monkeypatch, order, int8_engine) -> _Driver:
    """An engine of TensorRT in the work folder, and a GPU that shares its memory."""
    driver = _Driver(is_integrated=True)

    def open_gpu() -> Gpu:
        driver.is_integrated = True
        return Gpu(driver, driver.library)

    trt = RecordingTensorrt(driver, SHAPES)
    for name, stand_in in (
        ("open_gpu", open_gpu),
        ("library", lambda backend: trt),
        ("require_driver", lambda: None),
        ("open_cuda_graphs", _Graphs),
        ("sensors", lambda: {"celsius": {"gpu-thermal": 40.0}}),
        ("PAIRS", 5),
    ):
        monkeypatch.setattr(speeds, name, stand_in)
    tensorrt_bundle(int8_engine, order.bundle(Arm.GPU, INT8))
    return driver


def test_a_gpu_is_measured_in_every_way_that_it_has(order, found, jetson) -> None:
    findings, read = found
    speeds.measure_speed(order, Arm.GPU, INT8, findings)
    facts = read()
    assert facts["execution"] == "CUDA graph"
    assert facts["is_integrated"]
    for way in ("cuda_graph", "kernel_by_kernel", "with_copies"):
        assert facts[way]["n"] > 0
        assert facts[way]["scenario"] == "SingleStream"
        assert facts[f"{way}_clocks"]["stream_p50_ms"] == 1.5  # the stand-in's clock
        assert facts[f"{way}_clocks"]["wall_p50_ms"] > 0
    assert facts["throughput"]["batch"] == 4
    assert facts["before"] == facts["after"] == {"celsius": {"gpu-thermal": 40.0}}
    assert jetson.calls.count("download") > 0  # only what copies downloads
    assert not jetson.live
    assert jetson.retained == jetson.depth == 0


def test_without_cuda_graphs_the_reason_is_kept_and_nothing_is_measured_twice(
    order, found, jetson, monkeypatch
) -> None:
    monkeypatch.setattr(speeds, "open_cuda_graphs", lambda stream: None)
    findings, read = found
    speeds.measure_speed(order, Arm.GPU, INT8, findings)
    assert read()["execution"] == "kernel by kernel: cuda-core 1.0 or later is not installed"
    assert "cuda_graph" not in read()
    assert read()["kernel_by_kernel"]["n"] > 0


def test_endurance_looks_at_memory_and_at_both_ends(order, found, jetson) -> None:
    findings, read = found
    speeds.endure(order, INT8, findings)
    facts = read()
    assert facts["inferences"] == 50
    assert [facts[f"gpu_free_{when}_mib"] for when in ("before", "opened", "closed")] == [1024, 1024, 1000]
    assert facts["gpu_grown_mib"] == 24
    assert facts["resident_opened_mib"] > abs(facts["resident_grown_mib"])
    assert facts["first_p50_ms"] > 0
    assert facts["slowest_ms"] >= facts["last_p50_ms"] > 0
    assert not jetson.live
    assert jetson.retained == jetson.depth == 0


def test_a_cpu_is_measured_with_openvino(order, found, monkeypatch) -> None:
    monkeypatch.setattr(speeds, "sensors", dict)
    findings, read = found
    builds.build(order, Arm.CPU, INT8, findings)
    speeds.measure_speed(order, Arm.CPU, INT8, findings)
    assert read()["openvino"]["n"] > 0
    assert read()["throughput"]["images_per_s"] > 0
