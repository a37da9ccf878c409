"""The first file of a store, `store.json`: what it is, and how to know its key without holding it."""

import hmac
import json
import secrets
import uuid
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from sall_edge.errors import StoreError, StoreLocked
from sall_edge.screening.store.key import Key
from sall_edge.screening.store.seal import KeySeal, NoSeal, Seal
from sall_edge.spec import broken_rules

__all__ = ["HEADER_NAME", "StoreHeader", "new_header", "read_header", "unlock"]

HEADER_NAME = "store.json"
FORMAT = "sall-edge store"
FORMAT_VERSION = 1
HOW_TO_GIVE_A_KEY = "give the key that the store was made with: --key FILE or --key-command COMMAND"


class StoreHeader(BaseModel):
    """What a store says of itself in the clear.

    Attributes:
        format: Always "sall-edge store".
        format_version: Of the folder, not of the tables: those have their own.
        store_id: UUID.
        salt: 16 random bytes in hexadecimal, with which the keys are derived.
        key_check: Derived from the key, tells nothing of it; None when nothing is encrypted.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    format: str = FORMAT
    format_version: int = FORMAT_VERSION
    store_id: str
    salt: Annotated[str, Field(pattern="^[0-9a-f]{32}$")]
    key_check: str | None = None


def new_header(key: Key | None) -> StoreHeader:
    """The header of a new store, encrypted if there is a key."""
    salt = secrets.token_bytes(16)
    check = None if key is None else KeySeal(key, salt).check
    return StoreHeader(store_id=str(uuid.uuid4()), salt=salt.hex(), key_check=check)


def read_header(folder: Path) -> StoreHeader:
    """What the store in this folder is.

    Raises:
        StoreError: There is none, or it is of a newer program.
    """
    fix = "name a store's folder; sall-edge store new FOLDER makes one"
    try:
        known = json.loads((folder / HEADER_NAME).read_bytes())
    except (OSError, ValueError) as cause:
        why = cause.strerror if isinstance(cause, OSError) else str(cause)
        raise StoreError(f"{folder} is not a store", f"{HEADER_NAME}: {why}", fix) from cause
    if not isinstance(known, dict) or known.get("format") != FORMAT:
        raise StoreError(f"{folder} is not a store", f"{HEADER_NAME} is of another program", fix)
    if known.get("format_version") != FORMAT_VERSION:
        why = f"format version {known.get('format_version')}; this program reads version {FORMAT_VERSION}"
        raise StoreError(f"the store {folder} was written by another version of sall-edge", why, "upgrade sall-edge")
    try:
        return StoreHeader.model_validate(known)
    except ValidationError as cause:
        raise StoreError(f"{folder} is not a store", f"{HEADER_NAME}: {broken_rules(cause)}", fix) from cause


def unlock(folder: Path, header: StoreHeader, key: Key | None) -> Seal:
    """The seal of this store.

    Raises:
        StoreLocked: The key is missing, another one, or given for a store that has none.
    """
    if header.key_check is None:
        if key is not None:
            why = "a key was given, and the store was made without one"
            raise StoreLocked(
                f"the store {folder} is not encrypted", why, "leave the key out, if this is the store that you mean"
            )
        return NoSeal()
    if key is None:
        raise StoreLocked(f"the store {folder} is encrypted", "no key was given", HOW_TO_GIVE_A_KEY)
    seal = KeySeal(key, bytes.fromhex(header.salt))
    if not hmac.compare_digest(seal.check, header.key_check):
        raise StoreLocked(f"the key does not fit the store {folder}", "it is another store's key", HOW_TO_GIVE_A_KEY)
    return seal
