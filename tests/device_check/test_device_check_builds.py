import shutil

import pytest

from benchmarks.device_check import builds
from benchmarks.device_check.order import Arm
from engines.compiled import Compiled, KernelReport
from engines.targets import load_target
from sall_edge.artifacts import open_engine
from sall_edge.errors import ArtefactMissing, BackendMissing
from sall_edge.spec import Precision

INT8, FP32 = Precision.INT8, Precision.FP32


def test_an_engine_of_the_cpu_is_built_and_compared(order, found) -> None:
    findings, read = found
    builds.build(order, Arm.CPU, INT8, findings)
    facts = read()
    assert facts["convolutions_by_dtype"] == {"int8": 2, "fp32": 4}  # the heads stay float
    assert facts["compiler"].startswith("openvino ")
    assert facts["build_s"] > 0
    assert facts["plan_mib"] >= 0
    engine = open_engine(order.bundle(Arm.CPU, INT8))
    assert set(engine.manifest.files) == {"model.onnx", "qdq.onnx"}
    builds.compare(order, Arm.CPU, INT8, findings)
    tasks = read()["tasks"]
    assert set(tasks) == {"dr", "amd"}
    assert 0 < tasks["dr"]["largest_difference"] < 0.2
    assert tasks["dr"]["mean_difference"] < tasks["dr"]["largest_difference"]
    assert 0 <= tasks["dr"]["lost_referrals"] <= tasks["dr"]["referred_by_fp32"] <= order.photographs


def test_an_fp32_engine_of_the_cpu_is_its_own_reference(order, found) -> None:
    findings, read = found
    builds.build(order, Arm.CPU, FP32, findings)
    builds.compare(order, Arm.CPU, FP32, findings)
    assert read()["tasks"]["amd"]["largest_difference"] == 0
    assert read()["tasks"]["amd"]["same_grade"] == 1


def test_a_precision_without_a_graph_is_told(order, found) -> None:
    with pytest.raises(ArtefactMissing) as error:
        builds.build(order, Arm.CPU, Precision.FP16, found[0])
    assert (error.value.what, error.value.why) == ("no fp16 engine can be built", "there is no fp16.onnx")


def test_without_a_gpu_there_is_nothing_to_build_for(order, found) -> None:
    with pytest.raises(BackendMissing, match="there is no target"):
        builds.build(order, Arm.GPU, INT8, found[0])


def test_a_second_build_has_the_timings_of_the_first_and_leaves_its_engine_alone(order, found, monkeypatch) -> None:
    """The compiler is a fake: that TensorRT takes the timings is for a device to show."""

    def compile_graph(folder, *, target, image, precision, options) -> Compiled:
        options.timing_caches.mkdir(exist_ok=True)
        (options.timing_caches / "orin.timing").write_bytes(b"t" * 2048)
        (folder / "engine.plan").write_bytes(b"plan")
        asked.append(target.dla_core)
        return Compiled(blob="engine.plan", backend_version="10.3.0", kernels=KernelReport(), left_to_gpu=("softmax",))

    asked: list[int | None] = []
    monkeypatch.setattr(builds, "compile_graph", compile_graph)
    findings, read = found
    here = order.model_copy(update={"target": load_target("agx-orin")})
    builds.build(here, Arm.GPU, INT8, findings)
    builds.build_again(here, Arm.GPU, INT8, findings)
    assert read()["timing_cache_kib"] == {"orin.timing": 2.0}
    assert open_engine(here.bundle(Arm.GPU, INT8)).manifest.backend_version == "10.3.0"
    assert not (here.work / "again").exists()
    builds.build(here, Arm.DLA, INT8, findings)
    assert asked == [None, None, 0]
    assert read()["layers_left_to_gpu"] == ["softmax"]


def test_a_copy_of_a_bundle_is_rebuilt_and_the_owners_stays(order, found, int8_engine, tmp_path) -> None:
    mine = tmp_path / "mine"
    shutil.copytree(int8_engine.path, mine)
    before = {file.name: file.read_bytes() for file in mine.iterdir()}
    findings, read = found
    builds.rebuild_copy(order.model_copy(update={"engine": mine}), INT8, findings)
    assert {file.name: file.read_bytes() for file in mine.iterdir()} == before
    assert read()["rebuilt"]["verified"] == "not verified: the bundle carries no probes"
    assert read()["said"] == "the bundle is for a CPU: this rebuild shows nothing about the GPU"


def test_an_engine_of_our_own_is_rebuilt_with_phantoms_as_probes(order, found, monkeypatch) -> None:
    findings, read = found
    builds.build(order, Arm.CPU, INT8, findings)
    shutil.copytree(order.bundle(Arm.CPU, INT8), order.bundle(Arm.GPU, INT8))
    builds.rebuild_copy(order, INT8, findings)
    assert read()["rebuilt"]["verified"].startswith("verified on 1")
    assert read()["has_probes"]
