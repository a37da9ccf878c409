"""Diagrams of a report as SVG that can stand in a page: every one has a title and a description in words.

Colours are Okabe and Ito's, which colour-blind people tell apart; the second series of a diagram is dashed or hatched
as well. Text stays text, in the page's own font, so that it can be searched, copied and read aloud.
"""

import html
import io
import math
import re
from collections.abc import Mapping, Sequence

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from sall_edge.bench.accuracy.columns import Group
from sall_edge.bench.accuracy.metrics import ReliabilityBin
from sall_edge.bench.accuracy.reliability import RiskCoverage
from sall_edge.bench.accuracy.roc import Roc
from sall_edge.bench.monitors.monitor import Reading
from sall_edge.bench.speed.latency import Latency
from sall_edge.bench.speed.stages import STAGES, Stages
from sall_edge.bench.speed.trace import Moment

__all__ = [
    "draw_distribution",
    "draw_groups",
    "draw_over_time",
    "draw_reliability",
    "draw_risk",
    "draw_roc",
    "draw_stage_parts",
    "draw_stages",
    "svg",
]

BLUE, ORANGE, GREEN, PURPLE = "#0072b2", "#d55e00", "#009e73", "#cc79a7"
SKY, YELLOW, AMBER, GREY = "#56b4e9", "#f0e442", "#e69f00", "#6b7280"
PART_COLOURS = (BLUE, SKY, GREEN, YELLOW, PURPLE, ORANGE, AMBER, GREY)
HATCHES = ("", "//", "", "||", "\\\\", "", "xx", "--")
WIDE_IN, SMALL_IN = 5.6, 3.0
"""Two wide ones stand side by side on a page, and two small ones beside a table."""
MOST_GROUPS = 30
"""Of a diagram; the table has all."""
LONGEST_LABEL = 28
LONG_TAIL = 4.0
"""Times the median from which the slowest query calls for a logarithmic axis."""
SMALL = 8
LEAST_LABELLED_SHARE = 0.08
"""Of a bar: a narrower part has no room for its name, which stands in the legend and the table."""


def draw_distribution(distribution_ms: Sequence[float], latency: Latency) -> str:
    """How many queries took how long, and the share that was answered by then; the stated percentiles are marked."""
    figure = Figure(figsize=(WIDE_IN, 4.2), layout="constrained")
    above, below = figure.subplots(2, 1, sharex=True, height_ratios=(3, 2))
    ordered = sorted(distribution_ms)
    above.hist(ordered, bins=40, weights=[100 / len(ordered)] * len(ordered), color=BLUE, edgecolor="white")
    above.set_ylabel("queries, %")
    below.step(ordered, [100 * (i + 1) / len(ordered) for i in range(len(ordered))], where="post", color=BLUE)
    below.set(ylabel="answered, %", ylim=(0, 103), yticks=(0, 50, 90))
    marks = {"p50": latency.p50_ms, "p90": latency.p90_ms, "p99": latency.p99_ms}
    known = {name: value for name, value in marks.items() if value is not None}
    for (name, value), style in zip(known.items(), ("-", "--", ":"), strict=False):
        for axes in (above, below):
            axes.axvline(value, color=ORANGE, linestyle=style, linewidth=1.4, label=f"{name} {value:.2f} ms")
    above.legend(fontsize=SMALL, framealpha=1, edgecolor="white")
    is_long = ordered[-1] > LONG_TAIL * latency.p50_ms > 0
    if is_long:
        below.set_xscale("log")
    below.set_xlabel(f"latency, ms{' (logarithmic)' if is_long else ''}")
    said = ", ".join(f"{name} {value:.2f} ms" for name, value in known.items())
    return svg(figure, "Latency distribution", f"From {ordered[0]:.2f} to {ordered[-1]:.2f} ms; {said}.")


