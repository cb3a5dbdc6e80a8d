"""Answers kept for 24 hours under the client's idempotency key, sealed."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, delete, select, update
from sqlalchemy.dialects import postgresql, sqlite

from syncline.store import tables as t
from syncline.store.engine import database_now

LIFETIME = timedelta(hours=24)
_keys = t.idempotency_keys.c


@dataclass(frozen=True, slots=True)
class Stored:
    """What is known under a key: the request, and its answer once there is one."""

    request_digest: str
    status: int | None
    sealed_body: str | None


def claim(
    connection: Connection, environment_id: str, key: str, request_digest: str, hold: timedelta
) -> Stored | None:
    """Take a key for a request that begins now, for as long as `hold`.

    Returns None when the key is ours, else what is stored under it; an answer that is too old and a request
    that died are replaced.
    """
    now = database_now(connection)
    row = _row(connection, environment_id, key)
    if row is not None:
        is_dead = row.status is None and (row.locked_until is None or row.locked_until <= now)
        if not is_dead and row.created_at > now - LIFETIME:
            return Stored(row.request_digest, row.status, row.sealed_body)
        if is_dead and row.created_at > now - LIFETIME and row.request_digest != request_digest:
            return Stored(row.request_digest, None, None)
        release(connection, environment_id, key)
    insert_ = postgresql.insert if connection.dialect.name == "postgresql" else sqlite.insert
    made = connection.execute(
        insert_(t.idempotency_keys).on_conflict_do_nothing(),
        {
            "environment_id": environment_id,
            "key": key,
            "request_digest": request_digest,
            "created_at": now,
            "locked_until": now + hold,
        },
    )
    if made.rowcount:
        return None
    return Stored(request_digest, None, None)


def finish(connection: Connection, environment_id: str, key: str, status: int, sealed_body: str) -> None:
    """Keep the answer of the request that holds the key."""
    connection.execute(
        update(t.idempotency_keys)
        .where(_keys.environment_id == environment_id, _keys.key == key)
        .values(status=status, sealed_body=sealed_body, locked_until=None)
    )


def release(connection: Connection, environment_id: str, key: str) -> None:
    """Forget a key, so that the next request with it is carried out."""
    connection.execute(
        delete(t.idempotency_keys).where(_keys.environment_id == environment_id, _keys.key == key)
    )


def answers(connection: Connection, environment_id: str, after: str, limit: int) -> list[Any]:
    """Return up to `limit` kept answers (key, sealed_body) behind a key, in the order of keys."""
    statement = select(_keys.key, _keys.sealed_body).where(
        _keys.environment_id == environment_id, _keys.key > after, _keys.sealed_body.is_not(None)
    )
    return list(connection.execute(statement.order_by(_keys.key).limit(limit)).all())


def _row(connection: Connection, environment_id: str, key: str) -> _Row | None:
    row = connection.execute(
        select(t.idempotency_keys)
        .where(_keys.environment_id == environment_id, _keys.key == key)
        .with_for_update()
    ).one_or_none()
    if row is None:
        return None
    return _Row(row.request_digest, row.status, row.sealed_body, row.created_at, row.locked_until)


@dataclass(frozen=True, slots=True)
class _Row:
    request_digest: str
    status: int | None
    sealed_body: str | None
    created_at: datetime
    locked_until: datetime | None
