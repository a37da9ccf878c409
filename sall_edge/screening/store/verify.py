"""The whole store held against its log: every entry, every row, every photograph's file."""

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any

from sqlalchemy import select, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from sall_edge.errors import AuditBroken, StoreError
from sall_edge.screening.store.audit import FROM_A_BACKUP, Head, Kind, broken, check_entry, ended_early, written
from sall_edge.screening.store.head import read_head
from sall_edge.screening.store.header import HEADER_NAME
from sall_edge.screening.store.locks import Hold, Lock, locked
from sall_edge.screening.store.reader import StoreReader
from sall_edge.screening.store.rows import examination_row_sha256, photograph_row_sha256
from sall_edge.screening.store.tables import AuditRow, ExaminationRow, PhotographRow
from sall_edge.spec import Eye

__all__ = ["Verified", "log_head", "verify"]

ROWS_AT_ONCE = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class Verified:
    """What was found whole.

    Attributes:
        head: The last entry; keep its hash elsewhere.
        examinations, photographs: Rows that are what the log says.
        files: Photograph files whose bytes have the hash of their name.
    """

    head: Head
    examinations: int
    photographs: int
    files: int


@dataclass(slots=True)
class _Logged:
    """What ought to be there by the log: the hash of each row, and the entry that says so; each photograph's eye."""

    head: Head | None = None
    hashes: set[str] = field(default_factory=set)
    examinations: dict[str, tuple[str, int]] = field(default_factory=dict)
    photographs: dict[str, tuple[str, int]] = field(default_factory=dict)
    images: dict[str, str] = field(default_factory=dict)
    eyes: dict[str, str] = field(default_factory=dict)


def verify(store: StoreReader, *, head: str | None = None) -> Verified:
    """What is stored, if all of it is what the log says; others may write meanwhile.

    Args:
        store: Open, with its key.
        head: Hash of an entry that was kept elsewhere: the log has to hold it.

    Raises:
        AuditBroken: The first thing that is not what was written.
        StoreError: The store cannot be read, or is busy deleting for long.
    """
    with locked(store.folder, Lock.KEEPING, how=Hold.SHARED):
        said = read_head(store.folder, store.seal)  # before the log is read: it may go on meanwhile
        with store.session() as session:
            logged = _walked(session, store)
            last = _checked_heads(logged, said, head)
            examinations, photographs = _compared(session, logged)
            problems = session.execute(text("PRAGMA integrity_check")).scalars().all()
            if problems != ["ok"]:
                raise AuditBroken(f"the database of {store.folder} is damaged", str(problems[0]), FROM_A_BACKUP)
        files = set(logged.images.values())
        for digest in sorted(files):
            _check_file(store, digest)
    return Verified(head=last, examinations=examinations, photographs=photographs, files=len(files))


def log_head(store: StoreReader) -> Head:
    """The last entry that the store vouches for.

    Raises:
        AuditBroken: The file that says it is gone or not the store's.
    """
    return read_head(store.folder, store.seal)


def _walked(session: Session, store: StoreReader) -> _Logged:
    logged = _Logged()
    for entry in _entries(session, logged):
        logged.head = check_entry(entry, logged.head, store.seal)
        logged.hashes.add(entry.hash)
        try:
            _replay(logged, entry, store)
        except (ValueError, KeyError, TypeError, AttributeError) as cause:
            raise broken(entry.seq, f"this program wrote no such entry: {cause!r}") from cause
    return logged


def _entries(session: Session, logged: _Logged) -> Iterator[AuditRow]:
    """The log in its order; what cannot be read is the entry after the last one that could."""
    rows = select(AuditRow).order_by(AuditRow.seq).execution_options(yield_per=ROWS_AT_ONCE)
    try:
        yield from session.scalars(rows)
    except DBAPIError as cause:
        seq = 1 if logged.head is None else logged.head.seq + 1
        raise broken(seq, f"it, or one soon after it, cannot be read: {cause.orig}") from cause


