"""Networks that OpenVINO has compiled on this machine before: an engine opens in a third of the time.

A cache saves time and nothing else: whatever is not exactly what was written is left alone, and the network is compiled
from the graph that the bundle's signature covers. What OpenVINO wrote is not covered by a signature, so only files of
this user that nobody else may write are read.
"""

import hashlib
import os
import stat
from dataclasses import dataclass
from pathlib import Path

from sall_edge.errors import OutputError
from sall_edge.writing import file_being_written

__all__ = ["CompiledCache", "cache_key"]

MAGIC = b"sall-edge compiled network 1\n"
DIGEST_BYTES = hashlib.sha256().digest_size

MOST_FILES = 16
"""Two for each engine; the ones that were used longest ago make room."""


def cache_key(*identity: object) -> str:
    """A name for a network that was compiled from these: graph, library, processor, properties."""
    return hashlib.sha256("\n".join(map(repr, identity)).encode()).hexdigest()


@dataclass(frozen=True, slots=True, kw_only=True)
class CompiledCache:
    """A folder of compiled networks.

    Attributes:
        folder: Need not exist.
    """

    folder: Path

    def read(self, key: str) -> bytes | None:
        """The network's bytes; None when there are none, or not exactly those that were written."""
        path = self._path(key)
        try:
            if not (_is_ours(self.folder) and _is_ours(path)):
                return None
            content = path.read_bytes()
            path.touch()  # used now: it stays
        except OSError:
            return None
        start = len(MAGIC) + DIGEST_BYTES
        network = content[start:]
        if content[:start] != MAGIC + hashlib.sha256(network).digest():
            return None
        return network

    def write(self, key: str, network: bytes) -> None:
        """Keeps a network for the next time; a full or read-only disk costs that time and nothing else."""
        try:
            self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            with file_being_written(self._path(key)) as temporary:
                temporary.write_bytes(MAGIC + hashlib.sha256(network).digest() + network)
            by_age = sorted(self.folder.glob("*.network"), key=lambda path: path.stat().st_mtime)
            for path in by_age[:-MOST_FILES]:
                path.unlink(missing_ok=True)
        except (OSError, OutputError):
            return

    def _path(self, key: str) -> Path:
        return self.folder / f"{key}.network"


def _is_ours(path: Path) -> bool:
    """Whether it belongs to this user and nobody else may write it."""
    found = path.stat()
    return found.st_uid == os.geteuid() and not found.st_mode & (stat.S_IWGRP | stat.S_IWOTH)
