"""T3: our builder and runtime with NVIDIA's real Python bindings, whose library makes nothing.

Real: the module, its enums, the base classes of our logger and progress monitor, what a factory that fails looks like.
Where an object would be needed, a mock has exactly the attributes of NVIDIA's class, and setting another one fails.
"""

from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from unittest import mock

import numpy as np
import pytest
import tensorrt
from fakes.recording_gpu import RecordingDriver
from fakes.small_engine import MANIFEST, SHAPES

from engines.compiled import CompilerOptions
from engines.targets import load_target
from engines.tensorrt import build_plan
from sall_edge.errors import ArtefactForeign, BackendMissing, BuildError
from sall_edge.runtime.cuda import Gpu, GpuFacts
from sall_edge.runtime.tensorrt import TensorrtRunner
from sall_edge.runtime.tensorrt_library import library, shared_logger
from sall_edge.spec import Backend, HardwareCompatibility, ImageSpec

IMAGE = ImageSpec(side_px=320)
ORIN = load_target("agx-orin")
GPU = GpuFacts(name="Orin", compute_capability="8.7", multiprocessors=16, is_integrated=True)
HAS_DLA = tensorrt.__version__.startswith("10.3")


def _like(kind: type) -> mock.NonCallableMagicMock:
    return mock.create_autospec(kind, instance=True, spec_set=True)


@pytest.fixture
def nvidia() -> Iterator[SimpleNamespace]:
    """NVIDIA's factories, making mocks of what they make."""
    made = SimpleNamespace(
        builder=_like(tensorrt.Builder),
        network=_like(tensorrt.INetworkDefinition),
        parser=_like(tensorrt.OnnxParser),
        config=_like(tensorrt.IBuilderConfig),
        profile=_like(tensorrt.IOptimizationProfile),
        runtime=_like(tensorrt.Runtime),
        engine=_like(tensorrt.ICudaEngine),
        inspector=_like(tensorrt.EngineInspector),
        context=_like(tensorrt.IExecutionContext),
    )
    made.network.num_layers = 0
    made.builder.create_network.return_value = made.network
    made.builder.create_builder_config.return_value = made.config
    made.builder.create_optimization_profile.return_value = made.profile
    made.builder.build_serialized_network.return_value = b"plan"
    made.config.add_optimization_profile.return_value = 0
    made.config.set_timing_cache.return_value = True
    made.config.get_timing_cache.return_value.serialize.return_value = b"timings"
    made.runtime.deserialize_cuda_engine.return_value = made.engine
    made.engine.create_engine_inspector.return_value = made.inspector
    made.inspector.get_engine_information.return_value = '{"Layers": []}'
    factories = {"Builder": made.builder, "OnnxParser": made.parser, "Runtime": made.runtime}
    calls = {name: mock.Mock(return_value=value) for name, value in factories.items()}
    with mock.patch.multiple(tensorrt, **calls):
        yield made


def test_a_library_that_makes_no_builder_is_an_error_with_a_remedy(tmp_path: Path) -> None:
    """Without a GPU the real factory returns NULL too, and the bindings raise a bare TypeError."""
    with pytest.raises(BackendMissing, match="does not start") as error:
        build_plan(tensorrt, tmp_path / "model.onnx", target=ORIN, image=IMAGE)
    assert tensorrt.__version__ in error.value.what
    assert "nvidia-smi" in error.value.fix


def test_a_library_that_makes_no_runtime_releases_the_gpu() -> None:
    driver = RecordingDriver()
    with pytest.raises(BackendMissing, match="does not start"):
        TensorrtRunner(b"plan", MANIFEST, trt=tensorrt, gpu=Gpu(driver, driver.library))
    assert driver.retained == driver.depth == 0


def test_the_module_is_new_enough() -> None:
    assert library(Backend.TENSORRT) is tensorrt


