"""An examination from the first photograph to the last, as events; everything that it says of a photograph is stored.

    station = Station(camera=camera, session=session, store=store, programme=programme, controls=Controls())
    for event in station.examine(Person(reference="4711")):
        print(event.model_dump_json())

A generator, so whoever takes the events sets the pace and may stop between two of them: nothing is lost by that,
because a photograph is stored before it is said to be judged, and an examination that was left can be taken up again.
"""

from collections.abc import Generator, Iterator, Mapping
from datetime import datetime, timedelta, timezone
from hashlib import sha256
from time import monotonic

from sall_edge.errors import SallEdgeError, StoreError
from sall_edge.runtime.session import Session
from sall_edge.screening.camera.source import Camera, Capture, Moment
from sall_edge.screening.events import (
    Captured,
    Event,
    ExaminationFinished,
    ExaminationStarted,
    Failed,
    PhotographJudged,
    PhotographSetAside,
    PhotographWanted,
)
from sall_edge.screening.examination.examination import (
    GradedBy,
    Wanted,
    begin,
    finish,
    give_up,
    wanted,
    with_photograph,
)
from sall_edge.screening.examination.findings import is_gradable, photograph_reasons
from sall_edge.screening.examination.programme import Programme
from sall_edge.screening.examination.record import Examination, Person, View
from sall_edge.screening.station.aiming import Aimer
from sall_edge.screening.station.controls import Command, Controls, Shutter
from sall_edge.screening.station.judging import Place, new_id, photograph_of
from sall_edge.screening.store.store import Store
from sall_edge.spec import Eye

__all__ = ["Station", "graded_by"]

LARGEST_PHOTOGRAPH_BYTES = 32 << 20
"""For which there has to be room before the shutter is released: a lossless photograph of 10 megapixels."""

Steps = Generator[Event, None, Examination]
"""Events while it lasts; in the end the examination as it is then."""


class _Left(Exception):
    """The examination was left unfinished; it is in the store."""


