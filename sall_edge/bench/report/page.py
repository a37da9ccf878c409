"""A bench or an evaluation as one HTML page that needs no network: numbers, diagrams, pictures."""

import base64
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import jinja2
import numpy as np
import numpy.typing as npt

from sall_edge.artifacts import EngineManifest
from sall_edge.bench.accuracy.columns import Group
from sall_edge.bench.measure import BenchReport
from sall_edge.bench.report import plots
from sall_edge.bench.report.conclusion import Conclusion
from sall_edge.bench.report.pictures import FlippedPhotograph, Picture
from sall_edge.screening.overlay import FULL_SCALE, draw_scale
from sall_edge.spec import Task

__all__ = ["MOST_ROWS", "SHOWN", "EnginePage", "bench_page", "rendered"]

U8 = npt.NDArray[np.uint8]

MOST_ROWS = 50
"""Of a table of photographs; the JSON beside the page names all."""
JPEG_QUALITY = 82
MOST_VALUES = 12
"""Of a list that the page shows without a form of its own."""
SHOWN = frozenset(
    [
        "engine",
        "engine_sha256",
        "target",
        "precision",
        "profile",
        "device",
        "versions",
        "latency",
        "throughput",
        "memory",
        "photographs",
        "failures",
        "accuracy",
        "reliability",
        "reference",
        "flips",
        "not_for_claims",
        "distribution_ms",
        "over_time",
        "clinic",
        "stages",
        "monitored",
        "imageability",
        "confusion",
        "roc",
        "groups",
    ]
)
"""Fields of a bench that the page has a place for; others are listed, so that none is left out in silence."""
FOR_PROGRAMS = frozenset({"answers", "operating_points", "retakes", "tasks"})
"""Fields that only the JSON holds: one entry a photograph, or what stands in the manifest."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EnginePage:
    """What the page says of one engine.

    Attributes:
        report: Its bench.
        manifest: Of its bundle.
        conclusion: The verdict.
        flipped: Changed referrals with pictures; those of the report that are missing are said to be.
    """

    report: BenchReport
    manifest: EngineManifest
    conclusion: Conclusion
    flipped: tuple[FlippedPhotograph, ...]


def bench_page(
    engines: Sequence[EnginePage], *, title: str, facts: Mapping[str, str], pictures: Sequence[Picture], json_name: str
) -> str:
    """The page of a bench.

    Args:
        engines: In the order of the page.
        title: Heading.
        facts: What was run; `date` stands below the heading.
        pictures: At the end, with their captions.
        json_name: File beside the page that holds all numbers.
    """
    tasks = {task.name: task for engine in engines for task in engine.manifest.tasks}
    return rendered(
        "report.html",
        title=title,
        pages=[_shown(engine, tasks) for engine in engines],
        tasks=tasks,
        shown_tasks={name: any(_says_something(engine.report, name) for engine in engines) for name in tasks},
        facts=facts,
        pictures=[_encoded(picture) for picture in pictures],
        json_name=json_name,
        most_rows=MOST_ROWS,
        full_scale=FULL_SCALE,
        scale_source=_data_url(draw_scale()),
        version=engines[0].report.versions.get("sall-edge", ""),
    )


def rendered(template: str, **variables: Any) -> str:
    """A template of this package with its variables; whatever is no markup of its own is escaped."""
    loader = jinja2.FileSystemLoader(Path(__file__).parent / "templates")
    environment = jinja2.Environment(loader=loader, autoescape=True, undefined=jinja2.StrictUndefined)
    return environment.get_template(template).render(variables)


def _shown(engine: EnginePage, tasks: Mapping[str, Task]) -> dict[str, Any]:
    report, manifest = engine.report, engine.manifest
    return {
        "name": engine.conclusion.name,
        "report": report,
        "manifest": manifest,
        "conclusion": engine.conclusion,
        "diagrams": {
            "speed": _speed_diagrams(report),
            "stages": _stage_diagrams(report),
            "groups": _group_diagrams(report, tasks),
            "tasks": {name: _task_diagrams(report, tasks[name]) for name in report.accuracy},
        },
        "groups": _by_column(report),
        "flipped": [
            {"flip": f.flip, "problem": f.problem, "pictures": [_encoded(picture) for picture in f.pictures]}
            for f in engine.flipped
        ],
        "manifest_facts": _manifest_facts(report, manifest),
        "provenance": json.dumps(manifest.provenance, indent=1, ensure_ascii=False),
        "environment": _environment(report),
        "others": _others(report),
    }


def _says_something(report: BenchReport, task: str) -> bool:
    """Without labels too: referrals are compared with FP32 on every photograph."""
    return report.reference is not None or task in report.accuracy


def _speed_diagrams(report: BenchReport) -> list[tuple[str, str]]:
    diagrams = []
    if report.distribution_ms:
        drawn = plots.draw_distribution(report.distribution_ms, report.latency)
        few = len(report.distribution_ms) < report.latency.n
        thinned = f", thinned to {len(report.distribution_ms)}" if few else ""
        diagrams.append((drawn, f"Latency of {report.latency.n} queries{thinned}, one at a time."))
    readings = report.monitored.readings if report.monitored else ()
    if report.over_time or readings:
        diagrams.append((plots.draw_over_time(report.over_time, readings), "Latency and sensors over the run."))
    return diagrams


def _stage_diagrams(report: BenchReport) -> list[tuple[str, str]]:
    if report.stages is None:
        return []
    total = report.stages.total
    floor = (
        f"the floor is the {total.floor}" if total.floor_p50_ms is not None else f"no floor: {total.floor or 'none'}"
    )
    return [
        (plots.draw_stage_parts(report.stages), f"One photograph from file to verdict, mean of each stage; {floor}."),
        (plots.draw_stages(report.stages), "Medians; floors were measured in turn with the stages."),
    ]


def _task_diagrams(report: BenchReport, task: Task) -> list[tuple[str, str]]:
    diagrams = []
    name, accuracy, reference = task.name, report.accuracy[task.name], report.reference
    if name in report.roc:
        curves = {f"{report.precision.upper()} engine": report.roc[name]}
        if reference is not None and name in reference.roc:
            curves["FP32 graph"] = reference.roc[name]
        diagrams.append((plots.draw_roc(curves, task.title), "ROC; a marker is the frozen operating point."))
    if name in report.reliability:
        caption = f"{task.title}: ECE {accuracy.ece:.3f}; numbers are photographs, the diagonal is perfect."
        diagrams.append((plots.draw_reliability(report.reliability[name], task.title), caption))
    return diagrams


def _by_column(report: BenchReport) -> dict[str, list[Group]]:
    """In the report's order."""
    columns: dict[str, list[Group]] = {}
    for group in report.groups:
        columns.setdefault(group.column, []).append(group)
    return columns


