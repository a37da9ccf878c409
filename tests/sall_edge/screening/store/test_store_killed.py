"""kill -9 at random moments: what was acknowledged is there, once, and nothing else is left behind."""

import os
import random
import re
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from fakes import examining_process

from sall_edge.screening.store.key import key_from_file, write_new_key
from sall_edge.screening.store.opening import create_store, open_store
from sall_edge.screening.store.store import Store
from sall_edge.screening.store.verify import verify

KILLS = 100
LONGEST_S = 0.5  # some die while they open the store, most while they write to it

Examining = subprocess.Popen[str]


@dataclass
class Acknowledged:
    """What the processes said was done."""

    photographs: dict[str, str] = field(default_factory=dict)
    examinations: set[str] = field(default_factory=set)
    finished: set[str] = field(default_factory=set)
    corrected: set[str] = field(default_factory=set)

    def take(self, line: str) -> None:
        """Notes a line."""
        word, *names = line.split()
        if word == "begun":
            self.examinations.add(names[0])
        elif word == "added":
            self.photographs[names[1]] = names[2]
        elif word == "finished":
            self.finished.add(names[0])
        elif word == "corrected":
            self.corrected.add(names[0])


@pytest.fixture
def examining(tmp_path: Path) -> Iterator[Examining]:
    """The process that starts processes."""
    tests = Path(examining_process.__file__).parent.parent
    command = [sys.executable, examining_process.__file__, str(tmp_path / "store"), str(tmp_path / "key")]
    environment = {**os.environ, "PYTHONPATH": f"{tests}:{tests.parent}"}
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1, env=environment
    ) as process:
        yield process
        process.kill()


def _killed_after(examining: Examining, seconds: float, acknowledged: Acknowledged) -> None:
    assert examining.stdin is not None
    assert examining.stdout is not None
    examining.stdin.write("go\n")
    word, number = examining.stdout.readline().split()
    assert word == "process"
    time.sleep(seconds)
    os.kill(int(number), signal.SIGKILL)
    while (line := examining.stdout.readline().strip()) != "died":
        assert line, "the process ended by itself"
        acknowledged.take(line)


def _files(folder: Path) -> set[Path]:
    """Photographs, and what was being written."""
    return {path for path in folder.rglob("*") if path.suffix in {".sealed", ".tmp"}}


def _logged_photographs(store: Store) -> Counter[str]:
    with store.session() as session:
        rows = session.connection().exec_driver_sql("SELECT payload FROM audit WHERE kind = 'photograph'")
        return Counter(re.findall(r'"photograph":"([^"]+)"', " ".join(row[0] for row in rows)))


@pytest.mark.slow
def test_a_hundred_kills_lose_no_verdict_double_none_and_leave_no_file(examining: Examining, tmp_path: Path) -> None:
    key = key_from_file(write_new_key(tmp_path / "key"))
    folder = create_store(tmp_path / "store", key)
    acknowledged, random_ = Acknowledged(), random.Random(11)
    unsaid, leftovers = set[str](), 0
    for kill in range(1, KILLS + 1):
        _killed_after(examining, random_.uniform(0, LONGEST_S), acknowledged)
        before = _files(folder)
        with open_store(folder, key) as store:
            verify(store)
            stored = {one.photograph_id: one.sha256 for e in store.examinations() for one in e.photographs}
            begun = {one.examination_id for one in store.examinations()}
            finished = {one.examination_id for one in store.examinations() if one.finished_at}
            corrected = {one.examination_id for one in store.examinations() if one.corrections}
            logged = _logged_photographs(store)
        after = _files(folder)
        leftovers += len(before - after)
        assert acknowledged.photographs.items() <= stored.items()
        assert acknowledged.examinations <= begun
        assert acknowledged.finished <= finished
        assert acknowledged.corrected <= corrected
        unsaid |= stored.keys() - acknowledged.photographs.keys()
        assert len(unsaid) <= kill  # at most the one that was stored and killed before it could say so
        assert logged == Counter(stored.keys())  # each verdict once in the log
        assert {path.stem for path in after} == set(stored.values())
    assert len(acknowledged.photographs) > KILLS
    assert acknowledged.corrected
    assert leftovers > 0  # or no kill met the moments that this is about
    print(f"{KILLS} kills, {len(stored)} photographs, {leftovers} files tidied, {len(unsaid)} stored and not said")  # noqa: T201