def test_a_build_sets_what_the_target_says(nvidia: SimpleNamespace, tmp_path: Path) -> None:
    target = ORIN.model_copy(
        update={
            "tactic_dram_mib": 2048,
            "optimization_level": 4,
            "hardware_compatibility": HardwareCompatibility.AMPERE_PLUS,
        }
    )
    plan = build_plan(tensorrt, tmp_path / "model.onnx", target=target, image=IMAGE)
    assert plan.content == b"plan"
    assert plan.layers == '{"Layers": []}'
    nvidia.builder.create_network.assert_called_once_with(
        1 << int(tensorrt.NetworkDefinitionCreationFlag.STRONGLY_TYPED)
    )
    nvidia.parser.parse_from_file.assert_called_once_with(str(tmp_path / "model.onnx"))
    nvidia.config.set_memory_pool_limit.assert_has_calls(
        [
            mock.call(tensorrt.MemoryPoolType.WORKSPACE, target.workspace_mib << 20),
            mock.call(tensorrt.MemoryPoolType.TACTIC_DRAM, 2048 << 20),
        ]
    )
    assert nvidia.config.set_memory_pool_limit.call_count == 2
    assert nvidia.config.builder_optimization_level == 4
    assert nvidia.config.hardware_compatibility_level == tensorrt.HardwareCompatibilityLevel.AMPERE_PLUS
    assert nvidia.config.profiling_verbosity == tensorrt.ProfilingVerbosity.DETAILED
    assert isinstance(nvidia.config.progress_monitor, tensorrt.IProgressMonitor)
    nvidia.config.clear_flag.assert_called_once_with(tensorrt.BuilderFlag.TF32)  # or FP32 would not be FP32
    nvidia.profile.set_shape.assert_called_once_with(
        "image", (1, 320, 320, 3), (1, 320, 320, 3), (target.max_batch, 320, 320, 3)
    )
    nvidia.config.create_timing_cache.assert_not_called()


def test_a_timing_cache_is_read_offered_and_written_back(nvidia: SimpleNamespace, tmp_path: Path) -> None:
    options = CompilerOptions(timing_caches=tmp_path / "timing")
    for _ in range(2):
        build_plan(tensorrt, tmp_path / "model.onnx", target=ORIN, image=IMAGE, options=options, gpu=GPU)
    (place,) = (tmp_path / "timing").iterdir()
    assert place.read_bytes() == b"timings"
    assert [call.args for call in nvidia.config.create_timing_cache.call_args_list] == [(b"",), (b"timings",)]


def test_a_timing_cache_of_another_device_is_replaced_by_an_empty_one(nvidia: SimpleNamespace, tmp_path: Path) -> None:
    nvidia.config.set_timing_cache.side_effect = [False, True]
    options = CompilerOptions(timing_caches=tmp_path)
    build_plan(tensorrt, tmp_path / "model.onnx", target=ORIN, image=IMAGE, options=options, gpu=GPU)
    assert nvidia.config.create_timing_cache.call_args_list[-1].args == (b"",)
    assert nvidia.config.set_timing_cache.call_count == 2


def test_a_hardware_compatibility_that_the_version_lacks_is_named(nvidia: SimpleNamespace, tmp_path: Path) -> None:
    same = HardwareCompatibility.SAME_COMPUTE_CAPABILITY
    target = ORIN.model_copy(update={"hardware_compatibility": same})
    if "SAME_COMPUTE_CAPABILITY" in tensorrt.HardwareCompatibilityLevel.__members__:
        build_plan(tensorrt, tmp_path / "model.onnx", target=target, image=IMAGE)
        expected = tensorrt.HardwareCompatibilityLevel.SAME_COMPUTE_CAPABILITY
        assert nvidia.config.hardware_compatibility_level == expected
    else:
        with pytest.raises(BuildError, match="there is no hardware compatibility same-compute-capability") as error:
            build_plan(tensorrt, tmp_path / "model.onnx", target=target, image=IMAGE)
        assert error.value.why == f"tensorrt {tensorrt.__version__} has NONE, AMPERE_PLUS"