def _replay(logged: _Logged, entry: AuditRow, store: StoreReader) -> None:
    facts = json.loads(entry.payload)
    kind = Kind(entry.kind)
    if (kind is Kind.CREATED) != (entry.seq == 1):
        raise ValueError(f"entry {entry.seq} is of kind {entry.kind}; the first one and no other is 'created'")
    if kind is Kind.CREATED:
        if facts["header_sha256"] != sha256((store.folder / HEADER_NAME).read_bytes()).hexdigest():
            what = f"{HEADER_NAME} is not the one that the log begins with"
            raise AuditBroken(what, "entry 1 holds another hash of it: it was changed", FROM_A_BACKUP)
    elif kind is Kind.DELETED:
        del logged.examinations[facts["examination"]]
        for photograph in facts["photographs"]:
            del logged.photographs[photograph], logged.images[photograph], logged.eyes[photograph]
    elif "row_sha256" in facts:
        if kind is Kind.CORRECTED:
            _correct(logged, facts)
        logged.examinations[facts["examination"]] = (facts["row_sha256"], entry.seq)
        for photograph, digest in facts["photograph_rows_sha256"].items():
            logged.photographs[photograph] = (digest, entry.seq)
        if kind is Kind.PHOTOGRAPH:
            logged.images[facts["photograph"]] = facts["image_sha256"]
            logged.eyes[facts["photograph"]] = facts["eye"]


def _correct(logged: _Logged, facts: dict[str, Any]) -> None:
    """A correction follows from what was logged before it, and touches no photograph's row."""
    photograph, was = facts["photograph"], logged.eyes[facts["photograph"]]
    if facts["eye_was"] != was or {was, facts["eye_is"]} != {eye.value for eye in Eye}:
        raise ValueError(f"photograph {photograph} was of {was}, not {facts['eye_was']}, and is of {facts['eye_is']}")
    if facts["replaced_row_sha256"] != logged.examinations[facts["examination"]][0]:
        raise ValueError("it replaces another decision than the last one")
    if facts["photograph_rows_sha256"]:
        raise ValueError("it changes what was stored of photographs")
    logged.eyes[photograph] = facts["eye_is"]


def _checked_heads(logged: _Logged, said: Head, kept: str | None) -> Head:
    """The last entry, where the log holds the head that the store said and the one that was kept elsewhere."""
    last = logged.head
    if last is None or last.seq < said.seq:
        raise ended_early(0 if last is None else last.seq, said)
    if said.hash not in logged.hashes:
        raise broken(said.seq, f"{written(said)}, and another one is in its place")
    if kept is not None and kept not in logged.hashes:
        why = "its entries fit each other, so the log was cut short and went on, or was written anew as a whole"
        raise AuditBroken(f"the audit log does not hold the entry with hash {kept[:16]}…", why, FROM_A_BACKUP)
    return last


def _compared(session: Session, logged: _Logged) -> tuple[int, int]:
    """How many examinations and photographs there are, each of them what the log says, and none missing."""
    examinations = session.scalars(select(ExaminationRow).execution_options(yield_per=ROWS_AT_ONCE))
    found = ((row.examination_id, examination_row_sha256(row)) for row in examinations)
    count = _same("examination", found, logged.examinations)
    photographs = session.scalars(select(PhotographRow).execution_options(yield_per=ROWS_AT_ONCE))
    found = ((row.photograph_id, photograph_row_sha256(row)) for row in photographs)
    return count, _same("photograph", found, logged.photographs)


def _same(noun: str, found: Iterable[tuple[str, str]], logged: Mapping[str, tuple[str, int]]) -> int:
    seen = set()
    for identifier, digest in found:
        expected, seq = logged.get(identifier, ("", 0))
        if not seq:
            raise AuditBroken(f"{noun} {identifier} is stored and not in the log", "it was put in", FROM_A_BACKUP)
        if digest != expected:
            why = f"entry {seq} of the log holds another hash of its row: it was changed after it was stored"
            raise AuditBroken(f"{noun} {identifier} is not what was stored", why, FROM_A_BACKUP)
        seen.add(identifier)
    for identifier in sorted(logged.keys() - seen, key=lambda missing: logged[missing][1]):
        why = f"entry {logged[identifier][1]} of the log stored it, and no entry deleted it"
        raise AuditBroken(f"{noun} {identifier} is missing", why, FROM_A_BACKUP)
    return len(seen)


def _check_file(store: StoreReader, digest: str) -> None:
    try:
        store.photograph_bytes(digest)
    except StoreError as problem:
        raise AuditBroken(problem.what, problem.why, FROM_A_BACKUP) from problem
