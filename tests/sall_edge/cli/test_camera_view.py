"""What an operator reads; the terminal is rich's own, drawn to a string."""

import io
from datetime import datetime, timezone
from typing import get_args

import pytest
from rich.console import Console

from sall_edge.cli.camera_view import LineView, NoView, TerminalView, in_words, view_of
from sall_edge.screening.camera.source import CameraState, WhySetAside
from sall_edge.screening.events import (
    Aiming,
    CameraChanged,
    Captured,
    Event,
    ExaminationFinished,
    ExaminationStarted,
    Failed,
    PhotographJudged,
    PhotographSetAside,
    PhotographWanted,
    ReportWritten,
    SideAsked,
    SideCorrected,
    Waiting,
)
from sall_edge.screening.examination.record import Outcome, View
from sall_edge.screening.messages import load_language
from sall_edge.spec import Eye, TaskSet

AT = datetime(2026, 3, 4, 9, 30, tzinfo=timezone.utc)
LANGUAGES = ("en", "de", "es", "fr")

EVENTS: tuple[Event, ...] = (
    ExaminationStarted(at=AT, examination_id="e1"),
    PhotographWanted(at=AT, eye=Eye.LEFT, view=View.DISC, attempt=1, attempts_left=2),
    PhotographWanted(at=AT, eye=Eye.LEFT, view=View.DISC, attempt=2, attempts_left=1, reasons=("too_dark",)),
    PhotographWanted(at=AT, eye=Eye.LEFT, view=View.DISC, attempt=3, attempts_left=0, reasons=("out_of_focus",)),
    Aiming(at=AT, field_found=True, focus=0.5, exposure=0.5, hints=("move_left",)),
    Waiting(at=AT),
    *(CameraChanged(at=AT, camera="c", state=state) for state in CameraState),
    Captured(at=AT, photograph_id="p1", eye=Eye.LEFT, view=View.DISC, attempt=1),
    PhotographJudged(at=AT, photograph_id="p1", gradable=True, trigger_to_stored_ms=50),
    PhotographJudged(at=AT, photograph_id="p1", gradable=False, reasons=("too_dark",), trigger_to_stored_ms=50),
    SideAsked(at=AT, photograph_id="p1", eye=Eye.LEFT, wait_s=10),
    SideCorrected(at=AT, photograph_id="p1", eye_was=Eye.LEFT, eye_is=Eye.RIGHT),
    *(
        PhotographSetAside(at=AT, name="old.jpg", why=why, eye=Eye.LEFT, taken_at=AT, detail="truncated")
        for why in WhySetAside
    ),
    *(
        ExaminationFinished(at=AT, examination_id="e1", outcome=outcome, reasons=("L:referable:dr",), eyes=())
        for outcome in Outcome
    ),
    ReportWritten(at=AT, examination_id="e1", files=("a.pdf", "b.dcm")),
    Failed(at=AT, what="the camera is lost", why="it was unplugged", fix="plug it in"),
)
SILENT = (ExaminationStarted, Aiming, Waiting)


def test_every_event_is_among_those_that_are_tried() -> None:
    assert {type(event) for event in EVENTS} == set(get_args(Event))


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_event_has_words_in_every_language(language: str, retina_tasks: TaskSet) -> None:
    catalogue = load_language(language)
    said = {event: in_words(event, catalogue, retina_tasks.tasks) for event in EVENTS}
    assert [event for event, words in said.items() if words is None] == [
        event for event in EVENTS if isinstance(event, SILENT)
    ]
    assert all(words.strip() and "{" not in words for words in said.values() if words is not None)


def test_what_is_set_aside_is_said_in_the_language_of_the_view(retina_tasks: TaskSet) -> None:
    early = PhotographSetAside(at=AT, name="old.jpg", why=WhySetAside.EARLIER, taken_at=AT)
    assert in_words(early, load_language("en"), retina_tasks.tasks) == (
        "old.jpg was set aside: taken at 2026-03-04 09:30:00 UTC, before this examination began"
    )
    assert in_words(early, load_language("de"), retina_tasks.tasks) == (
        "old.jpg wurde beiseitegelegt: vom 2026-03-04 09:30:00 UTC, vor Beginn dieser Untersuchung"
    )


