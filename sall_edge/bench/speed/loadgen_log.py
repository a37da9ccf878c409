"""What mlcommons-loadgen wrote about a run, read from its detail log: one JSON object a line."""

import json
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict

__all__ = ["EarlyStopping", "LoadgenRun", "read_log"]

LINE_START = ":::MLLOG "
SEEDS = ("qsl_rng_seed", "sample_index_rng_seed", "schedule_rng_seed")


class EarlyStopping(BaseModel):
    """LoadGen's estimates: upper bounds at confidence 0.99 (MLPerf Inference rules); null where it has too few queries.

    Attributes:
        p90_ms: From 64 queries on.
        p99_ms: From 662 queries on.
        said: LoadGen's own words; empty for Offline, which has no percentile.
    """

    model_config = ConfigDict(frozen=True)

    p90_ms: float | None
    p99_ms: float | None
    said: str


class LoadgenRun(BaseModel):
    """One run of LoadGen: what it was asked for, and what it found.

    Attributes:
        version: LoadGen's, with its commit.
        scenario: SingleStream or Offline.
        seeds: Of its random numbers.
        settings: Every other setting that was in force, under LoadGen's names.
        min_duration_s: How long the run had to last.
        queries: Answered queries; Offline has one, of many squares.
        is_valid: LoadGen's own verdict: long enough, enough queries, no error.
        invalid_because: LoadGen's reasons; empty when valid.
        p50_ms: Median of the queries' latencies.
        images_per_s: Offline's result.
        early_stopping: The higher percentiles.
    """

    model_config = ConfigDict(frozen=True)

    version: str
    scenario: str
    seeds: dict[str, int]
    settings: dict[str, Any]
    min_duration_s: float
    queries: int
    is_valid: bool
    invalid_because: tuple[str, ...]
    p50_ms: float
    images_per_s: float | None
    early_stopping: EarlyStopping

    @property
    def summary(self) -> str:
        """One line for people: scenario, verdict, length and seeds."""
        verdict = "valid" if self.is_valid else f"INVALID, not for claims: {' '.join(self.invalid_because)}"
        seeds = ", ".join(map(str, self.seeds.values()))
        return f"{self.scenario}, at least {self.min_duration_s:g} s, seeds {seeds}: {verdict}"


def read_log(path: Path) -> LoadgenRun:
    """The run that a detail log tells of.

    Args:
        path: `mlperf_log_detail.txt` of LoadGen.

    Raises:
        ValueError: A line is none of LoadGen's, or a result is missing.
    """
    facts: dict[str, Any] = {}
    complaints: list[str] = []
    for line in path.read_text(encoding="utf-8").splitlines():
        if not line.startswith(LINE_START):
            raise ValueError(f"{path} holds {line[:80]!r}: a line of LoadGen starts with {LINE_START!r}")
        entry = json.loads(line.removeprefix(LINE_START))
        facts[entry["key"]] = entry["value"]
        if entry["metadata"]["is_error"] or entry["key"] == "result_invalid_reason":
            complaints.append(str(entry["value"]).strip())
    try:
        return _run(facts, tuple(complaints))
    except KeyError as missing:
        raise ValueError(
            f"{path} has no entry {missing}: LoadGen did not finish, or writes another format"
        ) from missing


def _run(facts: dict[str, Any], complaints: tuple[str, ...]) -> LoadgenRun:
    in_force = {key.removeprefix("effective_"): facts[key] for key in facts if key.startswith("effective_")}
    return LoadgenRun(
        version=facts["loadgen_version"],
        scenario=in_force.pop("scenario"),
        seeds={name: in_force.pop(name) for name in SEEDS},
        settings=in_force,
        min_duration_s=in_force["min_duration_ms"] / 1e3,
        queries=facts["result_query_count"],
        is_valid=facts["result_validity"] == "VALID" and not complaints,
        invalid_because=complaints,
        p50_ms=facts["result_50.00_percentile_latency_ns"] / 1e6,
        images_per_s=facts.get("result_samples_per_second"),
        early_stopping=EarlyStopping(
            p90_ms=_milliseconds(facts.get("early_stopping_latency_ss")),
            p99_ms=_milliseconds(facts.get("early_stopping_latency_ms")),
            said=" ".join(facts["early_stopping_result"].split()),
        ),
    )


def _milliseconds(nanoseconds: int | None) -> float | None:
    """None, too, for the zero that LoadGen may write where it has no estimate."""
    return nanoseconds / 1e6 if nanoseconds else None
