"""What storing a photograph with its verdict takes, against the least that keeps a file through a power cut. One run.

    python benchmarks/store_speed.py FOLDER [--rounds 200] [--size-kb 1500] [--json FILE]

- floor:      the bytes written beside their place, flushed, renamed, and the folder flushed: one file and no more.
- plain:      `Store.add_photograph` without a key: file, row, entry of the log, its head.
- encrypted:  the same with a key.

FOLDER has to be on the disk that is asked about; a new folder is made in it and removed. The bytes are random, as a
JPEG's nearly are. Target: the median of encrypted at most 100 ms, a part of what trigger to stored verdict may add.
`cpu_ms` is the process's own time, which a busy disk does not change. `growth` compares the last fifth of the rounds
with the first, while the store grew.
"""

import argparse
import os
import shutil
import statistics
import tempfile
import time
import uuid
from collections.abc import Callable
from datetime import datetime, timezone
from hashlib import sha256
from pathlib import Path
from typing import Any

from turns import in_turn, in_words, ratio, write_result

from sall_edge.screening.examination.record import Examination, ExaminedPhotograph, Person, View
from sall_edge.screening.store.files import put
from sall_edge.screening.store.key import Key
from sall_edge.screening.store.opening import create_store, open_store
from sall_edge.screening.store.store import Store
from sall_edge.screening.store.verify import verify
from sall_edge.screening.verdict import ScreenedPhotograph, TaskVerdict, Verdict
from sall_edge.spec import Eye

TARGET_MS = 100.0
PER_EXAMINATION = 4


class Adding:
    """Adds a photograph a call; a new examination for every fourth, which is not timed."""

    def __init__(self, store: Store, data: Callable[[], bytes]) -> None:
        self.store = store
        self.cpu_ms: list[float] = []
        self._data = data
        self._examination: Examination | None = None

    def add(self) -> float:
        """Milliseconds."""
        data = self._data()
        photograph = photograph_of(data)
        before = self._examination
        if before is None or len(before.photographs) == PER_EXAMINATION:
            before = new_examination()
            self.store.begin(before)
        self._examination = before.model_copy(update={"photographs": (*before.photographs, photograph)})
        start, cpu = time.perf_counter(), time.process_time()
        self.store.add_photograph(self._examination, photograph, data)
        self.cpu_ms.append((time.process_time() - cpu) * 1e3)
        return (time.perf_counter() - start) * 1e3


def new_examination() -> Examination:
    """Of nobody."""
    return Examination(
        examination_id=str(uuid.uuid4()),
        person=Person(reference="nobody"),
        programme="none",
        programme_sha256="0" * 64,
        engine_sha256="0" * 64,
        image_spec_sha256="0" * 64,
        operating_points={"dr": 0.5, "amd": 0.5},
        started_at=datetime.now(timezone.utc),
    )


def photograph_of(data: bytes) -> ExaminedPhotograph:
    """With a verdict of usual length."""
    digest = sha256(data).hexdigest()
    task = TaskVerdict(grade=0, probs=(0.9, 0.04, 0.03, 0.02, 0.01), referable=False, confidence=0.9)
    return ExaminedPhotograph(
        photograph_id=str(uuid.uuid4()),
        sha256=digest,
        suffix=".jpg",
        eye=Eye.LEFT,
        view=View.MACULA,
        attempt=1,
        taken_at=datetime.now(timezone.utc),
        camera="none",
        screened=ScreenedPhotograph(
            photo=f"{digest}.jpg",
            sha256=digest,
            gradable=True,
            quality={"focus": 0.5, "exposure": 0.5, "field": 0.9},
            tasks={"dr": task, "amd": task},
            verdict=Verdict.NO_REFERRAL,
            engine_sha256="0" * 64,
            image_spec_sha256="0" * 64,
        ),
    )


def measured(folder: Path, rounds: int, size_kb: int) -> dict[str, Any]:
    """Medians, ratios, growth; both stores are verified after."""
    key = Key(secret=os.urandom(32))

    def data() -> bytes:
        return os.urandom(size_kb * 1000)

    def floor() -> float:
        photograph = data()
        start = time.perf_counter()
        put(folder / f"{uuid.uuid4()}.jpg", photograph)
        return (time.perf_counter() - start) * 1e3

    with (
        open_store(create_store(folder / "plain")) as plain,
        open_store(create_store(folder / "encrypted", key), key) as encrypted,
    ):
        adding = {"plain": Adding(plain, data), "encrypted": Adding(encrypted, data)}
        arms: dict[str, Callable[[], float | None]] = {"floor": floor}
        arms |= {name: one.add for name, one in adding.items()}
        samples = in_turn(arms, rounds=rounds, warm_up=4)
        start = time.perf_counter()
        found = verify(encrypted)
        verify_ms = (time.perf_counter() - start) * 1e3
        verify(plain)
    fifth = max(1, rounds // 5)
    return {
        "rounds": rounds,
        "size_kb": size_kb,
        "p50_ms": {name: round(statistics.median(values), 2) for name, values in samples.items()},
        "p90_ms": {name: round(sorted(values)[int(0.9 * rounds)], 2) for name, values in samples.items()},
        "cpu_ms": {name: round(statistics.median(one.cpu_ms), 2) for name, one in adding.items()},
        "plain_over_floor": ratio(samples["plain"], samples["floor"]),
        "encrypted_over_plain": ratio(samples["encrypted"], samples["plain"]),
        "growth": ratio(samples["encrypted"][-fifth:], samples["encrypted"][:fifth]),
        "verify_ms_a_photograph": round(verify_ms / found.photographs, 2),
        "target_ms": TARGET_MS,
    }


def main() -> None:
    """Parses, measures, prints."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--rounds", type=int, default=200)
    parser.add_argument("--size-kb", type=int, default=1500)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="store-speed.", dir=options.folder))
    try:
        result = measured(folder, options.rounds, options.size_kb)
    finally:
        shutil.rmtree(folder)
    for name, value in result["p50_ms"].items():
        print(f"{name:10s} p50 {value} ms, p90 {result['p90_ms'][name]} ms, cpu {result['cpu_ms'].get(name, '-')} ms")
    for name in ("plain_over_floor", "encrypted_over_plain", "growth"):
        print(in_words(name, result[name]))
    print(f"verify: {result['verify_ms_a_photograph']} ms a photograph; target {TARGET_MS} ms")
    write_result(options.json, result)


if __name__ == "__main__":
    main()
