"""`sall-edge demo`."""

import time
from collections import defaultdict
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from sall_edge.spec import ImageSpec, Labelling, Method, Profile, RangeMethod, TaskSet, tasks_from_toml

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sall_edge.artifacts import Checkpoint, Engine
    from sall_edge.bench.measure import BenchReport
    from sall_edge.bench.report.pictures import Picture
    from sall_edge.fundus.labels import LabelledPhotograph
    from sall_edge.spec import Task
    from trainer.options import TrainingOptions

__all__ = ["demo"]

PHANTOM_SIDE_PX = 512
CALIBRATION_COUNT = 128
PICTURES_PER_KIND = 2
BENCH_SECONDS = 10.0
"""A glance: the report says that it is not for claims."""
UNFAMILIAR = 0.05
"""Share of phantoms that a person would look at in vain: the few of the validation set no limit for 1 %."""
BATCH_SIZE = 16
"""A few hundred photographs give few steps an epoch; smaller batches make them enough."""
FROZEN_GROUPS = 3
"""Early layers that keep their ImageNet weights: half the time on a CPU."""


def demo(
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder for everything that is made.")] = Path(
        "demo-report"
    ),
    count: Annotated[int, typer.Option(min=60, help="Synthetic photographs.")] = 400,
    epochs: Annotated[int, typer.Option(min=1, help="Most epochs of each network.")] = 6,
    backbone: Annotated[str, typer.Option(help="Any timm model.")] = "tf_efficientnet_lite0",
    weights: Annotated[str, typer.Option(help="imagenet, none, or a file.")] = "imagenet",
    side: Annotated[int, typer.Option(min=32, max=2048, help="Side of the square, in pixels.")] = 224,
    seed: Annotated[int, typer.Option(min=0, help="Draws the photographs and trains.")] = 0,
) -> None:
    """The whole chain on synthetic photographs: draw, train, export, calibrate, build, bench, screen, examine."""
    from sall_edge.bench.report.files import check_report
    from sall_edge.cli.bench import bench_engine
    from sall_edge.cli.demo_examination import demo_examination
    from sall_edge.cli.evaluate import accuracy_table
    from sall_edge.cli.looking import LookedOnce
    from trainer.options import TrainingOptions

    began, start, page = datetime.now(timezone.utc), time.perf_counter(), output / "index.html"
    check_report(page)
    options = TrainingOptions(
        method=Method.SALL,
        backbone=backbone,
        weights=weights,
        image=ImageSpec(side_px=side),
        epochs=epochs,
        batch_size=BATCH_SIZE,
        frozen_groups=0 if weights == "none" else FROZEN_GROUPS,
        consistency_weight=0.0,  # phantoms are told apart without it, in half the time
        seed=seed,
    )
    labels = _draw(output / "phantoms", count, seed)
    engine = _build(_train(labels, output / "run", options), labels, output, seed)
    report = bench_engine(engine, LookedOnce([labels], "test"), Profile.QUICK, seconds=BENCH_SECONDS)
    pictures = _pictures(engine, labels)
    examined = demo_examination(engine, output / "examination", seed)
    facts = {
        "date": began.isoformat(sep=" ", timespec="seconds"),
        "command": f"sall-edge demo --output {output} --count {count} --epochs {epochs} --backbone {backbone} "
        f"--weights {weights} --side {side} --seed {seed}",
        "photographs": f"{count} synthetic ones; in training a patient is graded for one disease, as in real data sets",
        "network": f"{backbone}, {side} px, method {options.method.value}: a teacher for each disease, one student",
        "engine sha256": engine.sha256,
        "examination": str(examined.relative_to(output)) if examined else "not made: see the messages",
        "duration": f"{time.perf_counter() - start:.0f} s",
    }
    _write_report(page, engine, report, facts, pictures)
    typer.echo(accuracy_table(report.accuracy, engine.manifest.tasks))
    typer.echo(f"report: {page}\nexamination: {examined}\nengine: {engine.path}")


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


def _train(labels: Path, run: Path, options: "TrainingOptions") -> "Checkpoint":
    from sall_edge.allocation import keep_freed_memory
    from sall_edge.cli.progress import ProgressBar
    from sall_edge.fundus.labels import read_labels
    from trainer.tasks import task_file
    from trainer.train import train

    keep_freed_memory()
    tasks = tasks_from_toml(task_file("retina"))
    photographs = read_labels([labels], tasks)
    with ProgressBar() as progress:
        (checkpoint,) = train(photographs, tasks, options, run, resume=run.exists(), report=progress)
    return checkpoint


def _build(checkpoint: "Checkpoint", labels: Path, folder: Path, seed: int) -> "Engine":
    from engines.build import build_int8
    from engines.compiled import CompilerOptions
    from engines.export import export
    from engines.familiarity import Training
    from engines.targets import load_target
    from sall_edge.cli.calibrate import Calibration, quantized_model
    from sall_edge.cli.preparing import prepare_shown
    from sall_edge.cli.progress import ProgressBar
    from sall_edge.fundus.labels import in_split, read_labels

    model = export(checkpoint, folder / "model.onnx")
    chosen = Calibration(
        labels=[labels], count=CALIBRATION_COUNT, method=RangeMethod.MSE, seed=seed, place=folder / "qdq.onnx"
    )
    with ProgressBar() as progress:
        quantized, prepared = quantized_model(model, chosen, folder / "qdq.onnx", progress)
        others = in_split(read_labels([labels], TaskSet(tasks=model.manifest.tasks)), "val")
        validation = prepare_shown(others, model.manifest.image, progress)
        return build_int8(
            model,
            quantized,
            load_target("openvino-cpu"),
            folder / "engine",
            training=Training(prepared=prepared, aim=UNFAMILIAR, validation=validation),
            options=CompilerOptions(progress=progress),
        )


def _write_report(
    page: Path, engine: "Engine", report: "BenchReport", facts: dict[str, str], pictures: "Sequence[Picture]"
) -> None:
    from sall_edge.bench.report.pictures import picture_flips
    from sall_edge.bench.report.write import Benched, write_report

    benched = Benched(report=report, manifest=engine.manifest, flipped=picture_flips(engine, report.flips))
    write_report(page, [benched], title="sall-edge demo", facts=facts, pictures=pictures)


def _pictures(engine: "Engine", labels: Path) -> "Sequence[Picture]":
    """Overlays of the first test photographs of each kind, chosen by their labels and not by the result."""
    from sall_edge.bench.report.pictures import Picture
    from sall_edge.fundus.labels import in_split, read_labels
    from sall_edge.runtime.session import open_session
    from sall_edge.screening.overlay import draw_overlay
    from sall_edge.screening.verdict import Verdict, examine

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
            pixels = draw_overlay(examined.square, examined.prediction, examined.result.tasks, tasks)
            caption = _caption(photograph, tasks, examined.result.verdict is Verdict.REFER)
            pictures.append(Picture(pixels=pixels, caption=caption))
    return pictures


def _caption(photograph: "LabelledPhotograph", tasks: "Sequence[Task]", is_referred: bool) -> str:
    grades = ", ".join(f"{task.name} {task.grades[photograph.grades[task.name] or 0]}" for task in tasks)
    return f"{photograph.path.name}: drawn with {grades}; the engine says {'refer' if is_referred else 'no referral'}"
