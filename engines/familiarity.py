"""An engine learns which retinas are like those of its training: a cloud in its own features, and a limit.

    engine + training photographs -> the cloud; + validation photographs, those of the gate -> the limit

It is fitted where the engine is judged, because both need an engine that runs: INT8 moves features, and so does every
compiler. What it says of other cameras and crops, and what it does not: docs/familiarity.md.
"""

import hashlib
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from sall_edge.artifacts import Engine
from sall_edge.fundus.prepared_set import PreparedSet
from sall_edge.fundus.quality import assess
from sall_edge.runtime.familiar_retinas import FamiliarityFile, FittedOn, retinas_from_file, text_from_floats
from sall_edge.runtime.session import Session, open_session
from sall_edge.screening.quality_head import quality_head_of

__all__ = ["AIM", "Training", "conformal_limit", "fit_cloud", "fit_familiarity", "least_validation", "summary"]

U8 = npt.NDArray[np.uint8]
F32 = npt.NDArray[np.float32]
Floats = npt.NDArray[np.floating]

AIM = 0.01
"""Share of photographs like those of the validation that a human looks at in vain, unless told otherwise."""

MOST_COMPONENTS = 16
"""Directions with a width of their own; 8 to 64 find nearly as much (docs/adr/0017)."""

PHOTOGRAPHS_PER_COMPONENT = 4
"""Fewer would say little of its width."""

LEAST_TRAINING = 32
"""Of them a cloud is fitted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Training:
    """What an engine has to know again.

    Attributes:
        prepared: Photographs that the network learnt from.
        aim: Share of others like them that a human may look at in vain; above 0, below 1.
        validation: Others, that it did not learn from: they set the limit. None: those of the gate.
    """

    prepared: PreparedSet
    aim: float = AIM
    validation: PreparedSet | None = None


def fit_familiarity(
    engine: Engine, training: Training, validation: U8, *, advance: Callable[[], None] = lambda: None
) -> FamiliarityFile | str:
    """What the engine takes along, or a sentence why it cannot.

    Args:
        engine: The bundle, which runs here; it need not be sealed yet.
        training: Photographs that the network learnt from.
        validation: (m, side, side, 3) uint8, photographs that it did not.
        advance: Called for every photograph.

    Raises:
        SallEdgeError: The engine cannot be opened.
    """
    aim = training.aim
    with open_session(engine) as session:
        known, learnt_on = _features(session, training.prepared.squares, advance)
        new, limited_on = _features(session, validation, advance)
    if known is None or new is None:
        return "the graph gives no features: export it again"
    for name, found, least in (("training", known, LEAST_TRAINING), ("validation", new, least_validation(aim))):
        if len(found) < least:
            return f"{len(found)} gradable {name} photographs are too few, {least} are the least"
    unlimited = FamiliarityFile(limit=1.0, aim=aim, training=learnt_on, validation=limited_on, **fit_cloud(known))
    distance = retinas_from_file(unlimited).distance
    limit = conformal_limit(np.array([distance(features) for features in new]), aim)
    if not 0 < limit < math.inf:
        return f"the distances of the validation photographs give a limit of {limit}"
    return unlimited.model_copy(update={"limit": limit})


def summary(fitted: FamiliarityFile | str) -> dict[str, Any] | str:
    """For the manifest."""
    if isinstance(fitted, str):
        return f"none: {fitted}"
    return fitted.model_dump(mode="json", include={"limit", "aim", "components", "training", "validation"})


def fit_cloud(features: F32) -> dict[str, Any]:
    """Middle, directions and widths of a cloud, as `FamiliarityFile` has them (probabilistic PCA, Tipping and Bishop
    1999, its maximum likelihood in closed form).

    Args:
        features: (n, C).
    """
    count, channels = features.shape
    mean = features.mean(axis=0, dtype=np.float64)
    _, lengths, rows = np.linalg.svd(features - mean, full_matrices=False)
    variances = lengths**2 / (count - 1)
    components = min(MOST_COMPONENTS, count // PHOTOGRAPHS_PER_COMPONENT, channels // 2)
    noise = max(float(variances[components:].sum() / (channels - components)), _smallest(variances))
    deviations = np.sqrt(np.maximum(variances[:components], noise))
    return {
        "channels": channels,
        "components": components,
        "noise_deviation": math.sqrt(noise),
        "mean": text_from_floats(mean),
        "directions": text_from_floats(rows[:components]),
        "deviations": text_from_floats(deviations),
    }


def least_validation(aim: float) -> int:
    """How many photographs a limit takes: with fewer not even the farthest of them is one that `aim` exceed."""
    return math.ceil(round(1 / aim - 1, 6))


def conformal_limit(distances: Floats, aim: float) -> float:
    """The distance that another photograph, drawn as these were, exceeds with a probability of at most `aim`.

    It is their ceil((n + 1)(1 - aim))-th smallest (split conformal prediction, Papadopoulos et al. 2002): exact for
    every n and every distribution, on average over the drawing of the n. Photographs of one patient resemble each
    other, which is no free drawing: the share on others scatters more than n suggests.

    Args:
        distances: (n,), at least `least_validation` of them.
        aim: Above 0, below 1.

    Raises:
        ValueError: There are fewer.
    """
    rank = math.ceil((len(distances) + 1) * (1 - aim) - 1e-9)
    if rank > len(distances):
        raise ValueError(f"{len(distances)} distances give no limit for {aim}: at least {least_validation(aim)} do")
    return float(np.sort(distances)[rank - 1])


def _smallest(variances: Floats) -> float:
    """Below this a width is rounding: features that are all alike have no width at all."""
    return max(float(variances.max()) * 1e-9, 1e-12)


def _features(session: Session, squares: U8, advance: Callable[[], None]) -> tuple[F32 | None, FittedOn]:
    """(n, C) features of those that `screen` would grade, one square at a time as there; None from a graph without."""
    manifest = session.manifest
    head = quality_head_of(manifest.tasks, manifest.operating_points)
    rows: list[F32 | None] = []
    digest = hashlib.sha256()
    for square in squares:
        prediction = session.run(square) if assess(square).gradable else None
        if prediction is not None and (head is None or not head.refuses(head.probability(prediction.probs))):
            digest.update(np.ascontiguousarray(square).tobytes())
            rows.append(prediction.features)
        advance()
    given = [features for features in rows if features is not None]
    fitted_on = FittedOn(photographs=len(rows), left_out=len(squares) - len(rows), images_sha256=digest.hexdigest())
    return (np.array(given, np.float32) if len(given) == len(rows) else None), fitted_on
