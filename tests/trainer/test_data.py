import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

import trainer.data
from sall_edge.errors import UnreadablePhotograph
from sall_edge.fundus.labels import LabelledPhotograph
from sall_edge.fundus.prepare import prepare_file
from sall_edge.spec import ImageSpec, TaskSet
from trainer.data import prepared_squares
from trainer.progress import Silence

IMAGE = ImageSpec(side_px=32)
UNKNOWN = -1


class Counter:
    """Stands for `prepare_file` and counts its calls."""

    def __init__(self) -> None:
        self.paths: list[Path] = []

    def __call__(self, path: Path, image: ImageSpec) -> object:
        self.paths.append(path)
        return prepare_file(path, image)


@pytest.fixture
def counter(monkeypatch: pytest.MonkeyPatch) -> Counter:
    counter = Counter()
    monkeypatch.setattr(trainer.data, "prepare_file", counter)
    return counter


def squares_of(photographs: tuple[LabelledPhotograph, ...], tasks: TaskSet, cache: Path, image: ImageSpec = IMAGE):
    return prepared_squares(photographs, tasks.tasks, image, cache, progress=Silence())


def test_squares_are_what_prepare_makes_in_the_order_of_the_labels(photographs, tasks, tmp_path) -> None:
    squares, problems = squares_of(photographs[:8], tasks, tmp_path)
    assert problems == ()
    assert squares.paths == tuple(photograph.path for photograph in photographs[:8])
    assert np.array_equal(squares.images(np.array([5]))[0].numpy(), prepare_file(photographs[5].path, IMAGE).square)


def test_labels_that_are_not_there_are_minus_one(photographs, tasks, tmp_path) -> None:
    squares, _ = squares_of(photographs[:18], tasks, tmp_path)
    assert squares.labels[0].tolist() == [0, 0]
    assert squares.labels[7].tolist() == [1, UNKNOWN]
    assert squares.labels[13].tolist() == [UNKNOWN, 1]
    assert squares.targets(np.array([13])).dtype == torch.int64


def test_a_second_run_prepares_nothing(photographs, tasks, tmp_path, counter) -> None:
    first, _ = squares_of(photographs[:6], tasks, tmp_path)
    assert len(counter.paths) == 6
    second, _ = squares_of(photographs[:6], tasks, tmp_path)
    assert len(counter.paths) == 6
    assert np.array_equal(first.pixels, second.pixels)


def test_photographs_may_come_go_and_change_places(photographs, tasks, tmp_path, counter) -> None:
    squares_of(photographs[:6], tasks, tmp_path)
    others = (photographs[7], photographs[4], photographs[1], photographs[6])
    squares, _ = squares_of(others, tasks, tmp_path)
    assert set(counter.paths[6:]) == {photographs[7].path, photographs[6].path}
    for position, photograph in enumerate(others):
        expected = prepare_file(photograph.path, IMAGE).square
        assert np.array_equal(squares.images(np.array([position]))[0].numpy(), expected)


def test_a_photograph_that_changed_is_prepared_again(photographs, tasks, tmp_path, counter) -> None:
    copy = tmp_path / "copy.png"
    copy.write_bytes(photographs[0].path.read_bytes())
    mine = (replace(photographs[0], path=copy),)
    squares_of(mine, tasks, tmp_path / "cache")
    os.utime(copy, ns=(1, 1))
    squares_of(mine, tasks, tmp_path / "cache")
    assert len(counter.paths) == 2


def test_another_preparation_does_not_use_the_old_squares(photographs, tasks, tmp_path, counter) -> None:
    squares_of(photographs[:2], tasks, tmp_path)
    squares, _ = squares_of(photographs[:2], tasks, tmp_path, ImageSpec(side_px=48))
    assert len(counter.paths) == 4
    assert squares.pixels.shape == (2, 48, 48, 3)


def test_what_was_prepared_before_a_kill_is_kept(photographs, tasks, tmp_path, counter, monkeypatch) -> None:
    def killed(path: Path, image: ImageSpec) -> object:
        if path == photographs[5].path:
            raise KeyboardInterrupt
        return counter(path, image)

    monkeypatch.setattr(trainer.data, "prepare_file", killed)
    with pytest.raises(KeyboardInterrupt):
        prepared_squares(photographs[:6], tasks.tasks, IMAGE, tmp_path, progress=Silence(), threads=1)
    monkeypatch.setattr(trainer.data, "prepare_file", counter)
    squares, _ = squares_of(photographs[:6], tasks, tmp_path)
    assert len(counter.paths) == 6
    assert len(squares) == 6


def test_a_cache_that_cannot_be_read_is_made_again(photographs, tasks, tmp_path, counter) -> None:
    squares_of(photographs[:2], tasks, tmp_path)
    (tmp_path / "squares.json").write_text("{", encoding="utf-8")
    squares_of(photographs[:2], tasks, tmp_path)
    assert len(counter.paths) == 4


def test_photographs_that_cannot_be_used_do_not_stop_the_others(photographs, tasks, tmp_path, diary) -> None:
    broken = tmp_path / "broken.jpg"
    broken.write_bytes(b"no picture")
    mine = (
        photographs[0],
        replace(photographs[1], path=broken),
        replace(photographs[1], path=tmp_path / "missing.jpg"),
        photographs[2],
    )
    squares, problems = prepared_squares(mine, tasks.tasks, IMAGE, tmp_path / "cache", progress=diary)
    assert squares.paths == (photographs[0].path, photographs[2].path)
    assert squares.patients == (photographs[0].patient_id, photographs[2].patient_id)
    assert squares.labels.tolist() == [[0, 0], [2, 0]]
    assert [type(problem) for problem in problems] == [UnreadablePhotograph] * 2
    assert "broken.jpg" in diary.notes[0]
    assert diary.steps == 4


def test_for_tasks_keeps_the_photographs_with_one_of_these_labels(photographs, tasks, tmp_path) -> None:
    squares, _ = squares_of(photographs[:18], tasks, tmp_path)
    green = squares.for_tasks(tasks.tasks[1:])
    assert len(green) == 12
    assert (green.labels != UNKNOWN).all()
    assert green.labels.shape == (12, 1)
    assert green.paths[6:] == tuple(photograph.path for photograph in photographs[12:18])
    assert green.sha256 != squares.sha256
