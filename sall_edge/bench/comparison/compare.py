"""What changed between two runs of `bench`, and whether it is noise."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError

from sall_edge.bench.accuracy.grading import Flip
from sall_edge.bench.accuracy.metrics import TaskAccuracy
from sall_edge.bench.comparison.paired import (
    METRICS,
    NOT_TESTED,
    Pairs,
    ReferralChange,
    Shift,
    count_referrals,
    graded_pairs,
    measure_shifts,
    pair_answers,
)
from sall_edge.bench.comparison.speed_change import flattened, measure_speed_change, speed_obstacles
from sall_edge.bench.measure import BenchReport
from sall_edge.errors import ArtefactForeign, ArtefactMissing
from sall_edge.screening.quality_head import QualityHead, quality_head_of
from sall_edge.spec import Role, Task

__all__ = ["Comparison", "Difference", "Photographs", "compare_runs", "match_engines", "read_reports"]


class Difference(BaseModel):
    """A circumstance that is not the same in both runs; null where one of them does not name it."""

    model_config = ConfigDict(frozen=True)

    name: str
    before: str | None
    after: str | None


class Photographs(BaseModel):
    """Which photographs both runs graded.

    Attributes:
        both: Those that are compared.
        only_before, only_after: Graded in one run only: not in the other's labels, or not gradable there.
    """

    model_config = ConfigDict(frozen=True)

    both: int
    only_before: int
    only_after: int


class Comparison(BaseModel):
    """What `sall-edge bench --compare --json` prints for an engine.

    Attributes:
        before, after: The engines.
        circumstances: Whatever differs between the runs besides what they measured.
        speed_obstacles: Why the speeds cannot be compared; empty if they can.
        cautions: What keeps either run's speed, or a test, from being taken at its word.
        speed: p50_over_time_ms, p50_ms, p90_ms, p99_ms, images_per_s, peak_rss_mb; changes are ratios.
        photographs: Of both runs; null unless both list their answers.
        accuracy: By task and metric, on the photographs that both runs graded, of a quality task on those that both
            engines were asked about; changes are differences.
        referrals: By disease.
        flips: Every photograph whose referral differs between the runs, lost ones first.
    """

    model_config = ConfigDict(frozen=True)

    before: str
    after: str
    circumstances: tuple[Difference, ...]
    speed_obstacles: tuple[str, ...]
    cautions: tuple[str, ...]
    speed: dict[str, Shift]
    photographs: Photographs | None
    accuracy: dict[str, dict[str, Shift]]
    referrals: dict[str, ReferralChange]
    flips: tuple[Flip, ...]


def read_reports(path: Path) -> tuple[BenchReport, ...]:
    """The engines of one run, as `sall-edge bench --json` printed them.

    Raises:
        ArtefactMissing: The file cannot be read.
        ArtefactForeign: It is no such JSON.
    """
    fix = "give the output of sall-edge bench ENGINE --json"
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        reports = TypeAdapter(tuple[BenchReport, ...]).validate_python(
            content if isinstance(content, list) else [content]
        )
    except OSError as cause:
        raise ArtefactMissing(f"cannot read {path}", cause.strerror or str(cause), "check the path") from cause
    except ValidationError as cause:
        first = cause.errors()[0]
        place = ".".join(str(part) for part in first["loc"])
        raise ArtefactForeign(f"{path} is no report of bench", f"{place}: {first['msg']}", fix) from cause
    except ValueError as cause:  # no JSON, or no UTF-8
        raise ArtefactForeign(f"{path} is no JSON", str(cause), fix) from cause
    if not reports:
        raise ArtefactForeign(f"{path} is no report of bench", "its list is empty", fix)
    for report in reports:
        _check_answers(path, report, fix)
    return reports


def match_engines(
    before: Sequence[BenchReport], after: Sequence[BenchReport]
) -> tuple[tuple[BenchReport, BenchReport], ...]:
    """Which engine belongs to which: the same path and target; or the only ones, whatever they are called.

    Raises:
        ArtefactForeign: No engine is in both.
    """
    if len(before) == len(after) == 1:
        return ((before[0], after[0]),)
    theirs = {(report.engine, report.target): report for report in after}
    pairs = tuple((own, theirs[key]) for own in before if (key := (own.engine, own.target)) in theirs)
    if not pairs:
        names = " against ".join(", ".join(f"{r.engine} ({r.target})" for r in run) for run in (before, after))
        raise ArtefactForeign(
            "the two runs have no engine in common", names, "name the engines alike, or bench one in each run"
        )
    return pairs


def compare_runs(before: BenchReport, after: BenchReport, *, seed: int = 0) -> Comparison:
    """What changed, and whether chance changes as much.

    Accuracy and referrals are compared photograph by photograph where both runs list their answers.

    Args:
        before, after: Of one engine, or of two that are to be told apart.
        seed: Of the bootstrap.
    """
    pairs = pair_answers(before.answers, after.answers) if before.answers and after.answers else None
    shared, unlike = _shared_tasks(before, after)
    accuracy: dict[str, dict[str, Shift]] = {}
    referrals: dict[str, ReferralChange] = {}
    flips: list[Flip] = []
    if pairs is None:
        accuracy = _untested(before.accuracy, after.accuracy)
    else:
        asked, pairs = pairs, graded_pairs(pairs, _head(before), _head(after))
        for task in shared:
            points = before.operating_points[task.name], after.operating_points[task.name]
            compared = asked if task.role is Role.QUALITY else pairs
            if shifts := measure_shifts(compared, task, points, rng=np.random.default_rng(seed)):
                accuracy[task.name] = shifts
            if pairs.before and task.role is Role.DISEASE:
                referrals[task.name], flipped = count_referrals(pairs, task, points)
                flips += flipped
    return Comparison(
        before=before.engine,
        after=after.engine,
        circumstances=_circumstances(before, after),
        speed_obstacles=speed_obstacles(before, after),
        cautions=(*_cautions(before, after), *unlike),
        speed=measure_speed_change(before, after),
        photographs=_counted(pairs) if pairs else None,
        accuracy=accuracy,
        referrals=referrals,
        flips=tuple(sorted(flips, key=lambda flip: flip.after == "referable")),
    )


def _head(run: BenchReport) -> QualityHead | None:
    return quality_head_of(run.tasks, run.operating_points)


def _counted(pairs: Pairs) -> Photographs:
    return Photographs(both=len(pairs.before), only_before=pairs.only_before, only_after=pairs.only_after)


def _shared_tasks(before: BenchReport, after: BenchReport) -> tuple[tuple[Task, ...], tuple[str, ...]]:
    """Tasks that mean the same in both runs, and a sentence for each of the others."""
    old, new = ({task.name: task for task in run.tasks} for run in (before, after))
    shared = tuple(
        task
        for name, task in old.items()
        if name in new
        and (new[name].role, new[name].grades, new[name].referable_from)
        == (task.role, task.grades, task.referable_from)
    )
    names = {task.name for task in shared}
    unlike = sorted((old.keys() | new.keys()) - names) if old and new else []
    return shared, tuple(f"{name} is not the same task in both runs: it is not compared" for name in unlike)


def _cautions(before: BenchReport, after: BenchReport) -> list[str]:
    cautions = []
    for when, run in (("before", before), ("after", after)):
        cautions += [f"{when}: {why}" for why in run.not_for_claims]
    if not speed_obstacles(before, after):
        cautions.append(
            "one run each: what differs from run to run, such as where memory lies and who else computes, is in no "
            "interval of speed; run both again, in turns, before believing a small change"
        )
    if before.accuracy and after.accuracy and not (before.answers and after.answers):
        cautions.append("a run without answers: accuracy cannot be paired; bench it again with this version")
    return cautions


def _circumstances(before: BenchReport, after: BenchReport) -> tuple[Difference, ...]:
    old, new = (
        flattened(
            {
                "engine": run.engine,
                "engine_sha256": run.engine_sha256,
                "target": run.target,
                "precision": run.precision,
                "profile": run.profile.value,
                "operating_points": run.operating_points,
                "device": run.device,
                "versions": run.versions,
            }
        )
        for run in (before, after)
    )
    names = [*old, *(name for name in new if name not in old)]
    return tuple(
        Difference(name=name, before=old.get(name), after=new.get(name))
        for name in names
        if old.get(name) != new.get(name)
    )


def _untested(before: Mapping[str, TaskAccuracy], after: Mapping[str, TaskAccuracy]) -> dict[str, dict[str, Shift]]:
    """The numbers of both runs, each over its own photographs."""
    why = f"{NOT_TESTED}: a run holds no answers"
    return {
        name: {
            metric: Shift(before=getattr(before[name], metric), after=getattr(after[name], metric), test=why)
            for metric in METRICS
        }
        for name in before
        if name in after
    }


def _check_answers(path: Path, report: BenchReport, fix: str) -> None:
    sizes = {task.name: len(task.grades) for task in report.tasks}
    for answer in report.answers:
        if {name: len(probs) for name, probs in answer.probs.items()} != sizes or answer.labels.keys() != sizes.keys():
            raise ArtefactForeign(
                f"{path} is damaged", f"the answer for {answer.image} does not fit the tasks {sizes}", fix
            )
    missing = sorted(sizes.keys() - report.operating_points.keys())
    if missing:
        raise ArtefactForeign(f"{path} is damaged", f"no operating point for {', '.join(missing)}", fix)
