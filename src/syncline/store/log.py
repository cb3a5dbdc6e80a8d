"""The event log: append to the inbox, seal with dense positions, read by position."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, Connection, Select, bindparam, delete, func, insert, select, text, update
from sqlalchemy.dialects import postgresql, sqlite

from syncline.core.ids import bare, ulid_time_ms
from syncline.core.model import Cause, EventDraft
from syncline.store import tables as t
from syncline.store.jsontext import dump
from syncline.store.types import among, to_ms

SEAL_BATCH = 500

_inbox, _log, _heads = t.event_inbox.c, t.event_log.c, t.log_heads.c
_next_rows = (
    select(t.event_inbox)
    .where(_inbox.environment_id == bindparam("environment"))
    .order_by(_inbox.seq)
    .limit(SEAL_BATCH)
)
_waiting = select(_inbox.environment_id).distinct()


def append(connection: Connection, drafts: Iterable[EventDraft], cause: Cause) -> None:
    """Put events into the inbox, in order, inside the transaction that made the change."""
    rows = inbox_rows(drafts, cause)
    if rows:
        connection.execute(insert(t.event_inbox), rows)


def inbox_rows(drafts: Iterable[EventDraft], cause: Cause) -> list[dict[str, Any]]:
    """Return the inbox rows of events with one cause."""
    actor = None
    if cause.actor_id is not None:
        actor = dump({"id": cause.actor_id, "source": cause.actor_source, "name": cause.actor_name})
    return [
        {
            "environment_id": draft.environment_id,
            "organization_id": draft.organization_id,
            "directory_id": draft.directory_id,
            "type": draft.type,
            "user_id": draft.user_id,
            "group_id": draft.group_id,
            "cause": cause.id,
            "actor": actor,
            "body": draft.body,
            "recorded_at": draft.recorded_at,
        }
        for draft in drafts
    ]


def append_rows(connection: Connection, rows: Sequence[dict[str, Any]]) -> None:
    """Put prepared inbox rows into the inbox, in order."""
    if rows:
        connection.execute(insert(t.event_inbox), list(rows))


def environments_waiting(connection: Connection) -> list[str]:
    """Return the environments that have unsealed events."""
    return list(connection.execute(_waiting).scalars())


@dataclass(frozen=True, slots=True)
class Sealed:
    """What one sealing step did: how many events, up to which position, when the first was recorded."""

    count: int
    position: int
    oldest: datetime


def seal(
    connection: Connection,
    environment_id: str,
    now: datetime,
    new_event_id: Callable[[int], str],
) -> Sealed | None:
    """Move up to `SEAL_BATCH` inbox events of an environment into the log with dense positions.

    Event ids are ULIDs whose time never goes back, so ids sort like positions. Returns None when another
    process is sealing this environment right now, or nothing waits.
    """
    if not _try_lock(connection, environment_id):
        return None
    rows = connection.execute(_next_rows, {"environment": environment_id}).all()
    if not rows:
        return None
    head = connection.execute(
        select(t.log_heads).where(_heads.environment_id == environment_id)
    ).one_or_none()
    position = head.position if head else 0
    # Later than every sealed event, even if another process's clock was ahead of ours.
    event_ms = max(to_ms(now), head.last_event_ms + 1 if head else 0)
    sequences = _directory_sequences(connection, {row.directory_id for row in rows if row.directory_id})
    sealed = []
    for row in rows:
        position += 1
        if row.directory_id is not None:
            sequences[row.directory_id] += 1
        sealed.append(
            {
                "environment_id": environment_id,
                "position": position,
                "event_id": new_event_id(event_ms),
                "organization_id": row.organization_id,
                "directory_id": row.directory_id,
                "directory_sequence": sequences[row.directory_id] if row.directory_id else None,
                "type": row.type,
                "user_id": row.user_id,
                "group_id": row.group_id,
                "cause": row.cause,
                "actor": row.actor,
                "body": row.body,
                "recorded_at": row.recorded_at,
                "sealed_at": now,
            }
        )
    connection.execute(insert(t.event_log), sealed)
    # By name, never "up to the last": a row with a lower number may have been committed since the read.
    connection.execute(
        delete(t.event_inbox).where(among(_inbox.seq, "seqs", BigInteger())),
        {"seqs": [row.seq for row in rows]},
    )
    _set_heads(connection, environment_id, position, event_ms, sequences)
    connection.execute(
        update(t.webhook_endpoints)
        .where(t.webhook_endpoints.c.environment_id == environment_id)
        .values(wake=t.webhook_endpoints.c.wake + 1)
    )
    return Sealed(len(rows), position, min(row.recorded_at for row in rows))


def _try_lock(connection: Connection, environment_id: str) -> bool:
    """Take the environment's sealing lock for this transaction; SQLite has only one writer anyway."""
    if connection.dialect.name != "postgresql":
        return True
    statement = text("SELECT pg_try_advisory_xact_lock(hashtextextended(:key, 73))")
    return bool(connection.execute(statement, {"key": environment_id}).scalar_one())


def _directory_sequences(connection: Connection, ids: set[str]) -> dict[str, int]:
    sequences = dict.fromkeys(ids, 0)
    if ids:
        heads = t.directory_heads.c
        statement = select(heads.directory_id, heads.sequence).where(among(heads.directory_id, "ids"))
        sequences.update(
            {row.directory_id: row.sequence for row in connection.execute(statement, {"ids": list(ids)})}
        )
    return sequences


