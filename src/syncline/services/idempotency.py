"""A POST that is sent again with the same key gets the first answer, not a second effect (`api.md` §1.1)."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import timedelta
from hashlib import sha256

from syncline.core.errors import Conflict, FieldError, ValidationFailed
from syncline.services.kernel import Kernel
from syncline.services.keyring import Keyring, SealBroken, place
from syncline.store import idempotency as store
from syncline.store.database import Connection

MAX_KEY = 255
_HOLD = timedelta(seconds=60)


@dataclass(frozen=True, slots=True)
class KeptAnswer:
    """Status and body of an answer, and whether it was given before."""

    status: int
    body: bytes
    replayed: bool = False


class Idempotency:
    """Remembers answers for 24 hours, sealed, because some hold a secret."""

    def __init__(self, kernel: Kernel) -> None:
        self._kernel = kernel

    async def once(
        self, environment_id: str, key: str, request: bytes, answer: Callable[[], Awaitable[KeptAnswer]]
    ) -> KeptAnswer:
        """Return the answer kept under a key, or make and keep it; `request` is what makes two calls equal.

        Raises `ValidationFailed` (`idempotency_key_mismatch`) for a key that another request used and
        `Conflict` (`idempotency_key_in_use`) while the first one is under way. Answers of 500 and above and
        exceptions are not kept.
        """
        if not key or len(key) > MAX_KEY or not key.isprintable():
            raise ValidationFailed([FieldError("Idempotency-Key", "idempotency_key_invalid")])
        digest = sha256(request).hexdigest()

        def claim(connection: Connection) -> store.Stored | None:
            return store.claim(connection, environment_id, key, digest, _HOLD)

        stored = await self._kernel.database.write(claim)
        if stored is not None:
            return self._replayed(environment_id, key, digest, stored)
        try:
            made = await answer()
        except BaseException:
            await self._release(environment_id, key)
            raise
        if made.status >= 500:
            await self._release(environment_id, key)
            return made
        sealed = self._kernel.keyring.seal(made.body, _place(environment_id, key))
        await self._kernel.database.write(
            lambda connection: store.finish(connection, environment_id, key, made.status, sealed)
        )
        return made

    def _replayed(self, environment_id: str, key: str, digest: str, stored: store.Stored) -> KeptAnswer:
        if stored.request_digest != digest:
            raise ValidationFailed(
                [FieldError("Idempotency-Key", "idempotency_key_mismatch")],
                "The idempotency key was used with another request.",
                code="idempotency_key_mismatch",
            )
        if stored.status is None or stored.sealed_body is None:
            raise Conflict(
                "The first request with this idempotency key is still under way.",
                code="idempotency_key_in_use",
            )
        body = self._kernel.keyring.open(stored.sealed_body, _place(environment_id, key))
        return KeptAnswer(stored.status, body, replayed=True)

    async def _release(self, environment_id: str, key: str) -> None:
        await self._kernel.database.write(lambda connection: store.release(connection, environment_id, key))


def opened(keyring: Keyring, environment_id: str, key: str, sealed_body: str) -> bytes | None:
    """Return the body of a kept answer, None if no key that we have opens it."""
    try:
        return keyring.open(sealed_body, _place(environment_id, key))
    except SealBroken:
        return None


def _place(environment_id: str, key: str) -> str:
    return place("idempotency_keys", f"{environment_id}/{key}", "sealed_body")
