"""The photographs of one examination: asked for, taken, judged, stored, until nothing is wanted any more."""

import time
from collections.abc import Generator
from datetime import datetime, timezone
from hashlib import sha256

from sall_edge.errors import ExaminationError, StoreFull
from sall_edge.fundus.quality import QualityLimits
from sall_edge.runtime.session import Session
from sall_edge.screening.camera.source import Camera, Capture, Moment, WhySetAside
from sall_edge.screening.events import (
    Captured,
    Event,
    Failed,
    PhotographJudged,
    PhotographSetAside,
    PhotographWanted,
    SideAsked,
    SideCorrected,
)
from sall_edge.screening.examination.correction import of_other_eye
from sall_edge.screening.examination.examination import Wanted, give_up, wanted, with_photograph
from sall_edge.screening.examination.findings import is_gradable, is_of_doubtful_side, photograph_reasons
from sall_edge.screening.examination.programme import Programme
from sall_edge.screening.examination.record import Examination, ExaminedPhotograph
from sall_edge.screening.station.aiming import Aimer
from sall_edge.screening.station.belonging import Place, belongs_elsewhere, holds, is_of_another, name_of, place_of
from sall_edge.screening.station.controls import Command
from sall_edge.screening.station.judging import new_id, photograph_of
from sall_edge.screening.store.store import Store
from sall_edge.spec import disease_tasks

__all__ = ["LARGEST_PHOTOGRAPH_BYTES", "Left", "Steps", "Taking"]

LARGEST_PHOTOGRAPH_BYTES = 32 << 20
"""For which there has to be room before the shutter is released: a lossless photograph of 10 megapixels."""

SIDE_S = 10.0
"""At a live camera, for a word on the side of the last photograph before the examination is finished."""

Steps = Generator[Event, None, Examination]
"""Events while it lasts; in the end the examination as it is then."""


class Left(Exception):
    """The examination was left unfinished; it is in the store.

    Attributes:
        capture: A photograph that was taken and is not stored: of the next person, or there was no room.
    """

    def __init__(self, capture: Capture | None = None) -> None:
        super().__init__()
        self.capture = capture


