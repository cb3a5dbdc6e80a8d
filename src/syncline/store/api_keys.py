"""API keys: digests, never the keys themselves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, bindparam, insert, select, update

from syncline.core.paging import Span
from syncline.store import tables as t
from syncline.store.spans import within
from syncline.store.types import Instant, among

_keys = t.api_keys.c


@dataclass(frozen=True, slots=True)
class ApiKey:
    """An API key without its value."""

    environment_id: str
    id: str
    name: str
    suffix: str
    scopes: tuple[str, ...]
    created_at: datetime
    expires_at: datetime | None = None
    last_used_at: datetime | None = None


def add(connection: Connection, key: ApiKey, digest: str) -> None:
    """Insert a key; a digest that is known already raises the unique violation."""
    connection.execute(
        insert(t.api_keys),
        {
            "environment_id": key.environment_id,
            "id": key.id,
            "name": key.name,
            "digest": digest,
            "suffix": key.suffix,
            "scopes": " ".join(key.scopes),
            "created_at": key.created_at,
            "expires_at": key.expires_at,
        },
    )


def by_digest(connection: Connection, digests: Sequence[str]) -> dict[str, ApiKey]:
    """Return keys that were not revoked, by digest; whether one has expired is for the caller's clock."""
    statement = select(t.api_keys).where(among(_keys.digest, "digests"), _keys.revoked_at.is_(None))
    return {row.digest: _key(row) for row in connection.execute(statement, {"digests": list(digests)})}


def get(connection: Connection, environment_id: str, key_id: str) -> ApiKey | None:
    """Return a key of the environment that was not revoked."""
    row = connection.execute(
        select(t.api_keys).where(
            _keys.environment_id == environment_id, _keys.id == key_id, _keys.revoked_at.is_(None)
        )
    ).one_or_none()
    return None if row is None else _key(row)


def page(connection: Connection, environment_id: str, span: Span) -> list[ApiKey]:
    """Return keys of the environment that were not revoked."""
    statement = select(t.api_keys).where(_keys.environment_id == environment_id, _keys.revoked_at.is_(None))
    return [_key(row) for row in connection.execute(within(statement, _keys.id, span))]


def end(connection: Connection, environment_id: str, key_id: str, at: datetime, *, revoke: bool) -> None:
    """Revoke a key, or let it expire at a moment."""
    column = {"revoked_at": at} if revoke else {"expires_at": at}
    connection.execute(
        update(t.api_keys).where(_keys.environment_id == environment_id, _keys.id == key_id).values(column)
    )


def record_use(connection: Connection, uses: Mapping[str, datetime]) -> None:
    """Remember when keys were last used."""
    statement = (
        update(t.api_keys)
        .where(_keys.id == bindparam("key"))
        .values(last_used_at=bindparam("at", type_=Instant()))
    )
    connection.execute(statement, [{"key": key, "at": at} for key, at in sorted(uses.items())])


def _key(row: Any) -> ApiKey:
    return ApiKey(
        environment_id=row.environment_id,
        id=row.id,
        name=row.name,
        suffix=row.suffix,
        scopes=tuple(row.scopes.split()),
        created_at=row.created_at,
        expires_at=row.expires_at,
        last_used_at=row.last_used_at,
    )
