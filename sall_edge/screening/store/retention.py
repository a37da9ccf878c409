"""What is older than it has to be kept: finished examinations, by the day they were finished."""

from dataclasses import dataclass
from datetime import datetime, timedelta, timezone

from sqlalchemy import select

from sall_edge.screening.store.reader import StoreReader
from sall_edge.screening.store.rows import utc_text
from sall_edge.screening.store.store import Store
from sall_edge.screening.store.tables import ExaminationRow

__all__ = ["Expired", "expired", "retain"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Expired:
    """An examination that need not be kept any longer.

    Attributes:
        finished_at: UTC, ISO 8601.
        photographs: How many it has.
    """

    examination_id: str
    finished_at: str
    photographs: int


def expired(store: StoreReader, *, keep_days: int, now: datetime | None = None) -> tuple[Expired, ...]:
    """Examinations that were finished more than `keep_days` times 24 hours ago, oldest first; changes nothing.

    Args:
        store: Read only.
        keep_days: At least 1.
        now: Aware; None is now.
    """
    if keep_days < 1:
        raise ValueError(f"keep_days is {keep_days}; it is at least 1")
    until = utc_text((now or datetime.now(timezone.utc)) - timedelta(days=keep_days))
    with store.session() as session:
        rows = session.scalars(
            select(ExaminationRow).where(ExaminationRow.finished_at < until).order_by(ExaminationRow.finished_at)
        )
        return tuple(
            Expired(examination_id=row.examination_id, finished_at=row.finished_at, photographs=len(row.photographs))
            for row in rows
            if row.finished_at is not None
        )


def retain(store: Store, *, keep_days: int, now: datetime | None = None) -> tuple[Expired, ...]:
    """Deletes what `expired` names; what was deleted.

    Raises:
        StoreError: The store is busy for long; what was deleted until then stays deleted.
    """
    gone = expired(store, keep_days=keep_days, now=now)
    for one in gone:
        store.delete(one.examination_id, why=f"finished more than {keep_days} days ago")
    return gone
