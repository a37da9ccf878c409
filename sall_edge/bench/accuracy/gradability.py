"""How well a quality gate tells photographs that may be graded from the others, with intervals by patient.

The gate is the classical measures, the quality task of an engine, or both together as `screen` has them.
"""

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
from sall_edge.runtime.session import Session
from sall_edge.screening.ahead import worked_ahead
from sall_edge.screening.quality_head import QUALITY_HEAD, QualityHead, quality_head_of
from sall_edge.screening.verdict import look
from sall_edge.spec import ImageSpec

__all__ = ["Gradability", "Looked", "Share", "look_for_quality", "measure_gradability", "measure_head", "share_of"]

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
        head: What the quality task of an engine says, that it must not be graded; None where no engine was asked.
    """

    photograph: LabelledPhotograph
    measures: dict[str, float] | None
    error: str = ""
    head: float | None = None

    def score(self, limits: QualityLimits, head: QualityHead | None = None) -> float:
        """0..1, with a head the lesser of both; without a field of view 0."""
        if not self.measures:
            return 0.0
        by_measures = judged(self.measures, limits).score
        return by_measures if head is None else min(by_measures, self.score_of_head(head))

    def reasons(self, limits: QualityLimits, head: QualityHead | None = None) -> tuple[str, ...]:
        """Why it is refused; empty if it is not. As in `screen`, a head is heard where the measures let it through."""
        by_measures = judged(self.measures, limits).reasons if self.measures else (NO_FIELD,)
        return by_measures if by_measures or head is None else self.reasons_of_head(head)

    def score_of_head(self, head: QualityHead) -> float:
        """0..1 by the head alone."""
        return 0.0 if self.head is None else head.score(self.head)

    def reasons_of_head(self, head: QualityHead) -> tuple[str, ...]:
        """Why the head alone refuses it; empty if it does not."""
        if self.head is None:
            return (NO_FIELD,)
        return (QUALITY_HEAD,) if head.refuses(self.head) else ()


def look_for_quality(
    photographs: Sequence[LabelledPhotograph],
    image: ImageSpec,
    *,
    session: Session | None = None,
    advance: Callable[[], None] = lambda: None,
) -> tuple[Looked, ...]:
    """The measures of all photographs, in their order; those that cannot be read say why.

    Args:
        photographs: Any.
        image: The preparation.
        session: Of an engine with a quality task and this preparation, which is asked about every square, refused by
            the measures or not; None asks none.
        advance: Called after every photograph.
    """
    paths = [photograph.path for photograph in photographs]
    head = None if session is None else quality_head_of(session.manifest.tasks, session.manifest.operating_points)
    found = []
    with closing(worked_ahead(partial(look, image=image), paths, threads=None)) as looked:
        for photograph, seen in zip(photographs, looked, strict=True):
            measures = seen.quality.measures if seen.quality is not None else None
            error = seen.error.what if seen.error is not None else ""
            opinion = None
            if session is not None and head is not None and seen.prepared is not None:
                opinion = head.probability(session.run(seen.prepared.square).probs)
            found.append(Looked(photograph=photograph, measures=measures, error=error, head=opinion))
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
    head: QualityHead | None = None,
    rounds: int = 2000,
) -> Gradability:
    """The gate with these limits on labelled photographs.

    Args:
        looked: n photographs, all of them readable.
        labels: n words.
        good: The word of those that may be graded.
        limits: Of the gate.
        rng: Draws the bootstrap samples.
        head: The quality task of the engine that was asked about them, to judge by both as `screen` does.
        rounds: How many.
    """
    reasons = [one.reasons(limits, head) for one in looked]
    scores = np.array([one.score(limits, head) for one in looked])
    return _gradability(looked, labels, good, scores, reasons, rng, rounds)


def measure_head(
    looked: Sequence[Looked],
    labels: Sequence[str],
    good: str,
    head: QualityHead,
    *,
    rng: np.random.Generator,
    rounds: int = 2000,
) -> Gradability:
    """The quality task of the engine that was asked about them, without the measures; the rest as above."""
    reasons = [one.reasons_of_head(head) for one in looked]
    scores = np.array([one.score_of_head(head) for one in looked])
    return _gradability(looked, labels, good, scores, reasons, rng, rounds)


def _gradability(
    looked: Sequence[Looked],
    labels: Sequence[str],
    good: str,
    scores: npt.NDArray[np.float64],
    reasons: Sequence[tuple[str, ...]],
    rng: np.random.Generator,
    rounds: int,
) -> Gradability:
    is_good = np.array([label == good for label in labels], bool)
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
