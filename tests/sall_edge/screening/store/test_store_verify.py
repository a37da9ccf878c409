"""Every way to change a store behind its back that is found, and the two that cannot be."""

import json
import random
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from hashlib import sha256
from pathlib import Path

import pytest
from fakes.stored_examination import put_examination

from sall_edge.errors import AuditBroken, StoreError, StoreLocked
from sall_edge.screening.examination.record import Examination
from sall_edge.screening.store.audit import START, entry_hash
from sall_edge.screening.store.key import Key
from sall_edge.screening.store.opening import create_store, open_store
from sall_edge.screening.store.reader import read_store
from sall_edge.screening.store.store import Store
from sall_edge.screening.store.verify import Verified, verify

CHANGED_BYTES, PIECE = 150, 24


def _verified(folder: Path, key: Key | None, head: str | None = None) -> Verified:
    with read_store(folder, key) as reader:
        return verify(reader, head=head)


def _changed(folder: Path, *statements: str, triggers_dropped: bool = True) -> None:
    """Runs SQL on the store's database, as somebody would who is not the store."""
    with closing(sqlite3.connect(folder / "store.db")) as database:
        if triggers_dropped:
            database.execute("DROP TRIGGER audit_no_update")
            database.execute("DROP TRIGGER audit_no_delete")
        for statement in statements:
            database.execute(statement)
        database.commit()


def test_a_store_that_nobody_touched_is_whole(either_store: Store) -> None:
    for _ in range(2):
        put_examination(either_store)
    found = verify(either_store)
    assert (found.examinations, found.photographs, found.files) == (2, 6, 6)
    assert found.head.seq == 2 + 2 * 5  # created, opened; begun, three photographs, finished


@pytest.mark.parametrize("verb", ["UPDATE audit SET kind = 'x' WHERE seq = 3", "DELETE FROM audit WHERE seq = 3"])
def test_the_database_itself_refuses_to_change_the_log(store: Store, stored: Examination, verb: str) -> None:
    with pytest.raises(sqlite3.IntegrityError, match="the audit log is append-only"):
        _changed(store.folder, verb, triggers_dropped=False)
    verify(store)


@pytest.mark.parametrize(
    ("statement", "what", "why"),
    [
        (
            "UPDATE audit SET payload = replace(payload, '\"grade\":2', '\"grade\":0') WHERE seq = 5",
            "entry 5",
            "changed",
        ),
        ("UPDATE audit SET at = '2020-01-01T00:00:00.000000Z' WHERE seq = 4", "entry 4", "it was changed"),
        ("UPDATE audit SET at = 7 WHERE seq = 4", "entry 4", "it was changed"),
        ("UPDATE audit SET mac = 'no' WHERE seq = 6", "entry 6", "not written with the store's key"),
        ("DELETE FROM audit WHERE seq = 3", "entry 3", "it is missing: the next one in the log is 4"),
        ("DELETE FROM audit WHERE seq = 1", "entry 1", "missing"),
        ("DELETE FROM audit WHERE seq > 6", "ends too early, after entry 6", "the store wrote entry 7"),
        ("DELETE FROM audit", "ends too early, after entry 0", "the store wrote entry 7"),
        ("INSERT INTO audit VALUES (8, '', 'saved', '{}', '', '', '')", "entry 8", "it was changed"),
        ("UPDATE examinations SET outcome = 'no_referral'", "examination .* is not what was stored", "entry 7"),
        ("UPDATE examinations SET person_tag = 'x'", "examination .* is not what was stored", "entry 7"),
        ("UPDATE photographs SET position = 7 WHERE position = 1", "photograph .* is not what was stored", "entry 5"),
        ("UPDATE photographs SET record = zeroblob(99)", "photograph .* is not what was stored", "entry"),
        ("DELETE FROM photographs WHERE position = 0", "photograph .* is missing", "entry 4 of the log stored it"),
        ("DELETE FROM examinations", "examination .* is missing", "no entry deleted it"),
        (
            "INSERT INTO examinations SELECT 'x', person_tag, started_at, finished_at, outcome, record, salt"
            " FROM examinations",
            "examination x is stored and not in the log",
            "put in",
        ),
    ],
)
def test_what_was_changed_is_named(
    store: Store, stored: Examination, key: Key, statement: str, what: str, why: str
) -> None:
    store.close()
    _changed(store.folder, statement)
    with pytest.raises(AuditBroken, match=what) as said:
        _verified(store.folder, key)
    assert why in said.value.why
    assert "sall-edge store restore" in said.value.fix


