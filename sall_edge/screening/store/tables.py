"""The three tables. What names a person is in `record`, sealed; the other columns are what the device looks rows up by.

`migrations` makes the tables; a test holds these classes against what it makes.
"""

from sqlalchemy import CheckConstraint, ForeignKey, LargeBinary
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, relationship

__all__ = ["AuditRow", "ExaminationRow", "PhotographRow", "Table"]


class Table(DeclarativeBase):
    """What the tables have in common."""


class ExaminationRow(Table):
    """An examination without its photographs.

    Attributes:
        person_tag: A keyed hash of the person's reference; in a store without a key the reference.
        started_at, finished_at: UTC, ISO 8601 with microseconds, so that text sorts as time does.
        outcome: Its value.
        record: The whole examination without photographs, as JSON, sealed.
        salt: New at every writing; without it the hash in the audit log cannot be guessed from what the row says.
    """

    __tablename__ = "examinations"

    examination_id: Mapped[str] = mapped_column(primary_key=True)
    person_tag: Mapped[str] = mapped_column(index=True)
    started_at: Mapped[str] = mapped_column(index=True)
    finished_at: Mapped[str | None] = mapped_column(index=True)
    outcome: Mapped[str]
    record: Mapped[bytes] = mapped_column(LargeBinary)
    salt: Mapped[str]
    photographs: Mapped[list["PhotographRow"]] = relationship(
        order_by="PhotographRow.position", cascade="all, delete-orphan", passive_deletes=True
    )


class PhotographRow(Table):
    """A photograph; its file is known by `sha256`, which several rows may share.

    Attributes:
        position: In the examination, from 0.
        sha256: Of the photograph's own bytes, not of the sealed file.
        record: The examined photograph as JSON, sealed: it may hold a file's name, and so a person's.
        salt: As in `ExaminationRow`.
    """

    __tablename__ = "photographs"

    photograph_id: Mapped[str] = mapped_column(primary_key=True)
    examination_id: Mapped[str] = mapped_column(
        ForeignKey("examinations.examination_id", ondelete="CASCADE"), index=True
    )
    position: Mapped[int]
    sha256: Mapped[str] = mapped_column(index=True)
    record: Mapped[bytes] = mapped_column(LargeBinary)
    salt: Mapped[str]


class AuditRow(Table):
    """An entry of the log; triggers forbid to change or delete one.

    Attributes:
        seq: From 1, without a gap.
        at: UTC, ISO 8601.
        kind: What happened.
        payload: Canonical JSON, without anything that names a person.
        previous: Hash of the entry before; 64 zeros for the first.
        hash: SHA-256 of all the above.
        mac: HMAC of the hash with the store's key; empty without a key.
    """

    __tablename__ = "audit"
    __table_args__ = (CheckConstraint("seq > 0", name="audit_seq_counts_from_one"),)

    seq: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    at: Mapped[str]
    kind: Mapped[str]
    payload: Mapped[str]
    previous: Mapped[str]
    hash: Mapped[str]
    mac: Mapped[str]
