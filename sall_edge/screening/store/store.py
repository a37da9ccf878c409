"""The store of a device: examinations, their photographs, and a log of every verdict; safe to be killed at any moment.

A photograph's file is on the disk before its row, and the row comes with its entry in the log in one transaction. So a
process that dies leaves at most a file that nothing refers to, and the next one that opens the store removes it.
"""

import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager, closing, contextmanager
from hashlib import sha256
from pathlib import Path
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from sall_edge import __version__
from sall_edge.errors import StoreError
from sall_edge.screening.examination.record import Examination, ExaminedPhotograph
from sall_edge.screening.store.audit import Kind, append, newest
from sall_edge.screening.store.database import database_errors
from sall_edge.screening.store.entries import correction_facts, deletion_facts, examination_facts, photograph_facts
from sall_edge.screening.store.files import RESERVE_BYTES, check_room, storage_error
from sall_edge.screening.store.head import HEAD_NAME, check_head, read_head, stage_head
from sall_edge.screening.store.key import Key
from sall_edge.screening.store.locks import Hold, Lock, locked
from sall_edge.screening.store.migrate import remove_copies
from sall_edge.screening.store.reader import StoreReader
from sall_edge.screening.store.receiving import Received, receiving
from sall_edge.screening.store.rows import (
    examination_from_row,
    examination_row_sha256,
    fill_examination_row,
    fill_photograph_row,
)
from sall_edge.screening.store.tables import ExaminationRow, PhotographRow

__all__ = ["Store"]