@pytest.mark.parametrize("is_encrypted", [True, False])
def test_one_byte_changed_in_the_log_is_found(tmp_path: Path, key: Key, is_encrypted: bool) -> None:
    given = key if is_encrypted else None
    folder = create_store(tmp_path / "store", given)
    with open_store(folder, given) as opened:
        for _ in range(4):
            put_examination(opened)
    path, random_ = folder / "store.db", random.Random(7)
    with closing(sqlite3.connect(path)) as database:
        payloads = [row[0].encode() for row in database.execute("SELECT payload FROM audit")]
    whole, done = path.read_bytes(), 0
    while done < CHANGED_BYTES:
        seq, start = random_.randrange(len(payloads)) + 1, random_.random()
        piece = payloads[seq - 1][int(start * (len(payloads[seq - 1]) - PIECE)) :][:PIECE]
        if whole.count(piece) != 1:  # in the log and nowhere else, and not over the edge of a page
            continue
        changed, done = bytearray(whole), done + 1
        changed[whole.find(piece) + random_.randrange(PIECE)] ^= 1 << random_.randrange(8)
        path.write_bytes(changed)
        with pytest.raises(AuditBroken, match=rf"broken at entry {seq}\n") as said:
            _verified(folder, given)
        assert "its hash is not the hash of what it says" in said.value.why
    path.write_bytes(whole)
    _verified(folder, given)


def test_a_damaged_page_is_said(store: Store, stored: Examination, key: Key) -> None:
    store.close()
    path = store.folder / "store.db"
    whole = path.read_bytes()
    path.write_bytes(whole[:4096] + bytes(len(whole) - 4096))
    with pytest.raises(AuditBroken, match=r"damaged|cannot be read"):
        _verified(store.folder, key)
    path.write_bytes(b"not a database" * 100)
    with pytest.raises(AuditBroken, match="damaged"):
        _verified(store.folder, key)
    path.unlink()
    with pytest.raises(StoreError, match=r"store\.db is missing"):
        _verified(store.folder, key)


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (lambda path: path.write_bytes(path.read_bytes()[:-1] + b"!"), "its seal does not open"),
        (lambda path: path.write_bytes(b""), "its seal does not open"),
        (lambda path: path.unlink(), "No such file"),
        (
            lambda path: shutil.copy(next(p for p in path.parent.parent.rglob("*.sealed") if p != path), path),
            "its seal",
        ),
    ],
)
def test_a_photograph_that_was_changed_or_exchanged_is_found(
    store: Store, stored: Examination, change: Callable[[Path], object], why: str
) -> None:
    change(store.files.path(stored.photographs[1].sha256))
    with pytest.raises(AuditBroken, match=stored.photographs[1].sha256) as said:
        verify(store)
    assert why in said.value.why


def test_a_changed_photograph_is_found_without_a_key_too(tmp_path: Path) -> None:
    with open_store(create_store(tmp_path / "plain")) as plain:
        examination = put_examination(plain)
        digest = examination.photographs[0].sha256
        plain.files.path(digest).write_bytes(b"another eye")
        with pytest.raises(StoreError, match="its hash is another one"):
            plain.photograph_bytes(digest)
        with pytest.raises(AuditBroken, match=digest):
            verify(plain)


@pytest.mark.parametrize("content", [None, b"", b"[]", b'{"seq": 7, "hash": "%s", "mac": null}' % (b"0" * 64)])
def test_a_head_that_the_store_did_not_write_is_found(
    store: Store, stored: Examination, key: Key, content: bytes | None
) -> None:
    path = store.folder / "head.json"
    path.unlink() if content is None else path.write_bytes(content)
    for reading in (lambda: verify(store), lambda: open_store(store.folder, key)):
        with pytest.raises(AuditBroken, match=r"the head of the audit log, .*, cannot be trusted"):
            reading()


def test_nothing_is_added_to_a_log_that_was_cut_short(store: Store, stored: Examination, key: Key) -> None:
    _changed(store.folder, "DELETE FROM audit WHERE seq > 5")
    with pytest.raises(AuditBroken, match="ends too early, after entry 5"):
        put_examination(store)
    with pytest.raises(AuditBroken, match="ends too early, after entry 5"):
        open_store(store.folder, key)


