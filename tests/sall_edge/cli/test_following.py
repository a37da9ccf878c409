"""What the command line makes of events, without a camera."""

import json
import sys
from datetime import datetime, timezone
from pathlib import Path

import pytest

from sall_edge.cli.camera_view import NoView
from sall_edge.cli.following import Following, asked_for
from sall_edge.cli.service_manager import ServiceManager
from sall_edge.cli.stopping import Stopping
from sall_edge.screening.events import Event, ExaminationFinished, ExaminationStarted, Waiting
from sall_edge.screening.examination.record import Outcome

AT = datetime(2026, 3, 4, 9, 30, tzinfo=timezone.utc)
STARTED = ExaminationStarted(at=AT, examination_id="e1")
FINISHED = ExaminationFinished(at=AT, examination_id="e1", outcome=Outcome.REFERRAL, reasons=(), eyes=())
WAITING = Waiting(at=AT)


def _followed(events: list[Event], *, as_json: bool = False) -> Following:
    with ServiceManager() as manager:
        following = Following(manager, Stopping(), as_json=as_json)
        following.until_over(iter(events), NoView())
    return following


def test_it_knows_whether_the_last_examination_was_finished() -> None:
    assert not _followed([]).is_finished
    assert not _followed([STARTED, WAITING]).is_finished
    assert _followed([STARTED, FINISHED]).is_finished
    assert not _followed([STARTED, FINISHED, STARTED]).is_finished


def test_every_event_but_waiting_is_a_line_of_json(capsys: pytest.CaptureFixture[str]) -> None:
    _followed([STARTED, WAITING, FINISHED], as_json=True)
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [line["event"] for line in lines] == ["examination_started", "examination_finished"]
    _followed([STARTED])
    assert capsys.readouterr().out == ""


def test_nothing_ends_that_was_not_told_to(capsys: pytest.CaptureFixture[str]) -> None:
    with ServiceManager() as manager:
        Following(manager, Stopping(), as_json=False).end_if_told()
    assert capsys.readouterr() == ("", "")


def test_the_answer_of_a_person_is_taken_and_the_end_of_input_ends_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "answers").write_text("4711\n")
    with (tmp_path / "answers").open() as answers:
        monkeypatch.setattr(sys, "stdin", answers)
        assert asked_for("Person") == "4711"
        assert asked_for("Person") is None
