"""The deep learning accelerator of an Orin: it takes the layers that it can, the GPU takes the rest.

Which TensorRT has it (NVIDIA's release notes): every 10.x up to 10.7, none after that until 11.4.1, which has it on AGX
Orin under JetPack 7.2.2 and later. Up to 10.7 it computes INT8 by implicit quantization only, which strongly typed
networks do not have: there FP16 is what it takes (docs/adr/0011). Not yet run on a device.
"""

from typing import TYPE_CHECKING, Any

from sall_edge.errors import BuildError
from sall_edge.spec import TargetSpec

if TYPE_CHECKING:
    import tensorrt as trt

__all__ = ["layers_left_to_gpu", "require_dla", "use_dla"]

_LAST_10 = (10, 7)
_FIRST_11 = (11, 4, 1)


def require_dla(version: str, *, cores: int, target: TargetSpec) -> None:
    """Checks that this TensorRT and this board have the target's accelerator.

    Raises:
        BuildError: They do not.
    """
    numbers = tuple(int(part) for part in version.split(".")[:3])
    what, fix = f"target {target.name} cannot use DLA core {target.dla_core}", "remove dla_core from the target's TOML"
    if numbers[:2] > _LAST_10 and numbers < _FIRST_11:
        raise BuildError(what, f"TensorRT {version} has no DLA: 10.7 was the last before 11.4.1", fix)
    if target.dla_core is None or target.dla_core >= cores:
        raise BuildError(what, f"this board has {cores} of them", fix)


def use_dla(trt: Any, config: "trt.IBuilderConfig", *, core: int) -> None:
    """Puts every layer on the accelerator that it takes, and the others on the GPU."""
    config.default_device_type = trt.DeviceType.DLA
    config.DLA_core = core
    config.set_flag(trt.BuilderFlag.GPU_FALLBACK)


def layers_left_to_gpu(network: "trt.INetworkDefinition", config: "trt.IBuilderConfig") -> tuple[str, ...]:
    """Names of the layers that the accelerator does not take: each switch between the two costs a copy."""
    layers = (network.get_layer(index) for index in range(network.num_layers))
    return tuple(layer.name for layer in layers if not config.can_run_on_DLA(layer))
