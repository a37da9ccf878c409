"""Flipped photographs: the first ones, with the evidence of both networks."""

from pathlib import Path

import numpy as np
import pytest
from fakes.made_up_report import flip

from sall_edge.artifacts import Engine
from sall_edge.bench.report.pictures import picture_flips
from sall_edge.fundus.prepare import prepare_file
from sall_edge.runtime.session import open_reference, open_session
from sall_edge.screening.overlay import draw_evidence, enlarge


@pytest.fixture(scope="module")
def photographs(phantom_labels: Path) -> list[Path]:
    return sorted((phantom_labels.parent / "images").iterdir())


def test_a_flip_is_pictured_as_both_networks_see_it(tiny_engine: Engine, photographs: list[Path]) -> None:
    (found,) = picture_flips(tiny_engine, [flip(str(photographs[0]), task="amd")])
    square = prepare_file(photographs[0], tiny_engine.manifest.image).square
    with open_session(tiny_engine) as int8, open_reference(tiny_engine) as fp32:
        cams = [session.run(square).cams["amd"] for session in (fp32, int8)]
    seen, before, after = found.pictures
    assert np.array_equal(seen.pixels, enlarge(square))
    assert np.array_equal(before.pixels, draw_evidence(square, cams[0]))
    assert np.array_equal(after.pixels, draw_evidence(square, cams[1]))
    peaks = [f"{cam.max():.1f} logits" for cam in cams]
    assert before.caption == f"FP32: referable, P = 0.610, evidence peaks at {peaks[0]}"
    assert after.caption == f"INT8: not referable, P = 0.490, evidence peaks at {peaks[1]}"


def test_only_so_many_are_pictured_in_their_order(tiny_engine: Engine, photographs: list[Path]) -> None:
    flips, steps = [flip(str(path)) for path in photographs[:4]], []
    found = picture_flips(tiny_engine, flips, most=2, advance=lambda: steps.append(1))
    assert [one.flip for one in found] == flips[:2]
    assert len(steps) == 2


def test_a_photograph_that_is_gone_costs_only_its_own_pictures(tiny_engine: Engine, photographs: list[Path]) -> None:
    gone, there = picture_flips(tiny_engine, [flip("gone.jpg"), flip(str(photographs[0]))])
    assert gone.pictures == ()
    assert "gone.jpg" in gone.problem
    assert len(there.pictures) == 3


def test_without_flips_no_engine_is_opened(tiny_engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sall_edge.bench.report.pictures.open_session", None)
    assert picture_flips(tiny_engine, []) == ()
