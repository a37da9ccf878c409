"""Examinations, photographs, and the audit log with the triggers that keep it append-only."""

import sqlalchemy as sa
from alembic import op

revision = "r0001"
down_revision = None


def upgrade() -> None:
    """Makes the first tables."""
    op.create_table(
        "examinations",
        sa.Column("examination_id", sa.String, primary_key=True),
        sa.Column("person_tag", sa.String, nullable=False, index=True),
        sa.Column("started_at", sa.String, nullable=False, index=True),
        sa.Column("finished_at", sa.String, index=True),
        sa.Column("outcome", sa.String, nullable=False),
        sa.Column("record", sa.LargeBinary, nullable=False),
        sa.Column("salt", sa.String, nullable=False),
    )
    examination = sa.ForeignKey("examinations.examination_id", ondelete="CASCADE")
    op.create_table(
        "photographs",
        sa.Column("photograph_id", sa.String, primary_key=True),
        sa.Column("examination_id", sa.String, examination, nullable=False, index=True),
        sa.Column("position", sa.Integer, nullable=False),
        sa.Column("sha256", sa.String, nullable=False, index=True),
        sa.Column("record", sa.LargeBinary, nullable=False),
        sa.Column("salt", sa.String, nullable=False),
    )
    op.create_table(
        "audit",
        sa.Column("seq", sa.Integer, primary_key=True, autoincrement=False),
        *(sa.Column(name, sa.String, nullable=False) for name in ("at", "kind", "payload", "previous", "hash", "mac")),
        sa.CheckConstraint("seq > 0", name="audit_seq_counts_from_one"),
    )
    for verb in ("UPDATE", "DELETE"):
        op.execute(
            f"CREATE TRIGGER audit_no_{verb.lower()} BEFORE {verb} ON audit "
            "BEGIN SELECT RAISE(ABORT, 'the audit log is append-only'); END"
        )
