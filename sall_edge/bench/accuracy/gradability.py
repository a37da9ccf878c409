"""How well a quality gate tells photographs that may be graded from the others, with intervals by patient."""

import math
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import partial

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict

from sall_edge.bench.accuracy.metrics import referable_auc
from sall_edge.fundus.labels import LabelledPhotograph
from sall_edge.fundus.quality import QualityLimits, judged
from sall_edge.screening.ahead import worked_ahead
from sall_edge.screening.verdict import look
from sall_edge.spec import ImageSpec

__all__ = ["Gradability", "Looked", "Share", "look_for_quality", "measure_gradability", "share_of"]

NO_FIELD = "no_field_of_view"

Z_95 = 1.959964
"""Of the normal distribution, for 95 %."""


class Share(BaseModel):
    """How many of how many, with Wilson's 95 % interval (Wilson 1927)."""

    model_config = ConfigDict(frozen=True)

    count: int
    of: int
    share: float
    low: float
    high: float


class Gradability(BaseModel):
    """A gate against labels.

    Attributes:
        auc: Good above the others by score; None without both kinds.
        auc_interval: 95 % percentile bootstrap, patients resampled.
        good_refused: What the gate costs.
        others_refused: What it is for.
        by_label: Refused, by the word of the label.
        reasons: By the word of the label, how often each reason was given.
    """

    model_config = ConfigDict(frozen=True)

    auc: float | None
    auc_interval: tuple[float, float] | None
    good_refused: Share
    others_refused: Share
    by_label: dict[str, Share]
    reasons: dict[str, dict[str, int]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Looked:
    """A photograph as the gate saw it.

    Attributes:
        photograph: With its labels.
        measures: Of the square; None without a field of view.
        error: Why its file cannot be read; "" if it can.
    """

    photograph: LabelledPhotograph
    measures: dict[str, float] | None
    error: str = ""

    def score(self, limits: QualityLimits) -> float:
        """0..1; without a field of view 0."""
        return judged(self.measures, limits).score if self.measures else 0.0

    def reasons(self, limits: QualityLimits) -> tuple[str, ...]:
        """Why it is refused; empty if it is not."""
        return judged(self.measures, limits).reasons if self.measures else (NO_FIELD,)


def look_for_quality(
    photographs: Sequence[LabelledPhotograph], image: ImageSpec, *, advance: Callable[[], None] = lambda: None
) -> tuple[Looked, ...]:
    """The measures of all photographs, in their order; those that cannot be read say why."""
    paths = [photograph.path for photograph in photographs]
    found = []
    with closing(worked_ahead(partial(look, image=image), paths, threads=None)) as looked:
        for photograph, seen in zip(photographs, looked, strict=True):
            measures = seen.quality.measures if seen.quality is not None else None
            error = seen.error.what if seen.error is not None else ""
            found.append(Looked(photograph=photograph, measures=measures, error=error))
            advance()
    return tuple(found)


def share_of(count: int, of: int) -> Share:
    """A share with its interval; of nothing it may be anything."""
    if not of:
        return Share(count=0, of=0, share=0.0, low=0.0, high=1.0)
    share, spread = count / of, Z_95**2 / of
    middle = share + spread / 2
    reach = Z_95 * math.sqrt(share * (1 - share) / of + spread / (4 * of))
    low, high = (middle - reach) / (1 + spread), (middle + reach) / (1 + spread)
    return Share(count=count, of=of, share=share, low=min(max(low, 0.0), share), high=max(min(high, 1.0), share))


def measure_gradability(
    looked: Sequence[Looked],
    labels: Sequence[str],
    good: str,
    limits: QualityLimits,
    *,
    rng: np.random.Generator,
    rounds: int = 2000,
) -> Gradability:
    """The gate with these limits on labelled photographs.

    Args:
        looked: n photographs, all of them readable.
        labels: n words.
        good: The word of those that may be graded.
        limits: Of the gate.
        rng: Draws the bootstrap samples.
        rounds: How many.
    """
    reasons = [one.reasons(limits) for one in looked]
    is_good = np.array([label == good for label in labels], bool)
    scores = np.array([one.score(limits) for one in looked])
    patients = [one.photograph.patient_id for one in looked]
    return Gradability(
        auc=referable_auc(is_good, scores) if len(looked) else None,
        auc_interval=_auc_interval(is_good, scores, patients, rng, rounds),
        good_refused=_refused(reasons, is_good),
        others_refused=_refused(reasons, ~is_good),
        by_label={word: _refused(reasons, [label == word for label in labels]) for word in sorted(set(labels))},
        reasons={word: _counted(reasons, [label == word for label in labels]) for word in sorted(set(labels))},
    )


def _refused(reasons: Sequence[tuple[str, ...]], where: Iterable[bool]) -> Share:
    chosen = [bool(found) for found, is_chosen in zip(reasons, where, strict=True) if is_chosen]
    return share_of(sum(chosen), len(chosen))


def _counted(reasons: Sequence[tuple[str, ...]], where: Iterable[bool]) -> dict[str, int]:
    chosen = (found for found, is_chosen in zip(reasons, where, strict=True) if is_chosen)
    return dict(Counter(reason for found in chosen for reason in found).most_common())


def _auc_interval(
    is_good: npt.NDArray[np.bool_],
    scores: npt.NDArray[np.float64],
    patients: Sequence[str],
    rng: np.random.Generator,
    rounds: int,
) -> tuple[float, float] | None:
    names, owner = np.unique(np.asarray(patients), return_inverse=True)
    drawn = []
    for _ in range(rounds if len(set(is_good.tolist())) == 2 else 0):
        times = np.bincount(rng.integers(len(names), size=len(names)), minlength=len(names))[owner]
        rows = np.repeat(np.arange(len(scores)), times)
        auc = referable_auc(is_good[rows], scores[rows])
        if auc is not None:
            drawn.append(auc)
    return (float(np.percentile(drawn, 2.5)), float(np.percentile(drawn, 97.5))) if drawn else None
