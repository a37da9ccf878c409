"""Where the network saw a reason for referral, drawn over the photograph for a clinician."""

from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from sall_edge.errors import OutputError
from sall_edge.runtime.session import Prediction
from sall_edge.screening.verdict import Examined, ScreenedPhotograph, TaskVerdict
from sall_edge.spec import Task
from sall_edge.writing import file_being_written

__all__ = [
    "FULL_SCALE",
    "caption_of",
    "draw_evidence",
    "draw_overlay",
    "draw_scale",
    "enlarge",
    "overlay_path",
    "text_width_px",
    "write_overlay",
]

U8 = npt.NDArray[np.uint8]
F32 = npt.NDArray[np.float32]

PANEL_PX = 448
TITLE_PX = 56
LEGEND_PX = 40
LEGEND_BAR_PX = 160
FULL_SCALE = 20.0
"""Evidence (in logits) at full colour: one scale for all photographs, so that both eyes compare. Maps of referable
photographs peak at 12 to 22 with EfficientNet-Lite0, those of the others stay below 1."""
OPACITY = 0.5
"""Lesions must stay visible below the strongest evidence."""
REDDEST = 228
"""Level of the colour map at full scale; beyond it the map goes back to dark, which would hide what lies below."""
MARGIN_PX = 8
FONT = cv2.FONT_HERSHEY_SIMPLEX
FONT_SCALE = 0.5
WHITE = (255, 255, 255)
GREY = (180, 180, 180)


def draw_overlay(square: U8, prediction: Prediction, verdicts: dict[str, TaskVerdict], tasks: tuple[Task, ...]) -> U8:
    """The photograph and, per task, the same photograph under its map of evidence, side by side.

    Args:
        square: (side, side, 3) uint8 RGB, the prepared square.
        prediction: Its activation maps: the referable grades' evidence less the others', in logits.
        verdicts: What was decided, by name of the disease.
        tasks: The order of the panels.

    Returns:
        (H, W, 3) uint8 RGB.
    """
    panels = [_panel(enlarge(square), "Photograph", "as the network saw it")]
    for task in (task for task in tasks if task.name in verdicts):
        caption = caption_of(task, verdicts[task.name])
        panels.append(_panel(draw_evidence(square, prediction.cams[task.name]), task.title, caption))
    sheet = np.concatenate(panels, axis=1)
    return np.concatenate([sheet, _legend(sheet.shape[1])], axis=0)


def caption_of(task: Task, verdict: TaskVerdict) -> str:
    """One line above a panel: the decision, its probability, the grade."""
    decision = "REFERABLE" if verdict.referable else "not referable"
    probability = task.referable_probability(verdict.probs)
    return f"{decision} (P = {probability:.2f}), grade {verdict.grade}: {task.grades[verdict.grade]}"


def text_width_px(text: str) -> int:
    """How wide a line of a sheet is; a panel is PANEL_PX wide."""
    (width, _), _ = cv2.getTextSize(text, FONT, FONT_SCALE, 1)
    return int(width) + MARGIN_PX


def overlay_path(folder: Path, result: ScreenedPhotograph) -> Path:
    """Where the overlay of a photograph goes; equal names from two folders stay apart by their hashes."""
    return folder / f"{Path(result.photo).stem}-{(result.sha256 or '')[:8]}.png"


def write_overlay(examined: Examined, tasks: tuple[Task, ...], path: Path) -> None:
    """Writes the overlay of a graded photograph as PNG, whole or not at all.

    Raises:
        OutputError: The place cannot be written.
        ValueError: The photograph was not graded.
    """
    if examined.square is None or examined.prediction is None:
        raise ValueError(f"{examined.result.photo} was not graded: an overlay needs a prediction")
    picture = draw_overlay(examined.square, examined.prediction, examined.result.tasks, tasks)
    with file_being_written(path) as temporary:
        if not cv2.imwrite(str(temporary), np.ascontiguousarray(picture[..., ::-1])):
            raise OutputError(f"cannot write {path}", "the PNG encoder failed", "check the free space")


def enlarge(square: U8) -> U8:
    """(PANEL_PX, PANEL_PX, 3) uint8, the prepared square at the size of a panel."""
    return np.asarray(cv2.resize(square, (PANEL_PX, PANEL_PX), interpolation=cv2.INTER_CUBIC), dtype=np.uint8)


def draw_evidence(square: U8, cam: F32) -> U8:
    """The prepared square under one task's map of evidence, without words.

    Args:
        square: (side, side, 3) uint8 RGB.
        cam: (h, w) float32, in logits.

    Returns:
        (PANEL_PX, PANEL_PX, 3) uint8 RGB.
    """
    photograph = enlarge(square)
    smooth = cv2.resize(cam, (PANEL_PX, PANEL_PX), interpolation=cv2.INTER_CUBIC)
    evidence = np.clip(smooth / FULL_SCALE, 0, 1) * (photograph.max(axis=2) > 0)
    alpha = (OPACITY * evidence)[..., None]
    return np.asarray(photograph * (1 - alpha) + _colours(evidence) * alpha, dtype=np.uint8)


def draw_scale() -> U8:
    """(12, LEGEND_BAR_PX, 3) uint8 RGB, the colours from no evidence to FULL_SCALE."""
    return _colours(np.tile(np.linspace(0, 1, LEGEND_BAR_PX), (12, 1)))


def _colours(evidence: npt.NDArray[np.floating]) -> U8:
    levels = (evidence * REDDEST).astype(np.uint8)
    return np.asarray(cv2.applyColorMap(levels, cv2.COLORMAP_TURBO), dtype=np.uint8)[..., ::-1]


def _panel(picture: U8, title: str, caption: str) -> U8:
    header = np.zeros((TITLE_PX, PANEL_PX, 3), np.uint8)
    _text(header, title, (MARGIN_PX, 22), WHITE)
    _text(header, caption, (MARGIN_PX, 44), GREY)
    return np.concatenate([header, picture], axis=0)


def _legend(width: int) -> U8:
    """The colours from no evidence to full scale, with words on both sides."""
    legend = np.zeros((LEGEND_PX, width, 3), np.uint8)
    left, right = "no evidence", "strong evidence for referral   |   research use only, no diagnosis"
    bar = draw_scale()
    start = text_width_px(left) + MARGIN_PX
    legend[14:26, start : start + LEGEND_BAR_PX] = bar
    _text(legend, left, (MARGIN_PX, 25), GREY)
    _text(legend, right, (start + LEGEND_BAR_PX + MARGIN_PX, 25), GREY)
    return legend


def _text(picture: U8, text: str, origin: tuple[int, int], colour: tuple[int, int, int]) -> None:
    cv2.putText(picture, text, origin, FONT, FONT_SCALE, colour, 1, cv2.LINE_AA)
