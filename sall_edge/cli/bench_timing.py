"""How fast an engine is, as `sall-edge bench` prints it: speed, clinic, stages, monitors."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sall_edge.bench.measure import BenchReport
    from sall_edge.bench.monitors.monitor import Monitored
    from sall_edge.bench.speed.stages import Stages

__all__ = ["monitored_text", "stages_table", "timing_lines"]


def timing_lines(report: "BenchReport") -> list[str]:
    """All that was timed, and every reason not to quote it."""
    lines = [*_speed_lines(report), *_clinic_lines(report)]
    lines += [f"not for claims: {reason}" for reason in report.not_for_claims]
    if report.monitored:
        lines.append(monitored_text(report.monitored))
    if report.stages:
        lines.append(stages_table(report.stages))
    elif report.photographs:
        lines.append("from file to verdict: not measured, none of the photographs that were tried can be graded")
    return lines


def stages_table(stages: "Stages") -> str:
    """A row for each stage, and the total; what a floor is stands below."""
    left_out = f", {stages.left_out} left out: unreadable or not gradable" if stages.left_out else ""
    lines = [
        f"from file to verdict, {stages.photographs} photographs {stages.rounds} times{left_out}",
        f"  {'stage':8} {'p50 ms':>8} {'p90 ms':>8} {'p99 ms':>8} {'floor ms':>9} {'over floor':>11}",
    ]
    for stage in (*stages.stages, stages.total):
        ratio = "" if stage.over_floor is None else f"{stage.over_floor:.2f}"
        least = "" if stage.floor_p50_ms is None else f"{stage.floor_p50_ms:.2f}"
        lines.append(
            f"  {stage.name:8} {stage.p50_ms:8.2f} {_shown(stage.p90_ms):>8} {_shown(stage.p99_ms):>8} "
            f"{least:>9} {ratio:>11}".rstrip()
        )
    floors = [f"{stage.name}: {stage.floor}" for stage in (*stages.stages, stages.total) if stage.floor]
    lines.append(f"  floors, in turn with the stages: {'; '.join(floors)}")
    return "\n".join(lines)


def monitored_text(monitored: "Monitored") -> str:
    """Who told what, and what nobody tells; what slowed the machine stands among the reasons against claims."""
    lines = [f"monitored by {', '.join(monitored.sources) or 'nothing'}"]
    for name, unit in (("temperature_c", "°C"), ("clock_mhz", "MHz"), ("power_w", "W")):
        values = [value for one in monitored.readings if (value := getattr(one, name)) is not None]
        if values:
            lines.append(f"  {name.rpartition('_')[0]} {min(values):.1f} to {max(values):.1f} {unit}")
    if monitored.energy_mj_per_photograph is not None:
        lines.append(f"  {monitored.energy_mj_per_photograph:.1f} mJ a photograph ({monitored.power_of})")
    lines += [f"  unknown: {what}: {why}" for what, why in monitored.silent.items()]
    return "\n".join(lines)


def _speed_lines(report: "BenchReport") -> list[str]:
    latency, throughput = report.latency, report.throughput
    lines = [
        f"latency {latency.scenario}, {latency.n} runs: p50 {_ms(latency.p50_ms)}, p90 {_ms(latency.p90_ms)}, "
        f"p99 {_ms(latency.p99_ms)}; timer holds {', '.join(latency.inside_timer)}",
        f"throughput {throughput.images_per_s:.0f} images/s in batches of {throughput.batch}; "
        f"timer holds {', '.join(throughput.inside_timer)}",
        f"peak memory {report.memory['peak_rss_mb']:.0f} MB",
    ]
    for speed in (latency, throughput):
        lines.append(f"measured by {speed.estimator}")
        if speed.loadgen:
            lines.append(f"  {speed.loadgen.summary}")
    return lines


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
            f"  {runs.name}, {runs.n} verdicts: p50 {_ms(runs.p50_ms)}, p90 {_ms(runs.p90_ms)}, "
            f"largest {_ms(runs.largest_ms)}; medians of parts: {parts}"
        )
    lines.append(f"  after a gap {clinic.ratio:.2f} times as long; timer holds {', '.join(clinic.inside_timer)}")
    return [*lines, f"  {clinic.page_cache}"]


def _ms(milliseconds: float | None) -> str:
    return "too few runs" if milliseconds is None else f"{milliseconds:.2f} ms"


def _shown(milliseconds: float | None) -> str:
    return "-" if milliseconds is None else f"{milliseconds:.2f}"
