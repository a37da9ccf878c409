"""Stages and monitors as `sall-edge bench` prints them."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sall_edge.bench.monitor import Monitored
    from sall_edge.bench.stages import Stages

__all__ = ["monitored_text", "stages_table"]


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


def _shown(milliseconds: float | None) -> str:
    return "-" if milliseconds is None else f"{milliseconds:.2f}"
