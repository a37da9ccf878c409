"""What a clinician is shown: the photograph, the evidence over it, and words that fit."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from sall_edge.errors import OutputError
from sall_edge.runtime.session import Prediction
from sall_edge.screening.overlay import (
    FULL_SCALE,
    LEGEND_PX,
    PANEL_PX,
    TITLE_PX,
    caption_of,
    draw_evidence,
    draw_overlay,
    draw_scale,
    enlarge,
    overlay_path,
    text_width_px,
    write_overlay,
)
from sall_edge.screening.verdict import Examined, ScreenedPhotograph, TaskVerdict
from sall_edge.spec import Task, TaskSet

SIDE_PX = 64
JUST_ROUNDING = 1
"""Grey levels: blending with nothing may round down by one."""


@pytest.fixture
def tasks(retina_tasks: TaskSet) -> tuple[Task, ...]:
    return retina_tasks.tasks


@pytest.fixture
def square() -> np.ndarray:
    """A grey disc on black."""
    picture = np.zeros((SIDE_PX, SIDE_PX, 3), np.uint8)
    cv2.circle(picture, (SIDE_PX // 2, SIDE_PX // 2), SIDE_PX // 2 - 1, (120, 120, 120), -1)
    return picture


def _verdicts(tasks: tuple[Task, ...], grade: int = 0) -> dict[str, TaskVerdict]:
    verdicts = {}
    for task in tasks:
        probs = tuple(float(k == grade) for k in range(len(task.grades)))
        verdicts[task.name] = TaskVerdict(
            grade=grade, probs=probs, referable=grade >= task.referable_from, confidence=1.0
        )
    return verdicts


def _prediction(tasks: tuple[Task, ...], level: float, *, at: tuple[int, int] | None = None) -> Prediction:
    cam = np.zeros((8, 8), np.float32)
    cam[at if at is not None else slice(None)] = level
    probs = {task.name: np.full(len(task.grades), 1 / len(task.grades), np.float32) for task in tasks}
    return Prediction(probs=probs, cams={task.name: cam for task in tasks})


def _panels(sheet: np.ndarray) -> list[np.ndarray]:
    picture = sheet[TITLE_PX : TITLE_PX + PANEL_PX]
    return [picture[:, k * PANEL_PX : (k + 1) * PANEL_PX].astype(int) for k in range(picture.shape[1] // PANEL_PX)]


def test_the_sheet_has_the_photograph_and_a_panel_for_every_task(square: np.ndarray, tasks: tuple[Task, ...]) -> None:
    sheet = draw_overlay(square, _prediction(tasks, 1.0), _verdicts(tasks), tasks)
    assert sheet.shape == (TITLE_PX + PANEL_PX + LEGEND_PX, 3 * PANEL_PX, 3)
    assert sheet.dtype == np.uint8


@pytest.mark.parametrize("level", [0.0, -50.0])
def test_no_evidence_for_referral_leaves_the_photograph_as_it_is(
    square: np.ndarray, tasks: tuple[Task, ...], level: float
) -> None:
    photograph, *maps = _panels(draw_overlay(square, _prediction(tasks, level), _verdicts(tasks), tasks))
    for panel in maps:
        assert np.abs(panel - photograph).max() <= JUST_ROUNDING


def test_evidence_is_drawn_where_it_is_and_reddest_where_it_is_strongest(
    square: np.ndarray, tasks: tuple[Task, ...]
) -> None:
    photograph, panel, _ = _panels(
        draw_overlay(square, _prediction(tasks, FULL_SCALE, at=(2, 5)), _verdicts(tasks), tasks)
    )
    change = np.abs(panel - photograph).sum(axis=2)
    row, column = np.unravel_index(int(cv2.blur(change.astype(np.float32), (25, 25)).argmax()), change.shape)
    cell = PANEL_PX // 8
    assert (row // cell, column // cell) == (2, 5)
    red, green, blue = panel[2 * cell + cell // 2, 5 * cell + cell // 2]
    assert red > green
    assert red > blue
    assert change[: PANEL_PX // 2, : PANEL_PX // 4].max() <= JUST_ROUNDING * 3


def test_black_outside_the_field_of_view_stays_black(square: np.ndarray, tasks: tuple[Task, ...]) -> None:
    photograph, panel, _ = _panels(draw_overlay(square, _prediction(tasks, 3 * FULL_SCALE), _verdicts(tasks), tasks))
    outside = photograph.max(axis=2) == 0
    assert outside.any()
    assert panel[outside].max() == 0


def test_every_caption_fits_its_panel(tasks: tuple[Task, ...]) -> None:
    for task in tasks:
        assert text_width_px(task.title) < PANEL_PX
        for grade in range(len(task.grades)):
            verdict = _verdicts((task,), grade)[task.name]
            assert text_width_px(caption_of(task, verdict)) < PANEL_PX, (task.name, grade)


def test_the_caption_says_what_was_decided(tasks: tuple[Task, ...]) -> None:
    assert "not referable" in caption_of(tasks[0], _verdicts(tasks, 0)["dr"])
    severe = caption_of(tasks[0], _verdicts(tasks, 3)["dr"])
    assert "REFERABLE" in severe
    assert "severe" in severe
    assert "P = 1.00" in severe


def test_photographs_of_one_name_in_two_folders_get_two_overlays(tmp_path: Path) -> None:
    first = overlay_path(tmp_path, ScreenedPhotograph(photo="a/1.jpg", sha256="1" * 64))
    second = overlay_path(tmp_path, ScreenedPhotograph(photo="b/1.jpg", sha256="2" * 64))
    assert first.parent == second.parent == tmp_path
    assert first.name == "1-11111111.png"
    assert first != second


def test_the_written_overlay_is_the_drawn_one(square: np.ndarray, tasks: tuple[Task, ...], tmp_path: Path) -> None:
    result = ScreenedPhotograph(photo="1.jpg", tasks=_verdicts(tasks))
    prediction = _prediction(tasks, FULL_SCALE / 2)
    write_overlay(Examined(result=result, square=square, prediction=prediction), tasks, tmp_path / "maps" / "1.png")
    written = cv2.imread(str(tmp_path / "maps" / "1.png"))[..., ::-1]
    np.testing.assert_array_equal(written, draw_overlay(square, prediction, result.tasks, tasks))


def test_an_overlay_that_cannot_be_written_is_said(square: np.ndarray, tasks: tuple[Task, ...], tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    examined = Examined(
        result=ScreenedPhotograph(photo="1.jpg", tasks=_verdicts(tasks)),
        square=square,
        prediction=_prediction(tasks, 1.0),
    )
    with pytest.raises(OutputError, match="cannot write"):
        write_overlay(examined, tasks, tmp_path / "file" / "1.png")


def test_a_photograph_that_was_not_graded_has_no_overlay(tasks: tuple[Task, ...], tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="was not graded"):
        write_overlay(Examined(result=ScreenedPhotograph(photo="1.jpg")), tasks, tmp_path / "1.png")


def test_evidence_without_words_is_what_a_panel_shows(square: np.ndarray, tasks: tuple[Task, ...]) -> None:
    prediction = _prediction(tasks, FULL_SCALE, at=(3, 3))
    sheet = draw_overlay(square, prediction, _verdicts(tasks), tasks)
    first, second = (sheet[TITLE_PX : TITLE_PX + PANEL_PX, i * PANEL_PX : (i + 1) * PANEL_PX] for i in (0, 1))
    assert np.array_equal(first, enlarge(square))
    assert np.array_equal(second, draw_evidence(square, prediction.cams[tasks[0].name]))


def test_the_scale_runs_from_dark_to_red() -> None:
    left, right = draw_scale()[0, 0], draw_scale()[0, -1]
    assert left.max() < 80
    assert right[0] > 2 * right[1:].max()
