"""A photograph in, a verdict out. Whatever cannot be graded is a retake, never a negative."""

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from enum import Enum
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict

from sall_edge.errors import PhotographError, UngradablePhotograph
from sall_edge.fundus.prepare import PreparedPhotograph, prepare_bytes, prepare_file
from sall_edge.fundus.quality import DEFAULT_LIMITS, Quality, QualityLimits, assess, sha256_of_limits
from sall_edge.runtime.session import Prediction, ServedBy, Session
from sall_edge.screening.ahead import worked_ahead
from sall_edge.screening.familiarity import Familiarity, familiarity_of
from sall_edge.screening.quality_head import QUALITY_HEAD, quality_head_of
from sall_edge.spec import ImageSpec, disease_tasks

__all__ = [
    "Examined",
    "Look",
    "ScreenedPhotograph",
    "TaskVerdict",
    "Verdict",
    "examine",
    "judge",
    "look",
    "look_at",
    "screen",
]

U8 = npt.NDArray[np.uint8]


class Verdict(str, Enum):
    """What to do with the person in front of the camera.

    Attributes:
        REFER: A disease is referable.
        NO_REFERRAL: None is.
        RETAKE: The photograph cannot be graded.
        HUMAN_GRADING: None is referable to a network that has not learnt such retinas: a person has to look.
    """

    REFER = "refer"
    NO_REFERRAL = "no_referral"
    RETAKE = "retake"
    HUMAN_GRADING = "human_grading"


class TaskVerdict(BaseModel):
    """One disease. `grade` is the most probable one; `referable` is decided at the operating point."""

    model_config = ConfigDict(frozen=True)

    grade: int
    probs: tuple[float, ...]
    referable: bool
    confidence: float


class Failure(BaseModel):
    """Why a photograph has no verdict."""

    model_config = ConfigDict(frozen=True)

    what: str
    why: str
    fix: str


class ScreenedPhotograph(BaseModel):
    """One object of `screen --json`.

    With `error` the file could not be read and nothing else is known of it. Without a field of view there are no
    `quality`, no hashes and no `ms`; whatever is not gradable has no `tasks` and no `familiarity`, which engines
    without a reference never have. `tasks` are diseases only: what the network's own quality task says is
    `quality_head` in `quality`. `quality_score` orders photographs of one eye: the measures' score, or the network's
    own where that is less. `served_by` says who computes here.
    """

    model_config = ConfigDict(frozen=True)

    photo: str
    sha256: str | None = None
    gradable: bool | None = None
    reasons: tuple[str, ...] = ()
    quality: dict[str, float] = {}
    quality_score: float | None = None
    quality_limits_sha256: str | None = None
    tasks: dict[str, TaskVerdict] = {}
    familiarity: Familiarity | None = None
    verdict: Verdict | None = None
    engine_sha256: str | None = None
    image_spec_sha256: str | None = None
    ms: dict[str, float] = {}
    served_by: ServedBy | None = None
    error: Failure | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Examined:
    """A screened photograph with what a picture of it needs; `prediction` is None unless it was graded."""

    result: ScreenedPhotograph
    square: U8 | None = None
    prediction: Prediction | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """A photograph before the engine sees it.

    Attributes:
        path: Its file.
        prepared: The square; None when there is no field of view or the file cannot be read.
        quality: Of the square.
        limits: What it was judged by.
        reasons: Why it must not be graded.
        error: Why it cannot be read.
        quality_ms: Time to assess, of that.
        total_ms: Time to read, prepare and assess, without waiting.
    """

    path: Path
    prepared: PreparedPhotograph | None = None
    quality: Quality | None = None
    limits: QualityLimits = DEFAULT_LIMITS
    reasons: tuple[str, ...] = ()
    error: Failure | None = None
    quality_ms: float = 0.0
    total_ms: float = 0.0


def screen(
    session: Session,
    photographs: Iterable[Path],
    *,
    limits: QualityLimits = DEFAULT_LIMITS,
    threads: int | None = None,
) -> Iterator[Examined]:
    """Examines photographs in their order; one that cannot be read never stops the others.

    The next ones are read and prepared while the engine looks at one; an engine of several streams looks at as many.

    Args:
        session: An open engine; unless it has streams, used from the calling thread only.
        photographs: Files.
        limits: Of the camera that took them.
        threads: That read and prepare for an engine without streams; None takes one for each core.
    """
    image = session.manifest.image
    if session.streams > 1:
        threads = session.streams + 1  # one reads while the others wait for their streams: no core idles
        with closing(worked_ahead(partial(examine, session, limits=limits), photographs, threads=threads)) as examined:
            yield from examined
        return
    with closing(worked_ahead(partial(look, image=image, limits=limits), photographs, threads=threads)) as looked:
        for one in looked:
            yield judge(session, one)


