"""LoadGen's log: lines of the kind that 6.0.17 writes, shortened to the entries that are read."""

import json
from pathlib import Path
from typing import Any

import pytest

from sall_edge.bench.speed.loadgen_log import LINE_START, read_log

ENTRIES: dict[str, Any] = {
    "loadgen_version": "6.0.17 @ d6147c7eb7",
    "effective_scenario": "SingleStream",
    "effective_min_duration_ms": 6000,
    "effective_min_query_count": 64,
    "effective_qsl_rng_seed": 1,
    "effective_sample_index_rng_seed": 2,
    "effective_schedule_rng_seed": 3,
    "result_query_count": 100,
    "result_validity": "VALID",
    "result_50.00_percentile_latency_ns": 2_000_000,
    "early_stopping_latency_ss": 3_000_000,
    "early_stopping_latency_ms": 0,
    "early_stopping_result": " * Processed at least 64 queries (100).\n * Not enough for the 99th.",
}


def _write(folder: Path, entries: dict[str, Any], *, errors: tuple[str, ...] = ()) -> Path:
    path = folder / "mlperf_log_detail.txt"
    path.write_text(
        "".join(
            LINE_START + json.dumps({"key": key, "value": value, "metadata": {"is_error": key in errors}}) + "\n"
            for key, value in entries.items()
        )
    )
    return path


def test_a_run_is_read_with_its_settings_seeds_and_estimates(tmp_path: Path) -> None:
    run = read_log(_write(tmp_path, ENTRIES))
    assert run.seeds == {"qsl_rng_seed": 1, "sample_index_rng_seed": 2, "schedule_rng_seed": 3}
    assert run.settings == {"min_duration_ms": 6000, "min_query_count": 64}
    assert (run.p50_ms, run.early_stopping.p90_ms, run.queries) == (2.0, 3.0, 100)
    assert run.early_stopping.p99_ms is None  # LoadGen writes zero where it has no estimate
    assert run.early_stopping.said == "* Processed at least 64 queries (100). * Not enough for the 99th."
    assert run.summary == "SingleStream, at least 6 s, seeds 1, 2, 3: valid"


def test_an_invalid_run_says_why(tmp_path: Path) -> None:
    said = {"result_validity": "INVALID", "result_invalid_reason": "Min duration NOT satisfied. "}
    run = read_log(_write(tmp_path, ENTRIES | said))
    assert not run.is_valid
    assert run.summary.endswith("INVALID, not for claims: Min duration NOT satisfied.")


def test_an_error_of_loadgen_makes_its_run_invalid_whatever_it_says_itself(tmp_path: Path) -> None:
    run = read_log(_write(tmp_path, ENTRIES | {"error_runtime": "Ran out of queries"}, errors=("error_runtime",)))
    assert not run.is_valid
    assert run.invalid_because == ("Ran out of queries",)


def test_a_log_without_a_result_is_refused(tmp_path: Path) -> None:
    entries = {key: value for key, value in ENTRIES.items() if key != "result_query_count"}
    with pytest.raises(ValueError, match=r"no entry 'result_query_count': LoadGen did not finish"):
        read_log(_write(tmp_path, entries))


def test_a_line_of_another_kind_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "mlperf_log_detail.txt"
    path.write_text("pardon?\n")
    with pytest.raises(ValueError, match=r"'pardon\?': a line of LoadGen starts with ':::MLLOG '"):
        read_log(path)