def _set_heads(
    connection: Connection, environment_id: str, position: int, event_ms: int, sequences: dict[str, int]
) -> None:
    insert_ = postgresql.insert if connection.dialect.name == "postgresql" else sqlite.insert
    statement = insert_(t.log_heads)
    connection.execute(
        statement.on_conflict_do_update(
            index_elements=["environment_id"],
            set_={"position": statement.excluded.position, "last_event_ms": statement.excluded.last_event_ms},
        ),
        {
            "environment_id": environment_id,
            "position": position,
            "last_event_ms": event_ms,
            "trimmed_position": 0,
            "trimmed_event_ms": 0,
        },
    )
    if sequences:
        heads = insert_(t.directory_heads)
        connection.execute(
            heads.on_conflict_do_update(
                index_elements=["directory_id"], set_={"sequence": heads.excluded.sequence}
            ),
            [
                {"directory_id": id_, "environment_id": environment_id, "sequence": sequence}
                for id_, sequence in sorted(sequences.items())
            ],
        )


@dataclass(frozen=True, slots=True)
class Head:
    """Where an environment's log ends and how far retention has cut it."""

    position: int
    last_event_ms: int
    trimmed_position: int
    trimmed_event_ms: int


def head(connection: Connection, environment_id: str) -> Head:
    """Return the head of an environment's log; all zero while it is empty."""
    row = connection.execute(select(t.log_heads).where(_heads.environment_id == environment_id)).one_or_none()
    if row is None:
        return Head(0, 0, 0, 0)
    return Head(row.position, row.last_event_ms, row.trimmed_position, row.trimmed_event_ms)


def position_of(connection: Connection, environment_id: str, event_id: str) -> int | None:
    """Return the position of an event id of this environment, or None."""
    found: int | None = connection.execute(
        select(_log.position).where(_log.environment_id == environment_id, _log.event_id == event_id)
    ).scalar_one_or_none()
    return found


@dataclass(frozen=True, slots=True)
class LogFilter:
    """What a reader of the log wants: empty fields filter nothing. Bounds are exclusive positions."""

    types: tuple[str, ...] = ()
    organization_id: str | None = None
    after: int = 0
    before: int | None = None
    recorded_from: datetime | None = None
    recorded_before: datetime | None = None


def read(
    connection: Connection, environment_id: str, wanted: LogFilter, limit: int, *, newest_first: bool = False
) -> list[Any]:
    """Return up to `limit` log rows that match, in position order (or its reverse)."""
    order = _log.position.desc() if newest_first else _log.position
    statement = select(t.event_log).where(*_conditions(environment_id, wanted)).order_by(order).limit(limit)
    return list(connection.execute(statement, _parameters(wanted)))


def _conditions(environment_id: str, wanted: LogFilter) -> list[Any]:
    conditions: list[Any] = [_log.environment_id == environment_id, _log.position > wanted.after]
    if wanted.before is not None:
        conditions.append(_log.position < wanted.before)
    if wanted.types:
        conditions.append(among(_log.type, "types"))
    if wanted.organization_id is not None:
        conditions.append(_log.organization_id == wanted.organization_id)
    if wanted.recorded_from is not None:
        conditions.append(_log.recorded_at >= wanted.recorded_from)
    if wanted.recorded_before is not None:
        conditions.append(_log.recorded_at < wanted.recorded_before)
    return conditions


def _parameters(wanted: LogFilter) -> dict[str, Any]:
    return {"types": list(wanted.types)} if wanted.types else {}


def trim(connection: Connection, environment_id: str, recorded_before: datetime, limit: int) -> int:
    """Remove up to `limit` events older than a moment, oldest first, and remember how far; return how many.

    Only a prefix is removed, so what is left stays dense. The newest event always stays: it is the cursor
    of everybody who has caught up, and a quiet environment must not turn that into a 410.
    """
    current = head(connection, environment_id)
    oldest: Select[Any] = (
        select(_log.position, _log.event_id, _log.recorded_at)
        .where(
            _log.environment_id == environment_id,
            _log.position > current.trimmed_position,
            _log.position < current.position,
        )
        .order_by(_log.position)
        .limit(limit)
    )
    last = None
    count = 0
    for row in connection.execute(oldest):
        if row.recorded_at >= recorded_before:
            break
        last, count = row, count + 1
    if last is None:
        return 0
    connection.execute(
        delete(t.event_log).where(_log.environment_id == environment_id, _log.position <= last.position)
    )
    connection.execute(
        update(t.log_heads)
        .where(_heads.environment_id == environment_id)
        .values(trimmed_position=last.position, trimmed_event_ms=event_ms(last.event_id))
    )
    return count


def gap(connection: Connection, environment_id: str) -> int:
    """Return how many positions are missing between the first and last kept event: 0 is healthy."""
    row = connection.execute(
        select(func.count(), func.min(_log.position), func.max(_log.position)).where(
            _log.environment_id == environment_id
        )
    ).one()
    count, low, high = row
    return 0 if not count else int(high - low + 1 - count)


def event_ms(event_id: str) -> int:
    """Return the time inside an event id, in milliseconds."""
    return ulid_time_ms(bare(event_id))
