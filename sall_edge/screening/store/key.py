"""The store's key: 32 bytes from a file, or from a command such as one that asks a TPM."""

import os
import secrets
import shlex
import stat
import subprocess
from dataclasses import dataclass, field
from pathlib import Path

from sall_edge.errors import OutputError, StoreLocked
from sall_edge.writing import PRIVATE, flush

__all__ = ["KEY_BYTES", "Key", "key_from_command", "key_from_file", "write_new_key"]

KEY_BYTES = 32


@dataclass(frozen=True, slots=True, kw_only=True)
class Key:
    """What every other key of a store is derived from; never written into the store, never printed.

    Attributes:
        secret: 32 random bytes.
    """

    secret: bytes = field(repr=False)

    def __post_init__(self) -> None:
        if len(self.secret) != KEY_BYTES:
            raise ValueError(f"a key of {len(self.secret)} bytes; it has {KEY_BYTES}, such as secrets.token_bytes(32)")


def write_new_key(path: Path) -> Path:
    """A new file with a random key, for its owner only; on the disk before anything is encrypted with it.

    Raises:
        OutputError: The file is there already, or cannot be written.
    """
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, PRIVATE)
    except FileExistsError as cause:
        fix = "name another file: whoever overwrites a key loses the store that it opens"
        raise OutputError(f"cannot write the key {path}", "it is there already", fix) from cause
    except OSError as cause:
        raise _unwritten(path, cause) from cause
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(secrets.token_bytes(KEY_BYTES))
            file.flush()
            os.fsync(descriptor)
        flush(path.parent)  # or a power cut takes the key's name, and with it every store that it was given to
    except OSError as cause:
        path.unlink(missing_ok=True)  # no half a key
        raise _unwritten(path, cause) from cause
    return path


def _unwritten(path: Path, cause: OSError) -> OutputError:
    fix = "check that the folder exists, may be written and has room"
    return OutputError(f"cannot write the key {path}", cause.strerror or str(cause), fix)


def key_from_file(path: Path) -> Key:
    """The key in a file of 32 bytes that nobody but its owner may read.

    Raises:
        StoreLocked: It is not there, has another size, or others may read it.
    """
    try:
        with path.open("rb") as file:
            mode = os.fstat(file.fileno()).st_mode
            secret = file.read(KEY_BYTES + 1)
    except OSError as cause:
        fix = "name the file that the store was made with"
        raise StoreLocked(f"cannot read the key {path}", cause.strerror or str(cause), fix) from cause
    if mode & (stat.S_IRWXG | stat.S_IRWXO):
        why = f"its mode is {stat.S_IMODE(mode):04o}: others than its owner may use it"
        raise StoreLocked(f"the key {path} is not private", why, f"chmod 600 {path}")
    return _key(secret, f"the key {path}")


def key_from_command(command: str, *, timeout_s: float = 30.0) -> Key:
    """The key that a command prints: 32 bytes and nothing else on its standard output.

    Args:
        command: Words as a shell would split them; no shell runs it, so there are no pipes and no variables.
        timeout_s: A TPM answers in a few seconds.

    Raises:
        StoreLocked: It cannot be run, fails, takes too long, or prints something else.
    """
    fix = "run it by hand: it has to print the 32 bytes of the key and nothing else"
    name = "the key command"
    try:
        words = shlex.split(command)
        name = f"the key command {words[0]!r}"  # its arguments may hold a PIN, and errors are kept in logs
        done = subprocess.run(words, stdin=subprocess.DEVNULL, capture_output=True, timeout=timeout_s)
    except subprocess.TimeoutExpired:
        raise StoreLocked(f"{name} gave no key", f"it did not end within {timeout_s:g} s", fix) from None
    except (OSError, ValueError, IndexError) as cause:  # not there, an open quotation mark, no word at all
        raise StoreLocked(f"{name} cannot be run", str(cause), fix) from cause
    if done.returncode != 0:
        said = done.stderr.decode(errors="replace").strip() or "it said nothing"
        raise StoreLocked(f"{name} gave no key", f"exit code {done.returncode}: {said}", fix)
    return _key(done.stdout, name)


def _key(secret: bytes, name: str) -> Key:
    if len(secret) != KEY_BYTES:
        size = f"more than {KEY_BYTES}" if len(secret) > KEY_BYTES else len(secret)
        fix = "sall-edge store new-key FILE makes one; name the one that the store was made with"
        raise StoreLocked(f"{name} is not a key", f"it has {size} bytes instead of {KEY_BYTES}", fix)
    return Key(secret=secret)
