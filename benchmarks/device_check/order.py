"""What is asked of one step: the words that the process of the report and the process of a step share."""

from dataclasses import dataclass
from enum import Enum
from pathlib import Path

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict

from engines.targets import load_target
from sall_edge.errors import BackendMissing
from sall_edge.spec import ImageSpec, Precision, TargetSpec, Task

__all__ = ["Action", "Arm", "Order", "Step", "Subject"]

ORDER_NAME, SUBJECT_NAME, SQUARES_NAME = "order.json", "subject.json", "squares.npy"


class Action(str, Enum):
    """What a step does."""

    DOCTOR = "doctor"
    DEVICE = "device"
    GRAPHS = "graphs"
    TESTS = "gpu tests"
    BUILD = "build"
    BUILD_AGAIN = "build again"
    NUMBERS = "numbers"
    SPEED = "speed"
    PHOTOGRAPH = "photograph"
    ENDURANCE = "endurance"
    REBUILD = "rebuild"


class Arm(str, Enum):
    """Who computes: the GPU, its CPU with OpenVINO, or a deep learning accelerator with the GPU for the rest."""

    GPU = "gpu"
    CPU = "cpu"
    DLA = "dla"


@dataclass(frozen=True, slots=True)
class Step:
    """One thing that is measured, in a process of its own."""

    action: Action
    arm: Arm | None = None
    precision: Precision | None = None

    @property
    def name(self) -> str:
        """Such as "build gpu int8"."""
        return " ".join(part.value for part in (self.action, self.arm, self.precision) if part is not None)


class Subject(BaseModel):
    """The network that is measured.

    Attributes:
        origin: Where it comes from, in words.
        image, tasks, operating_points: As in a manifest.
    """

    model_config = ConfigDict(frozen=True)

    origin: str
    image: ImageSpec
    tasks: tuple[Task, ...]
    operating_points: dict[str, float]


class Order(BaseModel):
    """What all steps are told.

    Attributes:
        work: Folder for graphs, squares and engines; it is removed in the end.
        engine: A bundle that was made elsewhere; None: a network of its own.
        target: Of the GPU; None where none was found.
        seconds: Of each latency run.
        inferences: Of the endurance run.
        photographs: Phantoms on which engines are compared.
    """

    model_config = ConfigDict(frozen=True)

    work: Path
    engine: Path | None = None
    target: TargetSpec | None = None
    seconds: float = 10.0
    inferences: int = 10_000
    photographs: int = 64

    @property
    def graphs(self) -> Path:
        """Folder of the graphs, under the names that they have in a bundle."""
        return self.work / "graphs"

    @property
    def subject(self) -> Subject:
        """The network, once `graphs` has run."""
        return Subject.model_validate_json((self.work / SUBJECT_NAME).read_bytes())

    @property
    def squares(self) -> npt.NDArray[np.uint8]:
        """(n, side, side, 3) uint8: the phantoms, cut square."""
        return np.asarray(np.load(self.work / SQUARES_NAME), np.uint8)

    def target_of(self, arm: Arm) -> TargetSpec:
        """What an arm builds for.

        Raises:
            BackendMissing: There is no GPU.
        """
        if arm is Arm.CPU:
            return load_target("openvino-cpu")
        if self.target is None:
            raise BackendMissing("there is no target", "no GPU was found", "run it on the device")
        return self.target.model_copy(update={"dla_core": 0}) if arm is Arm.DLA else self.target

    def bundle(self, arm: Arm, precision: Precision) -> Path:
        """Where the engine of an arm lies."""
        return self.work / f"{arm.value}-{precision.value}"