def draw_over_time(moments: Sequence[Moment], readings: Sequence[Reading]) -> str:
    """Latency against time, and below it what the sensors told: temperature, clock, power, where they did."""
    sensors = {
        "temperature, °C": [(r.at_s, r.temperature_c) for r in readings if r.temperature_c is not None],
        "clock, MHz": [(r.at_s, r.clock_mhz) for r in readings if r.clock_mhz is not None],
        "power, W": [(r.at_s, r.power_w) for r in readings if r.power_w is not None],
    }
    shown = {label: points for label, points in sensors.items() if points}
    count = len(shown) + bool(moments)
    figure = Figure(figsize=(WIDE_IN, 0.7 + 1.15 * count), layout="constrained")
    rows: list[Axes] = list(figure.subplots(count, 1, sharex=True, squeeze=False)[:, 0])
    told = []
    if moments:
        top, at = rows.pop(0), [m.at_s for m in moments]
        top.plot(at, [m.p50_ms for m in moments], color=BLUE, label="p50")
        top.plot(at, [m.largest_ms for m in moments], "x", color=ORANGE, markersize=3, label="slowest")
        top.set_ylabel("latency, ms")
        top.set_ylim(bottom=0)
        top.legend(frameon=False, fontsize=SMALL, ncols=2, loc="lower left")
        medians = [m.p50_ms for m in moments]
        told.append(f"latency p50 {min(medians):.2f} to {max(medians):.2f} ms")
    for axes, (label, points), colour in zip(rows, shown.items(), (GREEN, PURPLE, GREY), strict=False):
        values = [value for _, value in points]
        axes.plot([at for at, _ in points], values, color=colour)
        axes.set_ylabel(label)
        told.append(f"{label} {min(values):.1f} to {max(values):.1f}")
    figure.axes[-1].set_xlabel("since the run began, s")
    return svg(figure, "The run against time", "; ".join(told) + ".")


def draw_stage_parts(stages: Stages) -> str:
    """One bar from file to verdict, in parts by stage (means), above the floor's bar in parts."""
    means = _in_order(stages.per_photograph_ms)
    total, left = sum(means.values()), 0.0
    figure = Figure(figsize=(WIDE_IN, 2.4), layout="constrained")
    axes = figure.subplots()
    for (name, mean), colour, hatch in zip(means.items(), PART_COLOURS * 2, HATCHES * 2, strict=False):
        axes.barh(0, mean, left=left, color=colour, hatch=hatch, edgecolor="white", label=f"{name} {mean:.2f}")
        if mean > LEAST_LABELLED_SHARE * total:
            box = {"facecolor": "white", "edgecolor": "none", "alpha": 0.85, "boxstyle": "round,pad=0.15"}
            axes.text(left + mean / 2, 0, name, ha="center", va="center", fontsize=SMALL, bbox=box)
        left += mean
    names = [f"stages,\nmean {total:.1f} ms"]
    if (floor := stages.total.floor_p50_ms) is not None:
        axes.barh(1, floor, color="white", edgecolor=GREY, hatch="////")
        names.append(f"floor,\np50 {floor:.1f} ms")
    axes.set_yticks(range(len(names)), names)
    axes.invert_yaxis()
    axes.set_xlabel("ms per photograph")
    figure.legend(frameon=False, fontsize=SMALL, ncols=4, loc="outside lower center")
    said = ", ".join(f"{name} {mean:.2f} ms" for name, mean in means.items())
    return svg(figure, "From file to verdict", f"Means per photograph: {said}.")


