"""Rows of event sinks: claim with a lease and a fence, progress, and what owners change.

A sink is due while its cursor is behind the head of the log, so there is nothing that has to be woken and
nothing that can be forgotten. Whatever an owner changes raises the fence: a process that holds the sink finds
its claim gone, writes nothing more, and the next claim reads what holds now.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

import msgspec
from sqlalchemy import ColumnElement, Connection, Row, and_, delete, func, insert, or_, select, update

from syncline.store import tables as t
from syncline.store.deliveries import LeaseLost
from syncline.store.jsontext import dump
from syncline.store.leases import is_free
from syncline.store.types import among

_c = t.event_sinks.c
_texts = msgspec.json.Decoder(tuple[str, ...]).decode


class SinkState(StrEnum):
    """What a sink does: `stopped` by something that only its owner can mend, `paused` by its owner."""

    ACTIVE = "active"
    PAUSED = "paused"
    STOPPED = "stopped"


@dataclass(frozen=True, slots=True)
class Missed:
    """The positions, first and last, that retention removed before the sink had read them."""

    first: int
    last: int


@dataclass(frozen=True, slots=True)
class SinkRow:
    """A sink as stored; `config` is JSON, `sealed` the secret part of it."""

    environment_id: str
    id: str
    name: str
    kind: str
    config: str
    sealed: str | None
    events: tuple[str, ...]
    directories: tuple[str, ...]
    state: SinkState
    cursor: int
    created_at: datetime
    updated_at: datetime
    published: int = 0
    last_published_at: datetime | None = None
    next_due_at: datetime | None = None
    fence: int = 0
    consecutive_failures: int = 0
    failing_since: datetime | None = None
    last_error: str | None = None
    missed: Missed | None = None


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a claimed sink has come: `published` events more, up to and including `cursor`."""

    cursor: int
    published: int


@dataclass(frozen=True, slots=True)
class Trouble:
    """Why a claimed sink gives up for now, or, without `next_due_at`, until its owner has acted."""

    error: str
    since: datetime
    failures: int
    next_due_at: datetime | None


def add(connection: Connection, sink: SinkRow) -> None:
    """Insert a sink. Raises `UniqueViolation` for a name that its environment has already."""
    connection.execute(
        insert(t.event_sinks),
        {
            "environment_id": sink.environment_id,
            "id": sink.id,
            "name": sink.name,
            "kind": sink.kind,
            "config": sink.config,
            "sealed": sink.sealed,
            "events": dump(list(sink.events)),
            "directories": dump(list(sink.directories)),
            "state": sink.state,
            "cursor": sink.cursor,
            "published": 0,
            "fence": 0,
            "consecutive_failures": 0,
            "created_at": sink.created_at,
            "updated_at": sink.updated_at,
        },
    )


def named(connection: Connection, environment_id: str, name: str) -> SinkRow | None:
    """Return the sink of a name or id of this environment, or None."""
    row = connection.execute(
        select(t.event_sinks).where(_c.environment_id == environment_id, or_(_c.name == name, _c.id == name))
    ).first()
    return None if row is None else _sink_of(row)


def of_environment(connection: Connection, environment_id: str) -> list[SinkRow]:
    """Return the sinks of an environment by name."""
    found = connection.execute(
        select(t.event_sinks).where(_c.environment_id == environment_id).order_by(_c.name)
    )
    return [_sink_of(row) for row in found]


def set_state(
    connection: Connection, environment_id: str, sink_id: str, state: SinkState, now: datetime
) -> None:
    """Pause or resume a sink; one that is resumed is due at once, with a clean record."""
    values: dict[str, Any] = {"state": state, "updated_at": now} | _released()
    if state is SinkState.ACTIVE:
        values |= _CLEAN
    connection.execute(_of(environment_id, sink_id).values(values))


def rewind(connection: Connection, environment_id: str, sink_id: str, cursor: int, now: datetime) -> None:
    """Go on behind another position; what retention took before that is no longer held against it."""
    values: dict[str, Any] = {"cursor": cursor, "missed": None, "updated_at": now}
    connection.execute(_of(environment_id, sink_id).values(values | _released() | _CLEAN))


def remove(connection: Connection, environment_id: str, sink_id: str) -> None:
    """Delete a sink."""
    connection.execute(delete(t.event_sinks).where(_c.environment_id == environment_id, _c.id == sink_id))


def due(connection: Connection, now: datetime, limit: int) -> list[str]:
    """Return the ids of sinks with something to do that nobody holds, those that waited longest first."""
    order = func.coalesce(_c.next_due_at, _c.last_published_at, _c.created_at)
    statement = select(_c.id).where(_claimable(now)).order_by(order, _c.id).limit(limit)
    return list(connection.execute(statement).scalars())


def claim(connection: Connection, ids: Collection[str], now: datetime, lease: timedelta) -> list[SinkRow]:
    """Take the sinks that are still free, skipping those another process is taking right now."""
    rows = connection.execute(
        select(t.event_sinks)
        .where(among(_c.id, "ids"), _claimable(now))
        .order_by(_c.id)
        .with_for_update(skip_locked=True),
        {"ids": list(ids)},
    ).all()
    if rows:
        connection.execute(
            update(t.event_sinks)
            .where(among(_c.id, "claimed"))
            .values(fence=_c.fence + 1, lease_until=now + lease),
            {"claimed": [row.id for row in rows]},
        )
    return [_sink_of(row, fence=row.fence + 1) for row in rows]