class Taking:
    """Takes photographs with one camera, for one examination after the other.

    Args:
        camera: Open.
        session: Open.
        store: Open for writing.
        programme: That the examinations follow.
        aimer: Of the camera.
        limits: Of the camera's photographs.
    """

    def __init__(
        self,
        *,
        camera: Camera,
        session: Session,
        store: Store,
        programme: Programme,
        aimer: Aimer,
        limits: QualityLimits,
    ) -> None:
        self._camera = camera
        self._session = session
        self._store = store
        self._programme = programme
        self._aimer = aimer
        self._limits = limits
        self._tasks = disease_tasks(session.manifest.tasks)

    def photographs(self, examination: Examination, first: Capture | None) -> Steps:
        """Until nothing is wanted any more.

        Args:
            examination: To go on with.
            first: Its first photograph, where that is what began it; then one of another person ends it.

        Raises:
            Left: Somebody left it, another person came, or the store is full.
            StoreError: The store cannot be written to.
        """
        while True:
            complete = yield from self._complete(examination, first)
            examination, first = (yield from self._asked_for_side(complete)), None
            if examination is complete:
                return examination

    def _complete(self, examination: Examination, first: Capture | None) -> Steps:
        """One photograph after the other."""
        attending = first is not None
        since = self._camera.awaited_since if attending else Moment.now().when(examination.started_at)
        while (asked := wanted(examination, self._programme)) is not None:
            yield PhotographWanted(
                eye=asked.eye,
                view=asked.view,
                attempt=asked.attempt,
                attempts_left=asked.attempts_left,
                reasons=asked.reasons,
            )
            got: Capture | Command | None = first
            try:
                self._store.check_room(LARGEST_PHOTOGRAPH_BYTES)
                got, first = first or (yield from self._aimer.aim(since, attempt=_attempt(examination, asked))), None
                if attending and isinstance(got, Capture) and is_of_another(got, examination):
                    raise Left(got)
                examination = yield from self._next(examination, asked, got)
            except StoreFull as problem:
                yield Failed.of(problem)
                raise Left(got if attending and isinstance(got, Capture) else None) from problem
        return examination

    def _next(self, examination: Examination, asked: Wanted, got: Capture | Command) -> Steps:
        """One photograph more, or one less to take."""
        if got is Command.LEAVE:
            raise Left
        if got is Command.OTHER_EYE:
            return (yield from self._of_other_eye(examination))
        if isinstance(got, Command):
            examination = give_up(examination, asked.eye, asked.view, self._programme, self._tasks)
            self._store.save(examination)
            return examination
        digest = sha256(got.data).hexdigest()
        if holds(examination, digest):
            yield self.known(got)
            return examination
        if (why := belongs_elsewhere(got, examination, self._programme)) is not None:
            yield _set_aside(got, why)
            return examination
        place = place_of(got, examination, self._programme, asked, photograph_id=new_id())
        yield Captured(photograph_id=place.photograph_id, eye=place.eye, view=place.view, attempt=place.attempt)
        return (yield from self._kept(examination, got, place, digest))

    def _kept(self, examination: Examination, capture: Capture, place: Place, digest: str) -> Steps:
        """Judged while its file is written, and stored."""
        with self._store.receiving(capture.data, sha256=digest) as received:
            photograph = photograph_of(self._session, capture, place, digest, limits=self._limits)
            examination = with_photograph(examination, photograph, self._programme, self._tasks)
            self._store.add_received(examination, photograph, received)
        self._camera.stored(capture)
        yield PhotographJudged(
            photograph_id=photograph.photograph_id,
            gradable=is_gradable(photograph),
            reasons=photograph_reasons(photograph),
            trigger_to_stored_ms=(time.monotonic() - capture.triggered.monotonic_s) * 1e3,
        )
        return examination

    def _of_other_eye(self, examination: Examination) -> Steps:
        """The last photograph, if its side is in doubt, or was corrected and is so no more."""
        last = _last(examination)
        corrected = {one.photograph_id for one in examination.corrections}
        try:
            if last is None or not (is_of_doubtful_side(last) or last.photograph_id in corrected):
                raise ExaminationError(
                    "the side of the last photograph is not corrected",
                    "there is none yet" if last is None else f"nothing on it speaks against {last.eye.value}",
                    "if it is of the other eye: sall-edge store correct-side, when the examination is finished",
                )
            now = datetime.now(timezone.utc)
            done = of_other_eye(
                examination, last.photograph_id, self._programme, self._tasks, at=now, by=examination.operator
            )
            self._store.correct(done)
        except (ExaminationError, StoreFull) as problem:
            yield Failed.of(problem)
            return examination
        said = done.corrections[-1]
        yield SideCorrected(photograph_id=said.photograph_id, eye_was=said.eye_was, eye_is=said.eye_is)
        return done

    def _asked_for_side(self, examination: Examination) -> Steps:
        """Time to say that the last photograph is of the other eye, while the person still sits at a live camera."""
        last = _last(examination)
        if not self._camera.is_live or last is None or not is_of_doubtful_side(last):
            return examination
        yield SideAsked(photograph_id=last.photograph_id, eye=last.eye, wait_s=SIDE_S)
        wish = yield from self._aimer.wish_within(SIDE_S)
        if wish is Command.LEAVE:
            raise Left
        return (yield from self._of_other_eye(examination)) if wish is Command.OTHER_EYE else examination

    def known(self, capture: Capture) -> PhotographSetAside:
        """Of a photograph that is in the store: sent again, or the process was ended before the camera was told."""
        self._camera.stored(capture)
        return _set_aside(capture, WhySetAside.ALREADY_STORED)


def _last(examination: Examination) -> ExaminedPhotograph | None:
    """The photograph that was taken last, with the eye that it counts for."""
    return examination.counted[-1] if examination.photographs else None


def _attempt(examination: Examination, asked: Wanted) -> int:
    """Of the view that was photographed last; the first one after a photograph that turned out to be of another."""
    last = _last(examination)
    return asked.attempt if last is not None and (last.eye, last.view) == (asked.eye, asked.view) else 1


def _set_aside(capture: Capture, why: WhySetAside) -> PhotographSetAside:
    return PhotographSetAside(name=name_of(capture), why=why, eye=capture.origin.eye)
