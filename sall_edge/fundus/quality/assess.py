"""Whether a square may be graded: light, focus, rim, field, and whether it shows a retina at all.

Classical measures with limits far out in the tails of real photographs: a retake that is not needed costs a patient a
second flash, so this gate stops only what no grader could use.
"""

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from sall_edge.fundus.quality.limits import QualityLimits
from sall_edge.fundus.quality.measures import measure

__all__ = ["DEFAULT_LIMITS", "LIMITED", "REASONS", "Quality", "assess", "clutter_of", "judged"]

U8 = npt.NDArray[np.uint8]

REASONS = ("not_a_retina", "too_dark", "too_bright", "field_cut", "edge_artefact", "out_of_focus")
"""What `assess` may say; what follows from another reason comes after it."""

COLOUR_WEIGHT = 0.3
"""Clutter is detail plus this times the spread of the blue-red ratio; a retina has hardly any of both."""

MOST_SPREAD_UNDER_LASHES, MOST_DETAIL_UNDER_FLARE = 0.12, 0.06
"""A retina whose clutter is lashes has one colour, one whose clutter is flare little detail; an outer eye has both."""

SCORE_AT_USUAL = 0.9
"""Score of a photograph whose worst measure is the usual one; 0.5 is a photograph at a limit."""

LIMITED = (
    "brightness", "burnt", "saturation", "blue_red", "red_green", "seen", "aside", "shadow", "flare", "veil", "lashes",
    "sharpness", "detail", "vessels",
)  # fmt: skip
"""Measures that have one limit, of their own name."""

NOT_ASKED_AFTER = {
    "out_of_focus": ("too_dark", "too_bright", "not_a_retina"),
    "edge_artefact": ("too_dark", "too_bright", "not_a_retina"),
    "field_cut": ("too_dark", "not_a_retina"),
    "too_bright": ("not_a_retina",),
}
"""What cannot be judged where something else is wrong: focus in the dark, the light of something that is no retina."""

DEFAULT_LIMITS = QualityLimits()


@dataclass(frozen=True, slots=True, kw_only=True)
class Quality:
    """What the square is worth.

    Attributes:
        gradable: Whether it may be graded; otherwise the patient needs another photograph.
        reasons: Why not, see `REASONS`. Empty if gradable.
        measures: brightness (mean luma, 0..255), white_share and burnt (0..1), saturation (0..1), red_green and
            blue_red (ratios of means), detail (contrast relative to luma), sharpness (fine over coarse contrast),
            vessels (strength of dark lines relative to the light around), colour_spread (standard deviation of the
            blue-red ratio), surround (black share of the rectangle around all that is lit), seen (lit share of the
            field), aside (of the middle of what is lit, in radii), shadow, flare, veil, lashes (shares of the rim).
        score: 0..1, of the measure that is nearest to its limit: below 0.5 is refused, 0.9 is usual. It orders the
            photographs of an eye.
    """

    gradable: bool
    reasons: tuple[str, ...]
    measures: dict[str, float]
    score: float


def assess(square: U8, *, limits: QualityLimits = DEFAULT_LIMITS) -> Quality:
    """Light, focus, rim, field and identity of a prepared square.

    Args:
        square: (side, side, 3) uint8, RGB, as `prepare` cuts it.
        limits: Of its camera.
    """
    return judged(measure(square), limits)


def judged(measures: dict[str, float], limits: QualityLimits) -> Quality:
    """The judgement on measures of `measure`."""
    margins = _margins(measures, limits)
    refused = {reason for reason, margin in margins.items() if margin < 0}
    reasons = tuple(
        reason for reason in REASONS if reason in refused and not refused.intersection(NOT_ASKED_AFTER.get(reason, ()))
    )
    return Quality(gradable=not reasons, reasons=reasons, measures=measures, score=_score(min(margins.values())))


def clutter_of(measures: dict[str, float]) -> float:
    """Detail and spread of colour as one number, which `QualityLimits.clutter` limits."""
    return measures["detail"] + COLOUR_WEIGHT * measures["colour_spread"]


def _score(margin: float) -> float:
    """0..1, rising with the margin, 0.5 at 0."""
    steepness = math.log(SCORE_AT_USUAL / (1 - SCORE_AT_USUAL))
    return 1 / (1 + math.exp(-max(min(steepness * margin, 50), -50)))


def _margins(measures: dict[str, float], limits: QualityLimits) -> dict[str, float]:
    """By reason, how far the measures are from it: negative where it holds, 1 for what is usual."""
    of = {name: getattr(limits, name).margin(value) for name, value in measures.items() if name in LIMITED}
    if "detail" not in measures:
        return {"too_dark": min(of["brightness"], -1e-3)}
    glare, white = limits.glare.margin(measures["brightness"]), measures["white_share"]
    most_clutter = limits.clutter if measures["surround"] > limits.surround else limits.clutter_unframed
    clutter = most_clutter.margin(clutter_of(measures))
    is_glaring = max(glare, limits.white_of_glare.margin(white))  # both at once
    is_retina_behind = (of["lashes"] < 0 and measures["colour_spread"] < MOST_SPREAD_UNDER_LASHES) or (
        of["flare"] < 0 and measures["detail"] < MOST_DETAIL_UNDER_FLARE
    )
    too_bright = min(of["burnt"], limits.white.margin(white), is_glaring)
    if of["flare"] < 0 <= of["burnt"]:  # bright at the rim alone
        too_bright = max(too_bright, 0.0)
    colour = min(of["saturation"], of["blue_red"], of["red_green"])
    if too_bright < 0:  # burnt-out pixels have lost their colour
        colour = max(colour, 0.0)
    return {
        "too_dark": of["brightness"],
        "too_bright": too_bright,
        "not_a_retina": min(colour, max(clutter, 0.0) if is_retina_behind else clutter),
        "field_cut": min(of["seen"], of["aside"]),
        "edge_artefact": min(of["shadow"], of["flare"], of["veil"], of["lashes"]),
        "out_of_focus": min(of["sharpness"], of["detail"], of["vessels"]),
    }
