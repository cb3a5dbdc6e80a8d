"""Bearer tokens of SCIM directories: made, shown once, listed by their ends, rotated, revoked."""

from __future__ import annotations

import base64
from dataclasses import dataclass
from datetime import datetime, timedelta

from syncline.core.errors import FieldError, NotFound, ValidationFailed
from syncline.core.events import Event, TokenCreated, TokenRevoked, draft
from syncline.core.ids import Prefix, bare, is_id, ulid_time_ms
from syncline.core.model import Cause, Directory, Scope
from syncline.core.paging import Page, PageRequest
from syncline.obs.logging import get_logger
from syncline.services.kernel import Kernel
from syncline.services.keyring import digest
from syncline.store import directories as store
from syncline.store import log
from syncline.store.database import Connection
from syncline.store.directories import Token as Token
from syncline.store.types import from_ms, to_ms

_logger = get_logger(__name__)

SECRET_PREFIX = "scim_"
DEFAULT_OVERLAP = timedelta(hours=24)
MAX_OVERLAP = timedelta(days=30)
MAX_LABEL = 255
_SECRET_BYTES = 32
_SUFFIX = 4
_KIND = "Directory token"


@dataclass(frozen=True, slots=True)
class NewToken:
    """A token with its secret, which is readable at this moment only."""

    token: Token
    secret: str


class BearerTokens:
    """The credentials with which a provider pushes into one directory; several may be live."""

    def __init__(self, kernel: Kernel) -> None:
        self._kernel = kernel

    async def create(
        self,
        environment_id: str,
        directory_id: str,
        cause: Cause,
        *,
        label: str | None = None,
        expires_at: datetime | None = None,
    ) -> NewToken:
        """Make a token; the answer holds its secret. Emits `dsync.token.created`.

        Raises `NotFound` for the directory and `ValidationFailed` for a label that is too long or an end
        that is not in the future.
        """
        _check_label(label)
        if expires_at is not None and expires_at <= self._kernel.clock():
            raise ValidationFailed([FieldError("expires_at", "expires_at_invalid")])

        def work(connection: Connection) -> NewToken:
            directory = locked(connection, environment_id, directory_id)
            return issue(self._kernel, connection, directory, cause, label=label, expires_at=expires_at)

        made = await self._kernel.commit(environment_id, work)
        _logger.info("token.created", directory_id=directory_id, token_id=made.token.id, cause=cause.id)
        return made

    async def list(self, environment_id: str, directory_id: str, page: PageRequest) -> Page[Token]:
        """Return the tokens that were not revoked, expired ones included.

        Raises `NotFound`, and `ValidationFailed` for a cursor that is no id of a token.
        """
        page = page.of(Prefix.DIRECTORY_TOKEN)

        def work(connection: Connection) -> Page[Token]:
            directory = present(connection, environment_id, directory_id)
            return page.read(
                lambda span: store.token_page(connection, directory.scope, span), key=lambda token: token.id
            )

        return await self._kernel.database.read(work)

    async def revoke(self, environment_id: str, directory_id: str, token_id: str, cause: Cause) -> None:
        """Refuse a token from now on. Emits `dsync.token.revoked`. Raises `NotFound`."""

        def work(connection: Connection) -> None:
            directory = locked(connection, environment_id, directory_id)
            self._revoke(connection, directory, _required(connection, directory.scope, token_id), cause)

        await self._kernel.commit(environment_id, work)
        _logger.info("token.revoked", directory_id=directory_id, token_id=token_id, cause=cause.id)

    async def rotate(
        self,
        environment_id: str,
        directory_id: str,
        token_id: str,
        cause: Cause,
        *,
        overlap: timedelta = DEFAULT_OVERLAP,
    ) -> NewToken:
        """Make a successor with the same label; the old token ends after `overlap`, or at once if that is 0.

        An end that the old token had already is never put off. Raises `NotFound`, and `ValidationFailed`
        for an overlap below 0 or above `MAX_OVERLAP`.
        """
        if not timedelta() <= overlap <= MAX_OVERLAP:
            raise ValidationFailed([FieldError("overlap_seconds", "overlap_seconds_invalid")])

        def work(connection: Connection) -> NewToken:
            directory = locked(connection, environment_id, directory_id)
            old = _required(connection, directory.scope, token_id)
            made = issue(self._kernel, connection, directory, cause, label=old.label)
            end = from_ms(to_ms(self._kernel.clock() + overlap))
            if not overlap:
                self._revoke(connection, directory, old, cause)
            elif old.expires_at is None or old.expires_at > end:
                store.expire_token(connection, directory.scope, old.id, end)
            return made

        made = await self._kernel.commit(environment_id, work)
        _logger.info(
            "token.rotated",
            directory_id=directory_id,
            token_id=token_id,
            successor=made.token.id,
            cause=cause.id,
        )
        return made

    def _revoke(self, connection: Connection, directory: Directory, token: Token, cause: Cause) -> None:
        now = self._kernel.clock()
        store.revoke_tokens(connection, directory.scope, now, token_id=token.id)
        _append(connection, directory, TokenRevoked(*_described(directory, token)), now, cause)


