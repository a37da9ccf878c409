"""A store that is read: while another process writes to it, or not at all any more."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import TypeVar

from sqlalchemy import select
from sqlalchemy.orm import Session, selectinload

from sall_edge.errors import StoreError
from sall_edge.screening.examination.record import Examination
from sall_edge.screening.store.audit import FROM_A_BACKUP
from sall_edge.screening.store.database import DATABASE_NAME, database_errors, open_database
from sall_edge.screening.store.files import PhotographFiles
from sall_edge.screening.store.header import read_header, unlock
from sall_edge.screening.store.key import Key
from sall_edge.screening.store.migrate import REVISION, check_known, revision_of
from sall_edge.screening.store.rows import examination_from_row, utc_text
from sall_edge.screening.store.tables import ExaminationRow, PhotographRow

__all__ = ["StoreReader", "read_store"]

_NEVER_HERE = "it was never stored here, or has been deleted"

_Self = TypeVar("_Self", bound="StoreReader")


class StoreReader:
    """Examinations and photographs that are stored; writes nothing, not even that it was opened.

    Args:
        folder: The store.
        key: As it was made with.

    Raises:
        StoreError: There is no store.
        StoreLocked: The key is missing or another one.
    """

    def __init__(self, folder: Path, key: Key | None) -> None:
        self.folder = folder
        self.header = read_header(folder)
        self.seal = unlock(folder, self.header, key)
        self.files = PhotographFiles(folder, self.seal)
        if not (folder / DATABASE_NAME).is_file():  # or SQLite would make an empty one
            raise StoreError(f"the store {folder} is damaged", f"{DATABASE_NAME} is missing", FROM_A_BACKUP)
        self.engine = open_database(folder)

    @contextmanager
    def session(self) -> Iterator[Session]:
        """A transaction that is committed when the block ends well; what is loaded in it stays usable.

        Raises:
            StoreFull, AuditBroken, StoreError: What the database says.
        """
        with database_errors(self.folder), Session(self.engine, expire_on_commit=False) as session, session.begin():
            yield session

    def examination(self, examination_id: str) -> Examination:
        """One examination, with its photographs.

        Raises:
            StoreError: It is not stored, or was changed behind the store's back.
        """
        with self.session() as session:
            row = session.get(ExaminationRow, examination_id)
            if row is None:
                raise StoreError(f"no examination {examination_id}", _NEVER_HERE, "sall-edge store list shows them")
            return examination_from_row(row, self.seal)

    def examination_with(self, photograph_id: str) -> Examination:
        """The examination that a photograph is in.

        Raises:
            StoreError: There is none, or it was changed behind the store's back.
        """
        with self.session() as session:
            photograph = session.get(PhotographRow, photograph_id)
        if photograph is None:
            raise StoreError(f"no photograph {photograph_id}", _NEVER_HERE, "sall-edge store show STORE ID names them")
        return self.examination(photograph.examination_id)

    def unfinished(self) -> tuple[Examination, ...]:
        """Those that were begun and not finished, oldest first: what a device goes on with after a power cut."""
        with self.session() as session:
            unfinished = ExaminationRow.finished_at.is_(None)
            rows = session.scalars(select(ExaminationRow).where(unfinished).order_by(ExaminationRow.started_at))
            return tuple(examination_from_row(row, self.seal) for row in rows)

    def examinations(self, *, since: datetime | None = None, reference: str | None = None) -> tuple[Examination, ...]:
        """All of them, oldest first; those begun at `since` or later, those of one person.

        Args:
            since: Aware.
            reference: The person's, exactly; in an encrypted store found by its keyed hash.
        """
        wanted = select(ExaminationRow).options(selectinload(ExaminationRow.photographs))
        if since is not None:
            wanted = wanted.where(ExaminationRow.started_at >= utc_text(since))
        if reference is not None:
            wanted = wanted.where(ExaminationRow.person_tag == self.seal.tag(reference))
        with self.session() as session:
            rows = session.scalars(wanted.order_by(ExaminationRow.started_at))
            return tuple(examination_from_row(row, self.seal) for row in rows)

    def is_stored(self, digest: str, *, reference: str | None = None) -> bool:
        """Whether a photograph with this SHA-256 is in an examination; of this person, if one is given."""
        found = select(PhotographRow.photograph_id).where(PhotographRow.sha256 == digest)
        if reference is not None:
            theirs = PhotographRow.examination_id == ExaminationRow.examination_id
            found = found.join(ExaminationRow, theirs).where(ExaminationRow.person_tag == self.seal.tag(reference))
        with self.session() as session:
            return session.scalars(found).first() is not None

    def photograph_bytes(self, digest: str) -> bytes:
        """The file that the camera gave, by its SHA-256, which is checked.

        Raises:
            StoreError: It is not there, or is not what was stored.
        """
        return self.files.read(digest)

    def close(self) -> None:
        """Lets the database go; a second call does nothing."""
        self.engine.dispose()

    def __enter__(self: _Self) -> _Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def read_store(folder: Path, key: Key | None = None) -> StoreReader:
    """A store to be read, while others may write.

    Raises:
        StoreError: There is none, or its tables are not of this program's version.
        StoreLocked: The key is missing or another one.
    """
    store = StoreReader(folder, key)
    try:
        with store.session() as session:
            revision = revision_of(session.connection())
        if revision != REVISION:
            check_known(folder, revision)
            why = f"its tables are at step {revision}, and reading changes nothing; this program needs {REVISION}"
            raise StoreError(f"the store {folder} was written by an older sall-edge", why, "sall-edge store migrate")
    except BaseException:
        store.close()
        raise
    return store
