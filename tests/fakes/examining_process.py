"""A process that examines made-up persons against a real store, to be killed: `examining_process.py STORE KEY`.

What takes long the first time is done once, with a store of its own; each line `go` on stdin starts a fresh process (a
fork) that opens the store, finishes what it finds unfinished, and begins new examinations until it is killed. Every
line of its output is an acknowledgement, written after the store's method returned. SIGKILL stops a process, not the
machine: what the disk's own cache loses in a power cut, this cannot show.
"""

import os
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from fakes.stored_examination import begun, corrected, ended, put_examination, with_photograph

from sall_edge.screening.store.key import key_from_file
from sall_edge.screening.store.opening import create_store, open_store

PHOTOGRAPHS, SIZE_BYTES = 4, 60_000


def _examine(folder: Path, key_file: Path) -> None:
    with open_store(folder, key_from_file(key_file)) as store:
        _say("opened")
        unfinished = list(store.unfinished())
        while True:
            if unfinished:
                examination = unfinished.pop()
            else:
                examination = begun()
                store.begin(examination)
                _say("begun", examination.examination_id)
            while len(examination.photographs) < PHOTOGRAPHS:
                data = os.urandom(SIZE_BYTES)
                examination, photograph = with_photograph(examination, data)
                store.add_photograph(examination, photograph, data)
                _say("added", examination.examination_id, photograph.photograph_id, photograph.sha256)
            done = ended(examination)
            store.finish(done)
            _say("finished", examination.examination_id)
            store.correct(corrected(done))
            _say("corrected", examination.examination_id)


def _say(*words: object) -> None:
    os.write(1, (" ".join(map(str, words)) + "\n").encode())


def main() -> None:
    """One process after another."""
    folder, key_file = map(Path, sys.argv[1:])
    with TemporaryDirectory() as other, open_store(create_store(Path(other) / "store")) as store:
        put_examination(store)
    for _ in sys.stdin:
        child = os.fork()
        if child == 0:
            _say("process", os.getpid())
            _examine(folder, key_file)
        os.waitpid(child, 0)
        _say("died")


if __name__ == "__main__":
    main()