def issue(
    kernel: Kernel,
    connection: Connection,
    directory: Directory,
    cause: Cause,
    *,
    label: str | None = None,
    expires_at: datetime | None = None,
) -> NewToken:
    """Make a token in a transaction that holds the directory, and append `dsync.token.created`."""
    secret = SECRET_PREFIX + base64.urlsafe_b64encode(kernel.random(_SECRET_BYTES)).decode().rstrip("=")
    token_id = kernel.ids.new(Prefix.DIRECTORY_TOKEN)
    token = Token(
        id=token_id,
        label=label,
        suffix=secret[-_SUFFIX:],
        created_at=from_ms(ulid_time_ms(bare(token_id))),
        expires_at=None if expires_at is None else from_ms(to_ms(expires_at)),
    )
    store.add_token(connection, directory.scope, token, digest(secret))
    _append(connection, directory, TokenCreated(*_described(directory, token)), token.created_at, cause)
    return NewToken(token, secret)


def present(connection: Connection, environment_id: str, directory_id: str) -> Directory:
    """Return a live directory of the environment. Raises `NotFound`."""
    return _found(
        store.get(connection, environment_id, directory_id) if _is_directory(directory_id) else None,
        directory_id,
    )


def locked(connection: Connection, environment_id: str, directory_id: str) -> Directory:
    """Return a live directory, locked against the SCIM writer until the commit. Raises `NotFound`."""
    return _found(
        store.lock(connection, environment_id, directory_id) if _is_directory(directory_id) else None,
        directory_id,
    )


def _is_directory(directory_id: str) -> bool:
    # Ids come from addresses: no text that the database might refuse gets there.
    return is_id(Prefix.DIRECTORY, directory_id)


def _found(directory: Directory | None, directory_id: str) -> Directory:
    if directory is None:
        raise NotFound("Directory", directory_id)
    return directory


def _required(connection: Connection, scope: Scope, token_id: str) -> Token:
    token = store.token(connection, scope, token_id) if is_id(Prefix.DIRECTORY_TOKEN, token_id) else None
    if token is None:
        raise NotFound(_KIND, token_id)
    return token


def _check_label(label: str | None) -> None:
    if label is not None and len(label) > MAX_LABEL:
        raise ValidationFailed([FieldError("label", "label_too_long")])


def _described(directory: Directory, token: Token) -> tuple[str, str, str, str, datetime]:
    return token.id, directory.id, directory.organization_id, token.suffix, token.created_at


def _append(
    connection: Connection, directory: Directory, occurred: Event, at: datetime, cause: Cause
) -> None:
    drafted = draft(
        occurred,
        environment_id=directory.environment_id,
        organization_id=directory.organization_id,
        directory_id=directory.id,
        recorded_at=at,
    )
    log.append(connection, [drafted], cause)
