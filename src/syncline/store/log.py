"""The event log: append to the inbox, seal with dense positions, read by position."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import (
    BigInteger,
    Connection,
    Select,
    Text,
    bindparam,
    delete,
    func,
    insert,
    not_,
    select,
    text,
    update,
)
from sqlalchemy.dialects import postgresql, sqlite

from syncline.core.events import OWN_PREFIX
from syncline.core.ids import bare, ulid_time_ms
from syncline.core.model import Cause, EventDraft
from syncline.store import tables as t
from syncline.store.jsontext import dump
from syncline.store.prepared import Prepared, insert_columns
from syncline.store.types import Array, among, to_ms

SEAL_BATCH = 500

_inbox, _log, _heads = t.event_inbox.c, t.event_log.c, t.log_heads.c
_next_rows = Prepared(
    select(t.event_inbox)
    .where(_inbox.environment_id == bindparam("environment"))
    .order_by(_inbox.seq)
    .limit(SEAL_BATCH)
)
# Whoever holds the head's row seals; everybody else passes by.
_take_head = Prepared(
    select(t.log_heads)
    .where(_heads.environment_id == bindparam("environment"))
    .with_for_update(skip_locked=True)
)
_delete_rows = Prepared(delete(t.event_inbox).where(among(_inbox.seq, "seqs", BigInteger())))
_insert_inbox = Prepared(insert(t.event_inbox), insert_columns(t.event_inbox, "seq"))
_insert_log = Prepared(insert(t.event_log), insert_columns(t.event_log))
_move_head = Prepared(
    update(t.log_heads)
    .where(_heads.environment_id == bindparam("environment"))
    .values(position=bindparam("to", type_=BigInteger()), last_event_ms=bindparam("ms", type_=BigInteger()))
)
_wake_endpoints = Prepared(
    update(t.webhook_endpoints)
    .where(t.webhook_endpoints.c.environment_id == bindparam("environment"))
    .values(wake=t.webhook_endpoints.c.wake + 1)
)
_directory_heads = Prepared(
    select(t.directory_heads.c.directory_id, t.directory_heads.c.sequence).where(
        among(t.directory_heads.c.directory_id, "ids")
    )
)


_directory_head = sqlite.insert(t.directory_heads)
_move_directory_heads = Prepared(
    _directory_head.on_conflict_do_update(
        index_elements=["directory_id"], set_={"sequence": _directory_head.excluded.sequence}
    ),
    insert_columns(t.directory_heads),
)
_LOG_COLUMNS = insert_columns(t.event_log, "environment_id")
_BIG = {"position", "directory_sequence", "recorded_at", "sealed_at"}
# On PostgreSQL a statement is a round trip, so everything a sealing step writes goes in one.
_write_log = Prepared(
    text(
        "WITH moved AS (UPDATE log_heads SET position = :to, last_event_ms = :ms"
        " WHERE environment_id = :environment),"
        " counted AS (INSERT INTO directory_heads (environment_id, directory_id, sequence)"
        " SELECT :environment, * FROM unnest(:directories, :sequences)"
        " ON CONFLICT (directory_id) DO UPDATE SET sequence = excluded.sequence),"
        " woken AS (UPDATE webhook_endpoints SET wake = wake + 1 WHERE environment_id = :environment"
        " RETURNING 1),"
        " written AS (INSERT INTO event_log (environment_id, position, event_id, organization_id,"
        " directory_id, directory_sequence, type, user_id, group_id, cause, actor, body, recorded_at,"
        " sealed_at)"
        " SELECT :environment, * FROM unnest(:log_position, :log_event_id, :log_organization_id,"
        " :log_directory_id, :log_directory_sequence, :log_type, :log_user_id, :log_group_id, :log_cause,"
        " :log_actor, :log_body, :log_recorded_at, :log_sealed_at))"
        " SELECT count(*) AS woken FROM woken"
    )
    .bindparams(
        bindparam("environment", type_=Text()),
        bindparam("to", type_=BigInteger()),
        bindparam("ms", type_=BigInteger()),
        bindparam("directories", type_=Array(Text())),
        bindparam("sequences", type_=Array(BigInteger())),
        *(
            bindparam(f"log_{name}", type_=Array(BigInteger() if name in _BIG else Text()))
            for name in _LOG_COLUMNS
        ),
    )
    .columns(woken=BigInteger())
)
_waiting = Prepared(select(_inbox.environment_id).distinct())


def append(connection: Connection, drafts: Iterable[EventDraft], cause: Cause) -> None:
    """Put events into the inbox, in order, inside the transaction that made the change."""
    append_rows(connection, inbox_rows(drafts, cause))


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
        _insert_inbox.run(connection, rows)


def environments_waiting(connection: Connection) -> list[str]:
    """Return the environments that have unsealed events."""
    return [row.environment_id for row in _waiting.all(connection, {})]


@dataclass(frozen=True, slots=True)
class Sealed:
    """What one sealing step did: how many events, up to which position, when the first was recorded."""

    count: int
    position: int
    oldest: datetime
    # How many webhook endpoints were told.
    woken: int


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
    if not _begin_log(connection, environment_id):
        return None
    head = _take_head.one_or_none(connection, {"environment": environment_id})
    if head is None:
        return None
    rows = _next_rows.all(connection, {"environment": environment_id})
    if not rows:
        return None
    _drop(connection, rows)
    return _number(connection, head, [row._asdict() for row in rows], now, new_event_id)


def record(
    connection: Connection,
    environment_id: str,
    rows: Sequence[dict[str, Any]],
    now: datetime,
    new_event_id: Callable[[int], str],
) -> Sealed | None:
    """Give new events their positions in the transaction that made them, behind what waits in the inbox.

    While another process is sealing, or a long inbox waits, they go into the inbox and None is returned.
    The caller holds the locks of the events' directories, so what their inbox rows say came before.
    """
    head = _take_head.one_or_none(connection, {"environment": environment_id})
    waiting = [] if head is None else _next_rows.all(connection, {"environment": environment_id})
    if head is None or len(waiting) == SEAL_BATCH:
        append_rows(connection, rows)
        return None
    if waiting:
        _drop(connection, waiting)
    return _number(connection, head, [*(row._asdict() for row in waiting), *rows], now, new_event_id)


def _begin_log(connection: Connection, environment_id: str) -> bool:
    """Make the head of a log that has none yet; return whether anything waits for it."""
    statement = select(_heads.environment_id).where(_heads.environment_id == environment_id)
    if connection.execute(statement).one_or_none() is not None:
        return True
    if not _next_rows.all(connection, {"environment": environment_id}):
        return False
    insert_ = postgresql.insert if connection.dialect.name == "postgresql" else sqlite.insert
    connection.execute(
        insert_(t.log_heads).on_conflict_do_nothing(),
        {
            "environment_id": environment_id,
            "position": 0,
            "last_event_ms": 0,
            "trimmed_position": 0,
            "trimmed_event_ms": 0,
        },
    )
    return True


def _drop(connection: Connection, rows: Sequence[Any]) -> None:
    # By name, never "up to the last": a row with a lower number may have been committed since the read.
    _delete_rows.run(connection, {"seqs": [row.seq for row in rows]})


def _number(
    connection: Connection,
    head: Any,
    rows: Sequence[dict[str, Any]],
    now: datetime,
    new_event_id: Callable[[int], str],
) -> Sealed:
    """Write events to the log behind its head, which this transaction has taken."""
    position = head.position
    # Later than every sealed event, even if another process's clock was ahead of ours.
    event_ms = max(to_ms(now), head.last_event_ms + 1)
    sequences = _directory_sequences(connection, {row["directory_id"] for row in rows if row["directory_id"]})
    sealed = []
    for row in rows:
        position += 1
        directory_id = row["directory_id"]
        if directory_id is not None:
            sequences[directory_id] += 1
        sealed.append(
            row
            | {
                "position": position,
                "event_id": new_event_id(event_ms),
                "directory_sequence": sequences[directory_id] if directory_id else None,
                "sealed_at": now,
            }
        )
    moved = {"environment": head.environment_id, "to": position, "ms": event_ms}
    if connection.dialect.name == "postgresql":
        columns = {f"log_{name}": [row[name] for row in sealed] for name in _LOG_COLUMNS}
        for name in ("log_recorded_at", "log_sealed_at"):
            columns[name] = [to_ms(moment) for moment in columns[name]]
        heads = {"directories": list(sequences), "sequences": list(sequences.values())}
        woken = int(_write_log.one_or_none(connection, {**moved, **heads, **columns}).woken)
    else:
        _insert_log.run(connection, sealed)
        _move_head.run(connection, moved)
        _set_directory_heads(connection, head.environment_id, sequences)
        woken = _wake_endpoints.run(connection, {"environment": head.environment_id})
    return Sealed(len(rows), position, min(row["recorded_at"] for row in rows), woken)


def _directory_sequences(connection: Connection, ids: set[str]) -> dict[str, int]:
    sequences = dict.fromkeys(ids, 0)
    if ids:
        found = _directory_heads.all(connection, {"ids": list(ids)})
        sequences.update({row.directory_id: row.sequence for row in found})
    return sequences


def _set_directory_heads(connection: Connection, environment_id: str, sequences: dict[str, int]) -> None:
    if sequences:
        _move_directory_heads.run(
            connection,
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
    """What a reader of the log wants: empty fields filter nothing. Bounds are exclusive positions.

    `without_own` leaves out the types that are ours, which are listed only where they are named.
    """

    types: tuple[str, ...] = ()
    without_own: bool = False
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
    if wanted.without_own:
        conditions.append(not_(_log.type.startswith(OWN_PREFIX)))
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
