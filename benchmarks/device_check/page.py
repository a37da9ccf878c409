"""The report for people: what the device is, one table of engines, one of steps, then every fact."""

import json
from collections.abc import Iterable
from typing import Any

from benchmarks.device_check.order import Action, Arm, Step
from benchmarks.device_check.record import Outcome, Record, StepRecord
from sall_edge.spec import Precision

__all__ = ["CLOSING", "page"]

CLOSING = "This folder holds no photographs, no names of people and nothing of a bundle but its measurements."
_LONGEST = 300
"""Characters of a fact in the list; report.json has all of it."""


def page(record: Record) -> str:
    """The report as Markdown."""
    parts = (_head(record), _engines(record), _steps(record.steps), *map(_details, record.steps), f"{CLOSING}\n")
    return "\n".join(part for part in parts if part)


def _head(record: Record) -> str:
    device = record.facts(Action.DEVICE.value)
    jetson, gpu, versions = device.get("jetson") or {}, device.get("gpu") or {}, device.get("versions") or {}
    machine = device.get("machine") or {}
    tensorrt = versions.get("tensorrt") or (f"RTX {rtx}" if (rtx := versions.get("tensorrt-rtx")) else "")
    named = {
        "device": jetson.get("model") or machine.get("cpu"),
        "GPU": f"{gpu['name']}, compute capability {gpu['compute_capability']}" if gpu else "none was found",
        "JetPack": f"{jetson['jetpack']} (Jetson Linux {jetson['l4t']})" if jetson else "not a Jetson",
        "TensorRT": tensorrt or "not installed",
        "power mode": f"{jetson['power_mode'] or 'unknown'}, clocks {_clocks(jetson)}" if jetson else "not a Jetson",
        "failed": _names(record, Outcome.FAILED) or "nothing",
        "not run": _names(record, Outcome.NOT_RUN) or "nothing",
        "network": record.facts(Action.GRAPHS.value).get("origin", "none"),
        "sall-edge": device.get("source") or "unknown",
        "started": record.started,
        "state": "finished" if record.is_finished else "NOT FINISHED: it still runs, or the device stopped",
    }
    return "# Device check\n\n" + "".join(f"- {name}: {text}\n" for name, text in named.items())


def _clocks(jetson: dict[str, Any]) -> str:
    return {True: "fixed", False: "free (jetson_clocks fixes them)", None: "unknown"}[jetson.get("fixed_clocks")]


def _names(record: Record, outcome: Outcome) -> str:
    return ", ".join(step.name for step in record.steps if step.outcome is outcome)


_COLUMNS = (
    "engine", "build s", "again s", "convolutions", "largest difference", "referrals changed", "p50 ms", "p90 ms",
    "p99 ms", "no graph p50 ms", "GPU's clock p50 ms", "with copies p50 ms", "images/s", "CPU p50 / this",
)  # fmt: skip


def _engines(record: Record) -> str:
    rows = [
        _engine(record, arm, precision) for arm in Arm for precision in Precision if _is_built(record, arm, precision)
    ]
    if not rows:
        return ""
    said = (
        "Differences are of probabilities on phantoms, from the FP32 graph on the CPU; a dash: not measured, or the "
        "sample is too small for that percentile."
    )
    return f"## Engines\n\n{said}\n\n{_table(_COLUMNS, rows)}"


def _is_built(record: Record, arm: Arm, precision: Precision) -> bool:
    return record.passed(Step(Action.BUILD, arm, precision).name)


def _engine(record: Record, arm: Arm, precision: Precision) -> list[str]:
    def facts(action: Action, of: Arm = arm) -> dict[str, Any]:
        return record.facts(Step(action, of, precision).name)

    built, speed, tasks = facts(Action.BUILD), facts(Action.SPEED), facts(Action.NUMBERS).get("tasks", {})
    main = speed.get("cuda_graph") or speed.get("openvino") or speed.get("kernel_by_kernel") or {}
    clocks = speed.get("cuda_graph_clocks") or speed.get("kernel_by_kernel_clocks") or {}
    cpu = facts(Action.SPEED, Arm.CPU).get("openvino", {})
    ratio = cpu["p50_ms"] / main["p50_ms"] if cpu and main and arm is not Arm.CPU else None
    changed = sum(task["lost_referrals"] + task["gained_referrals"] for task in tasks.values()) if tasks else None
    return [
        f"{arm.value} {precision.value}",
        _number(built.get("build_s")),
        _number(facts(Action.BUILD_AGAIN).get("build_s")),
        ", ".join(f"{count} {dtype}" for dtype, count in built.get("convolutions_by_dtype", {}).items()) or "-",
        _number(max((task["largest_difference"] for task in tasks.values()), default=None), "{:.1e}"),
        _number(changed, "{:d}"),
        *(_number(main.get(f"p{rank}_ms")) for rank in (50, 90, 99)),
        _number(speed.get("kernel_by_kernel", {}).get("p50_ms")),
        _number(clocks.get("stream_p50_ms")),
        _number(speed.get("with_copies", {}).get("p50_ms")),
        _number(speed.get("throughput", {}).get("images_per_s"), "{:.1f}"),
        _number(ratio),
    ]


def _number(value: Any, form: str = "{:.2f}") -> str:
    return "-" if value is None else form.format(value)


def _steps(steps: Iterable[StepRecord]) -> str:
    columns = ("step", "outcome", "s", "peak resident MiB", "system memory taken MiB", "why")
    rows = [
        [
            step.name,
            step.outcome.value,
            f"{step.seconds:.1f}",
            f"{step.peak_resident_mib:.0f}",
            f"{step.memory_taken_mib:.0f}",
            _line(step.error["what"]) if step.error else "",
        ]
        for step in steps
    ]
    said = (
        "Memory: of the step's process alone, and by how much the whole system's available memory sank meanwhile; on a "
        "Jetson only the second counts everything that the GPU took, and other programs too."
    )
    return f"## Steps\n\n{said}\n\n{_table(columns, rows)}"


def _details(step: StepRecord) -> str:
    lines = [f"## {step.name}: {step.outcome.value}\n"]
    if step.error:
        lines += [f"- {name}: {_line(text)}" for name, text in step.error.items()]
    lines += [f"- {name}: {_short(value)}" for name, value in step.facts.items()]
    if step.tail:
        lines += ["\n```", *step.tail, "```"]
    return "\n".join(lines) + "\n"


def _short(value: Any) -> str:
    text = _line(value if isinstance(value, str) else json.dumps(value, ensure_ascii=False))
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}… (all of it in report.json)"


def _line(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


def _table(columns: Iterable[str], rows: Iterable[list[str]]) -> str:
    columns = list(columns)
    lines = ["| " + " | ".join(columns) + " |", "|" + "---|" * len(columns)]
    return "\n".join([*lines, *("| " + " | ".join(row) + " |" for row in rows)]) + "\n"
