"""`sall-edge demo`."""

import time
from collections import defaultdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from sall_edge.spec import ImageSpec, Labelling, Method, Profile, RangeMethod, TaskSet, tasks_from_toml

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sall_edge.artifacts import Checkpoint, Engine
    from sall_edge.bench.report import Picture

__all__ = ["demo"]

PHANTOM_SIDE_PX = 512
CALIBRATION_COUNT = 128
PICTURES_PER_KIND = 2


def demo(
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder for everything that is made.")] = Path(
        "demo-report"
    ),
    count: Annotated[int, typer.Option(min=60, help="Synthetic photographs.")] = 400,
    epochs: Annotated[int, typer.Option(min=1, help="Most epochs of each network.")] = 6,
    seed: Annotated[int, typer.Option(min=0)] = 0,
) -> None:
    """The whole chain on synthetic photographs: draw, train, export, calibrate, build, bench, screen, report."""
    from engines.build import build_int8
    from engines.export import export
    from engines.targets import load_target
    from sall_edge.bench.report import write_html
    from sall_edge.cli.bench import bench_engine
    from sall_edge.cli.calibrate import quantize_model

    start = time.perf_counter()
    labels = _draw(output / "phantoms", count, seed)
    checkpoint = _train(labels, output / "run", epochs, seed)
    model = export(checkpoint, output / "model.onnx")
    quantized = quantize_model(
        model,
        [labels],
        output / "qdq.onnx",
        split="train",
        count=CALIBRATION_COUNT,
        method=RangeMethod.PERCENTILE,
        seed=seed,
    )
    engine = build_int8(model, quantized, load_target("openvino-cpu"), output / "engine")
    report = bench_engine(engine, [labels], "test", Profile.QUICK)
    facts = {
        "command": f"sall-edge demo --output {output} --count {count} --epochs {epochs} --seed {seed}",
        "photographs": f"{count} synthetic, drawn by sall-edge; training rows keep one disease's label",
        "network": f"{checkpoint.manifest.backbone}, method {Method.SALL.value}, {model.manifest.image.side_px} px",
        "checkpoint sha256": checkpoint.sha256,
        "graph sha256": model.sha256,
        "quantized graph sha256": quantized.sha256,
        "engine sha256": engine.sha256,
        "duration": f"{time.perf_counter() - start:.0f} s",
    }
    page = output / "index.html"
    pictures = _pictures(engine, labels)
    write_html(page, [report], engine.manifest.tasks, title="sall-edge demo", facts=facts, pictures=pictures)
    for name, accuracy in report.accuracy.items():
        typer.echo(f"{name}: referable AUC {accuracy.referable_auc:.3f} on {accuracy.n} synthetic test photographs")
    typer.echo(f"report: {page}   (engine: {engine.path})")


def _draw(folder: Path, count: int, seed: int) -> Path:
    from sall_edge.cli.progress import progress_bar
    from sall_edge.fundus.phantom import write_phantoms

    with progress_bar("drawing phantoms", count) as bar:
        return write_phantoms(
            folder,
            count=count,
            side_px=PHANTOM_SIDE_PX,
            seed=seed,
            labelling=Labelling.ONE_DISEASE,
            advance=bar.advance,
        )


def _train(labels: Path, run: Path, epochs: int, seed: int) -> "Checkpoint":
    from sall_edge.cli.progress import ProgressBar
    from sall_edge.fundus.labels import read_labels
    from trainer.options import TrainingOptions
    from trainer.tasks import task_file
    from trainer.train import train

    tasks = tasks_from_toml(task_file("retina"))
    options = TrainingOptions(method=Method.SALL, image=ImageSpec(), epochs=epochs, seed=seed)
    with ProgressBar() as progress:
        (checkpoint,) = train(read_labels([labels], tasks), tasks, options, run, resume=run.exists(), report=progress)
    return checkpoint


def _pictures(engine: "Engine", labels: Path) -> "Sequence[Picture]":
    """Overlays of the first test photographs of each kind, chosen by their labels and not by the result."""
    from sall_edge.bench.report import Picture
    from sall_edge.fundus.labels import in_split, read_labels
    from sall_edge.runtime.session import open_session
    from sall_edge.screening.overlay import draw_overlay
    from sall_edge.screening.verdict import examine

    tasks = engine.manifest.tasks
    left: dict[tuple[str, ...], int] = defaultdict(lambda: PICTURES_PER_KIND)
    pictures = []
    with open_session(engine) as session:
        for photograph in in_split(read_labels([labels], TaskSet(tasks=tasks)), "test"):
            kind = tuple(task.name for task in tasks if (photograph.grades[task.name] or 0) >= task.referable_from)
            if not left[kind]:
                continue
            examined = examine(session, photograph.path)
            if examined.square is None or examined.prediction is None:
                continue
            left[kind] -= 1
            truth = ", ".join(f"{name} {grade}" for name, grade in photograph.grades.items())
            caption = f"{photograph.path.name}: labelled {truth}; verdict {examined.result.verdict}"
            pixels = draw_overlay(examined.square, examined.prediction, examined.result.tasks, tasks)
            pictures.append(Picture(pixels=pixels, caption=caption))
    return pictures
