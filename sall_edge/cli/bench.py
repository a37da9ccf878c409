"""`sall-edge bench`."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from sall_edge.artifacts import open_engine
from sall_edge.cli.arguments import Json, Split
from sall_edge.cli.evaluate import accuracy_table
from sall_edge.spec import Profile

if TYPE_CHECKING:
    from sall_edge.artifacts import Engine
    from sall_edge.bench.measure import BenchReport

__all__ = ["bench", "bench_engine"]


def bench(
    engines: Annotated[list[Path], typer.Argument(metavar="ENGINE", help="Bundle folders.")],
    labels: Annotated[
        list[Path] | None, typer.Option("--labels", help="Labels CSV for accuracy. May be given again.")
    ] = None,
    split: Split = "test",
    profile: Annotated[
        Profile, typer.Option(help="demo: 10 s, quick: 60 s, not for claims; standard: 600 s.")
    ] = Profile.QUICK,
    as_json: Json = False,
    html: Annotated[Path | None, typer.Option(help="Also write one HTML page.")] = None,
) -> None:
    """Latency percentiles, throughput, and accuracy against the FP32 graph with every changed referral."""
    opened = [open_engine(path) for path in engines]
    reports = [bench_engine(engine, labels or [], split, profile) for engine in opened]
    if html is not None:
        from sall_edge.bench.report import write_html

        facts = {"labels": ", ".join(map(str, labels or [])) or "none", "split": split, "profile": profile.value}
        tasks = tuple({task.name: task for engine in opened for task in engine.manifest.tasks}.values())
        write_html(html, reports, tasks, title="sall-edge bench", facts=facts)
    if as_json:
        objects = [report.model_dump(mode="json", by_alias=True) for report in reports]
        typer.echo(json.dumps(objects[0] if len(objects) == 1 else objects, indent=2))
    else:
        typer.echo("\n\n".join(_text(report, engine) for report, engine in zip(reports, opened, strict=True)))


def bench_engine(engine: "Engine", labels: list[Path], split: str, profile: Profile) -> "BenchReport":
    """One engine measured, with a progress bar."""
    from sall_edge.bench.latency import THROUGHPUT_SHARE
    from sall_edge.bench.measure import bench as measure
    from sall_edge.cli.progress import ProgressBar
    from sall_edge.fundus.labels import in_split, read_labels
    from sall_edge.fundus.prepared_set import prepare_set
    from sall_edge.runtime.machine import describe
    from sall_edge.spec import TaskSet

    with ProgressBar() as progress:
        prepared = None
        if labels:
            photographs = in_split(read_labels(labels, TaskSet(tasks=engine.manifest.tasks)), split)
            progress.stage("preparing", len(photographs))
            prepared = prepare_set(photographs, engine.manifest.image, advance=progress.advance)
        progress.note(f"{engine.path}: timing for {profile.seconds * (1 + THROUGHPUT_SHARE):.0f} s")
        progress.stage("grading, engine and FP32", 2 * len(prepared.squares) if prepared else 0)
        return measure(
            engine,
            prepared,
            profile,
            device=describe(),
            advance=progress.advance,
        )


def _text(report: "BenchReport", engine: "Engine") -> str:
    def shown(value: float | None) -> str:
        return "too few runs" if value is None else f"{value:.2f} ms"

    latency = report.latency
    stamp = "" if report.profile.is_for_claims else f"  ({report.profile.value}: not for claims)"
    lines = [
        f"{report.engine}: {report.precision} for {report.target}{stamp}",
        f"latency {latency.scenario}, {latency.n} runs: p50 {shown(latency.p50_ms)}, p90 {shown(latency.p90_ms)}, "
        f"p99 {shown(latency.p99_ms)}; timer holds {', '.join(latency.inside_timer)}",
        f"throughput {report.throughput.images_per_s:.0f} images/s in batches of {report.throughput.batch}; "
        f"peak memory {report.memory['peak_rss_mb']:.0f} MB",
    ]
    for speed in (report.latency, report.throughput):
        lines.append(f"measured by {speed.estimator}")
        if speed.loadgen:
            lines.append(f"  {speed.loadgen.summary}")
    if report.reference:
        lines.append(accuracy_table(report.accuracy, engine.manifest.tasks))
        agreement = ", ".join(f"{name} {100 * share:.2f} %" for name, share in report.reference.agreement.items())
        lines.append(f"same grade as FP32 on {report.photographs} photographs: {agreement}")
        lines.append(f"referrals that differ from FP32: {len(report.flips)}")
        lines += [f"  {flip.image}  {flip.task}: {flip.before} -> {flip.after}" for flip in report.flips]
    lines += [f"left out: {path}: {what}" for path, what in report.failures.items()]
    return "\n".join(lines)