class Station:
    """A camera, an engine, a programme and a store, for one examination after the other.

    Args:
        camera: Open.
        session: Open.
        store: Open for writing.
        programme: What is asked.
        controls: Wishes of the operator.
        shutter: Who releases a live camera's shutter.
        operator: Who takes the photographs.
    """

    def __init__(
        self,
        *,
        camera: Camera,
        session: Session,
        store: Store,
        programme: Programme,
        controls: Controls,
        shutter: Shutter = Shutter.AUTO,
        operator: str | None = None,
    ) -> None:
        self._camera = camera
        self._session = session
        self._store = store
        self._programme = programme
        self._operator = operator
        self._tasks = session.manifest.tasks
        self._aimer = Aimer(camera, controls, shutter=shutter)

    def examine(self, person: Person, *, not_examined: Mapping[Eye, str] | None = None) -> Iterator[Event]:
        """Examines a person.

        Args:
            person: Who sits in front of the camera.
            not_examined: Why an eye is left out.

        Raises:
            ExaminationError: Programme and engine do not fit, or an eye is left out without a reason.
            StoreError: The store cannot be written to; `StoreFull` before anything was taken.
        """
        self._store.check_room(LARGEST_PHOTOGRAPH_BYTES)
        begun = begin(
            self._programme,
            person,
            graded_by(self._session),
            examination_id=new_id(),
            at=_now(),
            operator=self._operator,
            not_examined=not_examined,
        )
        self._store.begin(begun)
        yield from self._events(begun)

    def resume(self, examination: Examination) -> Iterator[Event]:
        """Goes on with an examination that was left, or that a power cut ended.

        Raises:
            ExaminationError: It follows another programme.
            StoreError: The store cannot be written to.
        """
        yield from self._events(examination)

    def _events(self, examination: Examination) -> Iterator[Event]:
        yield ExaminationStarted(at=_now(), examination_id=examination.examination_id)
        try:
            examination = yield from self._photographs(examination)
        except _Left:
            return
        examination = finish(examination, at=_now())
        self._store.finish(examination)
        yield ExaminationFinished(
            at=_now(),
            examination_id=examination.examination_id,
            outcome=examination.outcome,
            reasons=examination.reasons,
            eyes=tuple(examination.eyes.values()),
        )

    def _photographs(self, examination: Examination) -> Steps:
        """Until nothing is wanted any more."""
        begun = _moment_of(examination.started_at)
        while (asked := wanted(examination, self._programme)) is not None:
            yield PhotographWanted(
                at=_now(),
                eye=asked.eye,
                view=asked.view,
                attempt=asked.attempt,
                attempts_left=asked.attempts_left,
                reasons=asked.reasons,
            )
            try:
                self._store.check_room(LARGEST_PHOTOGRAPH_BYTES)
                examination = yield from self._next(examination, asked, begun)
            except StoreError as problem:
                yield _failed(problem)
                raise _Left from problem
        return examination

    def _next(self, examination: Examination, asked: Wanted, begun: Moment) -> Steps:
        """One photograph more, or one less to take."""
        got = yield from self._aimer.aim(begun, attempt=asked.attempt)
        yield from self._aside()
        if got is Command.LEAVE:
            raise _Left
        if isinstance(got, Command):
            examination = give_up(examination, asked.eye, asked.view, self._programme, self._tasks)
            self._store.save(examination)
            return examination
        if (why := _belongs_elsewhere(got, examination, self._programme)) is not None:
            yield PhotographSetAside(at=_now(), name=_name(got), why=why)
            return examination
        place = self._place(examination, asked, got)
        yield Captured(
            at=_now(), photograph_id=place.photograph_id, eye=place.eye, view=place.view, attempt=place.attempt
        )
        return (yield from self._kept(examination, got, place))

    def _kept(self, examination: Examination, capture: Capture, place: Place) -> Steps:
        """Judged and stored."""
        photograph = photograph_of(self._session, capture, place)
        examination = with_photograph(examination, photograph, self._programme, self._tasks)
        self._store.add_photograph(examination, photograph, capture.data)
        self._camera.stored(capture)
        yield PhotographJudged(
            at=_now(),
            photograph_id=photograph.photograph_id,
            gradable=is_gradable(photograph, self._programme),
            reasons=photograph_reasons(photograph, self._programme),
            trigger_to_stored_ms=(monotonic() - capture.triggered.monotonic_s) * 1e3,
        )
        return examination

    def _place(self, examination: Examination, asked: Wanted, capture: Capture) -> Place:
        """Where it belongs: the camera knows better than the programme's order which eye it looked at."""
        eye = capture.origin.eye or asked.eye
        view = asked.view if eye is asked.eye else self._view_wanted(examination, eye)
        taken = sum((one.eye, one.view) == (eye, view) for one in examination.photographs)
        return Place(photograph_id=new_id(), eye=eye, view=view, attempt=taken + 1)

    def _view_wanted(self, examination: Examination, eye: Eye) -> View:
        """The first view of an eye that has no gradable photograph yet; its last one if all have."""
        views = self._programme.views(eye)
        good = {
            photograph.view
            for photograph in examination.photographs
            if photograph.eye is eye and is_gradable(photograph, self._programme)
        }
        return next((view for view in views if view not in good), views[-1])

    def _aside(self) -> Iterator[Event]:
        for one in self._camera.set_aside():
            yield PhotographSetAside(at=_now(), name=one.name, why=one.why)


def graded_by(session: Session) -> GradedBy:
    """What an examination records of the engine."""
    return GradedBy(
        engine_sha256=session.engine.sha256,
        image_spec_sha256=session.image_spec_sha256,
        tasks=session.manifest.tasks,
        operating_points=session.manifest.operating_points,
    )


def _belongs_elsewhere(capture: Capture, examination: Examination, programme: Programme) -> str | None:
    """Why a photograph is none of this examination; None if it is."""
    named, eye = capture.origin.person_reference, capture.origin.eye
    if named is not None and named != examination.person.reference:
        return "it is of another person than the one who is examined"
    if eye is not None and (eye not in programme.eyes or eye.value in examination.not_examined):
        return f"it is of the eye {eye.value}, which is not examined"
    if sha256(capture.data).hexdigest() in {photograph.sha256 for photograph in examination.photographs}:
        return "it is in the examination already"
    return None


def _name(capture: Capture) -> str:
    details = capture.origin.details
    return details.get("file") or details.get("SOPInstanceUID") or f"a photograph of {capture.origin.camera}"


def _moment_of(utc: datetime) -> Moment:
    """A recorded time by this run's clock."""
    now = Moment.now()
    return Moment(utc=utc, monotonic_s=now.monotonic_s - (now.utc - utc) / timedelta(seconds=1))


def _failed(problem: SallEdgeError) -> Failed:
    return Failed(at=_now(), what=problem.what, why=problem.why, fix=problem.fix)


def _now() -> datetime:
    return datetime.now(timezone.utc)
