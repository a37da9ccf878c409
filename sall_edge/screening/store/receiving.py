"""A photograph's file on its way into the store: sealed, written and flushed beside what else is done with it.

Judging a photograph and writing it take about as long, and neither needs the other. Until the store keeps it, the file
is one of those that the next process to open the store removes.
"""

from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

from sall_edge.screening.store.files import PhotographFiles

__all__ = ["Received", "receiving"]


class Received:
    """A photograph that is being written, for `Store.add_received`.

    Args:
        files: Of the store.
        sha256: Hex digest of `data`.
        data: The file that the camera gave.
        staged: Where it lies, once it is on the disk.
    """

    def __init__(self, files: PhotographFiles, sha256: str, data: bytes, staged: "Future[Path]") -> None:
        self.sha256 = sha256
        self._files, self._data, self._staged = files, data, staged

    def keep(self) -> None:
        """The photograph in its place and on the disk; call it in the store's turn.

        Raises:
            StoreFull: No room.
            StoreError: It cannot be written.
        """
        temporary = self._staged.result()
        if not temporary.exists():  # a process that opened the store meanwhile took it for what a dead one had left
            temporary = self._files.stage(self.sha256, self._data)
        self._files.keep(self.sha256, temporary)


@contextmanager
def receiving(files: PhotographFiles, data: bytes, *, sha256: str) -> Iterator[Received]:
    """A photograph that is written during the block; what was not kept by its end is removed."""
    with ThreadPoolExecutor(1, thread_name_prefix="receiving") as writer:
        staged = writer.submit(files.stage, sha256, data)
        try:
            yield Received(files, sha256, data, staged)
        finally:
            if staged.exception() is None:
                staged.result().unlink(missing_ok=True)
