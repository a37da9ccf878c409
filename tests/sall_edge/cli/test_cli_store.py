"""`sall-edge store` and `sall-edge audit`, as a clinic types them."""

import json
import shlex
import sqlite3
from collections.abc import Callable
from contextlib import closing
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
from fakes.stored_examination import NAME, REFERENCE, begun, put_examination

from sall_edge.screening.store.key import key_from_file
from sall_edge.screening.store.opening import open_store

Run = Callable[..., Any]  # the fixture of tests/conftest.py
EXAMINATION_DAYS_AGO = 40


@pytest.fixture
def clinic(sall_edge: Run, tmp_path: Path) -> tuple[Path, Path, str]:
    """An encrypted store with a finished and an unfinished examination, its key, and the finished one's number."""
    folder, key = tmp_path / "store", tmp_path / "key"
    assert sall_edge("store", "new-key", key).out == f"{key}\n"
    done = sall_edge("store", "new", folder, "--key", key)
    assert (done.code, done.out, done.err) == (0, f"{folder}\n", "")
    finished_at = datetime.now(timezone.utc) - timedelta(days=EXAMINATION_DAYS_AGO)
    with open_store(folder, key_from_file(key)) as store:
        examination = put_examination(store, finished_at=finished_at)
        store.begin(begun(reference="somebody else"))
    return folder, key, examination.examination_id


def test_examinations_are_listed_and_shown(sall_edge: Run, clinic: tuple[Path, Path, str]) -> None:
    folder, key, number = clinic
    lines = sall_edge("store", "list", folder, "--key", key).out.splitlines()
    assert len(lines) == 2
    assert lines[0].startswith(number)
    assert "referral  3 photographs  " + REFERENCE in lines[0]
    assert "unfinished  0 photographs" in lines[1]
    (found,) = json.loads(sall_edge("store", "list", folder, "--key", key, "--reference", REFERENCE, "--json").out)
    assert found["person"]["name"] == NAME
    assert sall_edge("store", "list", folder, "--key", key, "--since", "2999-01-01").out == ""
    shown = sall_edge("store", "show", folder, number, "--key", key)
    assert "L  referral  referable:dr" in shown.out
    assert shown.out.count("photograph  ") == 3
    assert json.loads(sall_edge("store", "show", folder, number, "--key", key, "--json").out) == found


def test_the_key_may_come_from_a_command(sall_edge: Run, clinic: tuple[Path, Path, str]) -> None:
    folder, key, _ = clinic
    assert sall_edge("audit", "head", folder, "--key-command", shlex.join(["cat", str(key)])).code == 0


def test_a_store_without_its_key_is_locked(sall_edge: Run, clinic: tuple[Path, Path, str], tmp_path: Path) -> None:
    folder, key, number = clinic
    other = tmp_path / "other"
    sall_edge("store", "new-key", other)
    for command in (["store", "list"], ["store", "migrate"], ["audit", "verify"], ["audit", "head"]):
        for given, words in (((), "no key was given"), (("--key", other), "it is another store's key")):
            done = sall_edge(*command, folder, *given)
            assert (done.code, done.out) == (1, "")
            assert words in done.err
            assert "--key FILE or --key-command COMMAND" in done.err
    assert NAME not in sall_edge("store", "show", folder, number).out
    both = sall_edge("store", "list", folder, "--key", key, "--key-command", "cat")
    assert both.code == 2
    assert "two ways to give one key" in both.err


def test_a_store_without_encryption_is_said(sall_edge: Run, tmp_path: Path) -> None:
    done = sall_edge("store", "new", tmp_path / "plain")
    assert done.code == 0
    assert "persons and photographs will lie in it unencrypted" in done.err


def test_a_backup_is_restored(sall_edge: Run, clinic: tuple[Path, Path, str], tmp_path: Path) -> None:
    folder, key, number = clinic
    done = sall_edge("store", "backup", folder, tmp_path / "b.tar", "--key", key)
    assert (done.code, done.err) == (0, "")
    assert "3 photographs" in done.out
    assert sall_edge("store", "restore", tmp_path / "b.tar", tmp_path / "new", "--key", key).code == 0
    assert number in sall_edge("store", "list", tmp_path / "new", "--key", key).out
    assert sall_edge("store", "migrate", tmp_path / "new", "--key", key).out == f"{tmp_path / 'new'}\n"
    assert sall_edge("audit", "verify", tmp_path / "new", "--key", key).code == 0
    again = sall_edge("store", "restore", tmp_path / "b.tar", tmp_path / "new", "--key", key)
    assert again.code == 1
    assert "not empty" in again.err


