import json
from pathlib import Path

import pytest

from benchmarks.device_check.record import Outcome, Record, StepRecord, save
from sall_edge.errors import OutputError


def _record() -> Record:
    step = StepRecord(name="device", outcome=Outcome.PASSED, facts={"cache": "/home/somebody/.cache"}, seconds=1.5)
    return Record(started="2026-11-25T00:00:00+00:00", options={"seconds": 10}, steps=[step])


def test_both_files_are_whole_and_hold_no_path_of_a_person(tmp_path: Path) -> None:
    save(_record(), "see /home/somebody/x", tmp_path / "report", private={"/home/somebody": "~"})
    assert sorted(file.name for file in (tmp_path / "report").iterdir()) == ["report.json", "report.md"]
    content = json.loads((tmp_path / "report" / "report.json").read_text())
    assert content["steps"][0]["facts"] == {"cache": "~/.cache"}
    assert content["steps"][0]["outcome"] == "passed"
    assert not content["is_finished"]
    assert (tmp_path / "report" / "report.md").read_text() == "see ~/x"


def test_a_place_that_cannot_be_written_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "report").write_text("a file")
    with pytest.raises(OutputError, match="cannot write"):
        save(_record(), "", tmp_path / "report", private={})


def test_a_record_knows_its_steps() -> None:
    record = _record()
    assert record.passed("device")
    assert not record.passed("graphs")
    assert record.facts("device") == {"cache": "/home/somebody/.cache"}
    assert record.facts("graphs") == {}
