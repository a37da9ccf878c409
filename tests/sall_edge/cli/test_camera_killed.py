"""kill -9 of `sall-edge camera` at random moments of examinations: what it said is there, once, and all is finished.

The parent is the clinic: it copies files into a hot folder, or sends by DICOM, and reads the events. An event
`photograph_judged` is an acknowledgement of a stored verdict; the DICOM status 0 is a promise that one will be stored.
"""

import json
import os
import random
import re
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

import cv2
import numpy as np
import pytest
from fakes import killed_camera, sending_camera
from fakes.camera_process import free_port
from fakes.sending_camera import in_other_bytes

from sall_edge.artifacts import Engine
from sall_edge.fundus.phantom import draw_phantom
from sall_edge.screening.store.key import key_from_file, write_new_key
from sall_edge.screening.store.opening import create_store
from sall_edge.screening.store.reader import StoreReader, read_store
from sall_edge.screening.store.verify import verify

pytestmark = pytest.mark.slow

KILLS, DICOM_KILLS = 100, 25
MOST_STEPS = 8
"""From one event to the next: the first opens engine and store, the others examine two eyes."""

PATIENCE_S = 60.0
"""For a process that is let live: several tests may share the machine."""

EYES = {"R": "OD", "L": "OS"}


def _python(module: ModuleType, *arguments: object) -> "subprocess.Popen[str]":
    """A script of the fakes as a process."""
    script = str(module.__file__)
    tests = Path(script).parent.parent
    return subprocess.Popen(
        [sys.executable, script, *map(str, arguments)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        bufsize=1,
        env={**os.environ, "PYTHONPATH": f"{tests}:{tests.parent}"},
    )


class Clinic:
    """Starts camera processes, kills them, and keeps what they said.

    Attributes:
        judged: Photographs whose verdict was acknowledged.
        finished: Examinations.
        wanted: The eye that was last asked for; None once it was handed over.
    """

    def __init__(self, *arguments: object) -> None:
        self.process = _python(killed_camera, *arguments)
        self.judged: list[str] = []
        self.finished: set[str] = set()
        self.problems: list[dict[str, Any]] = []
        self.code = 0
        self._random = random.Random(5)
        self._lasted_s: dict[str, float] = {}

    def a_step(self) -> int:
        """One of the steps of an examination, to be killed in."""
        return self._random.randint(0, MOST_STEPS)

    def run(self, *arguments: object, killed_in: int | None) -> Generator[dict[str, Any], None, None]:
        """The events of a process, until it ends by itself or is killed at a random moment of this step.

        A step is what it does between two events. How long one takes depends on the machine, so the moment is a share
        of what the step took the last time.
        """
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(" ".join(map(str, arguments)) + "\n")
        step, number = self.process.stdout.readline().split()
        assert step == "process"
        pid, steps, since_s, is_over = int(number), 0, time.monotonic(), False
        killing = self._killed_after(PATIENCE_S if killed_in != 0 else self._moment_s(step), pid)
        try:
            for line in self.process.stdout:
                if (died := re.search(r"died (-?\d+)$", line)) is not None:  # maybe after half an event
                    is_over, self.code = True, int(died[1])
                    return
                event = json.loads(line)
                self._note(event)
                if event["event"] != "photograph_set_aside":  # as many as there are old files
                    self._lasted_s[step], since_s = time.monotonic() - since_s, time.monotonic()
                    step, steps = event["event"], steps + 1
                    if steps == killed_in:
                        killing.cancel()
                        killing = self._killed_after(self._moment_s(step), pid)
                yield event
        finally:
            killing.cancel()
            if not is_over:
                os.kill(pid, signal.SIGKILL)

    def _moment_s(self, step: str) -> float:
        return self._random.uniform(0, 1.2 * self._lasted_s.get(step, 0.1))  # or its end would be met seldom

    @staticmethod
    def _killed_after(seconds: float, pid: int) -> threading.Timer:
        killing = threading.Timer(seconds, os.kill, (pid, signal.SIGKILL))
        killing.start()
        return killing

    def _note(self, event: dict[str, Any]) -> None:
        if event["event"] == "photograph_judged":
            self.judged.append(event["photograph_id"])
        elif event["event"] == "examination_finished":
            self.finished.add(event["examination_id"])
        elif event["event"] == "failed":
            self.problems.append(event)


@contextmanager
def _clinic(*arguments: object) -> Iterator[Clinic]:
    clinic = Clinic(*arguments)
    try:
        yield clinic
    finally:
        clinic.process.kill()
        clinic.process.communicate()


@pytest.fixture(scope="module")
def retina() -> bytes:
    """A JPEG."""
    pixels = draw_phantom(np.random.default_rng(3), side_px=320, dr_grade=0, amd_grade=0, eye="R").pixels
    return bytes(cv2.imencode(".jpg", pixels[..., ::-1])[1])


def _check(store: StoreReader, clinic: Clinic, folder: Path) -> Counter[str]:
    """Nothing acknowledged is lost or doubled, the chain is whole, no file is an orphan; hashes of what is stored."""
    verify(store)
    examinations = store.examinations()
    stored = [one for examination in examinations for one in examination.photographs]
    ids = Counter(one.photograph_id for one in stored)
    assert set(clinic.judged) <= set(ids)
    assert len(clinic.judged) == len(set(clinic.judged))
    assert set(ids.values()) <= {1}
    with store.session() as session:
        rows = session.connection().exec_driver_sql("SELECT payload FROM audit WHERE kind = 'photograph'")
        assert Counter(re.findall(r'"photograph":"([^"]+)"', " ".join(row[0] for row in rows))) == ids
    assert clinic.finished <= {one.examination_id for one in examinations if one.finished_at}
    files = {path for path in folder.rglob("*") if path.suffix in {".sealed", ".tmp"}}
    assert {path.stem for path in files} == {one.sha256 for one in stored}
    return Counter(one.sha256 for one in stored)


def test_a_hundred_kills_lose_no_verdict_and_every_examination_goes_on(
    tiny_engine: Engine, tmp_path: Path, retina: bytes
) -> None:
    """One person after the other from a hot folder; a process that was killed is started again for the same person."""
    key, hot = write_new_key(tmp_path / "key"), tmp_path / "hot"
    folder = create_store(tmp_path / "store", key_from_file(key))
    hot.mkdir()
    arguments = ("camera", tiny_engine.path, "--source", f"folder:{hot}", "--store", folder, "--key", key, "--json")
    kills = person = copied = resumed = 0
    started: dict[int, set[str]] = {}
    with _clinic(*arguments, "--programme", "icdr-one-photograph", "--once") as clinic:
        while kills < KILLS or clinic.code != 0:  # the last one is let live
            for event in clinic.run("--person", person, killed_in=clinic.a_step() if kills < KILLS else None):
                if event["event"] == "examination_started":
                    resumed += event["examination_id"] in started.setdefault(person, set())
                    started[person].add(event["examination_id"])
                elif event["event"] == "photograph_wanted":
                    path = hot / f"{person}_{EYES[event['eye']]}.jpg"
                    if not path.exists():  # or it lies there since before a kill
                        copied += 1
                        path.write_bytes(in_other_bytes(retina, copied))
            kills += clinic.code == -signal.SIGKILL
            assert clinic.code in (0, -signal.SIGKILL), clinic.problems
            with read_store(folder, key_from_file(key)) as store:
                known = store.examinations(reference=str(person))
            if known and all(one.finished_at for one in known):
                person += 1
                for taken in hot.iterdir():
                    taken.unlink()
    with read_store(folder, key_from_file(key)) as store:
        hashes = _check(store, clinic, folder)
        examinations = store.examinations()
    assert set(hashes.values()) == {1}
    by_person = Counter(one.person.reference for one in examinations)
    assert set(by_person.values()) == {1}  # each was taken up again, none was begun a second time
    assert all({photograph.eye.value for photograph in one.photographs} == {"R", "L"} for one in examinations)
    assert not clinic.problems
    assert resumed > KILLS / 10  # or hardly any kill met an examination
    assert len(examinations) > KILLS / 10  # or they were all killed at their beginning
    print(f"{kills} kills, {len(examinations)} examinations, {resumed} times resumed, {len(clinic.judged)} verdicts")  # noqa: T201


def test_what_was_promised_to_a_dicom_camera_is_graded_after_any_kill(
    tiny_engine: Engine, tmp_path: Path, retina: bytes
) -> None:
    key, port = write_new_key(tmp_path / "key"), free_port()
    folder = create_store(tmp_path / "store", key_from_file(key))
    (tmp_path / "retina.jpg").write_bytes(retina)
    arguments = ("camera", tiny_engine.path, "--source", f"dicom:{port}", "--inbox", tmp_path / "inbox", "--json")
    with (
        _python(sending_camera, port, tmp_path / "retina.jpg") as sender,
        _clinic(*arguments, "--programme", "icdr-one-photograph", "--store", folder, "--key", key) as clinic,
    ):
        for _ in range(DICOM_KILLS):
            for _ in clinic.run(killed_in=clinic.a_step()):
                pass
        last = clinic.run(killed_in=None)
        next(last)
        *promised, persons = sender.communicate("enough\n")[0].split()
        for event in last:
            if event["event"] == "examination_finished" and _is_all_finished(folder, key, int(persons)):
                break
        last.close()
    with read_store(folder, key_from_file(key)) as store:
        assert _check(store, clinic, folder) == Counter(promised)
        by_person = Counter(one.person.reference for one in store.examinations())
        assert not store.unfinished()
    assert by_person == Counter(f"P{number}" for number in range(int(persons)))
    assert not list((tmp_path / "inbox").iterdir())
    print(f"{DICOM_KILLS} kills, {persons} persons, {len(promised)} photographs promised")  # noqa: T201


def _is_all_finished(folder: Path, key: Path, persons: int) -> bool:
    with read_store(folder, key_from_file(key)) as store:
        return len(store.examinations()) == persons and not store.unfinished()