def test_retention_says_first_what_would_go(sall_edge: Run, clinic: tuple[Path, Path, str]) -> None:
    folder, key, number = clinic
    dry = sall_edge("store", "retain", folder, "--keep-days", 30, "--dry-run", "--key", key)
    assert number in dry.out
    assert "1 examinations would be deleted" in dry.out
    assert number in sall_edge("store", "list", folder, "--key", key).out
    assert "1 examinations were deleted" in sall_edge("store", "retain", folder, "--keep-days", 30, "--key", key).out
    assert number not in sall_edge("store", "list", folder, "--key", key).out
    assert sall_edge("audit", "verify", folder, "--key", key).code == 0
    assert sall_edge("store", "retain", folder, "--keep-days", 0).code == 2


def test_what_a_person_asks_to_be_erased_is_deleted_and_the_log_stays_whole(
    sall_edge: Run, clinic: tuple[Path, Path, str]
) -> None:
    folder, key, number = clinic
    listed = sall_edge("store", "list", folder, "--key", key).out
    told = ("--key", key, "--why", "erasure asked for")
    absent = sall_edge("store", "delete", folder, number, "nobody", *told)
    assert (absent.code, absent.out) == (1, "")
    assert "no examination nobody" in absent.err
    assert sall_edge("store", "list", folder, "--key", key).out == listed
    assert sall_edge("store", "delete", folder, number, number, *told).out == f"{number}  deleted\n"
    assert number not in sall_edge("store", "list", folder, "--key", key).out
    assert sall_edge("audit", "verify", folder, "--key", key).code == 0
    assert sall_edge("store", "delete", folder, number, "--key", key, "--why", " ").code == 2


def test_the_audit_is_whole_and_holds_the_head_that_was_kept(sall_edge: Run, clinic: tuple[Path, Path, str]) -> None:
    folder, key, _ = clinic
    seq, head = sall_edge("audit", "head", folder, "--key", key).out.split()
    assert json.loads(sall_edge("audit", "head", folder, "--key", key, "--json").out) == {"seq": int(seq), "hash": head}
    done = sall_edge("audit", "verify", folder, "--key", key, "--head", head)
    assert done.code == 0
    assert f"whole: {seq} entries, 2 examinations, 3 photographs\nhead {seq} {head}\n" == done.out
    report = json.loads(sall_edge("audit", "verify", folder, "--key", key, "--json").out)
    assert report == {
        "whole": True, "head": {"seq": int(seq), "hash": head}, "examinations": 2, "photographs": 3, "files": 3,
    }  # fmt: skip
    foreign = sall_edge("audit", "verify", folder, "--key", key, "--head", "0" * 64)
    assert foreign.code == 1
    assert "does not hold the entry with hash 0000000000000000" in foreign.err
    assert sall_edge("audit", "verify", folder, "--key", key, "--head", "short").code == 2


def test_a_broken_log_exits_1_and_names_the_entry(sall_edge: Run, clinic: tuple[Path, Path, str]) -> None:
    folder, key, _ = clinic
    with closing(sqlite3.connect(folder / "store.db")) as database:
        database.execute("DROP TRIGGER audit_no_update")
        database.execute("UPDATE audit SET payload = replace(payload, 'refer', 'spare') WHERE seq = 4")
        database.commit()
    done = sall_edge("audit", "verify", folder, "--key", key)
    assert done.code == 1
    assert "the audit log is broken at entry 4" in done.err
    assert "why:" in done.err
    assert "fix:" in done.err
    as_json = sall_edge("audit", "verify", folder, "--key", key, "--json")
    assert as_json.code == 1
    report = json.loads(as_json.out)
    assert report["whole"] is False
    assert set(report["error"]) == {"what", "why", "fix"}
    assert "entry 4" in report["error"]["what"]


def test_a_missing_library_is_named(sall_edge: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sall_edge.cli.store_key.find_spec", lambda name: None)
    done = sall_edge("store", "list", tmp_path)
    assert done.code == 1
    assert "sqlalchemy is not installed" in done.err
    assert "pip install 'sall-edge[screening]'" in done.err


def test_both_groups_show_their_commands(sall_edge: Run) -> None:
    for group, commands in (
        ("store", ("new-key", "backup", "restore", "delete", "retain")),
        ("audit", ("verify", "head")),
    ):
        done = sall_edge(group)
        assert done.code == 2
        assert all(command in done.out + done.err for command in commands)
