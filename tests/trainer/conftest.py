"""Shapes of tensors are checked here: every trainer module that these tests import is typechecked at run time."""

from jaxtyping import install_import_hook

_HOOK = install_import_hook("trainer", "beartype.beartype")

from collections.abc import Iterator  # noqa: E402  # the hook must be there before anything of trainer is imported
from pathlib import Path  # noqa: E402

import cv2  # noqa: E402
import numpy as np  # noqa: E402
import pytest  # noqa: E402
import torch  # noqa: E402

from sall_edge.fundus.labels import LabelledPhotograph, read_labels  # noqa: E402
from sall_edge.spec import ImageSpec, Method, Task, TaskSet  # noqa: E402
from trainer.augment import Augmentation  # noqa: E402
from trainer.network import SallNetwork  # noqa: E402
from trainer.options import TrainingOptions  # noqa: E402

TINY = "test_efficientnet"
"""timm's own backbone for tests: a tenth of a million weights."""

SIDE = 32


class Diary:
    """Progress that remembers."""

    def __init__(self) -> None:
        self.stages: list[tuple[str, int]] = []
        self.notes: list[str] = []
        self.steps = 0

    def stage(self, name: str, total: int) -> None:
        self.stages.append((name, total))

    def advance(self, n: int = 1) -> None:
        self.steps += n

    def note(self, text: str) -> None:
        self.notes.append(text)


@pytest.fixture(autouse=True)
def _threads() -> Iterator[None]:
    """One thread: the networks are so small that two only wait for each other."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(autouse=True)
def _same_draws() -> None:
    """Tests that draw from torch's own state get the same numbers in every run and in every order."""
    torch.manual_seed(0)


@pytest.fixture
def diary() -> Diary:
    return Diary()


@pytest.fixture(scope="session")
def tasks() -> TaskSet:
    """Red is graded 0 to 2, green 0 or 1."""
    red = Task(name="red", title="Red", column="red_grade", grades=("none", "some", "much"), referable_from=1)
    green = Task(name="green", title="Green", column="green_grade", grades=("none", "much"), referable_from=1)
    return TaskSet(tasks=(red, green))


@pytest.fixture
def network(tasks: TaskSet) -> SallNetwork:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return SallNetwork(backbone=TINY, tasks=tasks.tasks, mean=(0.5, 0.5, 0.5), std=(0.25, 0.25, 0.25))


def draw_disc(red: int, green: int, noise: np.random.Generator) -> np.ndarray:
    """A grey disc on black, more red and more green with the grade: what the tests call a photograph."""
    picture = np.zeros((300, 300, 3), np.uint8)
    colour = (90 + 25 * red, 90 + 50 * green, 90)
    cv2.circle(picture, (150, 150), 140, colour, -1)
    field = picture.any(axis=2, keepdims=True)
    grain = noise.integers(-12, 13, picture.shape)
    return np.where(field, np.clip(picture.astype(int) + grain, 1, 255), 0).astype(np.uint8)


@pytest.fixture(scope="session")
def labels_csv(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """60 photographs: a third labelled for both tasks, a third for red, a third for green."""
    folder = tmp_path_factory.mktemp("photographs")
    random = np.random.default_rng(0)
    lines = ["image,red_grade,green_grade,patient_id,split"]
    for number in range(60):
        red, green = number % 3, number % 2
        picture = draw_disc(red, green, random)
        cv2.imwrite(str(folder / f"{number}.png"), cv2.cvtColor(picture, cv2.COLOR_RGB2BGR))
        kind = (number // 6) % 3
        shown = ("" if kind == 2 else red, "" if kind == 1 else green)
        split = "val" if number >= 42 else "train"
        lines.append(f"{number}.png,{shown[0]},{shown[1]},p{number // 2},{split}")
    (folder / "labels.csv").write_text("\n".join(lines), encoding="utf-8")
    return folder / "labels.csv"


@pytest.fixture(scope="session")
def photographs(labels_csv: Path, tasks: TaskSet) -> tuple[LabelledPhotograph, ...]:
    return read_labels([labels_csv], tasks)


@pytest.fixture(scope="session")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Prepared squares that all runs of the session share."""
    return tmp_path_factory.mktemp("cache")


@pytest.fixture
def quick() -> TrainingOptions:
    """Seconds, not minutes."""
    return TrainingOptions(
        method=Method.MULTITASK,
        backbone=TINY,
        weights="none",
        image=ImageSpec(side_px=SIDE),
        epochs=2,
        batch_size=8,
        learning_rate=3e-3,
        dropout=0.1,
        augmentation=Augmentation(brightness=0.0, colour_cast=0.0, saturation=0.0, contrast=0.0),
    )
