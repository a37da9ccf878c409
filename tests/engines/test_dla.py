from types import SimpleNamespace

import pytest

from engines.dla import layers_left_to_gpu, require_dla, use_dla
from engines.targets import load_target
from sall_edge.errors import BuildError

TARGET = load_target("agx-orin").model_copy(update={"dla_core": 1})


@pytest.mark.parametrize("version", ["10.3.0", "10.7.0.23", "11.4.1.2", "11.5.0"])
def test_versions_with_an_accelerator_may_use_it(version: str) -> None:
    require_dla(version, cores=2, target=TARGET)


@pytest.mark.parametrize("version", ["10.8.0", "10.16.1.11", "11.0.0.114", "11.4.0.106"])
def test_versions_without_one_are_refused(version: str) -> None:
    with pytest.raises(BuildError, match="target agx-orin cannot use DLA core 1") as error:
        require_dla(version, cores=2, target=TARGET)
    assert error.value.why == f"TensorRT {version} has no DLA: 10.7 was the last before 11.4.1"
    assert "dla_core" in error.value.fix


def test_a_board_without_that_core_is_refused() -> None:
    with pytest.raises(BuildError) as error:
        require_dla("10.3.0", cores=1, target=TARGET)
    assert error.value.why == "this board has 1 of them"


def test_the_gpu_takes_what_the_accelerator_does_not() -> None:
    flags: list[str] = []
    trt = SimpleNamespace(DeviceType=SimpleNamespace(DLA="dla"), BuilderFlag=SimpleNamespace(GPU_FALLBACK="fallback"))
    config = SimpleNamespace(set_flag=flags.append, can_run_on_DLA=lambda layer: layer.name != "softmax")
    use_dla(trt, config, core=1)
    assert (config.default_device_type, config.DLA_core, flags) == ("dla", 1, ["fallback"])
    layers = [SimpleNamespace(name=name) for name in ("stem", "softmax")]
    network = SimpleNamespace(num_layers=2, get_layer=layers.__getitem__)
    assert layers_left_to_gpu(network, config) == ("softmax",)