def test_the_words_say_what_to_do(retina_tasks: TaskSet) -> None:
    said = [in_words(event, load_language("en"), retina_tasks.tasks) for event in EVENTS[1:4]]
    assert said == [
        "Left eye, centred on the optic disc",
        "Again: Left eye, centred on the optic disc – too dark – Attempts left: 2",
        "Again: Left eye, centred on the optic disc – out of focus – Last attempt",
    ]
    finished = in_words(EVENTS[-3], load_language("de"), retina_tasks.tasks)
    assert finished == (
        "Untersuchung beendet – Dringend überweisen – Linkes Auge: Diabetische Retinopathie: Überweisung nötig"
    )
    assert in_words(EVENTS[-1], load_language("en"), ()) == "the camera is lost: it was unplugged. plug it in"
    assert in_words(EVENTS[-2], load_language("en"), ()) == "a.pdf  b.dcm"


def _shown(events: tuple[Event, ...], tasks: TaskSet) -> str:
    drawn = io.StringIO()
    console = Console(file=drawn, width=100, force_terminal=True, color_system=None)
    with TerminalView(load_language("en"), tasks.tasks, console, keys="[space] photograph") as view:
        for event in events:
            view.show(event)
    return drawn.getvalue()


def test_the_terminal_shows_what_is_wanted_what_to_do_and_what_happened(retina_tasks: TaskSet) -> None:
    aiming = Aiming(at=AT, field_found=True, focus=0.5, exposure=1.0, hints=("move_left", "focus"))
    shown = _shown((EVENTS[-1], EVENTS[1], aiming), retina_tasks)
    assert "Left eye, centred on the optic disc" in shown
    assert "Move left" in shown
    assert f"{'█' * 12}{'░' * 12} " in shown  # focus
    assert "█" * 24 in shown  # light
    assert "09:30:00  the camera is lost: it was unplugged. plug it in" in shown
    assert "[space] photograph" in shown


def test_a_photograph_that_would_be_good_is_a_green_light(retina_tasks: TaskSet) -> None:
    shown = _shown((EVENTS[1], Aiming(at=AT, field_found=True, focus=1, exposure=0.5, is_steady=True)), retina_tasks)
    assert "●" in shown


def test_the_aiming_of_one_photograph_is_not_shown_with_the_next(retina_tasks: TaskSet) -> None:
    shown = _shown((EVENTS[4], EVENTS[1]), retina_tasks)
    assert "Move left" not in shown


def test_only_the_last_lines_are_kept(retina_tasks: TaskSet) -> None:
    many = tuple(
        PhotographSetAside(at=AT, name=f"{number}.jpg", why=WhySetAside.ANOTHER_PERSON) for number in range(12)
    )
    shown = _shown(many, retina_tasks)
    assert "11.jpg" in shown
    assert "3.jpg" not in shown.replace("13.jpg", "")


def test_a_log_has_a_line_for_all_but_the_guidance(retina_tasks: TaskSet) -> None:
    lines = io.StringIO()
    with LineView(load_language("en"), retina_tasks.tasks, Console(file=lines, width=200)) as view:
        for event in EVENTS:
            view.show(event)
    assert len(lines.getvalue().splitlines()) == sum(not isinstance(event, SILENT) for event in EVENTS)
    assert lines.getvalue().startswith("09:30:00  Left eye, centred on the optic disc\n")


def test_where_stderr_is_no_terminal_lines_are_shown(retina_tasks: TaskSet, capsys: pytest.CaptureFixture[str]) -> None:
    with view_of(load_language("en"), retina_tasks.tasks, keys="") as view:
        assert isinstance(view, LineView)
        view.show(EVENTS[1])
    captured = capsys.readouterr()
    assert (captured.out, captured.err) == ("", "09:30:00  Left eye, centred on the optic disc\n")


def test_nothing_is_shown_where_events_are_json(capsys: pytest.CaptureFixture[str]) -> None:
    with NoView() as view:
        view.show(EVENTS[1])
    assert capsys.readouterr() == ("", "")
