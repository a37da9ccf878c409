"""The network that is measured, as graphs: a bundle's own, or an untrained one that is exported and calibrated here."""

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from benchmarks.device_check.findings import Findings
from benchmarks.device_check.order import SQUARES_NAME, SUBJECT_NAME, Order, Subject
from engines.compile import GRAPH_NAMES
from engines.targets import load_target
from sall_edge.artifacts import Engine, EngineManifest, open_engine
from sall_edge.bench.accuracy.metrics import referable_probability
from sall_edge.errors import BackendMissing
from sall_edge.fundus.golden import golden_square
from sall_edge.fundus.phantom.cohort import phantom_at
from sall_edge.fundus.prepare import prepare
from sall_edge.runtime.session import open_reference
from sall_edge.spec import ImageSpec, Precision, Task

__all__ = ["make_graphs"]

U8 = npt.NDArray[np.uint8]

BACKBONE = "tf_efficientnet_lite0"
SIDE_PX = 224
PHANTOM_SIDE_PX = 512
SEED = 0
CALIBRATION_COUNT = 32
STATISTICS_BATCH = 8
FIRST_OF_CALIBRATION = 100_000
"""Calibration sees other phantoms than those on which engines are compared."""
TEMPERATURE = 0.5
"""An untrained head's logits lie close together; this spreads its probabilities, so that rounding shows in them."""


def make_graphs(order: Order, found: Findings) -> None:
    """Writes the graphs, the subject and the squares into the work folder.

    Raises:
        BackendMissing: There is no bundle and torch is not installed.
    """
    order.graphs.mkdir(parents=True)
    if order.engine is None:
        subject = _own_network(order.graphs, found)
    else:
        subject = _of_bundle(open_engine(order.engine), order.graphs)
    squares = _squares(order.photographs, subject.image)
    np.save(order.work / SQUARES_NAME, squares)
    if order.engine is None:
        points = _middle_points(order, subject, squares)
        subject = subject.model_copy(update={"operating_points": points})
    (order.work / SUBJECT_NAME).write_text(subject.model_dump_json(), encoding="utf-8")
    found.note(origin=subject.origin, side_px=subject.image.side_px, phantoms=len(squares))
    found.note(operating_points=subject.operating_points, fp16=_fp16(order.graphs), int8_fp16=_mixed(order.graphs))
    found.note(graphs=sorted(file.name for file in order.graphs.iterdir()))


def _of_bundle(engine: Engine, folder: Path) -> Subject:
    for name in set(GRAPH_NAMES.values()) & engine.manifest.files.keys():
        shutil.copyfile(engine.path / name, folder / name)
    manifest = engine.manifest
    origin = f"a bundle for {manifest.target.name}, {manifest.precision.value}, by {manifest.backend_version}"
    return Subject(
        origin=origin, image=manifest.image, tasks=manifest.tasks, operating_points=manifest.operating_points
    )


def _own_network(folder: Path, found: Findings) -> Subject:
    try:
        import timm
        import torch

        from calibration.quantize import quantize
        from calibration.ranges import measure_ranges
        from engines.export import export
        from sall_edge.spec import tasks_from_toml
        from trainer.checkpoint import save_checkpoint
        from trainer.tasks import task_file
    except ImportError as cause:
        what = "without torch this machine cannot make a network of its own"
        fix = "give a bundle that was made elsewhere: make device-check ENGINE=path/to/bundle"
        raise BackendMissing(what, str(cause), fix) from cause
    found.note(torch=torch.__version__, timm=timm.__version__)
    image, tasks = ImageSpec(side_px=SIDE_PX), tasks_from_toml(task_file("retina")).tasks
    calibration = _squares(CALIBRATION_COUNT, image, first=FIRST_OF_CALIBRATION)
    checkpoint = save_checkpoint(
        folder.with_name("checkpoint"),
        _untrained(tasks, calibration),
        image=image,
        tasks=tasks,
        operating_points={task.name: 0.5 for task in tasks},
        temperatures={task.name: TEMPERATURE for task in tasks},
        provenance={"made_by": "device-check"},
    )
    model = export(checkpoint, folder / "model.onnx")
    quantize(model, measure_ranges(model, calibration), folder / "qdq.onnx")
    origin = f"{BACKBONE}, untrained, seed {SEED}: its verdicts mean nothing"
    return Subject(origin=origin, image=image, tasks=tasks, operating_points={task.name: 0.5 for task in tasks})


def _untrained(tasks: tuple[Task, ...], squares: U8) -> Any:
    """A network with random weights whose normalisation has seen phantoms, or its maps would grow without bound."""
    import torch

    from trainer.network import SallNetwork

    with torch.random.fork_rng(devices=[]), torch.no_grad():
        torch.manual_seed(SEED)
        network = SallNetwork(backbone=BACKBONE, tasks=tasks, mean=(0.5,) * 3, std=(0.5,) * 3).train()
        for module in network.modules():
            if isinstance(module, torch.nn.BatchNorm2d):
                module.momentum = None  # the plain mean of what it sees
        for start in range(0, len(squares), STATISTICS_BATCH):
            network(torch.from_numpy(squares[start : start + STATISTICS_BATCH]))
    return network.eval()


def _squares(count: int, image: ImageSpec, *, first: int = 0) -> U8:
    """(count, side, side, 3) uint8: phantoms of the seeded cohort, found and cut as photographs are."""
    drawn = (phantom_at(SEED, first + index, side_px=PHANTOM_SIDE_PX) for index in range(count))
    return np.stack([prepare(phantom.pixels, image) for phantom in drawn])


def _middle_points(order: Order, subject: Subject, squares: U8) -> dict[str, float]:
    """Per task the median referable probability of the FP32 graph on the CPU: half of the phantoms are referred."""
    manifest = EngineManifest(
        image=subject.image,
        tasks=subject.tasks,
        operating_points=subject.operating_points,
        target=load_target("openvino-cpu"),
        precision=Precision.FP32,
        backend_version="",
        blob="model.onnx",
        golden_square=golden_square(subject.image),
    )
    with open_reference(Engine(path=order.graphs, manifest=manifest, sha256="")) as reference:
        probs = reference.run_batch(squares).probs
    return {task.name: float(np.median(referable_probability(probs[task.name], task))) for task in subject.tasks}


def _fp16(folder: Path) -> str:
    """Makes the FP16 graph where there is none; says how, or why not."""
    return _halved(folder, Precision.FP32, Precision.FP16)


def _mixed(folder: Path) -> str:
    """The same of the quantized graph with FP16 in between."""
    return _halved(folder, Precision.INT8, Precision.INT8_FP16)


def _halved(folder: Path, of: Precision, to: Precision) -> str:
    source, place = (folder / GRAPH_NAMES[precision] for precision in (of, to))
    if place.is_file():
        return "the bundle's own"
    if not source.is_file():
        return f"none: there is no {source.name}"
    try:
        from engines.half import write_fp16, write_mixed
    except ImportError as cause:
        return f"none: the bundle has none, and it cannot be made here ({cause})"
    write = write_mixed if of.is_quantized else write_fp16
    write(source, place)
    return f"made from {source.name}"
