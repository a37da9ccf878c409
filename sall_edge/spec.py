"""What an image, a task and a target are: the words that every package shares.

All of them come from files (task TOML, target TOML, manifests), so they are frozen pydantic models.
"""

import hashlib
import json
import sys
from collections.abc import Iterable, Sequence
from enum import Enum
from pathlib import Path
from typing import Annotated, Any, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from sall_edge.errors import LabelsError, SallEdgeError

if sys.version_info >= (3, 11):
    import tomllib
else:  # JetPack 6 has Python 3.10
    import tomli as tomllib

__all__ = [
    "PREPARE_VERSION",
    "Arithmetic",
    "Backend",
    "Eye",
    "HardwareCompatibility",
    "Head",
    "ImageSpec",
    "Labelling",
    "Method",
    "Precision",
    "PrecisionChoice",
    "Profile",
    "RangeMethod",
    "Role",
    "Spec",
    "TargetSpec",
    "Task",
    "TaskSet",
    "View",
    "disease_tasks",
    "spec_from_toml",
    "tasks_from_toml",
]

PREPARE_VERSION = 2
"""Raised whenever `fundus.prepare` changes a pixel: engines made for another version are refused."""


class Spec(BaseModel):
    """A frozen description that knows its own hash."""

    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True)

    @property
    def sha256(self) -> str:
        """Hex digest of the canonical JSON (sorted keys, no blanks)."""
        canonical = json.dumps(self.model_dump(mode="json"), sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(canonical.encode()).hexdigest()


class ImageSpec(Spec):
    """How a photograph becomes the square that the network eats.

    Attributes:
        side_px: Side of the square, in pixels.
        prepare_version: Version of the algorithm in `fundus.prepare`.
    """

    side_px: Annotated[int, Field(ge=32, le=2048)] = 224
    prepare_version: int = PREPARE_VERSION


class Role(str, Enum):
    """What a task is for.

    Attributes:
        DISEASE: A referable grade is a referral.
        QUALITY: Whether the photograph can be graded at all: a "referable" grade is a retake, never a disease.
    """

    DISEASE = "disease"
    QUALITY = "quality"


class Task(Spec):
    """One disease that is graded, or the quality of the photograph.

    Attributes:
        name: Short name; output names derive from it (`<name>_probs`, `<name>_cam`).
        title: Name in reports.
        column: Column of the labels CSV that holds the data set's own grade.
        grades: Names of the grades, mildest first; a grade is its index.
        referable_from: The lowest grade that needs a referral; of quality, the lowest one that must not be graded.
        grade_from_label: Maps the data set's own labels to grades; empty means that labels are grades.
        role: What a referable grade means.
    """

    name: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$")]
    title: str
    column: str
    grades: Annotated[tuple[str, ...], Field(min_length=2)]
    referable_from: Annotated[int, Field(ge=1)]
    grade_from_label: dict[str, int] = {}
    role: Role = Role.DISEASE

    @model_validator(mode="after")
    def _grades_are_consistent(self) -> "Task":
        if self.referable_from >= len(self.grades):
            raise ValueError(f"referable_from is {self.referable_from}, but the grades end at {len(self.grades) - 1}")
        outside = {label: grade for label, grade in self.grade_from_label.items() if grade >= len(self.grades)}
        if outside:
            raise ValueError(f"grade_from_label has {outside}, but the grades end at {len(self.grades) - 1}")
        return self

    def referable_probability(self, probs: Sequence[float]) -> float:
        """Probability that the grade needs a referral, from the (K,) probabilities of one photograph."""
        return float(sum(probs[self.referable_from :]))


class TaskSet(Spec):
    """The tasks of one network, in output order."""

    tasks: Annotated[tuple[Task, ...], Field(min_length=1)]

    @model_validator(mode="after")
    def _names_are_unique(self) -> "TaskSet":
        names = [task.name for task in self.tasks]
        if len(set(names)) < len(names):
            raise ValueError(f"task names repeat: {names}")
        judges = [task.name for task in self.tasks if task.role is Role.QUALITY]
        if len(judges) > 1:
            raise ValueError(f"{judges} all have the role quality: a photograph has one quality")
        return self


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


class Eye(str, Enum):
    """Which eye, as the person has it: the left one is on the right of who looks at the person."""

    LEFT = "L"
    RIGHT = "R"


class View(str, Enum):
    """What a photograph is centred on."""

    MACULA = "macula"
    DISC = "disc"


class Method(str, Enum):
    """How the diseases learn from each other (Ju et al. 2021 and what it is compared with)."""

    SINGLE = "single"
    MULTITASK = "multitask"
    MULTITASK_NORMAL = "multitask-normal"
    LABEL_SMOOTHING = "label-smoothing"
    DISTILL = "distill"
    SALL_PAPER = "sall-paper"
    SALL = "sall"
    SALL_FEATURE = "sall-feature"


class Arithmetic(str, Enum):
    """What convolutions compute in while training; weights and losses are float32 in both.

    Attributes:
        FLOAT32: Everywhere the same, and the default.
        BFLOAT16: Faster where the processor multiplies bfloat16 in hardware, much slower elsewhere.
    """

    FLOAT32 = "float32"
    BFLOAT16 = "bfloat16"


class Head(str, Enum):
    """What turns features into grades.

    Attributes:
        SOFTMAX: A free linear layer, as in the paper: the order of the grades is left to the labels.
        ORDINAL: Adjacent-categories logit: every step to the next grade follows one direction of the features.
    """

    SOFTMAX = "softmax"
    ORDINAL = "ordinal"


class RangeMethod(str, Enum):
    """How the range of an activation is read from its histogram."""

    MINMAX = "minmax"
    PERCENTILE = "percentile"
    ENTROPY = "entropy"
    MSE = "mse"


class Labelling(str, Enum):
    """Which labels phantoms keep.

    Attributes:
        COMPLETE: Both diseases' of every photograph.
        ONE_DISEASE: In train one disease's, at random for each patient, as in sets collected for one disease (they show
            the other one too, unlabelled), which is what SALL is made for; both of normal photographs, of val and test.
    """

    COMPLETE = "complete"
    ONE_DISEASE = "one-disease"


class Profile(str, Enum):
    """How a bench asks.

    Attributes:
        QUICK: A first look.
        STANDARD: As long as MLPerf asks for.
        CLINIC: A photograph now and then, from file to verdict.
        SOAK: Half an hour without a pause.
    """

    QUICK = "quick"
    STANDARD = "standard"
    CLINIC = "clinic"
    SOAK = "soak"

    @property
    def seconds(self) -> float:
        """Least time of what the profile is for: the latency run, or the clinic."""
        match self:
            case Profile.QUICK:
                return 60
            case Profile.STANDARD:
                return 600
            case Profile.CLINIC | Profile.SOAK:
                return 1800


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


def disease_tasks(tasks: Iterable[Task]) -> tuple[Task, ...]:
    """Those that grade a disease, in their order: what is left says whether a photograph may be graded."""
    return tuple(task for task in tasks if task.role is Role.DISEASE)


SpecT = TypeVar("SpecT", bound=Spec)


def spec_from_toml(
    path: Path, model: type[SpecT], error: type[SallEdgeError], *, example: str = "docs/tasks.md"
) -> SpecT:
    """The spec that a TOML file holds.

    Args:
        path: The file.
        model: What it holds.
        error: What is raised.
        example: Where such a file is described, for the error message.

    Raises:
        SallEdgeError: Of the given type, when the file is missing, is no TOML or breaks a rule of the spec.
    """
    try:
        content: dict[str, Any] = tomllib.loads(path.read_text(encoding="utf-8"))
        return model.model_validate(content)
    except OSError as cause:
        raise error(f"cannot read {path}", str(cause.strerror or cause), "check the path") from cause
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as cause:
        raise error(f"{path} is not TOML", str(cause), f"see {example} for a complete example") from cause
    except ValidationError as cause:
        problems = "; ".join(f"{'.'.join(map(str, e['loc'])) or 'file'}: {e['msg']}" for e in cause.errors())
        raise error(f"{path} breaks a rule", problems, "correct the named entries") from cause


def tasks_from_toml(path: Path) -> TaskSet:
    """The tasks of a task file (`[[tasks]]` tables).

    Raises:
        LabelsError: The file is missing, is no TOML, or a task is inconsistent.
    """
    return spec_from_toml(path, TaskSet, LabelsError)
