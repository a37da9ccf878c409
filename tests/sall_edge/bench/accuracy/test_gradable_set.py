"""The photographs that screen would grade, and no others; the rest is counted with its reasons."""

from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from sall_edge.bench.accuracy.gradable_set import UNREADABLE, look_at_all
from sall_edge.errors import LabelsError
from sall_edge.fundus.labels import LabelledPhotograph, in_split, read_labels
from sall_edge.fundus.prepare import prepare_file
from sall_edge.screening.verdict import look
from sall_edge.spec import ImageSpec, TaskSet

IMAGE = ImageSpec(side_px=64)


@pytest.fixture
def photographs(phantom_labels: Path, retina_tasks: TaskSet) -> tuple[LabelledPhotograph, ...]:
    every = in_split(read_labels([phantom_labels], retina_tasks), "test")
    return tuple(photograph for photograph in every if look(photograph.path, IMAGE).reasons == ())[:3]


def _grey(folder: Path) -> Path:
    """A lit disc without colour: a field of view, but not a retina."""
    pixels = np.zeros((320, 320, 3), np.uint8)
    cv2.circle(pixels, (160, 160), 150, (120, 120, 120), -1)
    cv2.imwrite(str(folder / "grey.png"), pixels)
    return folder / "grey.png"


def _black(folder: Path) -> Path:
    cv2.imwrite(str(folder / "black.png"), np.zeros((320, 320, 3), np.uint8))
    return folder / "black.png"


def test_each_photograph_is_graded_or_stopped_as_screen_does(
    photographs: tuple[LabelledPhotograph, ...], tmp_path: Path
) -> None:
    (tmp_path / "empty.jpg").touch()
    bad = [replace(photographs[0], path=path) for path in (_grey(tmp_path), _black(tmp_path), tmp_path / "empty.jpg")]
    ticks: list[None] = []
    looked = look_at_all([photographs[0], *bad, *photographs[1:]], IMAGE, threads=2, advance=lambda: ticks.append(None))
    assert looked.photographs == photographs
    prepared = [prepare_file(photograph.path, IMAGE) for photograph in photographs]
    assert np.array_equal(looked.squares, [one.square for one in prepared])
    assert looked.sha256s == tuple(one.sha256 for one in prepared)
    assert [one.photograph for one in looked.stopped] == bad
    grey, black, empty = looked.stopped
    assert "not_a_retina" in grey.reasons
    assert grey.reasons == look(grey.photograph.path, IMAGE).reasons
    assert black.reasons == ("no_field_of_view",)
    assert not black.error
    assert empty.reasons == (UNREADABLE,)
    assert "empty.jpg" in empty.error
    assert len(ticks) == 6


def test_labels_of_other_tasks_are_put_on_without_reading_again(
    photographs: tuple[LabelledPhotograph, ...], tmp_path: Path
) -> None:
    bad = replace(photographs[0], path=tmp_path / "gone.jpg")
    looked = look_at_all([*photographs, bad], IMAGE)
    others = [replace(photograph, grades={"glaucoma": 1}) for photograph in reversed([*photographs, bad])]
    relabelled = looked.labelled_by(others)
    assert [photograph.path for photograph in relabelled.photographs] == [p.path for p in photographs]
    assert all(photograph.grades == {"glaucoma": 1} for photograph in relabelled.photographs)
    assert relabelled.stopped[0].photograph.grades == {"glaucoma": 1}
    assert relabelled.squares is looked.squares


def test_nothing_to_grade_is_said_with_the_first_reason(
    photographs: tuple[LabelledPhotograph, ...], tmp_path: Path
) -> None:
    for path, reason in ((_black(tmp_path), "no_field_of_view"), (tmp_path / "gone.jpg", "gone.jpg")):
        with pytest.raises(LabelsError, match="no photograph can be graded") as problem:
            look_at_all([replace(photographs[0], path=path)], IMAGE)
        assert reason in problem.value.why
    with pytest.raises(LabelsError) as problem:
        look_at_all([], IMAGE)
    assert problem.value.why == "the split is empty"
