"""Photographs with gaps and without. Gaps are milliseconds here: what a real one costs, only a real one shows."""

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from sall_edge.artifacts import Engine
from sall_edge.bench.speed.clinic import LONGEST_GAP_S, ROUNDS, SHORTEST_GAP_S, draw_gaps, measure_clinic
from sall_edge.runtime.session import open_session
from sall_edge.spec import Profile

FULL_S = Profile.CLINIC.seconds


@pytest.fixture
def photographs(phantom_labels: Path) -> list[Path]:
    return sorted((phantom_labels.parent / "images").iterdir())[:3]


def test_gaps_fill_the_profiles_time_and_are_as_long_as_in_a_clinic() -> None:
    gaps = draw_gaps(FULL_S, FULL_S, np.random.default_rng(0))
    assert FULL_S <= sum(gaps) < FULL_S + LONGEST_GAP_S
    assert all(SHORTEST_GAP_S <= gap <= LONGEST_GAP_S for gap in gaps)
    assert gaps == draw_gaps(FULL_S, FULL_S, np.random.default_rng(0))


def test_a_short_clinic_has_short_gaps_and_not_few() -> None:
    full, short = (draw_gaps(seconds, FULL_S, np.random.default_rng(0)) for seconds in (FULL_S, 1.8))
    assert short == pytest.approx([gap / 1000 for gap in full])


def test_a_long_clinic_has_more_gaps_and_no_longer_ones() -> None:
    assert max(draw_gaps(2 * FULL_S, FULL_S, np.random.default_rng(0))) <= LONGEST_GAP_S


def test_no_time_still_has_one_photograph() -> None:
    assert len(draw_gaps(0, FULL_S, np.random.default_rng(0))) == 1


def test_the_same_photographs_come_in_both_manners(tiny_engine: Engine, photographs: list[Path]) -> None:
    seen: list[int] = []
    with open_session(tiny_engine) as session:
        clinic = measure_clinic(session, photographs, (0.001,) * 4, advance=lambda: seen.append(1))
    assert (clinic.photographs, clinic.after_gap.n, len(seen)) == (3, 4, 4)
    assert clinic.back_to_back.n == 3 * (ROUNDS - 1)
    assert clinic.ratio == pytest.approx(clinic.after_gap.p50_ms / clinic.back_to_back.p50_ms)
    assert not clinic.ended_early
    for runs in (clinic.after_gap, clinic.back_to_back):
        assert set(runs.parts_ms) >= {"decode", "prepare"}
        assert runs.largest_ms >= runs.p50_ms > max(runs.parts_ms.values()) > 0
        assert runs.p90_ms is None


def test_more_photographs_than_gaps_leave_the_rest_out(tiny_engine: Engine, photographs: list[Path]) -> None:
    with open_session(tiny_engine) as session:
        clinic = measure_clinic(session, photographs, (0.0,))
    assert (clinic.photographs, clinic.back_to_back.n) == (1, ROUNDS - 1)


def test_ctrl_c_ends_it_and_what_was_measured_stays(
    tiny_engine: Engine, photographs: list[Path], ctrl_c: Callable[[], None]
) -> None:
    count = iter(range(10))
    with open_session(tiny_engine) as session:
        clinic = measure_clinic(
            session, photographs, (0.001, 0.001, 60.0), advance=lambda: ctrl_c() if next(count) == 1 else None
        )
    assert clinic.ended_early
    assert clinic.gaps_s == (0.001, 0.001)
    assert (clinic.photographs, clinic.after_gap.n, clinic.back_to_back.n) == (2, 2, 2 * (ROUNDS - 1))


def test_ctrl_c_before_the_first_photograph_has_nothing_to_keep(
    tiny_engine: Engine, photographs: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(seconds: float) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("sall_edge.bench.speed.clinic.time.sleep", interrupted)
    with open_session(tiny_engine) as session, pytest.raises(KeyboardInterrupt):
        measure_clinic(session, photographs, (1.0,))


def test_the_kernel_is_asked_to_forget_every_file_before_it_comes(
    tiny_engine: Engine, photographs: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []

    def note(descriptor: int, offset: int, length: int, advice: int) -> None:
        assert (offset, length, advice) == (0, 0, os.POSIX_FADV_DONTNEED)
        asked.append(str(Path(f"/proc/self/fd/{descriptor}").readlink()))

    monkeypatch.setattr(os, "posix_fadvise", note)
    with open_session(tiny_engine) as session:
        clinic = measure_clinic(session, photographs, (0.0,) * 3)
    assert asked == [str(path.resolve()) for path in photographs]
    assert clinic.page_cache.startswith("the kernel was asked to drop each file's pages")


def test_a_kernel_that_refuses_is_quoted(
    tiny_engine: Engine, photographs: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*arguments: int) -> None:
        raise OSError(22, "Invalid argument")

    monkeypatch.setattr(os, "posix_fadvise", refuse)
    with open_session(tiny_engine) as session:
        clinic = measure_clinic(session, photographs, (0.0,))
    assert clinic.page_cache == "files may have stayed in memory: posix_fadvise: Invalid argument"


def test_a_system_without_the_call_is_named(
    tiny_engine: Engine, photographs: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delattr(os, "posix_fadvise")
    with open_session(tiny_engine) as session:
        clinic = measure_clinic(session, photographs, (0.0,))
    assert clinic.page_cache == "files may have stayed in memory: this system has no posix_fadvise"