def _group_diagrams(report: BenchReport, tasks: Mapping[str, Task]) -> dict[str, str]:
    """By column; a single value has nothing to be compared with."""
    titles = {name: task.title for name, task in tasks.items()}
    return {
        column: plots.draw_groups(groups, titles)
        for column, groups in _by_column(report).items()
        if len([group for group in groups if group.accuracy]) > 1
    }


def _manifest_facts(report: BenchReport, manifest: EngineManifest) -> dict[str, str]:
    facts = {
        "folder": report.engine,
        "engine sha256": report.engine_sha256,
        "made from sha256": manifest.parent_sha256 or "not recorded",
        **{f"sha256 of {name}": digest for name, digest in manifest.files.items()},
        "created": manifest.created,
        "precision": manifest.precision.value,
        "target": f"{manifest.target.name}: {manifest.target.title}",
        "backend": f"{manifest.target.backend.value} {manifest.backend_version} when it was built",
        "image": f"{manifest.image.side_px} px square, prepare version {manifest.image.prepare_version}",
        "sha256 of the image's specification": manifest.image.sha256,
    }
    for task in manifest.tasks:
        point = manifest.operating_points[task.name]
        facts[f"operating point, {task.name}"] = f"referable from P = {point!r} on"
    return facts


def _environment(report: BenchReport) -> dict[str, str]:
    facts = {name: _in_words(fact) for name, fact in report.device.items()}
    return {**facts, **{f"{name} version": version for name, version in report.versions.items()}}


def _others(report: BenchReport) -> dict[str, dict[str, str]]:
    """By field without a place of its own, what it holds."""
    fields = {
        name: fact for name, fact in report.model_dump(mode="json").items() if name not in SHOWN | FOR_PROGRAMS and fact
    }
    return {
        name: {key: _in_words(inner) for key, inner in (fact.items() if isinstance(fact, dict) else [(name, fact)])}
        for name, fact in fields.items()
    }


def _in_words(fact: Any) -> str:
    if isinstance(fact, (list, tuple)):
        more = f" and {len(fact) - MOST_VALUES} more" if len(fact) > MOST_VALUES else ""
        return ", ".join(map(_in_words, fact[:MOST_VALUES])) + more
    if fact is None:
        return "not known"
    if isinstance(fact, Mapping):
        return "; ".join(f"{name}: {_in_words(inner)}" for name, inner in fact.items())
    return str(fact)


def _encoded(picture: Picture) -> dict[str, str]:
    return {"source": _data_url(picture.pixels), "caption": picture.caption}


def _data_url(pixels: U8) -> str:
    if pixels.ndim != 3 or pixels.shape[2] != 3 or not pixels.size:
        raise ValueError(f"cannot encode a picture of shape {pixels.shape}: expected (H, W, 3) uint8")
    _, data = cv2.imencode(".jpg", np.ascontiguousarray(pixels[..., ::-1]), [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])
    return "data:image/jpeg;base64," + base64.b64encode(data.tobytes()).decode()
