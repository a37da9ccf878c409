"""The peak of memory from a moment on."""

import mmap
from pathlib import Path

import pytest

from sall_edge.bench.speed.memory import forget_peak, peak_rss_mb

BLOCK_MIB = 200
SLACK_MIB = 60
"""The allocator and the kernel keep pages of their own."""


def hold_and_free() -> None:
    """A block of the kernel's, not of the allocator's: that one may keep what was freed."""
    with mmap.mmap(-1, BLOCK_MIB << 20) as block:
        for page in range(0, len(block), mmap.PAGESIZE):
            block[page] = 1


def test_what_was_freed_before_is_forgotten_and_what_comes_after_is_not() -> None:
    if not Path("/proc/self/clear_refs").exists():
        pytest.skip("this kernel forgets no peak: /proc/self/clear_refs is missing")
    hold_and_free()
    high = peak_rss_mb()
    start = forget_peak()
    assert start < high - BLOCK_MIB + SLACK_MIB
    hold_and_free()
    assert peak_rss_mb() > start + BLOCK_MIB - SLACK_MIB


def test_where_no_peak_can_be_forgotten_it_is_that_until_now(tmp_path: Path) -> None:
    (tmp_path / "status").write_text("Name:\tpython\nVmHWM:\t  204800 kB\nVmRSS:\t 1024 kB\n")
    (tmp_path / "clear_refs").mkdir()  # cannot be written to
    assert forget_peak(tmp_path) == 200


def test_without_proc_the_c_library_tells(tmp_path: Path) -> None:
    assert peak_rss_mb(tmp_path) > 10
