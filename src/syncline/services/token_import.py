"""Bearer tokens that providers have from elsewhere, taken over by themselves or by their digests."""

from __future__ import annotations

import base64
import binascii
import re
from dataclasses import dataclass
from datetime import datetime

from syncline.core.errors import Conflict, FieldError, ValidationFailed
from syncline.core.events import TokenCreated, draft
from syncline.core.ids import Prefix, bare, ulid_time_ms
from syncline.core.model import Cause, Directory
from syncline.obs.logging import get_logger
from syncline.services.kernel import Kernel
from syncline.services.scim_access import MAX_TOKEN, presented_digest, read_token
from syncline.services.tokens import MAX_LABEL, locked
from syncline.store import directories as store
from syncline.store import imports, log
from syncline.store.database import Connection, UniqueViolation
from syncline.store.directories import Token
from syncline.store.types import from_ms, to_ms

_logger = get_logger(__name__)

# Less can be guessed.
MIN_TOKEN = 16
_SUFFIX = 4
_HEX = re.compile(r"[0-9a-fA-F]{64}", re.ASCII)


@dataclass(frozen=True, slots=True)
class KnownToken:
    """A token by its digest in hex, and its last characters, empty where nobody knows them."""

    digest: str
    suffix: str


class ImportedTokens:
    """Tokens that are in use before Syncline has them, so that no provider needs a new one."""

    def __init__(self, kernel: Kernel) -> None:
        self._kernel = kernel

    async def take_over(
        self,
        environment_id: str,
        directory_id: str,
        cause: Cause,
        *,
        token: str | None = None,
        digest: str | None = None,
        label: str | None = None,
        expires_at: datetime | None = None,
    ) -> Token:
        """Let a token open a directory: either the token or its SHA-256 digest. Emits `dsync.token.created`.

        Raises `NotFound`, `ValidationFailed`, and `Conflict` (`bearer_token_exists`) for a token that opens
        or has opened a directory.
        """
        known = read_known(token, digest)
        if label is not None and len(label) > MAX_LABEL:
            raise ValidationFailed([FieldError("label", "label_too_long")])
        if expires_at is not None and expires_at <= self._kernel.clock():
            raise ValidationFailed([FieldError("expires_at", "expires_at_invalid")])

        def work(connection: Connection) -> Token:
            directory = locked(connection, environment_id, directory_id)
            return adopt(
                self._kernel, connection, directory, known, cause, label=label, expires_at=expires_at
            )

        try:
            made = await self._kernel.commit(environment_id, work)
        except UniqueViolation:
            raise _exists() from None
        _logger.info("token.imported", directory_id=directory_id, token_id=made.id, cause=cause.id)
        return made


def read_known(token: str | None, digest: str | None) -> KnownToken:
    """Return what is known of a token. Raises `ValidationFailed` for neither, both, or what is none."""
    if (token is None) == (digest is None):
        raise ValidationFailed(
            [FieldError("token", "token_invalid")], "Give either the token or its digest, not both."
        )
    if token is not None:
        plain = token.isascii() and token.isprintable() and MIN_TOKEN <= len(token) <= MAX_TOKEN
        # What a request would be read as differently could never open anything.
        if not plain or read_token(f"Bearer {token}") != (token, False):
            raise ValidationFailed([FieldError("token", "token_invalid")])
        return KnownToken(presented_digest(token), token[-_SUFFIX:])
    found = _digest_of(digest or "")
    if found is None:
        raise ValidationFailed(
            [FieldError("digest", "digest_invalid")],
            "A digest is `sha256:` with 64 hexadecimal digits or 32 bytes in base64.",
        )
    return KnownToken(found, "")


def adopt(
    kernel: Kernel,
    connection: Connection,
    directory: Directory,
    known: KnownToken,
    cause: Cause,
    *,
    label: str | None = None,
    expires_at: datetime | None = None,
    announced: bool = True,
) -> Token:
    """Store a token in a transaction that holds its directory. Raises `Conflict`."""
    if imports.token_holder(connection, known.digest) is not None:
        raise _exists()
    token_id = kernel.ids.new(Prefix.DIRECTORY_TOKEN)
    made = Token(
        id=token_id,
        label=label,
        suffix=known.suffix,
        created_at=from_ms(ulid_time_ms(bare(token_id))),
        expires_at=None if expires_at is None else from_ms(to_ms(expires_at)),
    )
    store.add_token(connection, directory.scope, made, known.digest)
    if announced:
        event = TokenCreated(made.id, directory.id, directory.organization_id, made.suffix, made.created_at)
        drafted = draft(
            event,
            environment_id=directory.environment_id,
            organization_id=directory.organization_id,
            directory_id=directory.id,
            recorded_at=made.created_at,
        )
        log.append(connection, [drafted], cause)
    return made


def _digest_of(text: str) -> str | None:
    """Return a digest in hex, None for a text that is none."""
    text = text.strip()
    if text[:7].lower() == "sha256:":
        text = text[7:]
    # As PostgreSQL writes bytes.
    text = text.removeprefix("\\x")
    if _HEX.fullmatch(text):
        return text.lower()
    padded = text.replace("-", "+").replace("_", "/")
    padded += "=" * (-len(padded) % 4)
    try:
        raw = base64.b64decode(padded, validate=True)
    except (binascii.Error, ValueError):
        return None
    return raw.hex() if len(raw) == 32 else None


def _exists() -> Conflict:
    return Conflict("This token opens, or has opened, a directory already.", code="bearer_token_exists")
