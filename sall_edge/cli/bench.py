"""`sall-edge bench`."""

import shlex
import sys
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from sall_edge.artifacts import open_engine, sha256_of_file
from sall_edge.cli.arguments import Json, Split
from sall_edge.cli.bench_changes import print_changes_as_json, print_changes_as_text
from sall_edge.cli.bench_text import accuracy_lines, side_by_side
from sall_edge.cli.bench_timing import timing_lines
from sall_edge.cli.looking import LookedOnce
from sall_edge.spec import Profile

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sall_edge.artifacts import Engine
    from sall_edge.bench.measure import BenchReport

__all__ = ["bench", "bench_engine", "run_facts"]


def bench(
    engines: Annotated[
        list[Path] | None, typer.Argument(metavar="ENGINE", help="Bundle folders; none with --compare.")
    ] = None,
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
    html: Annotated[
        Path | None, typer.Option(help="Also write a report: this page, with .json and .md beside it.")
    ] = None,
    compare: Annotated[
        tuple[Path, Path] | None,
        typer.Option(metavar="A.json B.json", help="Say what changed between two runs, and whether it is noise."),
    ] = None,
) -> None:
    """Latency percentiles, throughput, and accuracy against the FP32 graph with every changed referral."""
    if (compare is None) == (not engines):
        raise typer.BadParameter("name engines to measure, or two runs with --compare, and not both")
    if compare is not None:
        if labels or html is not None:
            raise typer.BadParameter("--compare reads two runs that are over: it takes neither --labels nor --html")
        (print_changes_as_json if as_json else print_changes_as_text)(*compare)
        return
    began = datetime.now(timezone.utc)
    if html is not None:
        from sall_edge.bench.report.files import check_report

        check_report(html)
    opened = [open_engine(path) for path in engines or []]
    looked = LookedOnce(labels or [], split)
    reports = [bench_engine(engine, looked, profile, seconds=seconds) for engine in opened]
    if html is not None:
        _write_report(html, opened, reports, run_facts(began, labels or [], split, profile))
    _print(opened, reports, as_json)


def _print(engines: "Sequence[Engine]", reports: "Sequence[BenchReport]", as_json: bool) -> None:
    if as_json:
        from sall_edge.bench.report.as_json import json_from_reports

        typer.echo(json_from_reports(reports))
        return
    texts = [_text(report) for report in reports]
    typer.echo("\n\n".join(texts if len(texts) == 1 else [*texts, side_by_side(reports, engines)]))


def run_facts(began: datetime, labels: "Sequence[Path]", split: str, profile: Profile) -> dict[str, str]:
    """What a report says of the run: when, what was typed, on which data."""
    files = [f"{path} (sha256 {sha256_of_file(path)})" for path in labels]
    return {
        "date": began.isoformat(sep=" ", timespec="seconds"),
        "command": shlex.join(["sall-edge", *sys.argv[1:]]),
        "working folder": str(Path.cwd()),
        "labels": ", ".join(files) or "none: speed only, on noise",
        "split": split,
        "profile": profile.value,
    }


def _write_report(
    page: Path, engines: "Sequence[Engine]", reports: "Sequence[BenchReport]", facts: dict[str, str]
) -> None:
    from sall_edge.bench.report.pictures import picture_flips
    from sall_edge.bench.report.write import Benched, write_report

    benched = [
        Benched(report=report, manifest=engine.manifest, flipped=picture_flips(engine, report.flips))
        for engine, report in zip(engines, reports, strict=True)
    ]
    write_report(page, benched, title="sall-edge bench", facts=facts)


def bench_engine(
    engine: "Engine", looked: LookedOnce, profile: Profile, *, seconds: float | None = None
) -> "BenchReport":
    """One engine measured, with a progress bar."""
    from sall_edge.bench.measure import bench as measure
    from sall_edge.bench.speed.stages import STAGES_SHARE
    from sall_edge.bench.speed.timing import length_s
    from sall_edge.cli.progress import ProgressBar
    from sall_edge.runtime.machine import describe

    with ProgressBar() as progress:
        prepared = looked.seen_by(engine.manifest, progress)
        asked_s = profile.seconds if seconds is None else seconds
        length = length_s(profile, asked_s) + (STAGES_SHARE * asked_s if prepared else 0)
        progress.note(f"{engine.path}: {profile.value} profile, timing for about {length:.0f} s")
        return measure(
            engine,
            prepared,
            profile,
            device=describe(),
            seconds=seconds,
            references=looked.references,
            stage=progress.stage,
            advance=progress.advance,
        )


def _text(report: "BenchReport") -> str:
    stamp = f"  ({report.profile.value} profile: not for claims)" if report.not_for_claims else ""
    head = f"{report.engine}: {report.precision} for {report.target}{stamp}"
    return "\n".join([head, *timing_lines(report), *accuracy_lines(report)])
