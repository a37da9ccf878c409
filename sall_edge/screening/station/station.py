"""An examination from the first photograph to the last, as events; everything that it says of a photograph is stored.

    station = Station(camera=camera, session=session, store=store, programme=programme, controls=Controls())
    for event in station.examine(Person(reference="4711")):
        print(event.model_dump_json())

A generator, so whoever takes the events sets the pace and may stop between two of them: nothing is lost by that,
because a photograph is stored before it is said to be judged, and an examination that was left can be taken up again.
"""

import time
from collections.abc import Generator, Iterator, Mapping
from datetime import datetime, timezone
from hashlib import sha256

from sall_edge.errors import SallEdgeError, StoreFull
from sall_edge.fundus.quality import DEFAULT_LIMITS, QualityLimits
from sall_edge.runtime.session import Session
from sall_edge.screening.camera.source import Camera, Capture
from sall_edge.screening.events import (
    Event,
    ExaminationFinished,
    ExaminationStarted,
    Failed,
    ReportWritten,
    Waiting,
)
from sall_edge.screening.examination.examination import GradedBy, begin, finish, wanted
from sall_edge.screening.examination.programme import Programme
from sall_edge.screening.examination.record import Examination, Person
from sall_edge.screening.station.aiming import WAIT_S, Aimer
from sall_edge.screening.station.controls import Controls, Shutter
from sall_edge.screening.station.documents import Documents
from sall_edge.screening.station.judging import new_id
from sall_edge.screening.station.taking import LARGEST_PHOTOGRAPH_BYTES, Left, Taking
from sall_edge.screening.store.store import Store
from sall_edge.spec import Eye, disease_tasks

__all__ = ["Station", "graded_by"]


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
        limits: Of the quality of the camera's photographs.
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
        limits: QualityLimits = DEFAULT_LIMITS,
    ) -> None:
        self._camera = camera
        self._session = session
        self._store = store
        self._programme = programme
        self._operator = operator
        self._documents = documents
        self._aimer = Aimer(camera, controls, shutter=shutter)
        self._taking = Taking(
            camera=camera, session=session, store=store, programme=programme, aimer=self._aimer, limits=limits
        )
        self._next_person: Capture | None = None

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
            StoreError: The store cannot be written to; one that is full is waited for.
        """
        while True:
            yield from self.attend_next()

    def attend_next(self) -> Iterator[Event]:
        """The same for one examination, until it is finished or left; one that only lacks its end comes first.

        Raises:
            StoreError: As `attend`.
        """
        if (complete := self._complete()) is not None:
            yield from self._events(complete)
            return
        yield from self._room()
        first = yield from self._first_photograph()
        reference = first.origin.person_reference
        person = Person(reference=reference or f"unnamed {first.triggered.utc:%Y-%m-%d %H:%M:%S.%f}")
        self._next_person = yield from self._events(self.left(person) or self._begun(person), first=first)

    def _first_photograph(self) -> Generator[Event, None, Capture]:
        """Of whoever comes next; the one that left the examination before, if one did."""
        first, self._next_person = self._next_person, None
        while True:
            while first is None:
                got = yield from self._aimer.aim(self._camera.awaited_since, attempt=1)
                first = got if isinstance(got, Capture) else None
            digest = sha256(first.data).hexdigest()
            if not self._store.is_stored(digest, reference=first.origin.person_reference):
                return first
            yield self._taking.known(first)
            first = None

    def left(self, person: Person) -> Examination | None:
        """The person's last examination that was not finished, if programme and engine still are the same."""
        unfinished = [one for one in self._unfinished() if one.person.reference == person.reference]
        return unfinished[-1] if unfinished else None

    def _unfinished(self) -> list[Examination]:
        """Those that can be gone on with here."""
        here = (self._programme.sha256, self._session.engine.sha256)
        return [one for one in self._store.unfinished() if (one.programme_sha256, one.engine_sha256) == here]

    def _complete(self) -> Examination | None:
        """One that has all its photographs: the process was ended before it could be finished."""
        return next((one for one in self._unfinished() if wanted(one, self._programme) is None), None)

    def _room(self) -> Iterator[Event]:
        """Waits until the store has room for a photograph."""
        is_said = False
        while True:
            try:
                return self._store.check_room(LARGEST_PHOTOGRAPH_BYTES)
            except StoreFull as problem:
                if not is_said:
                    yield Failed.of(problem)
                is_said = True
            time.sleep(WAIT_S)
            yield Waiting()

    def _begun(self, person: Person, not_examined: Mapping[Eye, str] | None = None) -> Examination:
        self._store.check_room(LARGEST_PHOTOGRAPH_BYTES)
        begun = begin(
            self._programme,
            person,
            graded_by(self._session),
            examination_id=new_id(),
            at=datetime.now(timezone.utc),
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
            The photograph that ended it and is not in it.
        """
        yield ExaminationStarted(examination_id=examination.examination_id)
        try:
            examination = yield from self._taking.photographs(examination, first)
        except Left as left:
            return left.capture
        examination = finish(examination, at=datetime.now(timezone.utc))
        self._store.finish(examination)
        yield ExaminationFinished(
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
            return Failed.of(problem)
        return ReportWritten(examination_id=examination.examination_id, files=tuple(map(str, files)))


def graded_by(session: Session) -> GradedBy:
    """What an examination records of the engine."""
    return GradedBy(
        engine_sha256=session.engine.sha256,
        image_spec_sha256=session.image_spec_sha256,
        tasks=disease_tasks(session.manifest.tasks),
        operating_points=session.manifest.operating_points,
    )
