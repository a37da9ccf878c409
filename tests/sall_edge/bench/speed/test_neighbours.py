"""Who else computes. The counters are files here; what the kernel counts is the kernel's."""

import os
from pathlib import Path

import pytest

from sall_edge.bench.speed.neighbours import Neighbours

TICKS = os.sysconf("SC_CLK_TCK")


def _clock(at_s: float, busy_s: float | None, own_s: float) -> Neighbours:
    return Neighbours(at_s=at_s, busy_s=busy_s, own_s=own_s)


def test_what_this_process_computes_is_not_the_others() -> None:
    assert _clock(10, 115, 10).cores_since(_clock(0, 100, 0)) == pytest.approx(0.5)


def test_counters_that_round_against_each_other_give_no_negative_neighbour() -> None:
    assert _clock(10, 109.9, 10).cores_since(_clock(0, 100, 0)) == 0


def test_a_moment_too_short_for_the_kernels_counter_tells_nothing() -> None:
    assert _clock(0.5, 101, 0).cores_since(_clock(0, 100, 0)) is None


def test_waiting_for_a_disk_or_for_the_hypervisor_is_not_computing(tmp_path: Path) -> None:
    stat = tmp_path / "stat"
    stat.write_text(f"cpu  {3 * TICKS} 0 {2 * TICKS} {50 * TICKS} {70 * TICKS} 0 0 {TICKS} {9 * TICKS} 0\ncpu0 1\n")
    assert Neighbours.now(stat).busy_s == pytest.approx(5)  # user and system


@pytest.mark.parametrize("text", [None, "cpu  0 0 0 0 0 0 0 0 0 0\n"])
def test_where_nothing_counts_nothing_is_said(tmp_path: Path, text: str | None) -> None:
    stat = tmp_path / "stat"
    if text is not None:
        stat.write_text(text)
    assert _clock(10, 5, 0).cores_since(Neighbours.now(stat)) is None


def test_this_machine_has_been_busy() -> None:
    if not Path("/proc/stat").is_file():
        pytest.skip("this system has no /proc/stat")
    now = Neighbours.now()
    assert now.busy_s is None or now.busy_s > 0
    assert now.own_s > 0