def test_an_accelerator_takes_what_it_can(nvidia: SimpleNamespace, tmp_path: Path) -> None:
    target = ORIN.model_copy(update={"dla_core": 0})
    nvidia.builder.num_DLA_cores = 2
    kinds = tensorrt.LayerType
    layers = [SimpleNamespace(name="stem", type=kinds.CONVOLUTION), SimpleNamespace(name="softmax", type=kinds.SOFTMAX)]
    nvidia.network.num_layers = len(layers)
    nvidia.network.get_layer.side_effect = layers.__getitem__
    nvidia.config.can_run_on_DLA.side_effect = lambda layer: layer.name == "stem"
    if not HAS_DLA:
        with pytest.raises(BuildError, match="cannot use DLA core 0"):
            build_plan(tensorrt, tmp_path / "model.onnx", target=target, image=IMAGE)
        return
    plan = build_plan(tensorrt, tmp_path / "model.onnx", target=target, image=IMAGE)
    assert plan.left_to_gpu == ("softmax",)
    assert plan.kernels.kernels == ()  # the inspector of the mock knows no layer
    assert nvidia.config.default_device_type == tensorrt.DeviceType.DLA
    nvidia.config.set_flag.assert_called_once_with(tensorrt.BuilderFlag.GPU_FALLBACK)
    square = (1, 320, 320, 3)
    nvidia.profile.set_shape.assert_called_once_with("image", square, square, square)  # a DLA has no dynamic shapes


def test_a_builder_that_gives_nothing_is_explained(nvidia: SimpleNamespace, tmp_path: Path) -> None:
    def fail(network: object, config: object) -> None:
        text = "Error Code 10: Internal Error (Could not find any implementation for node node_stem.)"
        shared_logger(tensorrt).log(tensorrt.ILogger.Severity.ERROR, text)

    nvidia.builder.build_serialized_network.side_effect = fail
    with pytest.raises(BuildError, match=r"refuses model\.onnx") as error:
        build_plan(tensorrt, tmp_path / "model.onnx", target=ORIN, image=IMAGE)
    assert "no kernel of this GPU can compute node_stem" in error.value.why
    assert "workspace_mib" in error.value.fix


def _engine_of(nvidia: SimpleNamespace) -> None:
    nvidia.engine.num_io_tensors = len(SHAPES)
    nvidia.engine.device_memory_size_v2 = 4096
    nvidia.engine.get_tensor_name.side_effect = lambda index: list(SHAPES)[index]
    nvidia.engine.get_tensor_shape.side_effect = SHAPES.__getitem__
    modes = tensorrt.TensorIOMode
    nvidia.engine.get_tensor_mode.side_effect = lambda name: modes.INPUT if name == "image" else modes.OUTPUT
    nvidia.engine.create_execution_context.return_value = nvidia.context


def test_a_runner_calls_what_nvidia_has(nvidia: SimpleNamespace) -> None:
    _engine_of(nvidia)
    driver = RecordingDriver()
    runner = TensorrtRunner(b"plan", MANIFEST, trt=tensorrt, gpu=Gpu(driver, driver.library))
    assert set(runner.infer(np.zeros((1, *SHAPES["image"][1:]), np.uint8))) == set(SHAPES) - {"image"}
    strategy = tensorrt.ExecutionContextAllocationStrategy.USER_MANAGED
    assert nvidia.engine.create_execution_context.call_args_list == [mock.call(strategy)] * 2
    runner.close()
    assert not driver.live


def test_a_plan_that_it_cannot_read_is_foreign(nvidia: SimpleNamespace) -> None:
    nvidia.runtime.deserialize_cuda_engine.return_value = None
    driver = RecordingDriver()
    with pytest.raises(ArtefactForeign, match=f"TensorRT {tensorrt.__version__} cannot read the plan"):
        TensorrtRunner(b"plan", MANIFEST, trt=tensorrt, gpu=Gpu(driver, driver.library))
    assert driver.retained == 0
