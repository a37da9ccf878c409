"""`sall-edge bench` by profile: what a user reads."""

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from sall_edge.artifacts import Engine

Run = Callable[..., Any]  # the fixture of tests/conftest.py

BRIEF = ("--seconds", 0.5)


@pytest.mark.parametrize("profile", ["quick", "standard", "soak"])
def test_a_profile_cut_short_is_not_for_claims_and_says_what_is_inside_each_timer(
    sall_edge: Run, tiny_engine: Engine, profile: str
) -> None:
    done = sall_edge("bench", tiny_engine.path, "--profile", profile, *BRIEF)
    assert done.code == 0, done.err
    assert f"({profile} profile: not for claims)" in done.out
    assert f"not for claims: latency was timed for 0.5 s ({profile} profile): MLPerf asks for 600 s" in done.out
    latency, throughput = (line for line in done.out.splitlines() if "timer holds" in line)
    assert latency.startswith("latency SingleStream")
    assert throughput.startswith("throughput")
    assert "copy in, inference, copy out" in latency
    assert "copy in, inference, copy out" in throughput


def test_the_json_has_the_run_its_distribution_and_its_course(sall_edge: Run, tiny_engine: Engine) -> None:
    pytest.importorskip("mlperf_loadgen", reason="mlcommons-loadgen is not installed: the bench extra has it")
    report = json.loads(sall_edge("bench", tiny_engine.path, "--json", *BRIEF).out)
    assert report["latency"]["loadgen"]["seeds"]["qsl_rng_seed"] == 2085463073848966840
    assert report["latency"]["loadgen"]["settings"]["min_duration_ms"] == 500
    assert report["throughput"]["loadgen"]["scenario"] == "Offline"
    assert report["distribution_ms"] == sorted(report["distribution_ms"])
    assert sum(moment["n"] for moment in report["over_time"]) == report["latency"]["n"]
    assert report["memory"]["peak_rss_mb"] >= report["memory"]["start_rss_mb"] > 0
    assert report["not_for_claims"]
    assert report["clinic"] is None


def test_without_loadgen_the_plain_loop_is_seen(
    sall_edge: Run, tiny_engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "mlperf_loadgen", None)
    done = sall_edge("bench", tiny_engine.path, *BRIEF)
    assert done.code == 0, done.err
    assert "measured by plain loop: mlcommons-loadgen" in done.out
    assert "not for claims: latency is not LoadGen's: plain loop: mlcommons-loadgen" in done.out


def test_a_clinic_shows_both_manners_their_ratio_and_the_page_cache(
    sall_edge: Run, tiny_engine: Engine, phantom_labels: Path
) -> None:
    done = sall_edge("bench", tiny_engine.path, "--profile", "clinic", "--labels", phantom_labels, *BRIEF)
    assert done.code == 0, done.err
    assert "after a gap, " in done.out
    assert "back to back, " in done.out
    assert "times as long; timer holds read, decode," in done.out
    assert "posix_fadvise" in done.out
    assert "not for claims: the clinic's gaps add up to " in done.out


def test_a_clinic_without_photographs_is_refused(sall_edge: Run, tiny_engine: Engine) -> None:
    done = sall_edge("bench", tiny_engine.path, "--profile", "clinic", *BRIEF)
    assert done.code == 1
    assert "the clinic profile has no photographs" in done.err
    assert "fix: name some: --labels CSV" in done.err


def test_a_profile_that_does_not_exist_is_a_usage_error(sall_edge: Run, tiny_engine: Engine) -> None:
    assert sall_edge("bench", tiny_engine.path, "--profile", "demo").code == 2