def examine(session: Session, path: Path, *, limits: QualityLimits = DEFAULT_LIMITS) -> Examined:
    """The verdict on one photograph."""
    return judge(session, look(path, session.manifest.image, limits=limits))


def look(path: Path, image: ImageSpec, *, limits: QualityLimits = DEFAULT_LIMITS) -> Look:
    """A photograph read, cut square and assessed; nothing is raised for one that cannot be."""
    return _looked(path, lambda: prepare_file(path, image), limits)


def look_at(data: bytes, image: ImageSpec, *, name: str, limits: QualityLimits = DEFAULT_LIMITS) -> Look:
    """The same for the bytes of a photograph that is no file yet; `name` stands for its path."""
    return _looked(Path(name), lambda: prepare_bytes(data, image, name=name), limits)


def _looked(path: Path, prepared_photograph: Callable[[], PreparedPhotograph], limits: QualityLimits) -> Look:
    start = time.perf_counter()
    try:
        prepared = prepared_photograph()
    except UngradablePhotograph:
        return Look(path=path, reasons=("no_field_of_view",))
    except PhotographError as problem:
        return Look(path=path, error=Failure(what=problem.what, why=problem.why, fix=problem.fix))
    assessing = time.perf_counter()
    quality = assess(prepared.square, limits=limits)
    end = time.perf_counter()
    return Look(
        path=path,
        prepared=prepared,
        quality=quality,
        limits=limits,
        reasons=quality.reasons,
        quality_ms=(end - assessing) * 1e3,
        total_ms=(end - start) * 1e3,
    )


def judge(session: Session, looked: Look) -> Examined:
    """The verdict on a photograph that was looked at."""
    known: dict[str, Any] = {"photo": str(looked.path), "served_by": session.served_by}
    if looked.error is not None:
        return Examined(result=ScreenedPhotograph(**known, error=looked.error))
    prepared, quality = looked.prepared, looked.quality
    if prepared is None or quality is None:
        return Examined(result=ScreenedPhotograph(**known, **_retake(looked.reasons)))
    start = time.perf_counter()
    prediction = session.run(prepared.square) if quality.gradable else None
    infer_ms = (time.perf_counter() - start) * 1e3
    known |= {
        "sha256": prepared.sha256,
        "quality": quality.measures,
        "quality_score": quality.score,
        "quality_limits_sha256": sha256_of_limits(looked.limits),
        "engine_sha256": session.engine.sha256,
        "image_spec_sha256": session.image_spec_sha256,
        "ms": {
            "decode": prepared.decode_ms,
            "prepare": prepared.prepare_ms,
            "infer": infer_ms,
            "total": looked.total_ms + infer_ms,
        },
    }
    found = _retake(looked.reasons) if prediction is None else _judged(session, prediction, quality)
    return Examined(
        result=ScreenedPhotograph(**{**known, **found}),
        square=prepared.square,
        prediction=prediction if found["gradable"] else None,
    )


def _retake(reasons: Sequence[str]) -> dict[str, Any]:
    return {"gradable": False, "reasons": tuple(reasons), "verdict": Verdict.RETAKE}


def _judged(session: Session, prediction: Prediction, quality: Quality) -> dict[str, Any]:
    """By the network's own opinion of the photograph, where it was trained to have one, and then by its grades."""
    manifest = session.manifest
    head = quality_head_of(manifest.tasks, manifest.operating_points)
    if head is None:
        return _graded(session, prediction)
    probability = head.probability(prediction.probs)
    known = {
        "quality": {**quality.measures, QUALITY_HEAD: probability},
        "quality_score": min(quality.score, head.score(probability)),
    }
    found = _retake([QUALITY_HEAD]) if head.refuses(probability) else _graded(session, prediction)
    return {**known, **found}


def _graded(session: Session, prediction: Prediction) -> dict[str, Any]:
    verdicts = {}
    for task in disease_tasks(session.manifest.tasks):
        probs = tuple(prediction.probs[task.name].tolist())
        verdicts[task.name] = TaskVerdict(
            grade=probs.index(max(probs)),
            probs=probs,
            referable=task.referable_probability(probs) >= session.manifest.operating_points[task.name],
            confidence=max(probs),
        )
    reference = session.familiar_retinas
    familiarity = None if reference is None else familiarity_of(prediction, reference)
    known = {"gradable": True, "tasks": verdicts, "familiarity": familiarity}
    return {**known, "verdict": _verdict(verdicts, familiarity)}


def _verdict(tasks: dict[str, TaskVerdict], familiarity: Familiarity | None) -> Verdict:
    """A referral stays one on an unfamiliar retina: a human sees the person then anyway."""
    if any(verdict.referable for verdict in tasks.values()):
        return Verdict.REFER
    if familiarity is not None and familiarity.is_unfamiliar:
        return Verdict.HUMAN_GRADING
    return Verdict.NO_REFERRAL