def draw_stages(stages: Stages) -> str:
    """Every stage's median beside its floor, with the ratio."""
    shown = (*stages.stages, stages.total)
    figure = Figure(figsize=(WIDE_IN, 0.9 + 0.36 * len(shown)), layout="constrained")
    axes = figure.subplots()
    is_named = False  # once is enough for the legend
    for row, stage in enumerate(shown):
        axes.barh(row - 0.18, stage.p50_ms, height=0.34, color=BLUE, label="" if row else "stage, p50")
        end, note = stage.p50_ms, f"{stage.p50_ms:.2f} ms"
        if stage.floor_p50_ms is not None:
            label = "_" if is_named else "floor, p50"
            is_named = True
            floor = axes.barh(row + 0.18, stage.floor_p50_ms, height=0.34, label=label)
            for bar in floor:
                bar.set(facecolor="white", edgecolor=GREY, hatch="////")
            end = max(end, stage.floor_p50_ms)
        if stage.over_floor is not None:
            note += f", {stage.over_floor:.2f} × floor"
        axes.annotate(note, (end, row), xytext=(4, 0), textcoords="offset points", va="center", fontsize=SMALL)
    axes.set_yticks(range(len(shown)), [stage.name for stage in shown])
    axes.invert_yaxis()
    axes.margins(x=0.28)
    axes.set_xlabel("ms")
    axes.legend(frameon=False, fontsize=SMALL, loc="center right")
    said = ", ".join(f"{s.name} {s.over_floor:.2f}" for s in shown if s.over_floor is not None) or "no floor measured"
    return svg(figure, "Stages beside their floors", f"Times its floor: {said}.")


def draw_roc(curves: Mapping[str, Roc], task: str) -> str:
    """One curve per network with its frozen operating point; the first is the engine's, others are dashed."""
    figure = Figure(figsize=(SMALL_IN, 3.2), layout="constrained")
    axes = figure.subplots()
    axes.plot([0, 1], [0, 1], color="#9ca3af", linewidth=0.8, linestyle=":")
    told = []
    styles = ((BLUE, "-", "o"), (ORANGE, "--", "s"))
    for (name, roc), (colour, dashes, marker) in zip(curves.items(), styles, strict=False):
        axes.plot(roc.false_positive_rate, roc.true_positive_rate, color=colour, linestyle=dashes, label=name)
        size = 9 if marker == "s" else 6  # the engine's often lies on FP32's
        axes.plot(*roc.operating_point, marker, color=colour, markersize=size, fillstyle="none", markeredgewidth=1.8)
        x, y = roc.operating_point
        told.append(f"{name}: sensitivity {y:.3f} at a false positive rate of {x:.3f}")
    axes.set(xlabel="false positive rate", ylabel="sensitivity", xlim=(-0.02, 1.02), ylim=(-0.02, 1.02), aspect="equal")
    axes.legend(frameon=False, fontsize=SMALL, loc="lower right", title="marker: operating point", title_fontsize=SMALL)
    return svg(figure, f"ROC, {task}", "At the frozen operating point " + "; ".join(told) + ".")


def draw_groups(groups: Sequence[Group], titles: Mapping[str, str]) -> str:
    """Sensitivity and specificity of every value of a column, with their intervals, one marker for each task."""
    shown = [group for group in groups if group.accuracy][:MOST_GROUPS]
    figure = Figure(figsize=(2 * WIDE_IN, 1.1 + 0.3 * len(shown)), layout="constrained")
    panels: list[Axes] = list(figure.subplots(1, 2, sharey=True))
    told = []
    names = [name for name in titles if any(name in group.accuracy for group in shown)]
    for axes, metric in zip(panels, ("sensitivity", "specificity"), strict=True):
        for position, name in enumerate(names):
            offset = (position - (len(names) - 1) / 2) * 0.5 / len(names)
            marker, colour = "osD^v"[position % 5], PART_COLOURS[(0, 5, 2, 4)[position % 4]]
            label = titles[name] if axes is panels[0] else "_"
            for row, group in enumerate(shown):
                accuracy = group.accuracy.get(name)
                value = getattr(accuracy, metric, None)
                if accuracy is None or value is None:
                    continue
                low, high = accuracy.interval.get(metric, (value, value))
                axes.plot([low, high], [row + offset] * 2, color=colour, linewidth=1.6)
                axes.plot(value, row + offset, marker, color=colour, markersize=5, label=label)
                label = "_"
                told.append(f"{group.value or 'empty'}, {titles[name]}, {metric} {value:.3f}")
        axes.set(xlabel=f"{metric}, 95 % interval", ylim=(len(shown) - 0.4, -0.6))
        axes.set_xlim(math.floor(10 * max(0.0, axes.get_xlim()[0])) / 10, 1.02)
        axes.grid(axis="x", alpha=0.3)
    panels[0].set_yticks(range(len(shown)), [_short(group.value) or "(empty)" for group in shown])
    figure.legend(frameon=False, fontsize=SMALL, ncols=len(names), loc="outside upper left")
    return svg(figure, f"By {groups[0].column}", "; ".join(told) + ".")


