"""Where a key comes from, and what it opens."""

import errno
import os
import shlex
import sys
import traceback
from pathlib import Path

import pytest

from sall_edge.errors import OutputError, StoreError, StoreLocked
from sall_edge.screening.store.header import new_header, unlock
from sall_edge.screening.store.key import Key, key_from_command, key_from_file, write_new_key
from sall_edge.screening.store.seal import KeySeal, NoSeal


def _printing(what: str) -> str:
    return shlex.join([sys.executable, "-c", what])


def test_a_new_key_is_private_random_and_read_back(tmp_path: Path) -> None:
    one, other = (key_from_file(write_new_key(tmp_path / name)) for name in "ab")
    assert one != other
    assert (tmp_path / "a").stat().st_mode & 0o777 == 0o600
    assert one.secret not in repr(one).encode()
    assert one.secret.hex() not in repr(one)


def test_a_key_is_never_overwritten(tmp_path: Path) -> None:
    before = write_new_key(tmp_path / "key").read_bytes()
    with pytest.raises(OutputError, match="whoever overwrites a key loses the store"):
        write_new_key(tmp_path / "key")
    assert (tmp_path / "key").read_bytes() == before


def test_a_key_that_cannot_be_written_is_said_and_no_half_of_it_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(OutputError, match="No such file") as said:
        write_new_key(tmp_path / "gone" / "key")
    assert said.value.fix == "check that the folder exists, may be written and has room"

    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OutputError, match="No space left on device"):
        write_new_key(tmp_path / "key")
    assert not list(tmp_path.iterdir())


def test_a_new_key_and_its_name_are_on_the_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    flushed: list[Path] = []
    monkeypatch.setattr(os, "fsync", lambda descriptor: flushed.append(Path(f"/proc/self/fd/{descriptor}").readlink()))
    write_new_key(tmp_path / "key")
    assert flushed == [tmp_path / "key", tmp_path]


def test_a_key_that_others_may_read_is_refused(tmp_path: Path) -> None:
    path = write_new_key(tmp_path / "key")
    path.chmod(0o640)
    with pytest.raises(StoreLocked, match="its mode is 0640") as said:
        key_from_file(path)
    assert said.value.fix == f"chmod 600 {path}"


@pytest.mark.parametrize(("size", "words"), [(31, "31 bytes instead of 32"), (33, "more than 32 bytes")])
def test_a_file_of_another_size_is_no_key(tmp_path: Path, size: int, words: str) -> None:
    path = tmp_path / "key"
    path.write_bytes(bytes(size))
    path.chmod(0o600)
    with pytest.raises(StoreLocked, match=words):
        key_from_file(path)
    with pytest.raises(ValueError, match=f"a key of {size} bytes"):
        Key(secret=bytes(size))


def test_a_key_that_is_not_there_is_said(tmp_path: Path) -> None:
    with pytest.raises(StoreLocked, match="No such file"):
        key_from_file(tmp_path / "key")


def test_a_command_gives_the_key_without_a_shell() -> None:
    command = _printing("import sys; sys.stdout.buffer.write(bytes(range(32)))")
    assert key_from_command(command).secret == bytes(range(32))
    with pytest.raises(StoreLocked, match="is not a key"):
        key_from_command("echo $HOME; head -c 32 /dev/urandom")


@pytest.mark.parametrize(
    ("command", "words"),
    [
        (_printing("import sys; sys.exit('no TPM')"), "exit code 1: no TPM"),
        (_printing("print('x' * 10)"), "it has 11 bytes instead of 32"),
        ("no-such-program -c 0x81000001", "cannot be run"),
        ("an 'open quotation", "No closing quotation"),
        ("", "cannot be run"),
    ],
)
def test_a_command_without_a_key_is_said(command: str, words: str) -> None:
    with pytest.raises(StoreLocked, match=words):
        key_from_command(command)


def test_what_a_command_was_given_is_in_no_error() -> None:
    for command in ("false --pin 1234", "no-such-program --pin 1234", "sleep 30 1234"):
        with pytest.raises(StoreLocked) as said:
            key_from_command(command, timeout_s=0.2)
        assert f"the key command '{command.split()[0]}'" in said.value.what
        assert "1234" not in "".join(traceback.format_exception(said.value))


def test_a_command_that_hangs_is_ended() -> None:
    with pytest.raises(StoreLocked, match=r"it did not end within 0\.2 s"):
        key_from_command("sleep 30", timeout_s=0.2)


def test_only_the_key_of_the_store_opens_it(key: Key, tmp_path: Path) -> None:
    header = new_header(key)
    assert isinstance(unlock(tmp_path, header, key), KeySeal)
    assert key.secret.hex() not in header.model_dump_json()
    with pytest.raises(StoreLocked, match="it is another store's key"):
        unlock(tmp_path, header, Key(secret=bytes(32)))
    with pytest.raises(StoreLocked, match="no key was given"):
        unlock(tmp_path, header, None)


def test_a_key_for_a_store_without_one_is_refused(key: Key, tmp_path: Path) -> None:
    assert isinstance(unlock(tmp_path, new_header(None), None), NoSeal)
    with pytest.raises(StoreLocked, match="a key was given, and the store was made without one"):
        unlock(tmp_path, new_header(None), key)


def test_what_is_sealed_opens_only_as_what_it_is(key: Key) -> None:
    seal = KeySeal(key, b"salt")
    sealed = seal.close(b"retina", about="photograph 1")
    assert seal.open(sealed, about="photograph 1") == b"retina"
    assert b"retina" not in sealed
    assert seal.close(b"retina", about="photograph 1") != sealed
    for changed, about in (
        (sealed, "photograph 2"),
        (sealed[:-1] + bytes([sealed[-1] ^ 1]), "photograph 1"),
        (b"", ""),
    ):
        with pytest.raises(StoreError, match="its seal does not open"):
            seal.open(changed, about=about)


def test_one_key_in_two_stores_is_two_keys(key: Key) -> None:
    one, other = KeySeal(key, b"a"), KeySeal(key, b"b")
    assert one.tag("42") != other.tag("42")
    assert one.tag("42") == KeySeal(key, b"a").tag("42")
    assert one.authenticate("42") not in (None, one.tag("42"), other.authenticate("42"))
