"""`sall-edge bench`."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from sall_edge.artifacts import open_engine
from sall_edge.cli.arguments import Json, Split
from sall_edge.cli.evaluate import accuracy_table
from sall_edge.cli.timing import monitored_text, stages_table
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
        Profile,
        typer.Option(
            help="quick: 60 s, not for claims; standard: 600 s; clinic: photographs from --labels with gaps of 30 to "
            "120 s, for 30 min; soak: 30 min without a pause."
        ),
    ] = Profile.QUICK,
    seconds: Annotated[float | None, typer.Option(min=0, help="Instead of the profile's time.")] = None,
    as_json: Json = False,
    html: Annotated[Path | None, typer.Option(help="Also write one HTML page.")] = None,
) -> None:
    """Latency percentiles, throughput, and accuracy against the FP32 graph with every changed referral."""
    opened = [open_engine(path) for path in engines]
    reports = [bench_engine(engine, labels or [], split, profile, seconds=seconds) for engine in opened]
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


def bench_engine(
    engine: "Engine", labels: list[Path], split: str, profile: Profile, *, seconds: float | None = None
) -> "BenchReport":
    """One engine measured, with a progress bar."""
    from sall_edge.bench.measure import bench as measure
    from sall_edge.bench.stages import STAGES_SHARE
    from sall_edge.bench.timing import length_s
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
        asked_s = profile.seconds if seconds is None else seconds
        length = length_s(profile, asked_s) + (STAGES_SHARE * asked_s if labels else 0)
        progress.note(f"{engine.path}: {profile.value} profile, timing for about {length:.0f} s")
        return measure(
            engine,
            prepared,
            profile,
            device=describe(),
            seconds=seconds,
            stage=progress.stage,
            advance=progress.advance,
        )


def _text(report: "BenchReport", engine: "Engine") -> str:
    stamp = f"  ({report.profile.value} profile: not for claims)" if report.not_for_claims else ""
    return "\n".join(
        [
            f"{report.engine}: {report.precision} for {report.target}{stamp}",
            *_speed_lines(report),
            *_clinic_lines(report),
            *(f"not for claims: {reason}" for reason in report.not_for_claims),
            *_monitor_lines(report),
            *_accuracy_lines(report, engine),
            *(f"left out: {path}: {what}" for path, what in report.failures.items()),
        ]
    )


def _speed_lines(report: "BenchReport") -> list[str]:
    latency, throughput = report.latency, report.throughput
    lines = [
        f"latency {latency.scenario}, {latency.n} runs: p50 {_shown(latency.p50_ms)}, p90 {_shown(latency.p90_ms)}, "
        f"p99 {_shown(latency.p99_ms)}; timer holds {', '.join(latency.inside_timer)}",
        f"throughput {throughput.images_per_s:.0f} images/s in batches of {throughput.batch}; "
        f"timer holds {', '.join(throughput.inside_timer)}",
        f"peak memory {report.memory['peak_rss_mb']:.0f} MB",
    ]
    for speed in (latency, throughput):
        lines.append(f"measured by {speed.estimator}")
        if speed.loadgen:
            lines.append(f"  {speed.loadgen.summary}")
    return lines


def _monitor_lines(report: "BenchReport") -> list[str]:
    lines = [monitored_text(report.monitored)] if report.monitored else []
    if report.stages:
        lines.append(stages_table(report.stages))
    elif report.photographs:
        lines.append("from file to verdict: not measured, none of the photographs that were tried can be graded")
    return lines


def _shown(milliseconds: float | None) -> str:
    return "too few runs" if milliseconds is None else f"{milliseconds:.2f} ms"


def _clinic_lines(report: "BenchReport") -> list[str]:
    clinic = report.clinic
    if clinic is None:
        return []
    shortest, longest = min(clinic.gaps_s), max(clinic.gaps_s)
    ended = ", ended early by Ctrl-C" if clinic.ended_early else ""
    lines = [f"clinic, {clinic.photographs} photographs, gaps of {shortest:.1f} to {longest:.1f} s{ended}:"]
    for runs in (clinic.after_gap, clinic.back_to_back):
        parts = ", ".join(f"{name} {ms:.1f}" for name, ms in runs.parts_ms.items())
        lines.append(
            f"  {runs.name}, {runs.n} verdicts: p50 {_shown(runs.p50_ms)}, p90 {_shown(runs.p90_ms)}, "
            f"largest {_shown(runs.largest_ms)}; medians of parts: {parts}"
        )
    lines.append(f"  after a gap {clinic.ratio:.2f} times as long; timer holds {', '.join(clinic.inside_timer)}")
    return [*lines, f"  {clinic.page_cache}"]


def _accuracy_lines(report: "BenchReport", engine: "Engine") -> list[str]:
    if report.reference is None:
        return []
    agreement = ", ".join(f"{name} {100 * share:.2f} %" for name, share in report.reference.agreement.items())
    return [
        accuracy_table(report.accuracy, engine.manifest.tasks),
        f"same grade as FP32 on {report.photographs} photographs: {agreement}",
        f"referrals that differ from FP32: {len(report.flips)}",
        *(f"  {flip.image}  {flip.task}: {flip.before} -> {flip.after}" for flip in report.flips),
    ]