def test_another_entry_in_the_place_of_the_last_is_found_at_once(store: Store, stored: Examination, key: Key) -> None:
    _changed(store.folder, f"UPDATE audit SET hash = '{START}' WHERE seq = 7")
    with pytest.raises(AuditBroken, match="broken at or before entry 7"):
        open_store(store.folder, key)


def test_a_log_with_another_header_is_found(store: Store, stored: Examination) -> None:
    path = store.folder / "store.json"
    path.write_text(path.read_text() + " ")
    with pytest.raises(AuditBroken, match=r"store\.json is not the one that the log begins with"):
        verify(store)


def _written_anew(folder: Path) -> None:
    """A forger without the key: changes a grade, and makes every later hash fit."""
    with closing(sqlite3.connect(folder / "store.db")) as database:
        database.execute("DROP TRIGGER audit_no_update")
        previous = START
        for seq, at, kind, payload in database.execute(
            "SELECT seq, at, kind, payload FROM audit ORDER BY seq"
        ).fetchall():
            payload = payload.replace('"grade":2', '"grade":0')
            digest = entry_hash(seq=seq, at=at, kind=kind, payload=payload, previous=previous)
            database.execute(
                "UPDATE audit SET payload = ?, previous = ?, hash = ? WHERE seq = ?", (payload, previous, digest, seq)
            )
            previous = digest
        database.commit()
    path = folder / "head.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "hash": previous}))


def test_a_log_written_anew_without_the_key_is_found(store: Store, stored: Examination, key: Key) -> None:
    store.close()
    _written_anew(store.folder)
    with pytest.raises(AuditBroken, match="cannot be trusted"):
        _verified(store.folder, key)
    head = json.loads((store.folder / "head.json").read_text())
    mac = read_store(store.folder, key).seal.authenticate(f"head {head['seq']} {head['hash']}")
    (store.folder / "head.json").write_text(json.dumps({**head, "mac": mac}))  # more than a forger could do
    with pytest.raises(AuditBroken, match="entry 4"):
        _verified(store.folder, key)


def test_a_log_written_anew_without_any_key_is_found_only_by_a_head_kept_elsewhere(tmp_path: Path) -> None:
    folder = create_store(tmp_path / "plain")
    with open_store(folder) as plain:
        put_examination(plain)
        kept = verify(plain).head.hash
    _written_anew(folder)
    _verified(folder, None)  # a limit that docs/store.md states
    with pytest.raises(AuditBroken, match=f"does not hold the entry with hash {kept[:16]}"):
        _verified(folder, None, head=kept)


def test_an_older_copy_of_the_whole_store_is_found_only_by_a_head_kept_elsewhere(
    store: Store, stored: Examination, key: Key, tmp_path: Path
) -> None:
    kept = [verify(store).head.hash]
    store.close()
    shutil.copytree(store.folder, tmp_path / "older")
    with open_store(store.folder, key) as opened:
        put_examination(opened)
        kept.append(verify(opened).head.hash)
    _verified(store.folder, key, head=kept[0])  # an old head is in a log that went on
    _verified(tmp_path / "older", key, head=kept[0])  # a limit that docs/store.md states
    with pytest.raises(AuditBroken, match="the log was cut short and went on, or was written anew"):
        _verified(tmp_path / "older", key, head=kept[1])


def test_a_store_is_verified_with_its_key_only(store: Store) -> None:
    with pytest.raises(StoreLocked, match="no key was given"):
        _verified(store.folder, None)


def test_a_foreign_entry_that_fits_is_named(tmp_path: Path) -> None:
    with open_store(create_store(tmp_path / "plain")) as plain:
        last = verify(plain).head
        said = {"seq": 3, "at": "", "kind": "begun", "payload": '{"row_sha256":1}', "previous": last.hash}
        digest = entry_hash(**said)  # type: ignore[arg-type]
        _changed(
            plain.folder,
            f"INSERT INTO audit VALUES (3, '', 'begun', '{said['payload']}', '{last.hash}', '{digest}', '')",
        )
        with pytest.raises(AuditBroken, match="entry 3") as problem:
            verify(plain)
    assert "this program wrote no such entry" in problem.value.why
    assert sha256(f"{last.hash}\n3\n\nbegun\n{said['payload']}".encode()).hexdigest() == digest
