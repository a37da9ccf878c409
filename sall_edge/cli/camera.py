"""`sall-edge camera`."""

import sys
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from sall_edge.artifacts import open_engine
from sall_edge.cli.arguments import Json
from sall_edge.cli.data import data_folder, store_there
from sall_edge.cli.documents import Formats, Language, ReadableBy, catalogue_of
from sall_edge.cli.following import Following, asked_for
from sall_edge.cli.quality_limits import LimitsFile, limits_of
from sall_edge.cli.serving import serving
from sall_edge.cli.store_key import KeyCommand, KeyFile, store_key
from sall_edge.errors import ExaminationError
from sall_edge.screening.report.kinds import DocumentKind, Readers
from sall_edge.screening.station.controls import Controls, Shutter
from sall_edge.spec import Eye

if TYPE_CHECKING:
    from sall_edge.screening.events import Event
    from sall_edge.screening.station.station import Station

__all__ = ["camera"]

KEYS = "[space] photograph   [g] give up   [s] other eye   [q] leave"


def _not_empty(person: str | None) -> str | None:
    if person is not None and not person.strip():
        raise typer.BadParameter("it is empty: give the clinic's number of the person")
    return person


Source = Annotated[str, typer.Option(help="/dev/video0, argus:0, folder:DIR, dicom:PORT, …: docs/cameras.md.")]
PersonNumber = Annotated[
    str | None, typer.Option("--person", callback=_not_empty, help="The clinic's number of the person.")
]
NotExamined = Annotated[list[str] | None, typer.Option(metavar="EYE=WHY", help="Leaves an eye out: L=prosthesis.")]


def camera(
    engine: Annotated[Path, typer.Argument(metavar="ENGINE", help="Bundle folder.")],
    source: Source,
    person: PersonNumber = None,
    not_examined: NotExamined = None,
    programme: Annotated[str, typer.Option(help="A programme's name, or a TOML of your own.")] = "icdr",
    store: Annotated[Path | None, typer.Option(help="Folder of the store; made if it is not there.")] = None,
    key: KeyFile = None,
    key_command: KeyCommand = None,
    report: Annotated[Path | None, typer.Option(help="Folder for the documents of finished examinations.")] = None,
    formats: Formats = None,
    language: Language = "en",
    readable_by: ReadableBy = Readers.OWNER,
    quality: LimitsFile = None,
    operator: Annotated[str | None, typer.Option(help="Who takes the photographs, for the record.")] = None,
    shutter: Annotated[Shutter, typer.Option(help="Who releases a live camera's shutter.")] = Shutter.AUTO,
    inbox: Annotated[Path | None, typer.Option(help="Holds what dicom: receives until it is stored.")] = None,
    once: Annotated[bool, typer.Option("--once", help="Ends after one examination.")] = False,
    as_json: Json = False,
) -> None:
    """Examines people: aim, take, judge, store, report. With --json every event is a line on stdout.

    With --person that person; without, a live camera asks for each, and a hot folder or DICOM examines whoever the
    photographs are of. Keys: space takes the photograph, g gives it up, s says that the last one is of the other eye,
    q leaves the examination; from a pipe lines of release, give_up, other_eye, leave. An examination that was left, or
    ended by Ctrl-C or SIGTERM, is taken up again when its person comes back. Exit 0: finished; 1: left, or failed with
    a reason; 130, 143: ended by a signal.
    """
    from sall_edge.cli.camera_view import NoView, view_of
    from sall_edge.cli.service_manager import ServiceManager
    from sall_edge.cli.stopping import Stopping
    from sall_edge.cli.wishes import wishes_from_stdin
    from sall_edge.screening.camera.open import open_camera
    from sall_edge.screening.examination.programme import load_programme
    from sall_edge.screening.station.documents import Documents
    from sall_edge.screening.station.station import Station

    left_out, asked = _left_out(not_examined or [], person), load_programme(programme)
    catalogue = catalogue_of(language)
    with ExitStack() as until_the_end:
        stopping = until_the_end.enter_context(Stopping())
        session, _ = until_the_end.enter_context(serving(open_engine(engine)))
        kept = until_the_end.enter_context(store_there(store or data_folder() / "store", store_key(key, key_command)))
        opened = until_the_end.enter_context(open_camera(source, inbox=inbox or data_folder() / "inbox"))
        if person is None and opened.is_live and (as_json or not sys.stdin.isatty()):
            raise typer.BadParameter("--person is needed: there is nobody who could be asked for it")
        kinds = formats or [DocumentKind.PDF]
        documents = (
            Documents(report, kinds, catalogue=catalogue, programme=asked, readers=readable_by) if report else None
        )
        controls, manager = Controls(), until_the_end.enter_context(ServiceManager())
        station = Station(
            camera=opened,
            session=session,
            store=kept,
            programme=asked,
            controls=controls,
            shutter=shutter,
            operator=operator,
            documents=documents,
            limits=limits_of(quality),
        )
        manager.ready()
        following = Following(manager, stopping, as_json=as_json)
        for happening in _examinations(station, person, left_out, is_live=opened.is_live, once=once):
            view = NoView() if as_json else view_of(catalogue, session.manifest.tasks, keys=KEYS)
            with view, wishes_from_stdin(controls):
                following.until_over(happening, view)
            following.end_if_told()
        manager.stopping()
    raise typer.Exit(0 if following.is_finished else 1)


def _examinations(
    station: "Station", person: str | None, left_out: Mapping[Eye, str], *, is_live: bool, once: bool
) -> "Iterator[Iterator[Event]]":
    """One examination after the other, each as its events; of a delivering camera all of them as one."""
    if person is None and not is_live:
        yield station.attend_next() if once else station.attend()
        return
    while True:
        reference = person or asked_for("Person")
        if reference is None:
            return
        yield _examined(station, reference, left_out)
        if person is not None or once:
            return


def _examined(station: "Station", reference: str, left_out: Mapping[Eye, str]) -> "Iterator[Event]":
    """The person's examination that was left, or a new one.

    Raises:
        ExaminationError: The one that was left leaves out other eyes.
    """
    from sall_edge.screening.examination.record import Person

    who = Person(reference=reference)
    left = station.left(who)
    if left is None:
        return station.examine(who, not_examined=left_out)
    if left_out and left.not_examined != {eye.value: why for eye, why in left_out.items()}:
        raise ExaminationError(
            f"examination {left.examination_id} of this person goes on, and was begun without --not-examined",
            "which eyes are left out is said when it begins",
            "leave --not-examined out, and give up what cannot be taken: key g, or a line give_up",
        )
    return station.resume(left)


def _left_out(said: list[str], person: str | None) -> dict[Eye, str]:
    """`L=prosthesis`, as a mapping."""
    left_out = {}
    for one in said:
        eye, _, why = one.partition("=")
        if eye not in set(Eye) or not why.strip():
            raise typer.BadParameter(f"{one!r}: write the eye and the reason, such as L=prosthesis")
        left_out[Eye(eye)] = why
    if left_out and person is None:
        raise typer.BadParameter("--not-examined needs --person: it is one person's eye")
    return left_out
