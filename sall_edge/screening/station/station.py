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
    ReportWritten,
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
from sall_edge.screening.station.documents import Documents
from sall_edge.screening.station.judging import Place, new_id, photograph_of
from sall_edge.screening.store.store import Store
from sall_edge.spec import Eye, Role

__all__ = ["Station", "graded_by"]

LARGEST_PHOTOGRAPH_BYTES = 32 << 20
"""For which there has to be room before the shutter is released: a lossless photograph of 10 megapixels."""

Steps = Generator[Event, None, Examination]
"""Events while it lasts; in the end the examination as it is then."""


class _Left(Exception):
    """The examination was left unfinished; it is in the store.

    Attributes:
        another: A photograph of the person who came next.
    """

    def __init__(self, another: Capture | None = None) -> None:
        super().__init__()
        self.another = another


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
        documents: What is written of a finished examination; None writes nothing.
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
        documents: Documents | None = None,
    ) -> None:
        self._camera = camera
        self._session = session
        self._store = store
        self._programme = programme
        self._operator = operator
        self._documents = documents
        self._tasks = graded_by(session).tasks
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
        yield from self._events(self._begun(person, not_examined))

    def resume(self, examination: Examination) -> Iterator[Event]:
        """Goes on with an examination that was left, or that a power cut ended.

        Raises:
            ExaminationError: It follows another programme.
            StoreError: The store cannot be written to.
        """
        yield from self._events(examination)

    def attend(self) -> Iterator[Event]:
        """Examines whoever the photographs of a delivering camera are of, for as long as it is asked.

        A photograph of another person leaves the examination before it, which is taken up again when that person comes
        back. Photographs without a person are one person's until the programme has all that it asks for.

        Raises:
            StoreError: The store cannot be written to.
        """
        first: Capture | None = None
        while True:
            while first is None:
                got = yield from self._aimer.aim(Moment.now(), attempt=1)
                yield from self._aside()
                first = got if isinstance(got, Capture) else None
            unnamed = f"unnamed {first.triggered.utc:%Y-%m-%d %H:%M:%S}"
            person = Person(reference=first.origin.person_reference or unnamed)
            first = yield from self._events(self.left(person) or self._begun(person), first=first)

    def left(self, person: Person) -> Examination | None:
        """The person's last examination that was not finished, if programme and engine still are the same."""
        here = (self._programme.sha256, self._session.engine.sha256)
        unfinished = [
            one
            for one in self._store.unfinished()
            if one.person.reference == person.reference and (one.programme_sha256, one.engine_sha256) == here
        ]
        return unfinished[-1] if unfinished else None

    def _begun(self, person: Person, not_examined: Mapping[Eye, str] | None = None) -> Examination:
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
        return begun

    def _events(
        self, examination: Examination, *, first: Capture | None = None
    ) -> Generator[Event, None, Capture | None]:
        """An examination to its end.

        Args:
            examination: To go on with.
            first: Its first photograph, where that is what began it; then one of another person ends it.

        Returns:
            The photograph of another person that ended it.
        """
        yield ExaminationStarted(at=_now(), examination_id=examination.examination_id)
        try:
            examination = yield from self._photographs(examination, first)
        except _Left as left:
            return left.another
        examination = finish(examination, at=_now())
        self._store.finish(examination)
        yield ExaminationFinished(
            at=_now(),
            examination_id=examination.examination_id,
            outcome=examination.outcome,
            reasons=examination.reasons,
            eyes=tuple(examination.eyes.values()),
        )
        if self._documents is not None:
            yield self._written(self._documents, examination)
        return None

    def _written(self, documents: Documents, examination: Examination) -> ReportWritten | Failed:
        """A report that cannot be written takes nothing back: the examination is stored."""
        try:
            files = documents.write(examination, self._store, self._session)
        except SallEdgeError as problem:
            return _failed(problem)
        return ReportWritten(at=_now(), examination_id=examination.examination_id, files=tuple(map(str, files)))

    def _photographs(self, examination: Examination, first: Capture | None) -> Steps:
        """Until nothing is wanted any more."""
        begun, attending = _moment_of(examination.started_at), first is not None
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
                got = first or (yield from self._aimer.aim(begun, attempt=asked.attempt))
                first = None
                yield from self._aside()
                if attending and isinstance(got, Capture) and _is_of_another(got, examination):
                    raise _Left(got)
                examination = yield from self._next(examination, asked, got)
            except StoreError as problem:
                yield _failed(problem)
                raise _Left from problem
        return examination

    def _next(self, examination: Examination, asked: Wanted, got: Capture | Command) -> Steps:
        """One photograph more, or one less to take."""
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
        tasks=tuple(task for task in session.manifest.tasks if task.role is Role.DISEASE),
        operating_points=session.manifest.operating_points,
    )


def _belongs_elsewhere(capture: Capture, examination: Examination, programme: Programme) -> str | None:
    """Why a photograph is none of this examination; None if it is."""
    eye = capture.origin.eye
    if _is_of_another(capture, examination):
        return "it is of another person than the one who is examined"
    if eye is not None and (eye not in programme.eyes or eye.value in examination.not_examined):
        return f"it is of the eye {eye.value}, which is not examined"
    if sha256(capture.data).hexdigest() in {photograph.sha256 for photograph in examination.photographs}:
        return "it is in the examination already"
    return None


def _is_of_another(capture: Capture, examination: Examination) -> bool:
    return capture.origin.person_reference not in (None, examination.person.reference)


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