def check(connection: Connection, claim: SinkRow) -> None:
    """Raise `LeaseLost` unless the claim still holds."""
    held = select(_c.id).where(_c.id == claim.id, _c.fence == claim.fence)
    if connection.execute(held).first() is None:
        raise LeaseLost


def renew(connection: Connection, claim: SinkRow, lease_until: datetime) -> None:
    """Keep a claim for longer. Raises `LeaseLost`."""
    _write(connection, claim, {"lease_until": lease_until})


def save(connection: Connection, claim: SinkRow, progress: Progress, now: datetime, lease: timedelta) -> None:
    """Write progress and renew the claim; may be repeated after an unknown outcome. Raises `LeaseLost`."""
    values: dict[str, Any] = {"cursor": progress.cursor, "lease_until": now + lease}
    if progress.published:
        # The sum of the claim, not of the row: a repeated save must not count twice.
        values |= {"published": claim.published + progress.published, "last_published_at": now} | _CLEAN
    _write(connection, claim, values)


def release(connection: Connection, claim: SinkRow) -> None:
    """Give a claim up; whoever finds the sink due takes it. Raises `LeaseLost`."""
    _write(connection, claim, {"lease_until": None})


def fail(connection: Connection, claim: SinkRow, trouble: Trouble) -> None:
    """Give a claim up because of trouble. Raises `LeaseLost`."""
    _write(
        connection,
        claim,
        {
            "state": SinkState.ACTIVE if trouble.next_due_at else SinkState.STOPPED,
            "consecutive_failures": trouble.failures,
            "failing_since": trouble.since,
            "last_error": trouble.error,
            "next_due_at": trouble.next_due_at,
            "lease_until": None,
        },
    )


def flag_missed(
    connection: Connection, environment_id: str, before: int, trimmed: int
) -> list[tuple[str, Missed]]:
    """Note at every sink what retention has removed before it was read; return whom that concerned.

    `before` and `trimmed` are the newest removed positions before and after.
    """
    rows = connection.execute(
        select(t.event_sinks)
        .where(_c.environment_id == environment_id, _c.cursor < trimmed)
        .order_by(_c.id)
        .with_for_update()
    ).all()
    flagged = []
    for row in rows:
        known = _missed_of(row.missed)
        first = known.first if known else max(row.cursor, before) + 1
        missed = {"first": first, "last": trimmed}
        connection.execute(update(t.event_sinks).where(_c.id == row.id).values(missed=dump(missed)))
        flagged.append((str(row.id), Missed(first, trimmed)))
    return flagged


@dataclass(frozen=True, slots=True)
class SinkFigures:
    """How many sinks there are by kind and state, and how far the last of the active ones is behind."""

    count: dict[tuple[str, str], int]
    behind: int


def figures(connection: Connection) -> SinkFigures:
    """Return the figures of all environments."""
    counted = connection.execute(select(_c.kind, _c.state, func.count()).group_by(_c.kind, _c.state))
    behind = connection.execute(
        select(func.max(t.log_heads.c.position - _c.cursor))
        .join_from(t.event_sinks, t.log_heads, t.log_heads.c.environment_id == _c.environment_id)
        .where(_c.state == SinkState.ACTIVE)
    ).scalar_one()
    return SinkFigures({(row[0], row[1]): row[2] for row in counted}, max(behind or 0, 0))


_decode_missed = msgspec.json.Decoder(Missed).decode
_CLEAN: dict[str, Any] = {
    "consecutive_failures": 0,
    "failing_since": None,
    "last_error": None,
    "next_due_at": None,
}


def _released() -> dict[str, Any]:
    return {"fence": _c.fence + 1, "lease_until": None}


def _of(environment_id: str, sink_id: str) -> Any:
    return update(t.event_sinks).where(_c.environment_id == environment_id, _c.id == sink_id)


def _write(connection: Connection, claim: SinkRow, values: dict[str, Any]) -> None:
    statement = update(t.event_sinks).where(_c.id == claim.id, _c.fence == claim.fence).values(values)
    if not connection.execute(statement).rowcount:
        raise LeaseLost


def _claimable(now: datetime) -> ColumnElement[bool]:
    head = (
        select(t.log_heads.c.position)
        .where(t.log_heads.c.environment_id == _c.environment_id)
        .correlate(t.event_sinks)
        .scalar_subquery()
    )
    return and_(
        _c.state == SinkState.ACTIVE,
        _c.cursor < func.coalesce(head, 0),
        or_(_c.next_due_at.is_(None), _c.next_due_at <= now),
        is_free(_c.lease_until, now),
    )


def _sink_of(row: Row[Any], fence: int | None = None) -> SinkRow:
    return SinkRow(
        environment_id=row.environment_id,
        id=row.id,
        name=row.name,
        kind=row.kind,
        config=row.config,
        sealed=row.sealed,
        events=_texts(row.events),
        directories=_texts(row.directories),
        state=SinkState(row.state),
        cursor=row.cursor,
        created_at=row.created_at,
        updated_at=row.updated_at,
        published=row.published,
        last_published_at=row.last_published_at,
        next_due_at=row.next_due_at,
        fence=row.fence if fence is None else fence,
        consecutive_failures=row.consecutive_failures,
        failing_since=row.failing_since,
        last_error=row.last_error,
        missed=_missed_of(row.missed),
    )


def _missed_of(text: str | None) -> Missed | None:
    return None if text is None else _decode_missed(text)