class Store(StoreReader):
    """A store that is written to; any number of threads and processes may, each waits for its turn.

    Made by `create_store` and `open_store`.

    Args:
        folder: The store.
        key: As it was made with.
        reserve_bytes: Kept free by `check_room`.
    """

    def __init__(self, folder: Path, key: Key | None, *, reserve_bytes: int = RESERVE_BYTES) -> None:
        super().__init__(folder, key)
        self.reserve_bytes = reserve_bytes
        self._turn = threading.Lock()

    def check_room(self, needed_bytes: int) -> None:
        """Asked before a photograph is taken: nothing, where there is room for this many bytes and the reserve.

        Raises:
            StoreFull: There is not.
        """
        check_room(self.folder, needed_bytes, reserve_bytes=self.reserve_bytes)

    def begin(self, examination: Examination) -> None:
        """Stores a new examination, before its first photograph.

        Raises:
            StoreError: It is stored already, or cannot be.
        """
        if examination.photographs:
            raise ValueError(f"{len(examination.photographs)} photographs; begin stores none, add_photograph does")
        with self.turn(), self.change() as session:
            if session.get(ExaminationRow, examination.examination_id) is not None:
                why = "an examination with this number is stored"
                fix = "go on with it: store.examination(examination_id)"
                raise StoreError(f"cannot begin examination {examination.examination_id}", why, fix)
            row = ExaminationRow()
            fill_examination_row(row, examination, self.seal)
            session.add(row)
            append(session, self.seal, Kind.BEGUN, examination_facts(examination, row, ()))

    def add_photograph(self, examination: Examination, photograph: ExaminedPhotograph, data: bytes) -> None:
        """Stores a photograph, its verdict, and the examination as it is with it; all three or none.

        Args:
            examination: Already holds the photograph, as its last one.
            photograph: What was found on it.
            data: The file that the camera gave.

        Raises:
            StoreFull: No room; nothing was stored.
            StoreError: The photograph is stored already, or the examination is not, or is finished.
        """
        with self.receiving(data, sha256=sha256(data).hexdigest()) as received:
            self.add_received(examination, photograph, received)

    def receiving(self, data: bytes, *, sha256: str) -> AbstractContextManager[Received]:
        """A photograph whose file is written beside what the block does, which is to judge it and then `add_received`.

        Args:
            data: The file that the camera gave.
            sha256: Its hex digest.
        """
        return receiving(self.files, data, sha256=sha256)

    def add_received(self, examination: Examination, photograph: ExaminedPhotograph, received: Received) -> None:
        """As `add_photograph`, of a photograph that is being written.

        Raises:
            StoreFull, StoreError: As there.
        """
        digest = received.sha256
        if photograph.sha256 != digest:
            raise ValueError(f"the photograph's sha256 is {photograph.sha256}; that of its bytes is {digest}")
        if not examination.photographs or examination.photographs[-1] != photograph:
            raise ValueError(f"photograph {photograph.photograph_id} is not the last one of its examination")
        with self.turn():
            try:
                with self.change() as session:
                    row = self._row(session, examination.examination_id)
                    changed = self._updated(session, row, examination, new=photograph)
                    received.keep()  # on the disk before the commit
                    facts = photograph_facts(photograph) | examination_facts(examination, row, changed)
                    append(session, self.seal, Kind.PHOTOGRAPH, facts)
            except StoreError:
                self._remove_unreferenced(digest)
                raise

    def save(self, examination: Examination) -> None:
        """Stores what changed in an examination that goes on; nothing is written where nothing did.

        Raises:
            StoreError: It was not begun, is finished, or has other photographs than were added.
        """
        self._save(examination, Kind.SAVED)

    def finish(self, examination: Examination) -> None:
        """Stores an examination that ended; a second time the same is no error and is not written again.

        Raises:
            StoreError: As `save`.
        """
        if examination.finished_at is None:
            raise ValueError("finished_at is None; an examination that ended says when")
        self._save(examination, Kind.FINISHED)

    def correct(self, examination: Examination) -> None:
        """Stores that a photograph counts for the other eye, and what was decided anew; finished or not.

        The photographs' rows stay as they are. A second time the same is no error and is not written again.

        Args:
            examination: As `examination.correction.of_other_eye` gives it.

        Raises:
            StoreError: It is not stored, or differs in more than one correction and what follows from it.
        """
        with self.turn(), self.change() as session:
            row = self._row(session, examination.examination_id)
            stored = examination_from_row(row, self.seal)
            if stored == examination:
                return
            decided = {name: getattr(examination, name) for name in ("corrections", "eyes", "outcome", "reasons")}
            is_one_more = examination.corrections[:-1] == stored.corrections != examination.corrections
            if not is_one_more or stored.model_copy(update=decided) != examination:
                what = f"cannot store a correction of examination {examination.examination_id}"
                why = "it differs from what is stored in more than one correction and what follows from it"
                raise StoreError(what, why, "correct it as it is stored: store.examination(examination_id)")
            facts = correction_facts(examination.corrections[-1], examination_row_sha256(row))
            fill_examination_row(row, examination, self.seal)
            append(session, self.seal, Kind.CORRECTED, facts | examination_facts(examination, row, ()))

    def delete(self, examination_id: str, *, why: str) -> None:
        """Removes an examination, its person and its photographs, and what migrations copied; the log keeps hashes.

        Args:
            examination_id: Finished or not.
            why: Stays in the log, so it names nobody.

        Raises:
            StoreError: There is no such examination, or a backup is being written and goes on for long; or it was
                deleted, and a file that held it cannot be removed yet.
        """
        with locked(self.folder, Lock.KEEPING, how=Hold.ALONE), self.turn():
            with self.change() as session:
                row = self._row(session, examination_id)
                remove_copies(self.folder)  # before the commit: a process that dies now begins again
                digests = {photograph.sha256 for photograph in row.photographs}
                append(session, self.seal, Kind.DELETED, deletion_facts(row, why))
                session.delete(row)
                session.flush()
                digests -= set(session.scalars(select(PhotographRow.sha256).where(PhotographRow.sha256.in_(digests))))
            for digest in digests:
                self.files.remove(digest)
            self._empty_write_ahead_log()

    def note(self, kind: Kind, facts: dict[str, Any]) -> None:
        """An entry about the store itself; the program's version is put to it."""
        with self.turn(), self.change() as session:
            append(session, self.seal, kind, {**facts, "software": __version__})

    @contextmanager
    def turn(self) -> Iterator[None]:
        """Nobody else writes to the store during the block, in this process or another."""
        with self._turn, locked(self.folder, Lock.WRITING):
            yield

    @contextmanager
    def change(self) -> Iterator[Session]:
        """A transaction whose last entry becomes the head of the log; call it in a `turn`.

        Raises:
            AuditBroken: The log does not hold the head that the store last said; nothing is added to it.
            StoreFull: No room; nothing was changed.
        """
        staged = None
        try:
            with self.session() as session:
                before = check_head(session, read_head(self.folder, self.seal), self.seal)
                yield session
                head = newest(session)
                if head is not None and head != before:
                    staged = stage_head(self.folder, head, self.seal)
            if staged is not None:
                staged.replace(self.folder / HEAD_NAME)
        except OSError as cause:
            raise storage_error(cause, Path(cause.filename or self.folder / HEAD_NAME)) from cause
        finally:
            if staged is not None:
                staged.unlink(missing_ok=True)

    def _remove_unreferenced(self, digest: str) -> None:
        with self.session() as session:
            if session.scalars(select(PhotographRow.sha256).where(PhotographRow.sha256 == digest)).first() is None:
                self.files.remove(digest)

    def _empty_write_ahead_log(self) -> None:
        """What was deleted is still in it until it is written over.

        Raises:
            StoreError: Somebody reads an older state of the store for so long that it has to stay.
        """
        with database_errors(self.folder), closing(self.engine.raw_connection()) as connection:
            is_busy, _, _ = connection.cursor().execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        if is_busy:
            what = f"what was deleted is still in the write-ahead log of the store {self.folder}"
            fix = "end that process: the log goes when the last one closes the store"
            raise StoreError(what, "another process has been reading the store for long", fix)

    def _save(self, examination: Examination, kind: Kind) -> None:
        with self.turn(), self.change() as session:
            row = self._row(session, examination.examination_id)
            if examination_from_row(row, self.seal) == examination:
                return
            changed = self._updated(session, row, examination)
            append(session, self.seal, kind, examination_facts(examination, row, changed))

    def _row(self, session: Session, examination_id: str) -> ExaminationRow:
        row = session.get(ExaminationRow, examination_id)
        if row is None:
            why = "it was not begun in this store, or has been deleted"
            raise StoreError(f"no examination {examination_id}", why, "store.begin(examination) comes first")
        return row

    def _updated(
        self, session: Session, row: ExaminationRow, examination: Examination, *, new: ExaminedPhotograph | None = None
    ) -> list[PhotographRow]:
        """Writes the examination into its rows; those of the photographs that changed, the new one last."""
        stored = examination_from_row(row, self.seal)
        what = f"cannot store a change of examination {examination.examination_id}"
        if stored.finished_at is not None:
            raise StoreError(what, f"it was finished at {row.finished_at}", "begin another examination")
        if stored.corrections != examination.corrections:
            why = "the side of a photograph was corrected meanwhile"
            raise StoreError(what, why, "go on with it as it is stored: store.examination(examination_id)")
        if new is not None and session.get(PhotographRow, new.photograph_id) is not None:
            raise StoreError(what, f"photograph {new.photograph_id} is stored already", "nothing: it is safe")
        known = [(one.photograph_id, one.sha256) for one in (*stored.photographs, *([new] if new else []))]
        if known != [(one.photograph_id, one.sha256) for one in examination.photographs]:
            why = (
                f"it has {len(examination.photographs)} photographs, and they are not the {len(known)} that were added"
            )
            raise StoreError(what, why, "add each with store.add_photograph, in the order of their taking")
        fill_examination_row(row, examination, self.seal)
        changed = []
        for position, photograph in enumerate(examination.photographs):
            if position < len(stored.photographs):
                if photograph == stored.photographs[position]:
                    continue
                photograph_row = row.photographs[position]
            else:
                photograph_row = PhotographRow(position=position, examination_id=row.examination_id)
                row.photographs.append(photograph_row)
            fill_photograph_row(photograph_row, photograph, self.seal)
            changed.append(photograph_row)
        return changed
