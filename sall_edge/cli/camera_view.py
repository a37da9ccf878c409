"""What `sall-edge camera` shows: a live view in a terminal, lines elsewhere. Both to stderr; events go to stdout."""

from collections import deque
from collections.abc import Sequence
from typing import Protocol

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.panel import Panel
from rich.text import Text

from sall_edge.screening.events import (
    Aiming,
    CameraChanged,
    Captured,
    Event,
    ExaminationFinished,
    Failed,
    PhotographJudged,
    PhotographSetAside,
    PhotographWanted,
    ReportWritten,
    SideAsked,
    SideCorrected,
)
from sall_edge.screening.examination.record import Outcome
from sall_edge.screening.messages import Catalogue
from sall_edge.spec import Task

__all__ = ["CameraView", "LineView", "NoView", "TerminalView", "in_words", "view_of"]

KEPT_LINES = 8
BAR_CELLS = 24
FRAMES_PER_S = 10
"""Of the terminal, which is slower than the guidance."""

STYLES = {
    Outcome.NO_REFERRAL: "bold green",
    Outcome.INCOMPLETE: "bold yellow",
    Outcome.HUMAN_GRADING: "bold yellow",
    Outcome.UNGRADABLE_REFERRAL: "bold red",
    Outcome.REFERRAL: "bold red",
    Outcome.URGENT_REFERRAL: "bold white on red",
}


class CameraView(Protocol):
    """Shows events; used in a `with` block."""

    def show(self, event: Event) -> None:
        """Shows what has to be shown of it."""

    def __enter__(self) -> "CameraView": ...

    def __exit__(self, *raised: object) -> None: ...


def view_of(catalogue: Catalogue, tasks: Sequence[Task], *, keys: str) -> CameraView:
    """What stderr can show."""
    console = Console(stderr=True)
    return (
        TerminalView(catalogue, tasks, console, keys=keys)
        if console.is_terminal
        else LineView(catalogue, tasks, console)
    )


class NoView:
    """Nothing, where events go to stdout as JSON."""

    def show(self, event: Event) -> None:
        """Nothing."""

    def __enter__(self) -> "NoView":
        return self

    def __exit__(self, *raised: object) -> None:
        pass


class LineView:
    """A line for everything but the guidance: for logs."""

    def __init__(self, catalogue: Catalogue, tasks: Sequence[Task], console: Console) -> None:
        self._catalogue = catalogue
        self._tasks = tasks
        self._console = console

    def show(self, event: Event) -> None:
        """Prints the event in words."""
        if (words := in_words(event, self._catalogue, self._tasks)) is not None:
            self._console.print(Text(f"{event.at:%H:%M:%S}  {words}"))

    def __enter__(self) -> "LineView":
        return self

    def __exit__(self, *raised: object) -> None:
        pass


class TerminalView:
    """The wanted photograph, what to do next, focus and light as bars, and what happened before."""

    def __init__(self, catalogue: Catalogue, tasks: Sequence[Task], console: Console, *, keys: str) -> None:
        self._catalogue = catalogue
        self._tasks = tasks
        self._keys = keys
        self._wanted = Text()
        self._aiming: Aiming | None = None
        self._lines: deque[Text] = deque(maxlen=KEPT_LINES)
        self._live = Live(console=console, refresh_per_second=FRAMES_PER_S, get_renderable=self._drawn)

    def show(self, event: Event) -> None:
        """Takes the event in; drawn at the terminal's own pace."""
        if isinstance(event, Aiming):
            self._aiming = event
            return
        words = in_words(event, self._catalogue, self._tasks)
        if isinstance(event, PhotographWanted):
            self._wanted, self._aiming = Text(words or "", style="bold"), None
        elif words is not None:
            style = STYLES[event.outcome] if isinstance(event, ExaminationFinished) else ""
            self._lines.append(Text(f"{event.at:%H:%M:%S}  {words}", style=style))

    def __enter__(self) -> "TerminalView":
        self._live.start()
        return self

    def __exit__(self, *raised: object) -> None:
        self._live.stop()

    def _drawn(self) -> RenderableType:
        aiming = self._aiming
        parts: list[RenderableType] = [self._wanted]
        if aiming is not None:
            hints = [self._catalogue.text(f"hint.{hint}") for hint in aiming.hints]
            parts += [
                Text(hints[0] if hints else "●", style="bold yellow" if hints else "bold green"),
                _bar(self._catalogue.text("hint.focus"), aiming.focus),
                _bar(self._catalogue.text("hint.more_light"), aiming.exposure),
            ]
        return Panel(Group(*parts, Text(), *self._lines), title="sall-edge camera", subtitle=Text(self._keys))


def in_words(event: Event, catalogue: Catalogue, tasks: Sequence[Task]) -> str | None:
    """The event in the language of the catalogue; None for what only a picture can show."""
    text = catalogue.text
    match event:
        case PhotographWanted():
            asked = {"eye": text(f"eye.{event.eye.value}"), "view": text(f"view.{event.view.value}")}
            said = [text("prompt.photograph" if event.attempt == 1 else "prompt.again", **asked)]
            said += [catalogue.reason(reason, tasks) for reason in event.reasons]
            if event.attempt > 1:
                left = event.attempts_left
                said.append(text("prompt.attempts_left", count=left + 1) if left else text("prompt.last_attempt"))
            return " – ".join(said)
        case Captured():
            return text("prompt.judging")
        case PhotographJudged():
            if event.gradable:
                return " – ".join([text("prompt.gradable"), *_reasons(event.reasons, catalogue, tasks)])
            return ", ".join(_reasons(event.reasons, catalogue, tasks))
        case SideAsked():
            return text("prompt.side_asked", eye=text(f"eye.{event.eye.value}"))
        case SideCorrected():
            return text("prompt.side_corrected", eye=text(f"eye.{event.eye_is.value}"))
        case PhotographSetAside():
            why = catalogue.set_aside(event.why.value, eye=event.eye, taken_at=event.taken_at, detail=event.detail)
            return text("prompt.set_aside", name=event.name, why=why)
        case CameraChanged():
            return text(f"camera.{event.state.value}")
        case ExaminationFinished():
            outcome = text(f"outcome.{event.outcome.value}")
            return " – ".join([text("prompt.finished"), outcome, *_reasons(event.reasons, catalogue, tasks)])
        case ReportWritten():
            return "  ".join(event.files)
        case Failed():
            return f"{event.what}: {event.why}. {event.fix}"
        case _:
            return None


def _reasons(keys: Sequence[str], catalogue: Catalogue, tasks: Sequence[Task]) -> list[str]:
    return [catalogue.reason(key, tasks) for key in keys]


def _bar(name: str, share: float | None) -> Text:
    cells = 0 if share is None else round(share * BAR_CELLS)
    return Text(f"{name:16s} {'█' * cells}{'░' * (BAR_CELLS - cells)}")
