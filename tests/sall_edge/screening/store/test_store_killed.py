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
MOST_STEPS = 6  # of which the first opens the store, and every other one writes to it

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


class Killer:
    """Starts processes and kills each at a random moment of a random step.

    A step is what a process does between two lines. How long one takes depends on the machine, so the moment is a
    share of what the step took the last time.
    """

    def __init__(self, examining: Examining) -> None:
        self._examining = examining
        self._random = random.Random(11)
        self._lasted_s: dict[str, float] = {}

    def kill_one(self, acknowledged: Acknowledged) -> None:
        """Starts a process, kills it, and takes what it said."""
        assert self._examining.stdin is not None
        self._examining.stdin.write("go\n")
        word, number = self._line().split()
        for _ in range(self._random.randint(0, MOST_STEPS)):
            started_s = time.monotonic()
            line = self._line()
            self._lasted_s[word], word = time.monotonic() - started_s, line.split()[0]
            acknowledged.take(line)
        time.sleep(self._random.uniform(0, 1.2 * self._lasted_s.get(word, 0.05)))  # or its end would be met seldom
        os.kill(int(number), signal.SIGKILL)
        while (line := self._line()) != "died":
            acknowledged.take(line)

    def _line(self) -> str:
        assert self._examining.stdout is not None
        line = self._examining.stdout.readline().strip()
        assert line, "the process ended by itself"
        return line


def _files(folder: Path) -> set[Path]:
    """Photographs, and what was being written."""
    found = (Path(parent, name) for parent, _, names in os.walk(folder) for name in names)
    return {path for path in found if path.suffix in {".sealed", ".tmp"}}


def _logged_photographs(store: Store) -> Counter[str]:
    with store.session() as session:
        rows = session.connection().exec_driver_sql("SELECT payload FROM audit WHERE kind = 'photograph'")
        return Counter(re.findall(r'"photograph":"([^"]+)"', " ".join(row[0] for row in rows)))


@pytest.mark.slow
def test_a_hundred_kills_lose_no_verdict_double_none_and_leave_no_file(examining: Examining, tmp_path: Path) -> None:
    key = key_from_file(write_new_key(tmp_path / "key"))
    folder = create_store(tmp_path / "store", key)
    acknowledged, killer = Acknowledged(), Killer(examining)
    unsaid, leftovers = set[str](), 0
    for kill in range(1, KILLS + 1):
        killer.kill_one(acknowledged)
        before = _files(folder)
        with open_store(folder, key) as store:
            verify(store)
            examinations = store.examinations()
            stored = {one.photograph_id: one.sha256 for e in examinations for one in e.photographs}
            begun = {one.examination_id for one in examinations}
            finished = {one.examination_id for one in examinations if one.finished_at}
            corrected = {one.examination_id for one in examinations if one.corrections}
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
