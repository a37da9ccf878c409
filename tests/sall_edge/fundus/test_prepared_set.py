"""Labelled photographs as squares: in order, whoever decodes them, and no photograph stops the others."""

import errno
import os
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import sall_edge.fundus.prepared_set
from sall_edge.errors import LabelsError, OutputError
from sall_edge.fundus.labels import LabelledPhotograph, in_split, read_labels
from sall_edge.fundus.prepare import PreparedPhotograph, prepare_file
from sall_edge.fundus.prepared_set import prepare_set
from sall_edge.spec import ImageSpec, TaskSet

IMAGE = ImageSpec(side_px=64)


@pytest.fixture
def photographs(phantom_labels: Path, retina_tasks: TaskSet) -> tuple[LabelledPhotograph, ...]:
    return in_split(read_labels([phantom_labels], retina_tasks), "test")[:6]


def test_the_squares_stand_in_the_order_of_the_photographs(photographs: tuple[LabelledPhotograph, ...]) -> None:
    prepared = prepare_set(photographs, IMAGE, threads=4)
    assert prepared.photographs == photographs
    wanted = [prepare_file(photograph.path, IMAGE).square for photograph in photographs]
    assert np.array_equal(prepared.squares, wanted)


def test_what_cannot_be_prepared_is_listed_and_the_rest_stays(
    photographs: tuple[LabelledPhotograph, ...], tmp_path: Path
) -> None:
    bad = replace(photographs[0], path=tmp_path / "empty.jpg")
    bad.path.touch()
    ticks: list[None] = []
    prepared = prepare_set([photographs[0], bad, photographs[1]], IMAGE, advance=lambda: ticks.append(None))
    assert prepared.photographs == photographs[:2]
    assert np.array_equal(prepared.squares, prepare_set(photographs[:2], IMAGE).squares)
    ((path, what),) = prepared.failures
    assert path == bad.path
    assert "empty.jpg" in what
    assert len(ticks) == 3


def test_nothing_to_measure_is_said(photographs: tuple[LabelledPhotograph, ...], tmp_path: Path) -> None:
    with pytest.raises(LabelsError, match="no photograph can be measured"):
        prepare_set([replace(photographs[0], path=tmp_path / "gone.jpg")], IMAGE)
    with pytest.raises(LabelsError) as problem:
        prepare_set([], IMAGE)
    assert "the split is empty" in problem.value.why


def test_a_full_temporary_folder_is_said_before_anything_is_decoded(
    photographs: tuple[LabelledPhotograph, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "posix_fallocate", full)
    with pytest.raises(OutputError) as problem:
        prepare_set(photographs, IMAGE)
    assert "No space left" in problem.value.why
    assert "TMPDIR" in problem.value.fix


def test_whoever_stops_early_stops_the_decoders(
    photographs: tuple[LabelledPhotograph, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    decoded: list[Path] = []

    def counted(path: Path, image: ImageSpec) -> PreparedPhotograph:
        decoded.append(path)
        time.sleep(0.01)
        return prepare_file(path, image)

    def stop() -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(sall_edge.fundus.prepared_set, "prepare_file", counted)
    with pytest.raises(KeyboardInterrupt):
        prepare_set(photographs * 50, IMAGE, threads=1, advance=stop)
    when_it_stopped = len(decoded)
    time.sleep(0.2)
    assert len(decoded) == when_it_stopped < 50
