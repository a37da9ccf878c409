"""Fills a small file system with photographs until nothing fits, then makes room: `filling_process.py MOUNT KEY`.

Prints JSON: what was refused, by whom, and what the store was like after. The file system is a tmpfs: it runs out of
room as a disk does (ENOSPC), and says nothing of what a dying disk does.
"""

import json
import os
import sys
from pathlib import Path

from fakes.stored_examination import begun, ended, put_examination, with_photograph

from sall_edge.errors import StoreFull
from sall_edge.screening.store.key import key_from_file
from sall_edge.screening.store.opening import create_store, open_store
from sall_edge.screening.store.store import Store
from sall_edge.screening.store.verify import verify

RESERVE_BYTES = 2 << 20
SIZES = (200_000, 20_000, 2_000, 200)


def _fill(store: Store, stored: list[str]) -> list[str]:
    """Photographs of every size, each until it is refused; what the refusals said."""
    said = []
    examination = begun()
    store.begin(examination)
    for size in SIZES:
        refused = 0
        while refused < 3:
            data = os.urandom(size)
            more, photograph = with_photograph(examination, data)
            try:
                store.add_photograph(more, photograph, data)
            except StoreFull as problem:
                refused += 1
                said.append(problem.what)
            else:
                examination = more
                stored.append(photograph.sha256)
    try:
        store.finish(ended(examination))
    except StoreFull as problem:
        said.append(problem.what)
    return said


def main() -> None:
    """Before capture, when full, and after room was made."""
    mount, key = Path(sys.argv[1]), key_from_file(Path(sys.argv[2]))
    ballast = mount / "ballast"
    ballast.write_bytes(bytes(1 << 20))
    result: dict[str, object] = {}
    stored: list[str] = []
    with open_store(create_store(mount / "store", key), key, reserve_bytes=RESERVE_BYTES) as store:
        while True:
            try:
                store.check_room(300_000)
            except StoreFull as problem:
                result["before_capture"] = [problem.what, problem.why, problem.fix]
                break
            examination = put_examination(store)
            stored += [one.sha256 for one in examination.photographs]
            (mount / f"other-{len(stored)}").write_bytes(bytes(100_000))
        result["when_full"] = _fill(store, stored)
        result["free_bytes"] = os.statvfs(mount).f_bavail * os.statvfs(mount).f_frsize
        result["whole_when_full"] = verify(store).photographs == len(stored)
    try:
        open_store(mount / "store", key).close()
    except StoreFull as problem:
        result["opened_when_full"] = problem.what
    ballast.unlink()
    with open_store(mount / "store", key, reserve_bytes=0) as store:
        put_examination(store)
        result["whole_after"] = verify(store).photographs == len(stored) + 3
        result["files"] = sorted(set(store.files.digests())) == sorted(verify_digests(store))
    result["temporary"] = [path.name for path in (mount / "store").rglob("*.tmp")]
    sys.stdout.write(json.dumps(result))


def verify_digests(store: Store) -> set[str]:
    """Hashes that rows speak of."""
    return {one.sha256 for examination in store.examinations() for one in examination.photographs}


if __name__ == "__main__":
    main()