def draw_risk(curve: RiskCoverage) -> str:
    """Share of wrong grades when only so many photographs, the most confident ones, are graded."""
    figure = Figure(figsize=(SMALL_IN, 3.2), layout="constrained")
    axes = figure.add_subplot()
    axes.plot(curve.coverage, curve.risk, color=BLUE)
    axes.set(xlabel="coverage", ylabel="risk", xlim=(0, 1), ylim=(0, 1.05))
    return svg(figure, "Risk against coverage", f"Area {curve.area:.3f}; {curve.risk[-1]:.3f} when all are graded.")


def draw_reliability(bins: Sequence[ReliabilityBin], task: str) -> str:
    """Accuracy in each bin of confidence, against the diagonal of perfect calibration."""
    figure = Figure(figsize=(SMALL_IN, 3.2), layout="constrained")
    axes = figure.add_subplot()
    left = [b.low for b in bins]
    axes.bar(left, [b.accuracy for b in bins], width=0.1, align="edge", color=BLUE, edgecolor="white")
    axes.plot([0, 1], [0, 1], color=GREY, linestyle="--", linewidth=1)
    for b in bins:
        axes.annotate(f"{b.n}", (b.low + 0.05, b.accuracy), ha="center", va="bottom", fontsize=7)
    axes.set(xlabel="confidence", ylabel="accuracy", xlim=(0, 1), ylim=(0, 1.08))
    said = ", ".join(f"{b.confidence:.2f} sure, {b.accuracy:.2f} right, {b.n} photographs" for b in bins)
    return svg(figure, f"Reliability, {task}", f"By bin: {said}.")


def svg(figure: Figure, title: str, description: str) -> str:
    """The figure as an element for a page: titled, described, without addresses, and with no name that another has.

    Args:
        figure: Loses its style when it is drawn again.
        title, description: In words, for those who do not see it.
    """
    for axes in figure.axes:
        axes.spines[["top", "right"]].set_visible(False)
        axes.tick_params(labelsize=SMALL)
    with matplotlib.rc_context({"svg.fonttype": "none"}), io.StringIO() as buffer:
        figure.savefig(buffer, format="svg", metadata={"Date": None})
        drawn = buffer.getvalue()
    drawn = re.sub(r"<metadata>.*?</metadata>\s*|<style .*?</style>\s*", "", drawn[drawn.index("<svg") :], flags=re.S)
    drawn = drawn.replace("xlink:href", "href")
    used = set(re.findall(r"#([\w.-]+)", drawn))
    drawn = re.sub(r' id="([^"]*)"', lambda found: found[0] if found[1] in used else "", drawn)
    head, rest = drawn.split(">", 1)
    view_box = re.search(r'viewBox="[^"]*"', head)
    if view_box is None:
        raise ValueError(f"matplotlib {matplotlib.__version__} wrote an SVG without a viewBox: {head[:200]}")
    words = f"<title>{html.escape(title)}</title><desc>{html.escape(description)}</desc>"
    width = round(96 * figure.get_figwidth())
    return f'<svg role="img" width="{width}" {view_box[0]}>{words}{rest}'


def _short(value: str) -> str:
    return value if len(value) <= LONGEST_LABEL else "…" + value[1 - LONGEST_LABEL :]


def _in_order(per_photograph_ms: Mapping[str, float]) -> dict[str, float]:
    """Known stages in the order in which a photograph goes through them, then what else is named."""
    names = [name for name in STAGES if name in per_photograph_ms]
    names += [name for name in per_photograph_ms if name not in STAGES and name != "total"]
    return {name: per_photograph_ms[name] for name in names}
