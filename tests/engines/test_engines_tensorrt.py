import importlib.util
from collections.abc import Callable
from pathlib import Path

import onnx
import pytest
from fakes.tiny_graph import SIDE_PX

import engines.tensorrt
import engines.tensorrt_device
from engines.build import build_float, build_int8
from engines.compiled import CompilerOptions
from engines.targets import load_target
from engines.tensorrt import build_plan, compile_graph
from sall_edge.artifacts import OnnxModel, QdqModel, open_engine
from sall_edge.errors import ArtefactChanged, BackendMissing, BuildError
from sall_edge.runtime.cuda import GpuFacts
from sall_edge.runtime.session import open_session
from sall_edge.spec import ImageSpec, Precision, TargetSpec

IMAGE = ImageSpec(side_px=SIDE_PX)
DESKTOP = GpuFacts(name="a card", compute_capability="8.9", multiprocessors=46, is_integrated=False)
HEADS = 2
"""The tiny graph's class activation maps are float convolutions; its two other convolutions are quantized."""

needs_rtx = pytest.mark.skipif(
    importlib.util.find_spec("tensorrt_rtx") is None,
    reason="tensorrt_rtx is not installed: pip install 'sall-edge[rtx]'",
)


@pytest.mark.slow
@needs_rtx
def test_rtx_compiles_a_qdq_graph_with_every_quantized_convolution_int8(
    model: OnnxModel, qdq: QdqModel, tmp_path: Path
) -> None:
    engine = build_int8(model, qdq, load_target("rtx"), tmp_path / "engine")
    kernels = engine.manifest.provenance["kernels"]
    assert kernels["int8"] == 2
    convolutions = [kernel for kernel in kernels["others"] if "cam" in kernel["name"]]
    assert len(convolutions) == HEADS
    assert engine.manifest.provenance["smoke"].startswith("compiled, not run: no GPU")
    assert sorted(file.name for file in engine.path.iterdir()) == [
        "engine.plan",
        "layers.txt",
        "manifest.json",
        "model.onnx",
        "qdq.onnx",
        "signature",
    ]
    assert engine.manifest.files["engine.plan"]
    content = bytearray(engine.blob_path.read_bytes())
    content[len(content) // 2] ^= 1
    engine.blob_path.write_bytes(content)
    with pytest.raises(ArtefactChanged, match=r"engine\.plan"):
        open_engine(engine.path)


@needs_rtx
def test_rtx_compiles_fp16_with_every_convolution_in_fp16(model: OnnxModel, tmp_path: Path) -> None:
    engine = build_float(model, load_target("rtx"), tmp_path / "engine", precision=Precision.FP16)
    summary = engine.manifest.provenance["kernels"]["summary"]
    assert summary.endswith("convolutions FP16")
    assert "fp32" not in summary


@needs_rtx
def test_rtx_compiles_a_mixed_graph_with_int8_layers_and_fp16_heads(
    model: OnnxModel, qdq: QdqModel, tmp_path: Path
) -> None:
    engine = build_int8(model, qdq, load_target("rtx"), tmp_path / "engine", precision=Precision.INT8_FP16)
    kernels = engine.manifest.provenance["kernels"]
    assert kernels["int8"] == 2
    assert {kernel["dtype"] for kernel in kernels["others"]} == {"fp16"}
    assert engine.manifest.precision is Precision.INT8_FP16
    assert {"model.onnx", "qdq-fp16.onnx"} < set(engine.manifest.files)


@needs_rtx
def test_an_rtx_engine_does_not_run_without_a_driver_and_says_so(
    model: OnnxModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse() -> None:
        raise BackendMissing("the CUDA driver is not on this machine", "no library", "install it")

    monkeypatch.setattr("sall_edge.runtime.tensorrt.require_driver", refuse)
    monkeypatch.setattr(engines.tensorrt_device, "describe_gpu", refuse)
    engine = build_float(model, load_target("rtx"), tmp_path / "engine")
    with pytest.raises(BackendMissing, match="the CUDA driver is not on this machine"):
        open_session(engine)


@needs_rtx
def test_an_int8_build_in_which_no_convolution_became_int8_is_refused(qdq: QdqModel, tmp_path: Path) -> None:
    """TensorRT takes activation scales of shape [1] in silence, and then computes every convolution in float."""
    proto = onnx.load(qdq.path)
    for tensor in proto.graph.initializer:
        if tensor.name.endswith("_scale") and not tensor.dims:
            tensor.dims.append(1)
    graph = tmp_path / "qdq.onnx"
    onnx.save(proto, graph)
    rtx = load_target("rtx")
    with pytest.raises(BuildError, match=r"no convolution of qdq\.onnx became INT8") as error:
        compile_graph(graph, tmp_path, target=rtx, image=IMAGE, precision=Precision.INT8)
    assert error.value.why.endswith("convolutions FP32")
    compile_graph(graph, tmp_path, target=rtx, image=IMAGE, precision=Precision.FP32)


@needs_rtx
def test_a_node_that_the_parser_refuses_is_named(model: OnnxModel, tmp_path: Path) -> None:
    import tensorrt_rtx

    proto = onnx.load(model.path)
    for node in proto.graph.node:
        if node.op_type == "Softmax":
            node.op_type, node.domain = "NoSuchOperator", "nowhere"
    graph = tmp_path / "graph.onnx"
    onnx.save(proto, graph)
    with pytest.raises(BuildError) as error:
        build_plan(tensorrt_rtx, graph, target=load_target("rtx"), image=IMAGE)
    assert "refuses graph.onnx" in error.value.what
    assert error.value.why.startswith("TensorRT has no operator for node_dr_probs (NoSuchOperator); NVIDIA: ")
    assert "--target openvino-cpu" in error.value.fix
    assert "cudaError" not in error.value.why


@needs_rtx
def test_a_file_that_is_no_graph_is_a_build_error(tmp_path: Path) -> None:
    import tensorrt_rtx

    graph = tmp_path / "graph.onnx"
    graph.write_bytes(b"no graph")
    with pytest.raises(BuildError, match=r"refuses graph\.onnx[\s\S]*the file is no ONNX graph"):
        build_plan(tensorrt_rtx, graph, target=load_target("rtx"), image=IMAGE)


@needs_rtx
def test_a_card_that_rtx_does_not_know_is_refused_with_those_it_knows(model: OnnxModel) -> None:
    import tensorrt_rtx

    orin = load_target("rtx").model_copy(update={"compute_capabilities": ("8.7",)})
    with pytest.raises(BuildError, match=r"no TensorRT-RTX for compute capability 8\.7") as error:
        build_plan(tensorrt_rtx, model.path, target=orin, image=IMAGE)
    assert "SM86" in error.value.why


def test_a_target_without_compute_capability_is_refused(model: OnnxModel, tmp_path: Path) -> None:
    target = load_target("orin-nx").model_copy(update={"compute_capabilities": ()})
    with pytest.raises(BuildError, match="names no compute capability"):
        build_float(model, target, tmp_path / "engine")


def test_another_gpu_than_the_targets_is_refused(
    model: OnnxModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engines.tensorrt_device, "require_driver", lambda: None)
    monkeypatch.setattr(engines.tensorrt_device, "library", lambda backend: None)
    monkeypatch.setattr(engines.tensorrt_device, "describe_gpu", lambda: DESKTOP)
    with pytest.raises(BuildError) as error:
        build_float(model, load_target("orin-nano"), tmp_path / "engine")
    assert "this one has compute capability 8.9" in error.value.why
    assert "8.7" in error.value.fix


def test_driver_and_library_that_are_both_missing_are_named_together(
    model: OnnxModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def missing(name: str) -> object:
        def refuse(*_: object) -> None:
            raise BackendMissing(f"{name} is missing", "no", f"install {name}")

        return refuse

    monkeypatch.setattr(engines.tensorrt_device, "require_driver", missing("the driver"))
    monkeypatch.setattr(engines.tensorrt_device, "library", missing("TensorRT"))
    with pytest.raises(BackendMissing) as error:
        build_float(model, load_target("agx-orin"), tmp_path / "engine")
    assert error.value.why == "the driver is missing; TensorRT is missing"
    assert "install the driver; install TensorRT" in error.value.fix


@pytest.mark.parametrize("name", ["orin-nano", "orin-nx", "agx-orin", "thor"])
def test_every_jetson_that_ships_may_be_built_for(name: str) -> None:
    target: TargetSpec = load_target(name)
    engines.tensorrt_device._check_capabilities(target)  # raises for what TensorRT 10.3 cannot serve


class _Bar:
    """Notes what it is told; `stop_at` interrupts the main thread when the bar has come so far."""

    def __init__(self, on_advance: Callable[[int], None] = lambda reached: None) -> None:
        self.stages: list[str] = []
        self.reached = 0
        self._on_advance = on_advance

    def stage(self, name: str, total: int) -> None:
        self.stages.append(name)
        self.total = total

    def advance(self, n: int = 1) -> None:
        self.reached += n
        self._on_advance(self.reached)


@needs_rtx
def test_a_build_shows_how_far_it_is(model: OnnxModel) -> None:
    import tensorrt_rtx

    bar = _Bar()
    build_plan(tensorrt_rtx, model.path, target=load_target("rtx"), image=IMAGE, options=CompilerOptions(progress=bar))
    assert bar.stages == ["tensorrt_rtx compiles"]
    assert bar.reached == bar.total


@needs_rtx
def test_ctrl_c_ends_a_build_and_writes_nothing(model: OnnxModel, tmp_path: Path, ctrl_c: Callable[[], None]) -> None:
    interrupted: list[int] = []

    def interrupt(reached: int) -> None:
        if not interrupted:
            interrupted.append(reached)
            ctrl_c()

    options = CompilerOptions(progress=_Bar(interrupt))
    with pytest.raises(KeyboardInterrupt):
        build_float(model, load_target("rtx"), tmp_path / "engine", options=options)
    assert interrupted
    assert list(tmp_path.iterdir()) == []


@needs_rtx
def test_rtx_times_nothing_and_keeps_no_cache(model: OnnxModel, tmp_path: Path) -> None:
    import tensorrt_rtx

    options = CompilerOptions(timing_caches=tmp_path)
    build_plan(tensorrt_rtx, model.path, target=load_target("rtx"), image=IMAGE, options=options, gpu=DESKTOP)
    assert list(tmp_path.iterdir()) == []
