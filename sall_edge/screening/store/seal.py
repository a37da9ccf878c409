"""How bytes lie on the disk: encrypted with AES-256-GCM (NIST SP 800-38D) where the store has a key, else plain."""

import hmac
import secrets
from hashlib import sha256
from typing import Protocol

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from sall_edge.errors import StoreError
from sall_edge.screening.store.key import KEY_BYTES, Key

__all__ = ["KeySeal", "NoSeal", "Seal"]

NONCE_BYTES = 12  # what GCM is made for; random ones are safe for 2^32 sealings with one key


class Seal(Protocol):
    """What every byte that says something of a person passes on its way to the disk and back.

    Attributes:
        suffix: Of a photograph's file.
    """

    suffix: str

    def close(self, plain: bytes, *, about: str) -> bytes:
        """What is stored; it can be opened only as being about the same thing."""

    def open(self, stored: bytes, *, about: str) -> bytes:
        """What was closed.

        Raises:
            StoreError: The bytes were changed, or belong to something else.
        """

    def tag(self, reference: str) -> str:
        """What a person is looked up by."""

    def authenticate(self, digest: str) -> str | None:
        """Proof that who has the key wrote this; None where there is no key."""


class KeySeal:
    """AES-256-GCM, with a key of its own for each use, derived by HKDF-SHA256 (RFC 5869).

    Args:
        key: The store's.
        salt: The store's, so that one key in two stores is two keys.
    """

    suffix = ".sealed"

    def __init__(self, key: Key, salt: bytes) -> None:
        def derived(use: str) -> bytes:
            return HKDF(algorithm=SHA256(), length=KEY_BYTES, salt=salt, info=f"sall-edge store {use}".encode()).derive(
                key.secret
            )

        self.check = derived("check").hex()
        self._aead = AESGCM(derived("content"))
        self._reference_key = derived("reference")
        self._audit_key = derived("audit")

    def close(self, plain: bytes, *, about: str) -> bytes:
        """Nonce, ciphertext, tag."""
        nonce = secrets.token_bytes(NONCE_BYTES)
        return nonce + self._aead.encrypt(nonce, plain, about.encode())

    def open(self, stored: bytes, *, about: str) -> bytes:
        """The plain bytes.

        Raises:
            StoreError: They were changed, or sealed as something else.
        """
        try:
            return self._aead.decrypt(stored[:NONCE_BYTES], stored[NONCE_BYTES:], about.encode())
        except (InvalidTag, ValueError) as cause:  # ValueError: too short to hold a nonce
            why = "its seal does not open: the bytes were changed, or are those of something else"
            raise StoreError(f"{about} is not what was stored", why, "take it from a backup") from cause

    def tag(self, reference: str) -> str:
        """HMAC-SHA256 of the reference."""
        return hmac.new(self._reference_key, reference.encode(), sha256).hexdigest()

    def authenticate(self, digest: str) -> str | None:
        """HMAC-SHA256 of the digest."""
        return hmac.new(self._audit_key, digest.encode(), sha256).hexdigest()


class NoSeal:
    """No encryption: bytes as they are. Changed ones are found by the audit, not here."""

    suffix = ".plain"

    def close(self, plain: bytes, *, about: str) -> bytes:
        """The bytes."""
        return plain

    def open(self, stored: bytes, *, about: str) -> bytes:
        """The bytes."""
        return stored

    def tag(self, reference: str) -> str:
        """The reference itself."""
        return reference

    def authenticate(self, digest: str) -> str | None:
        """Nothing: anybody could have written it."""
        return None
