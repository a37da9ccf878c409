"""Examinations as rows and back; and the hash of a row, which the audit log holds."""

import json
import secrets
from datetime import datetime, timezone
from hashlib import sha256
from typing import Any, TypeVar

from pydantic import BaseModel

from sall_edge.screening.examination.record import Examination, ExaminedPhotograph
from sall_edge.screening.store.seal import Seal
from sall_edge.screening.store.tables import ExaminationRow, PhotographRow

__all__ = [
    "canonical",
    "examination_from_row",
    "examination_row_sha256",
    "fill_examination_row",
    "fill_photograph_row",
    "photograph_row_sha256",
    "utc_text",
]

_Record = TypeVar("_Record", bound=BaseModel)


def canonical(facts: Any) -> str:
    """The one JSON text of these facts: keys sorted, no spaces, no NaN (RFC 8785 in spirit, not to the letter)."""
    return json.dumps(facts, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def utc_text(moment: datetime) -> str:
    """UTC with microseconds, always as long, so that text sorts as time does.

    Raises:
        ValueError: The time says not of which zone it is.
    """
    if moment.tzinfo is None:
        raise ValueError(f"{moment.isoformat()} has no time zone; records take aware times, such as now(timezone.utc)")
    return moment.astimezone(timezone.utc).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def fill_examination_row(row: ExaminationRow, examination: Examination, seal: Seal) -> None:
    """Writes an examination into its row, all but the photographs."""
    alone = examination.model_copy(update={"photographs": ()})
    row.examination_id = examination.examination_id
    row.person_tag = seal.tag(examination.person.reference)
    row.started_at = utc_text(examination.started_at)
    row.finished_at = None if examination.finished_at is None else utc_text(examination.finished_at)
    row.outcome = examination.outcome.value
    row.record = seal.close(_readable(alone), about=_about("examination", examination.examination_id))
    row.salt = secrets.token_hex(16)


def fill_photograph_row(row: PhotographRow, photograph: ExaminedPhotograph, seal: Seal) -> None:
    """Writes a photograph into its row, all but its place in the examination."""
    row.photograph_id = photograph.photograph_id
    row.sha256 = photograph.sha256
    row.record = seal.close(_readable(photograph), about=_about("photograph", photograph.photograph_id))
    row.salt = secrets.token_hex(16)


def examination_from_row(row: ExaminationRow, seal: Seal) -> Examination:
    """The examination with its photographs.

    Raises:
        StoreError: A record was changed, or is another row's.
    """
    plain = seal.open(row.record, about=_about("examination", row.examination_id))
    photographs = tuple(
        ExaminedPhotograph.model_validate_json(
            seal.open(one.record, about=_about("photograph", one.photograph_id)),
        )
        for one in row.photographs
    )
    return Examination.model_validate_json(plain).model_copy(update={"photographs": photographs})


def examination_row_sha256(row: ExaminationRow) -> str:
    """Hash of everything that the row says."""
    return _hash(row.examination_id, row.person_tag, row.started_at, row.finished_at, row.outcome, row.record, row.salt)


def photograph_row_sha256(row: PhotographRow) -> str:
    """Hash of everything that the row says."""
    return _hash(row.photograph_id, row.examination_id, row.position, row.sha256, row.record, row.salt)


def _hash(*columns: str | int | bytes | None) -> str:
    known = [sha256(column).hexdigest() if isinstance(column, bytes) else column for column in columns]
    return sha256(canonical(known).encode(errors="surrogateescape")).hexdigest()


def _readable(record: _Record) -> bytes:
    """Its JSON, which is read once before it is stored: a NaN among the measures would be written and never read."""
    text = record.model_dump_json().encode()
    type(record).model_validate_json(text)
    return text


def _about(kind: str, identifier: str) -> str:
    return f"the record of {kind} {identifier}"
