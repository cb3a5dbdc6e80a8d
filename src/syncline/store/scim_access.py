"""Bearer tokens as SCIM requests present them, and the first request of a directory."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import Any

from sqlalchemy import Connection, bindparam, select, update

from syncline.core.model import Directory, DirectoryState, Scope
from syncline.store import tables as t
from syncline.store.prepared import Prepared
from syncline.store.rows import directory_of
from syncline.store.types import Instant, among

_tokens, _directories, _domains = t.bearer_tokens.c, t.directories.c, t.organization_domains.c
_by_digest = Prepared(
    select(
        t.directories,
        _tokens.digest.label("token_digest"),
        _tokens.id.label("token_id"),
        _tokens.expires_at.label("token_expires_at"),
    )
    .join_from(
        t.bearer_tokens,
        t.directories,
        (_directories.id == _tokens.directory_id) & (_directories.environment_id == _tokens.environment_id),
    )
    .where(among(_tokens.digest, "digests"), _tokens.revoked_at.is_(None), _directories.deleted_at.is_(None))
)
_use = (
    update(t.bearer_tokens)
    .where(_tokens.id == bindparam("token"))
    .values(last_used_at=bindparam("at", type_=Instant()))
)


@dataclass(frozen=True, slots=True)
class Credential:
    """A live token and its directory; whether it has expired is for the caller's clock to say."""

    token_id: str
    directory: Directory
    expires_at: datetime | None


def credentials(connection: Connection, digests: Sequence[str]) -> dict[str, Credential]:
    """Return what tokens stand for, by digest, without revoked ones and those of deleted directories."""
    rows = _by_digest.all(connection, {"digests": list(digests)})
    return {row.token_digest: _credential(row) for row in rows}


@lru_cache(maxsize=1_000)
def _credential(row: Any) -> Credential:
    # The row is read each time, and nearly always says the same: only making something of it is saved.
    return Credential(row.token_id, directory_of(row), row.token_expires_at)


def record_use(connection: Connection, uses: Mapping[str, datetime]) -> None:
    """Remember when tokens were last used."""
    connection.execute(_use, [{"token": token, "at": at} for token, at in sorted(uses.items())])


def link(connection: Connection, scope: Scope, at: datetime) -> Directory | None:
    """Make a validating directory linked and return it; None if it is so already or gone."""
    here = (_directories.id == scope.directory_id, _directories.environment_id == scope.environment_id)
    row = connection.execute(
        select(t.directories)
        .where(*here, _directories.state == DirectoryState.VALIDATING, _directories.deleted_at.is_(None))
        .with_for_update(key_share=True)
    ).one_or_none()
    if row is None:
        return None
    connection.execute(
        update(t.directories)
        .where(*here)
        .values(
            state=DirectoryState.LINKED,
            activated_at=at,
            updated_at=at,
            revision=_directories.revision + 1,
        )
    )
    return directory_of(connection.execute(select(t.directories).where(*here)).one())


def domains_of(connection: Connection, environment_id: str, organization_id: str) -> list[tuple[str, str]]:
    """Return (id, domain) of an organization's domains, oldest first."""
    statement = (
        select(_domains.id, _domains.domain)
        .where(_domains.environment_id == environment_id, _domains.organization_id == organization_id)
        .order_by(_domains.id)
    )
    return [(row.id, row.domain) for row in connection.execute(statement)]
