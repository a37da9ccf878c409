"""A photograph in, a verdict out. Whatever cannot be graded is a retake, never a negative."""

import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict

from sall_edge.errors import PhotographError, UngradablePhotograph, UnreadablePhotograph
from sall_edge.fundus.prepare import prepare_file
from sall_edge.fundus.quality import assess
from sall_edge.runtime.session import Prediction, ServedBy, Session
from sall_edge.spec import Task

__all__ = ["Examined", "ScreenedPhotograph", "TaskVerdict", "Verdict", "examine", "find_photographs", "screen"]

U8 = npt.NDArray[np.uint8]

PHOTOGRAPH_SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".tif", ".tiff"})


class Verdict(str, Enum):
    """What to do with the person in front of the camera."""

    REFER = "refer"
    NO_REFERRAL = "no_referral"
    RETAKE = "retake"


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
    `quality`, no hashes and no `ms`; whatever is not gradable has no `tasks`. `served_by` says who computes here.
    """

    model_config = ConfigDict(frozen=True)

    photo: str
    sha256: str | None = None
    gradable: bool | None = None
    reasons: tuple[str, ...] = ()
    quality: dict[str, float] = {}
    tasks: dict[str, TaskVerdict] = {}
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


def find_photographs(paths: Iterable[Path]) -> tuple[Path, ...]:
    """The files themselves, and for folders every photograph below, sorted.

    Raises:
        UnreadablePhotograph: A folder holds no photograph.
    """
    found: list[Path] = []
    for path in paths:
        if not path.is_dir():
            found.append(path)
            continue
        inside = sorted(p for p in path.rglob("*") if p.suffix.lower() in PHOTOGRAPH_SUFFIXES and p.is_file())
        if not inside:
            suffixes = " ".join(sorted(PHOTOGRAPH_SUFFIXES))
            raise UnreadablePhotograph(f"{path} holds no photograph", f"looked for {suffixes}", "name another folder")
        found += inside
    return tuple(found)


def screen(session: Session, photographs: Iterable[Path]) -> Iterator[Examined]:
    """Examines one after the other; a photograph that cannot be read never stops the others."""
    for path in photographs:
        yield examine(session, path)


def examine(session: Session, path: Path) -> Examined:
    """The verdict on one photograph."""
    start = time.perf_counter()
    manifest = session.engine.manifest
    blank = ScreenedPhotograph(photo=str(path), served_by=session.served_by)
    try:
        prepared = prepare_file(path, manifest.image)
    except UngradablePhotograph:
        return Examined(result=_retake(blank, ("no_field_of_view",)))
    except PhotographError as problem:
        failure = Failure(what=problem.what, why=problem.why, fix=problem.fix)
        return Examined(result=blank.model_copy(update={"error": failure}))
    quality = assess(prepared.square)
    infer_start = time.perf_counter()
    prediction = session.run(prepared.square) if quality.gradable else None
    end = time.perf_counter()
    seen = blank.model_copy(
        update={
            "sha256": prepared.sha256,
            "quality": quality.measures,
            "engine_sha256": session.engine.sha256,
            "image_spec_sha256": manifest.image.sha256,
            "ms": {
                "decode": prepared.decode_ms,
                "prepare": prepared.prepare_ms,
                "infer": (end - infer_start) * 1e3,
                "total": (end - start) * 1e3,
            },
        }
    )
    if prediction is None:
        return Examined(result=_retake(seen, quality.reasons), square=prepared.square)
    result = _graded(seen, manifest.tasks, manifest.operating_points, prediction)
    return Examined(result=result, square=prepared.square, prediction=prediction)


def _retake(seen: ScreenedPhotograph, reasons: Sequence[str]) -> ScreenedPhotograph:
    return seen.model_copy(update={"gradable": False, "reasons": tuple(reasons), "verdict": Verdict.RETAKE})


def _graded(
    seen: ScreenedPhotograph, tasks: Sequence[Task], operating_points: dict[str, float], prediction: Prediction
) -> ScreenedPhotograph:
    verdicts = {}
    for task in tasks:
        probs = tuple(float(p) for p in prediction.probs[task.name])
        verdicts[task.name] = TaskVerdict(
            grade=probs.index(max(probs)),
            probs=probs,
            referable=task.referable_probability(probs) >= operating_points[task.name],
            confidence=max(probs),
        )
    refer = any(verdict.referable for verdict in verdicts.values())
    verdict = Verdict.REFER if refer else Verdict.NO_REFERRAL
    return seen.model_copy(update={"gradable": True, "tasks": verdicts, "verdict": verdict})
