"""What `sall-edge quality` prints."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sall_edge.bench.accuracy.gradability import Gradability, Looked, Share
from sall_edge.fundus.quality import QualityLimits, sha256_of_limits
from sall_edge.fundus.quality.limits import Limit
from sall_edge.screening.quality_head import QUALITY_HEAD, QualityHead

__all__ = ["Checked", "Fitted", "checked_json", "checked_text", "fitted_json", "fitted_text"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Checked:
    """What `quality check` found.

    Attributes:
        looked: Every photograph.
        limits: Whose.
        report: Of the labelled ones, by all that judges here; None without any.
        head: The quality task of the engine that was asked; None without an engine.
        engine_sha256: Of that engine.
        by_measures, by_head: With an engine the measures and its quality task, each alone.
    """

    looked: Sequence[Looked]
    limits: QualityLimits
    report: Gradability | None
    head: QualityHead | None = None
    engine_sha256: str = ""
    by_measures: Gradability | None = None
    by_head: Gradability | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Fitted:
    """What `quality fit` found.

    Attributes:
        before, after: Limits.
        report_before, report: What they do to the photographs of the fit.
        refused: Good photographs that the new limits refuse.
    """

    before: QualityLimits
    after: QualityLimits
    report_before: Gradability | None
    report: Gradability | None
    refused: Sequence[Looked]


def checked_json(checked: Checked) -> str:
    """One object: whose limits, every photograph, and the labelled ones together."""
    answer: dict[str, Any] = {
        "camera": checked.limits.camera,
        "limits_sha256": sha256_of_limits(checked.limits),
        "photographs": [_row(one, checked.limits, checked.head) for one in checked.looked],
        "labelled": _dumped(checked.report),
    }
    if checked.head is not None:
        answer["engine"] = {
            "sha256": checked.engine_sha256,
            "operating_point": checked.head.operating_point,
            "by_measures": _dumped(checked.by_measures),
            "by_head": _dumped(checked.by_head),
        }
    return json.dumps(answer, indent=2)


def checked_text(checked: Checked) -> str:
    """Two lines for every photograph, and what labels make of them."""
    limits, head = checked.limits, checked.head
    lines = [f"limits of camera {limits.camera!r}, sha256 {sha256_of_limits(limits)}"]
    if head is not None:
        lines.append(f"{head.task.title} of engine sha256 {checked.engine_sha256}, from {head.operating_point:.4g} on")
    for one in checked.looked:
        if one.error:
            lines.append(f"ERROR           {one.photograph.path}  {one.error}")
            continue
        reasons = one.reasons(limits, head)
        word = "RETAKE" if reasons else "gradable"
        lines.append(f"{word:8s}  {one.score(limits, head):.2f}  {one.photograph.path}  {_words(reasons)}".rstrip())
        lines.append("  " + "  ".join(f"{name} {value:.4g}" for name, value in _measures(one).items()))
    parts = [("measures alone", checked.by_measures), (f"{QUALITY_HEAD.replace('_', ' ')} alone", checked.by_head)]
    for title, report in parts:
        lines += [title, *_report(report)] if report else []
    if checked.report is not None:
        lines += [*(["both, as in screen"] if head is not None else []), *_report(checked.report)]
    return "\n".join(lines)


def fitted_json(fitted: Fitted) -> str:
    """One object: the limits, what they do to the photographs they were fitted on, what they cost."""
    return json.dumps(
        {
            "camera": fitted.after.camera,
            "limits": fitted.after.model_dump(mode="json"),
            "limits_sha256": fitted.after.sha256,
            "changed": {
                name: {"from": before.model_dump(), "to": after.model_dump()}
                for name, before, after in _changed(fitted)
            },
            "before": _dumped(fitted.report_before),
            "after": _dumped(fitted.report),
            "good_refused": [_row(one, fitted.after) for one in fitted.refused],
        },
        indent=2,
    )


def fitted_text(fitted: Fitted) -> str:
    """The same for people."""
    lines = ["changed limits"]
    lines += [
        f"  {name:16s} {_side(before)} {before.at:.4g} -> {after.at:.4g}" for name, before, after in _changed(fitted)
    ] or ["  none: the ones to begin with do as well"]
    for title, report in (("before", fitted.report_before), ("after, on the same photographs", fitted.report)):
        lines += [title, *(_report(report) if report else [])]
    lines.append(f"good photographs that would be refused: {len(fitted.refused)}")
    lines += [f"  {one.photograph.path}  {_words(one.reasons(fitted.after))}" for one in fitted.refused]
    return "\n".join(lines)


def _row(one: Looked, limits: QualityLimits, head: QualityHead | None = None) -> dict[str, Any]:
    photo = str(one.photograph.path)
    if one.error:
        return {"photo": photo, "error": one.error}
    reasons = one.reasons(limits, head)
    return {
        "photo": photo,
        "gradable": not reasons,
        "score": one.score(limits, head),
        "reasons": reasons,
        "measures": _measures(one),
    }


def _measures(one: Looked) -> dict[str, float]:
    """The measures, and what an engine said where one was asked."""
    return {**(one.measures or {}), **({} if one.head is None else {QUALITY_HEAD: one.head})}


def _dumped(report: Gradability | None) -> dict[str, Any] | None:
    return None if report is None else report.model_dump(mode="json")


def _words(reasons: Sequence[str]) -> str:
    return ", ".join(reasons).replace("_", " ")


def _side(limit: Limit) -> str:
    return "at least" if limit.usual > limit.at else "at most "


def _changed(fitted: Fitted) -> list[tuple[str, Limit, Limit]]:
    pairs = [(name, getattr(fitted.before, name), getattr(fitted.after, name)) for name in QualityLimits.model_fields]
    return [(name, before, after) for name, before, after in pairs if isinstance(before, Limit) and before != after]


def _report(report: Gradability) -> list[str]:
    lines = []
    if report.auc is not None and report.auc_interval is not None:
        low, high = report.auc_interval
        lines.append(f"  AUC of the score  {report.auc:.4f}  [{low:.4f}, {high:.4f}]")
    lines.append(f"  good refused      {_share(report.good_refused)}")
    lines.append(f"  others refused    {_share(report.others_refused)}")
    for word, share in report.by_label.items():
        counted = ", ".join(f"{reason} {count}" for reason, count in report.reasons[word].items()).replace("_", " ")
        lines.append(f"  {word:16s}  {share.count} of {share.of} refused{': ' if counted else ''}{counted}")
    return lines


def _share(share: Share) -> str:
    if not share.of:
        return "none of none"
    return f"{share.count} of {share.of}: {100 * share.share:.1f} % [{100 * share.low:.1f}, {100 * share.high:.1f}]"
