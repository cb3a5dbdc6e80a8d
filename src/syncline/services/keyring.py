"""Secrets at rest: envelope encryption for what must be read again, digests for what is only compared.

Each value has a data key of its own, which is wrapped by a key derived from the operator's secret key. The
context, table, row and column, is authenticated with both, so a value moved to another place does not open.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

RandomBytes = Callable[[int], bytes]

_VERSION = "s1"
_NONCE = 12
_DATA_KEY = 32
_WRAPPED = _NONCE + _DATA_KEY + 16


class SealBroken(Exception):
    """A sealed value does not open: changed, moved to another place, or sealed with a key that is gone."""


@dataclass(frozen=True, slots=True)
class _WrappingKey:
    id: str
    cipher: AESGCM

    @classmethod
    def derive(cls, secret_key: str) -> _WrappingKey:
        if not secret_key:
            raise ValueError("the secret key is empty")
        return cls(
            id=_derive(secret_key, b"syncline key id", 6).hex(),
            cipher=AESGCM(_derive(secret_key, b"syncline wrapping key", 32)),
        )


class Keyring:
    """Seals with the current key, opens with the current and all previous ones."""

    def __init__(self, keys: Sequence[_WrappingKey], random_bytes: RandomBytes) -> None:
        self._current = keys[0]
        self._keys = {key.id: key for key in keys}
        self._random = random_bytes

    @classmethod
    def from_secret(
        cls, secret_key: str, previous: Sequence[str] = (), *, random_bytes: RandomBytes = os.urandom
    ) -> Keyring:
        """Make the ring from the operator's secret key and those before it; `ValueError` if one is empty."""
        return cls([_WrappingKey.derive(secret) for secret in (secret_key, *previous)], random_bytes)

    def seal(self, plaintext: bytes, context: str) -> str:
        """Return the value encrypted for one place, as ASCII text without white space."""
        data_key, nonce = self._random(_DATA_KEY), self._random(_NONCE)
        sealed = nonce + AESGCM(data_key).encrypt(nonce, plaintext, context.encode())
        return self._text(self._wrap(data_key, context), sealed)

    def open(self, sealed: str, context: str) -> bytes:
        """Return the value that was sealed for this place; raises `SealBroken` if it does not open."""
        data_key, body = self._unwrap(sealed, context)
        return _decrypt(AESGCM(data_key), body, context.encode())

    def is_current(self, sealed: str) -> bool:
        """Tell whether a value is sealed with the current key, so that a rotation may pass it over."""
        return sealed.startswith(f"{_VERSION}.{self._current.id}.")

    def reseal(self, sealed: str, context: str) -> str:
        """Return the same value under the current key; raises `SealBroken` if it does not open."""
        data_key, body = self._unwrap(sealed, context)
        _decrypt(AESGCM(data_key), body, context.encode())
        return self._text(self._wrap(data_key, context), body)

    def _wrap(self, data_key: bytes, context: str) -> bytes:
        nonce = self._random(_NONCE)
        return nonce + self._current.cipher.encrypt(nonce, data_key, _wrapping_context(context))

    def _unwrap(self, sealed: str, context: str) -> tuple[bytes, bytes]:
        """Return the data key and the encrypted value."""
        version, _, rest = sealed.partition(".")
        key_id, _, text = rest.partition(".")
        key = self._keys.get(key_id)
        if version != _VERSION or key is None:
            raise SealBroken("The value is not sealed with a key of this ring.")
        try:
            raw = base64.b64decode(text.encode(), altchars=b"-_", validate=True)
        except (binascii.Error, ValueError):
            raise SealBroken("The value is damaged.") from None
        return _decrypt(key.cipher, raw[:_WRAPPED], _wrapping_context(context)), raw[_WRAPPED:]

    def _text(self, wrapped: bytes, body: bytes) -> str:
        return f"{_VERSION}.{self._current.id}.{base64.urlsafe_b64encode(wrapped + body).decode()}"


def place(table: str, row_id: str, column: str) -> str:
    """Return the context of a value from where it is stored; no two places have the same."""
    return f"{len(table)}:{table}/{len(row_id)}:{row_id}/{column}"


def digest(token: str) -> str:
    """Return the SHA-256 of a token in hex, under which it is stored and looked up.

    Tokens are 32 random bytes, so there is nothing to guess and no salt is needed.
    """
    return hashlib.sha256(token.encode()).hexdigest()


def same(one: str, other: str) -> bool:
    """Compare two secrets in a time that does not depend on where they differ."""
    return hmac.compare_digest(one.encode(), other.encode())


def _derive(secret_key: str, purpose: bytes, length: int) -> bytes:
    return HKDF(algorithm=SHA256(), length=length, salt=None, info=purpose).derive(secret_key.encode())


def _wrapping_context(context: str) -> bytes:
    return b"data key of " + context.encode()


def _decrypt(cipher: AESGCM, raw: bytes, context: bytes) -> bytes:
    try:
        return cipher.decrypt(raw[:_NONCE], raw[_NONCE:], context)
    except (InvalidTag, ValueError):
        raise SealBroken("The value was changed, or belongs to another place.") from None
