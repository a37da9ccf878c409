"""The whole chain in small, made once per run: phantoms, an untrained network, its graphs and its engines."""

import os
import shutil
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from sall_edge.artifacts import Checkpoint, Engine, OnnxModel, QdqModel, open_engine, seal
from sall_edge.spec import ImageSpec, Role, TaskSet, tasks_from_toml

# Before torch is loaded: tests run side by side, and threads of tiny networks only wait for each other.
os.environ.setdefault("OMP_NUM_THREADS", "1")

SIDE_PX = 64
BACKBONE = "mobilenetv3_small_050"  # the smallest in timm with depthwise convolutions


@dataclass(frozen=True)
class Finished:
    """What a command left behind."""

    code: int
    out: str
    err: str


@pytest.fixture(scope="session", autouse=True)
def _own_caches(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Tests leave the user's cache folder alone."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("caches")))
        yield


@pytest.fixture
def sall_edge(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Callable[..., Finished]:
    """Runs the command line in this process: `sall_edge("screen", engine, photo)`."""
    from sall_edge.cli import main

    def run(*arguments: object) -> Finished:
        monkeypatch.setattr(sys, "argv", ["sall-edge", *map(str, arguments)])
        with pytest.raises(SystemExit) as stop:
            main()
        captured = capfd.readouterr()
        return Finished(code=int(stop.value.code or 0), out=captured.out, err=captured.err)

    return run


@pytest.fixture
def ctrl_c() -> Iterator[Callable[[], None]]:
    """Presses it; also where the tests were started in the background, with SIGINT ignored."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield lambda: signal.pthread_kill(threading.main_thread().ident, signal.SIGINT)
    signal.signal(signal.SIGINT, before)


@pytest.fixture(scope="session")
def retina_tasks() -> TaskSet:
    from trainer.tasks import task_file

    return tasks_from_toml(task_file("retina"))


@pytest.fixture(scope="session")
def phantom_labels(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """labels.csv of 40 phantoms."""
    from sall_edge.fundus.phantom import write_phantoms

    return write_phantoms(tmp_path_factory.mktemp("phantoms"), count=40, side_px=320, seed=0)


@pytest.fixture(scope="session")
def tiny_checkpoint(tmp_path_factory: pytest.TempPathFactory, retina_tasks: TaskSet) -> Checkpoint:
    """An untrained network with settled batch statistics; its verdicts mean nothing."""
    import torch

    from trainer.checkpoint import save_checkpoint
    from trainer.network import SallNetwork

    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = SallNetwork(backbone=BACKBONE, tasks=retina_tasks.tasks, mean=(0.5,) * 3, std=(0.5,) * 3).train()
        with torch.no_grad():
            for _ in range(20):
                network(torch.randint(0, 256, (8, SIDE_PX, SIDE_PX, 3), dtype=torch.uint8))
    return save_checkpoint(
        tmp_path_factory.mktemp("tiny") / "checkpoint",
        network.eval(),
        image=ImageSpec(side_px=SIDE_PX),
        tasks=retina_tasks.tasks,
        operating_points={"dr": 0.5, "amd": 0.5},
        temperatures={"dr": 1.5, "amd": 0.8},
        provenance={},
    )


@pytest.fixture(scope="session")
def tiny_model(tiny_checkpoint: Checkpoint, tmp_path_factory: pytest.TempPathFactory) -> OnnxModel:
    from engines.export import export

    return export(tiny_checkpoint, tmp_path_factory.mktemp("graphs") / "model.onnx")


@pytest.fixture(scope="session")
def tiny_qdq(tiny_model: OnnxModel) -> QdqModel:
    from calibration.quantize import quantize
    from calibration.ranges import measure_ranges
    from sall_edge.spec import RangeMethod

    squares = np.random.default_rng(0).integers(0, 256, (16, SIDE_PX, SIDE_PX, 3), dtype=np.uint8)
    ranges = measure_ranges(tiny_model, squares, method=RangeMethod.MINMAX)
    return quantize(tiny_model, ranges, tiny_model.path.with_name("qdq.onnx"))


@pytest.fixture(scope="session")
def tiny_engine(tiny_model: OnnxModel, tiny_qdq: QdqModel, tmp_path_factory: pytest.TempPathFactory) -> Engine:
    """An INT8 engine for openvino-cpu."""
    from engines.build import build_int8
    from engines.targets import load_target

    return build_int8(tiny_model, tiny_qdq, load_target("openvino-cpu"), tmp_path_factory.mktemp("engines") / "engine")


@pytest.fixture
def judging_engine(tiny_engine: Engine, tmp_path: Path) -> Callable[[float], Engine]:
    """The same with its first task as the photograph's quality, refused from this probability on."""

    def at(point: float) -> Engine:
        quality, amd = tiny_engine.manifest.tasks
        tasks = (quality.model_copy(update={"role": Role.QUALITY}), amd)
        points = tiny_engine.manifest.operating_points | {"dr": point}
        folder = tmp_path / f"judging-from-{point}"
        shutil.copytree(tiny_engine.path, folder)
        (folder / "manifest.json").unlink()
        (folder / "signature").unlink()
        seal(folder, tiny_engine.manifest.model_copy(update={"tasks": tasks, "operating_points": points}))
        return open_engine(folder)

    return at


@pytest.fixture(scope="session")
def model(tmp_path_factory: pytest.TempPathFactory) -> OnnxModel:
    """A graph of two convolutions that compiles in a blink; for the tests of compilers and sessions."""
    from fakes.tiny_graph import write_fp32

    return write_fp32(tmp_path_factory.mktemp("two-convolutions") / "model.onnx")


@pytest.fixture(scope="session")
def qdq(model: OnnxModel) -> QdqModel:
    from fakes.tiny_graph import write_int8

    return write_int8(model, model.path.with_name("qdq.onnx"))


@pytest.fixture(scope="session")
def fp32_engine(model: OnnxModel, tmp_path_factory: pytest.TempPathFactory) -> Engine:
    from engines.build import build_float
    from engines.targets import load_target

    return build_float(model, load_target("openvino-cpu"), tmp_path_factory.mktemp("fp32") / "engine")


@pytest.fixture(scope="session")
def int8_engine(model: OnnxModel, qdq: QdqModel, tmp_path_factory: pytest.TempPathFactory) -> Engine:
    from engines.build import build_int8
    from engines.targets import load_target

    return build_int8(model, qdq, load_target("openvino-cpu"), tmp_path_factory.mktemp("int8") / "engine")


@pytest.fixture
def umask() -> Iterator[Callable[[int], int]]:
    """Sets the umask, which is the process's, until the test is over."""
    before = os.umask(0o022)
    yield os.umask
    os.umask(before)
