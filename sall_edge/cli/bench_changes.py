"""`sall-edge bench --compare`: two runs that are over."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from sall_edge.cli.bench_text import aligned

if TYPE_CHECKING:
    from sall_edge.bench.comparison.compare import Comparison
    from sall_edge.bench.comparison.paired import Shift

__all__ = ["print_changes_as_json", "print_changes_as_text"]


def print_changes_as_json(before: Path, after: Path) -> None:
    """An object, or a list for several engines, as `bench --json` has them."""
    objects = [comparison.model_dump(mode="json", by_alias=True) for comparison in _compared(before, after)]
    typer.echo(json.dumps(objects[0] if len(objects) == 1 else objects, indent=2))


def print_changes_as_text(before: Path, after: Path) -> None:
    """What differs between the runs first, then speed, accuracy and every referral that changed."""
    typer.echo("\n\n".join("\n".join(_lines(comparison)) for comparison in _compared(before, after)))


def _compared(before: Path, after: Path) -> "Sequence[Comparison]":
    from sall_edge.bench.comparison.compare import compare_runs, match_engines, read_reports

    return [compare_runs(*pair) for pair in match_engines(read_reports(before), read_reports(after))]


def _lines(comparison: "Comparison") -> list[str]:
    lines = [f"before: {comparison.before}", f"after:  {comparison.after}"]
    if comparison.circumstances:
        lines.append("what differs between the runs:")
        rows = [[f"  {one.name}", one.before or "-", "->", one.after or "-"] for one in comparison.circumstances]
        lines += aligned(rows)
    else:
        lines.append("same engine, machine, versions and profile")
    lines += [f"note: {caution}" for caution in comparison.cautions]
    lines += [f"speed is not comparable: {why}" for why in comparison.speed_obstacles]
    lines += [
        "speed, ratios:",
        *aligned([_shift_row(name, s, "x{:.3f}", 2) for name, s in comparison.speed.items()]),
    ]
    if comparison.photographs:
        seen = comparison.photographs
        lines.append(
            f"accuracy, differences on the {seen.both} photographs that both runs graded "
            f"(only before {seen.only_before}, only after {seen.only_after}):"
        )
    elif comparison.accuracy:
        lines.append("accuracy, each run on its own photographs:")
    rows = [
        _shift_row(f"{task} {metric}", shift, "{:+.4f}", 4)
        for task, shifts in comparison.accuracy.items()
        for metric, shift in shifts.items()
    ]
    lines += aligned(rows) if rows else []
    return lines + _referral_lines(comparison)


def _referral_lines(comparison: "Comparison") -> list[str]:
    lines = []
    for task, change in comparison.referrals.items():
        verdict = "noise" if change.is_noise else "beyond noise"
        verdict = verdict if change.lost or change.gained else "the same"
        lines.append(
            f"  {task} referrals: {change.lost} lost, {change.gained} new of {change.n}; "
            f"exact McNemar p = {change.p_value:.3g}: {verdict}"
        )
    lines += [
        f"    {flip.image}  {flip.task}: {flip.before} ({flip.probability_before:.3f}) -> "
        f"{flip.after} ({flip.probability_after:.3f}), labelled {'nothing' if flip.label is None else flip.label}"
        for flip in comparison.flips
    ]
    return lines


def _shift_row(name: str, shift: "Shift", change: str, decimals: int) -> list[str]:
    def number(value: float | None) -> str:
        return "-" if value is None else f"{value:.{decimals}f}"

    interval = ""
    if shift.low is not None and shift.high is not None:
        interval = f"[{change.format(shift.low)}, {change.format(shift.high)}]"
    verdict = shift.test
    if shift.is_noise is not None:
        is_same = shift.before == shift.after and shift.low == shift.high
        verdict = f"{'the same' if is_same else 'noise' if shift.is_noise else 'beyond noise'} ({shift.test})"
    moved = "" if shift.change is None else change.format(shift.change)
    return [f"  {name}", number(shift.before), "->", number(shift.after), moved, interval, verdict]
