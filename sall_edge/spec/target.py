"""What an engine is built for: who runs it, in which arithmetic, on which device."""

from enum import Enum
from typing import Annotated

from pydantic import Field

from sall_edge.spec.base import Spec

__all__ = ["Backend", "HardwareCompatibility", "Precision", "PrecisionChoice", "TargetSpec"]


class Precision(str, Enum):
    """Arithmetic of the convolutions; it stands in the graph, not in builder flags.

    Attributes:
        INT8_FP16: INT8 where the graph is quantized, FP16 everywhere else, where INT8 alone has FP32.
    """

    INT8 = "int8"
    INT8_FP16 = "int8-fp16"
    FP16 = "fp16"
    FP32 = "fp32"

    @property
    def is_quantized(self) -> bool:
        """Whether it takes a quantized graph."""
        return self in (Precision.INT8, Precision.INT8_FP16)


class PrecisionChoice(str, Enum):
    """What `build` is asked for.

    Attributes:
        AUTO: The fastest that the gate lets pass.
    """

    AUTO = "auto"
    INT8 = "int8"
    INT8_FP16 = "int8-fp16"
    FP16 = "fp16"
    FP32 = "fp32"


class Backend(str, Enum):
    """Who runs the engine."""

    OPENVINO = "openvino"
    ONNXRUNTIME = "onnxruntime"
    TENSORRT = "tensorrt"
    TENSORRT_RTX = "tensorrt-rtx"


class HardwareCompatibility(str, Enum):
    """On which other GPUs a TensorRT plan may run; every step away from NONE costs speed.

    Attributes:
        NONE: On GPUs like the one that built it.
        SAME_COMPUTE_CAPABILITY: On every GPU of its compute capability. TensorRT 10.10 and later.
        AMPERE_PLUS: On every desktop GPU from compute capability 8.0; NVIDIA offers it on no Jetson.
    """

    NONE = "none"
    SAME_COMPUTE_CAPABILITY = "same-compute-capability"
    AMPERE_PLUS = "ampere-plus"


class TargetSpec(Spec):
    """A device to build for.

    Attributes:
        name: Short name, as given to `--target`.
        title: The device in words.
        backend: Who compiles and runs.
        precisions: What the device computes in hardware.
        compute_capabilities: CUDA devices that the plan runs on, such as "8.7"; only TensorRT-RTX takes several.
        workspace_mib: Upper bound for the scratch memory that one layer of a TensorRT plan takes.
        tactic_dram_mib: Upper bound for the memory of a kernel that TensorRT tries while it builds; None: all there is.
        optimization_level: 0 (fast build) to 5 (fast plan) for TensorRT; None: its own default, 3.
        hardware_compatibility: On which other GPUs the plan may run.
        dla_core: Deep learning accelerator that takes what layers it can, the GPU takes the rest; None: GPU alone.
        dla_sram_kib, dla_local_dram_mib, dla_global_dram_mib: Upper bounds for a DLA's memory; None: TensorRT's own.
        max_batch: Largest batch of the engine's profile.
        threads: CPU threads; 0 takes all.
        notes: What a user should know about this device.
    """

    name: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]*$")]
    title: str
    backend: Backend
    precisions: tuple[Precision, ...] = (Precision.INT8, Precision.FP32)
    compute_capabilities: tuple[Annotated[str, Field(pattern=r"^[0-9]+\.[0-9]$")], ...] = ()
    workspace_mib: Annotated[int, Field(ge=16)] = 1024
    tactic_dram_mib: Annotated[int, Field(ge=16)] | None = None
    optimization_level: Annotated[int, Field(ge=0, le=5)] | None = None
    hardware_compatibility: HardwareCompatibility = HardwareCompatibility.NONE
    dla_core: Annotated[int, Field(ge=0, le=1)] | None = None
    dla_sram_kib: Annotated[int, Field(ge=4)] | None = None
    dla_local_dram_mib: Annotated[int, Field(ge=1)] | None = None
    dla_global_dram_mib: Annotated[int, Field(ge=1)] | None = None
    max_batch: Annotated[int, Field(ge=1)] = 8
    threads: Annotated[int, Field(ge=0)] = 0
    notes: str = ""

    @property
    def batch_limit(self) -> int:
        """Squares that an engine takes at once: a deep learning accelerator has no dynamic shapes, and so one."""
        return self.max_batch if self.dla_core is None else 1
