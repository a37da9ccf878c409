"""The log: every entry holds the hash of the one before, so none can be changed, taken out or put in unnoticed.

What a chain of hashes cannot show, `docs/store.md` says: its end can be cut off, and the whole be written anew, by who
has the key (or, without a key, by anybody who can write the files). `Head` is what a clinic keeps elsewhere against it.
"""

from dataclasses import dataclass
from datetime import datetime, timezone
from enum import Enum
from hashlib import sha256
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from sall_edge.errors import AuditBroken
from sall_edge.screening.store.rows import canonical, utc_text
from sall_edge.screening.store.seal import Seal
from sall_edge.screening.store.tables import AuditRow

__all__ = [
    "FROM_A_BACKUP",
    "START",
    "Head",
    "Kind",
    "append",
    "broken",
    "check_entry",
    "ended_early",
    "entry_hash",
    "newest",
    "written",
]

START = "0" * 64
"""What the first entry has for the hash of the one before."""

FROM_A_BACKUP = "keep the folder as it is for who has to find out, and restore a backup: sall-edge store restore"


class Kind(str, Enum):
    """What an entry is about."""

    CREATED = "created"
    OPENED = "opened"
    MIGRATED = "migrated"
    BEGUN = "begun"
    PHOTOGRAPH = "photograph"
    SAVED = "saved"
    FINISHED = "finished"
    CORRECTED = "corrected"
    DELETED = "deleted"
    BACKUP = "backup"
    RESTORED = "restored"


@dataclass(frozen=True, slots=True, kw_only=True)
class Head:
    """The last entry: its number and its hash, which stand for all before it."""

    seq: int
    hash: str


def entry_hash(*, seq: int, at: str, kind: str, payload: str, previous: str) -> str:
    """SHA-256 of all that an entry says, in hexadecimal; the payload comes last, the others hold no line break."""
    text = "\n".join(map(str, (previous, seq, at, kind, payload)))  # str: damage may have made a column a number
    return sha256(text.encode(errors="surrogateescape")).hexdigest()


def newest(session: Session) -> Head | None:
    """The last entry's number and hash; None before the first."""
    entry = session.scalars(select(AuditRow).order_by(AuditRow.seq.desc()).limit(1)).one_or_none()
    return None if entry is None else Head(seq=entry.seq, hash=entry.hash)


def append(session: Session, seal: Seal, kind: Kind, facts: dict[str, Any]) -> Head:
    """Adds an entry to the transaction; it is the new head once that is committed.

    Args:
        session: In a transaction, with the store's writing lock held.
        seal: The store's.
        kind: What happened.
        facts: Without anything that names a person: entries outlive what retention deletes.
    """
    before = newest(session)
    seq, previous = (1, START) if before is None else (before.seq + 1, before.hash)
    at, payload = utc_text(datetime.now(timezone.utc)), canonical(facts)
    digest = entry_hash(seq=seq, at=at, kind=kind.value, payload=payload, previous=previous)
    mac = seal.authenticate(digest) or ""
    session.add(AuditRow(seq=seq, at=at, kind=kind.value, payload=payload, previous=previous, hash=digest, mac=mac))
    session.flush()
    return Head(seq=seq, hash=digest)


def check_entry(entry: AuditRow, before: Head | None, seal: Seal) -> Head:
    """The head after this entry, which has to follow the one before.

    Raises:
        AuditBroken: It does not, or it is not what was written.
    """
    seq, previous = (1, START) if before is None else (before.seq + 1, before.hash)
    if entry.seq != seq:
        raise broken(seq, f"it is missing: the next one in the log is {entry.seq}")
    digest = entry_hash(seq=entry.seq, at=entry.at, kind=entry.kind, payload=entry.payload, previous=entry.previous)
    if entry.hash != digest:
        raise broken(seq, "its hash is not the hash of what it says: it was changed")
    if entry.previous != previous:
        raise broken(seq, "it does not hold the hash of the entry before: one of the two was written anew")
    if entry.mac != (seal.authenticate(digest) or ""):
        raise broken(seq, "it was not written with the store's key")
    return Head(seq=seq, hash=digest)


def broken(seq: int, why: str) -> AuditBroken:
    """The error of an entry."""
    return AuditBroken(f"the audit log is broken at entry {seq}", why, FROM_A_BACKUP)


def written(head: Head) -> str:
    """What the store said of its last entry, for the error that says what is there instead."""
    return f"the store wrote entry {head.seq} with hash {head.hash[:16]}…"


def ended_early(last: int, said: Head) -> AuditBroken:
    """The error of a log that ends after entry `last`, although the store wrote `said`."""
    why = f"{written(said)}, and it is not there"
    return AuditBroken(f"the audit log ends too early, after entry {last}", why, FROM_A_BACKUP)
