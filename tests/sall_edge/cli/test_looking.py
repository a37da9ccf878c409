"""Photographs are read once for each image specification, and FP32 graphs run once, however many engines there are."""

from pathlib import Path

import numpy as np
import pytest

import sall_edge.bench.accuracy.gradable_set
import sall_edge.bench.accuracy.side_by_side
from sall_edge.artifacts import Engine
from sall_edge.bench.accuracy.side_by_side import ReferenceAnswers
from sall_edge.cli.looking import LookedOnce
from sall_edge.cli.progress import ProgressBar
from sall_edge.spec import ImageSpec


@pytest.fixture
def looks(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """The files that are read from now on."""
    seen: list[Path] = []
    look = sall_edge.bench.accuracy.gradable_set.look

    def counted(path: Path, image: ImageSpec) -> object:
        seen.append(path)
        return look(path, image)

    monkeypatch.setattr(sall_edge.bench.accuracy.gradable_set, "look", counted)
    return seen


def test_another_engine_of_the_same_image_reads_nothing_and_has_its_own_labels(
    tiny_engine: Engine, phantom_labels: Path, looks: list[Path]
) -> None:
    photographs = LookedOnce([phantom_labels], "test")
    manifest = tiny_engine.manifest
    fewer = manifest.model_copy(update={"tasks": manifest.tasks[:1]})
    smaller = manifest.model_copy(update={"image": ImageSpec(side_px=32)})
    with ProgressBar() as progress:
        first = photographs.seen_by(manifest, progress)
        count = len(looks)
        second = photographs.seen_by(fewer, progress)
        assert len(looks) == count > 0
        third = photographs.seen_by(smaller, progress)
        assert len(looks) == 2 * count
    assert first is not None
    assert second is not None
    assert third is not None
    assert second.squares is first.squares
    assert first.photographs[0].grades.keys() == {"dr", "amd"}
    assert second.photographs[0].grades.keys() == {"dr"}
    assert third.squares.shape[1] == 32


def test_without_labels_there_is_nothing_to_look_at(tiny_engine: Engine) -> None:
    with ProgressBar() as progress:
        assert LookedOnce([], "test").seen_by(tiny_engine.manifest, progress) is None


def test_an_fp32_graph_runs_once_for_engines_that_share_it(
    tiny_engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    squares = np.random.default_rng(0).integers(0, 256, (3, 64, 64, 3), dtype=np.uint8)
    references, ticks = ReferenceAnswers(), list[None]()
    first = references.of(tiny_engine, squares, advance=lambda: ticks.append(None))

    def refuse(engine: Engine) -> None:
        raise AssertionError(engine)

    monkeypatch.setattr(sall_edge.bench.accuracy.side_by_side, "open_reference", refuse)
    assert references.of(tiny_engine, squares, advance=lambda: ticks.append(None)) is first
    assert len(ticks) == 6
    with pytest.raises(AssertionError):
        ReferenceAnswers().of(tiny_engine, squares)
