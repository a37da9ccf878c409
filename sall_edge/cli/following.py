"""What the command line does with the events of a station: shows them, passes them on, notices how it ended."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from sall_edge.cli.camera_view import CameraView
    from sall_edge.cli.service_manager import ServiceManager
    from sall_edge.cli.stopping import Stopping
    from sall_edge.screening.events import Event

__all__ = ["Following", "asked_for"]


class Following:
    """Follows one examination after the other.

    Args:
        manager: Told that the program goes on.
        stopping: Asked after every event.
        as_json: Whether events are printed.
    """

    def __init__(self, manager: "ServiceManager", stopping: "Stopping", *, as_json: bool) -> None:
        self._manager = manager
        self._stopping = stopping
        self._as_json = as_json
        self._unfinished: str | None = None
        self.is_finished = False

    def until_over(self, happening: "Iterator[Event]", view: "CameraView") -> None:
        """Shows what happens, until it is over or a signal ends it."""
        with self._stopping.noted():
            for event in happening:
                self._manager.alive()
                view.show(event)
                if self._as_json and event.event != "waiting":
                    typer.echo(event.model_dump_json(exclude_none=True))
                self._note(event)
                if self._stopping.exit_code is not None:
                    return

    def end_if_told(self) -> None:
        """Says what is kept, and exits, if a signal told to stop.

        Raises:
            SystemExit: With the signal's code.
        """
        if self._stopping.exit_code is None:
            return
        kept = ""
        if self._unfinished is not None:
            kept = f"; examination {self._unfinished} is kept, and goes on when its person comes back"
        typer.echo(f"stopped{kept}", err=True)
        self._manager.stopping()
        raise SystemExit(self._stopping.exit_code)

    def _note(self, event: "Event") -> None:
        if event.event == "examination_started":
            self.is_finished, self._unfinished = False, event.examination_id
        elif event.event == "examination_finished":
            self.is_finished, self._unfinished = True, None


def asked_for(what: str) -> str | None:
    """What somebody at the terminal answers; None where they end it, by Ctrl-D."""
    try:
        answer: str = typer.prompt(what, err=True)
    except typer.Abort:
        typer.echo(err=True)
        return None
    return answer
