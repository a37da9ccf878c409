"""What a profile asks of an open engine."""

from pathlib import Path

import numpy as np
import pytest

from sall_edge.artifacts import Engine
from sall_edge.bench.speed.timing import Timing, length_s, time_session
from sall_edge.runtime.session import open_session
from sall_edge.spec import Profile

SECONDS = 0.3


@pytest.fixture
def photographs(phantom_labels: Path) -> list[Path]:
    return sorted((phantom_labels.parent / "images").iterdir())[:2]


def _time(engine: Engine, photographs: list[Path], profile: Profile, stages: list[tuple[str, int]]) -> Timing:
    side = engine.manifest.image.side_px
    squares = np.zeros((2, side, side, 3), np.uint8)
    with open_session(engine) as session:
        return time_session(
            session,
            squares,
            photographs,
            profile,
            seconds=SECONDS,
            stage=lambda name, total: stages.append((name, total)),
            advance=lambda: stages.append(("advance", 1)),
        )


@pytest.mark.parametrize("profile", [Profile.QUICK, Profile.STANDARD, Profile.SOAK])
def test_these_profiles_time_the_engine_alone(tiny_engine: Engine, profile: Profile) -> None:
    stages: list[tuple[str, int]] = []
    timing = _time(tiny_engine, [], profile, stages)
    assert timing.clinic is None
    assert timing.seconds == SECONDS
    assert stages == []
    assert timing.speed.trace.count == timing.speed.latency.n


def test_a_clinic_times_its_photographs_too_and_shows_progress(tiny_engine: Engine, photographs: list[Path]) -> None:
    stages: list[tuple[str, int]] = []
    timing = _time(tiny_engine, photographs, Profile.CLINIC, stages)
    assert timing.clinic is not None
    count = timing.clinic.after_gap.n
    assert stages == [("clinic, a photograph after every gap", count)] + [("advance", 1)] * count
    assert any("clinic" in reason for reason in timing.not_for_claims(Profile.CLINIC))


def test_throttling_is_a_reason_like_any_other(tiny_engine: Engine) -> None:
    timing = _time(tiny_engine, [], Profile.QUICK, [])
    assert timing.not_for_claims(Profile.QUICK, ("too hot",)) == (*timing.not_for_claims(Profile.QUICK), "too hot")


def test_memory_is_read_before_loadgen_prepares_its_queries(
    tiny_engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    from sall_edge.bench.speed import timing as module

    order: list[str] = []
    peak, measure = module.peak_rss_mb, module.measure_speed
    monkeypatch.setattr(module, "peak_rss_mb", lambda: (order.append("memory"), peak())[1])
    monkeypatch.setattr(module, "measure_speed", lambda *a, **k: (order.append("speed"), measure(*a, **k))[1])
    assert _time(tiny_engine, [], Profile.QUICK, []).peak_rss_mb > 0
    assert order == ["memory", "speed"]


def test_a_clinic_takes_its_own_time_and_that_of_a_quick_look() -> None:
    assert length_s(Profile.CLINIC, 1800) == pytest.approx(1800 + length_s(Profile.QUICK, 60))
    assert length_s(Profile.STANDARD, 600) > 600
