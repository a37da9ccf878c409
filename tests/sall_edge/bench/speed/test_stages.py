"""Stages of real photographs through a real, tiny engine. No millisecond is judged: that is for an idle machine."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from sall_edge.artifacts import Engine
from sall_edge.bench.speed import stages as stages_module
from sall_edge.bench.speed.latency import LEAST_SAMPLES
from sall_edge.bench.speed.stages import STAGES, Stages, measure_stages
from sall_edge.fundus.phantom import draw_phantom
from sall_edge.runtime.session import Session, open_session
from sall_edge.screening.verdict import examine

EXACT = 1e-9


@pytest.fixture(scope="module")
def photographs(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, ...]:
    """Three that are graded."""
    folder = tmp_path_factory.mktemp("eyes")
    for seed in range(3):
        drawn = draw_phantom(np.random.default_rng(seed), side_px=320, dr_grade=1, amd_grade=0, eye="R")
        Image.fromarray(drawn.pixels).save(folder / f"{seed}.jpg", quality=92)
    return tuple(sorted(folder.iterdir()))


@pytest.fixture
def unusable(tmp_path: Path) -> tuple[Path, Path]:
    """One that cannot be read and one without a retina."""
    (tmp_path / "empty.jpg").touch()
    Image.fromarray(np.zeros((400, 400, 3), np.uint8)).save(tmp_path / "black.png")
    return tmp_path / "empty.jpg", tmp_path / "black.png"


@pytest.fixture
def session(tiny_engine: Engine) -> Iterator[Session]:
    with open_session(tiny_engine) as opened:
        yield opened


def _measured(session: Session, paths: tuple[Path, ...], *, rounds: int = 2) -> Stages:
    found = measure_stages(session, paths, seconds=60, rounds=rounds)
    assert found is not None
    return found


def test_every_stage_is_there_in_its_order_and_was_measured_in_every_round(
    session: Session, photographs: tuple[Path, ...]
) -> None:
    found = _measured(session, photographs)
    assert tuple(stage.name for stage in found.stages) == STAGES
    assert (found.photographs, found.rounds, found.left_out) == (3, 2, 0)
    assert {stage.n for stage in (*found.stages, found.total)} == {6}
    assert all(stage.p50_ms > 0 for stage in found.stages)
    assert tuple(found.per_photograph_ms) == STAGES


def test_the_stages_are_parts_of_the_total(session: Session, photographs: tuple[Path, ...]) -> None:
    found = _measured(session, photographs[:1], rounds=1)
    assert sum(stage.p50_ms for stage in found.stages) <= found.total.p50_ms + EXACT
    assert sum(found.per_photograph_ms.values()) == pytest.approx(sum(stage.p50_ms for stage in found.stages))


def test_decode_infer_and_total_stand_beside_their_floors(session: Session, photographs: tuple[Path, ...]) -> None:
    found = _measured(session, photographs)
    floors = {stage.name: stage.floor for stage in (*found.stages, found.total) if stage.floor}
    assert floors == {
        "decode": "file read and bare decode at the same scale",
        "infer": "bare OpenVINO request on a ready buffer",
        "total": "file read, bare decode and bare request",
    }
    for stage in (*found.stages, found.total):
        assert (stage.floor_p50_ms is not None) == (stage.over_floor is not None) == (stage.name in floors)


def test_the_ratio_is_that_of_the_means_of_the_photographs_medians() -> None:
    samples = [
        stages_module._Samples(product={"decode": [2.0, 4.0, 90.0]}, floor={"decode": [1.0, 2.0, 70.0]}),
        stages_module._Samples(product={"decode": [8.0, 8.0, 8.0]}, floor={"decode": [4.0, 6.0, 4.0]}),
    ]
    stage = stages_module._stage("decode", samples, "words")
    assert stage.over_floor == pytest.approx((4 + 8) / (2 + 4))
    assert stage.floor_p50_ms == 4.0


@pytest.mark.parametrize(("count", "has_p90"), [(LEAST_SAMPLES[90] - 1, False), (LEAST_SAMPLES[90], True)])
def test_no_percentile_comes_from_a_sample_that_is_too_small(count: int, has_p90: bool) -> None:
    stage = stages_module._stage("field", [stages_module._Samples(product={"field": [1.0] * count})], "")
    assert (stage.p90_ms is not None) == has_p90
    assert stage.p99_ms is None


def test_photographs_without_a_verdict_are_counted_and_left_out(
    session: Session, photographs: tuple[Path, ...], unusable: tuple[Path, Path]
) -> None:
    found = _measured(session, (*unusable, *photographs))
    assert (found.photographs, found.left_out) == (3, 2)
    assert found.total.n == 6


def test_nothing_is_measured_where_no_photograph_can_be_graded(session: Session, unusable: tuple[Path, Path]) -> None:
    assert measure_stages(session, unusable, seconds=1) is None


def test_even_no_time_measures_one_photograph_once(session: Session, photographs: tuple[Path, ...]) -> None:
    found = measure_stages(session, photographs, seconds=0)
    assert found is not None
    assert (found.photographs, found.rounds) == (1, 1)


def test_an_engine_without_a_bare_request_has_no_floor_for_it_and_says_so(
    session: Session, photographs: tuple[Path, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stages_module, "bare_request", lambda session, square: None)
    found = _measured(session, photographs[:1], rounds=1)
    stages = {stage.name: stage for stage in (*found.stages, found.total)}
    for name in ("infer", "total"):
        assert stages[name].floor == "none: openvino has no bare request here"
        assert (stages[name].floor_p50_ms, stages[name].over_floor) == (None, None)
    assert stages["decode"].over_floor is not None


def test_any_number_of_photographs_is_spread_over_all_of_them() -> None:
    paths = [Path(f"{index:03d}") for index in range(200)]
    drawn = sorted(int(path.name) for path in stages_module._evenly(paths)[:50])
    gaps = np.diff([0, *drawn, 200])
    assert gaps.max() <= 8  # an even 50 of 200 is one in 4
    assert sorted(stages_module._evenly(paths)) == paths


def test_the_stages_go_the_way_that_screening_goes(
    session: Session, photographs: tuple[Path, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    judged = []
    judge = stages_module.judge
    monkeypatch.setattr(stages_module, "judge", lambda *given: judged.append(judge(*given)) or judged[-1])
    _measured(session, photographs[:1], rounds=1)
    wanted = examine(session, photographs[0])
    assert [one.result.tasks for one in judged] == [wanted.result.tasks] * 2
    assert judged[0].result.verdict is wanted.result.verdict


def test_progress_is_told_after_every_photograph(session: Session, photographs: tuple[Path, ...]) -> None:
    told: list[None] = []
    measure_stages(session, photographs, seconds=60, rounds=2, advance=lambda: told.append(None))
    assert len(told) == 3 * (1 + 2)
