"""`head.json`: the last entry of the audit log, outside the database, so that a log cut short is noticed.

It is on the disk before the entry is committed and takes its place after: it never claims more than the database holds,
and a process that dies in between leaves it one transaction behind.
"""

import hmac
import json
from pathlib import Path

from sqlalchemy import select
from sqlalchemy.orm import Session

from sall_edge.errors import AuditBroken
from sall_edge.screening.store.audit import FROM_A_BACKUP, Head, check_entry, ended_early, written
from sall_edge.screening.store.files import staged
from sall_edge.screening.store.seal import Seal
from sall_edge.screening.store.tables import AuditRow

__all__ = ["HEAD_NAME", "check_head", "head_bytes", "read_head", "stage_head"]

HEAD_NAME = "head.json"


def head_bytes(head: Head, seal: Seal) -> bytes:
    """The file's content."""
    return json.dumps({"seq": head.seq, "hash": head.hash, "mac": seal.authenticate(_said(head))}).encode()


def stage_head(folder: Path, head: Head, seal: Seal) -> Path:
    """A file beside the head's with the new head, to be renamed once the entry is committed.

    Raises:
        StoreFull: No room, said while the transaction can still be taken back.
        StoreError: It cannot be written.
    """
    return staged(folder / HEAD_NAME, head_bytes(head, seal))


def read_head(folder: Path, seal: Seal) -> Head:
    """The head that the store last said.

    Raises:
        AuditBroken: The file is gone, or is not what the store wrote.
    """
    path = folder / HEAD_NAME
    what = f"the head of the audit log, {path}, cannot be trusted"
    try:
        known = json.loads(path.read_bytes())
        head, mac = Head(seq=known["seq"], hash=known["hash"]), known["mac"]
    except (OSError, ValueError, TypeError, KeyError) as cause:
        raise AuditBroken(what, f"it is missing or damaged: {cause}", FROM_A_BACKUP) from cause
    right = seal.authenticate(_said(head)) or ""
    if not hmac.compare_digest(str(mac or "").encode(), right.encode()):
        raise AuditBroken(what, "it was not written with the store's key", FROM_A_BACKUP)
    return head


def check_head(session: Session, head: Head, seal: Seal) -> Head:
    """The head of the log in the database, which has to hold the one that was said, and may go on after it.

    Raises:
        AuditBroken: Entries at the end are missing, or others are in their place.
    """
    entry = session.get(AuditRow, head.seq)
    if entry is None:
        last = session.scalars(select(AuditRow.seq).order_by(AuditRow.seq.desc()).limit(1)).one_or_none() or 0
        raise ended_early(last, head)
    if entry.hash != head.hash:
        why = f"{written(head)}, and another one is in its place"
        raise AuditBroken(f"the audit log is broken at or before entry {head.seq}", why, FROM_A_BACKUP)
    for later in session.scalars(select(AuditRow).where(AuditRow.seq > head.seq).order_by(AuditRow.seq)):
        head = check_entry(later, head, seal)
    return head


def _said(head: Head) -> str:
    return f"head {head.seq} {head.hash}"
