"""What retention removes besides the log, which endpoints it leaves behind, and the figures of the log."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import (
    BigInteger,
    Connection,
    Select,
    Table,
    and_,
    bindparam,
    delete,
    func,
    or_,
    select,
    true,
    tuple_,
    update,
)
from sqlalchemy.sql.elements import ColumnElement

from syncline.core.ids import RANDOMNESS_BYTES, Prefix, make_id, new_ulid
from syncline.store import log, sinks
from syncline.store import tables as t
from syncline.store.jsontext import dump, load
from syncline.store.types import to_ms

_attempts, _endpoints, _inbox = t.delivery_attempts.c, t.webhook_endpoints.c, t.event_inbox.c


@dataclass(frozen=True, slots=True)
class Missed:
    """An endpoint or event sink whose cursor was still before events that retention removed."""

    reader_id: str
    first: int
    last: int
    is_sink: bool = False


def logged_environments(connection: Connection) -> list[str]:
    """Return the environments that have a log."""
    return list(connection.execute(select(t.log_heads.c.environment_id).order_by("environment_id")).scalars())


def trim_log(
    connection: Connection, environment_id: str, recorded_before: datetime, now: datetime, limit: int
) -> tuple[int, list[Missed]]:
    """Remove up to `limit` old events and flag the endpoints and sinks that had not got them.

    Returns how many were removed and what was flagged; an endpoint's settings, and a sink's row, keep the
    first and the last position it missed.
    """
    before = log.head(connection, environment_id).trimmed_position
    removed = log.trim(connection, environment_id, recorded_before, limit)
    if not removed:
        return 0, []
    trimmed = log.head(connection, environment_id).trimmed_position
    missed = _flag(connection, environment_id, before, trimmed, now)
    for sink_id, gap in sinks.flag_missed(connection, environment_id, before, trimmed):
        missed.append(Missed(sink_id, gap.first, gap.last, is_sink=True))
    return removed, missed


def _flag(
    connection: Connection, environment_id: str, before: int, trimmed: int, now: datetime
) -> list[Missed]:
    rows = connection.execute(
        select(t.webhook_endpoints)
        .where(_endpoints.environment_id == environment_id, _endpoints.cursor < trimmed)
        .order_by(_endpoints.id)
        .with_for_update()
    ).all()
    flagged = []
    for row in rows:
        missed = Missed(row.id, max(row.cursor, before) + 1, trimmed)
        settings = load(row.settings)
        known = settings.get("missed")
        first = known["first"] if isinstance(known, dict) else missed.first
        settings["missed"] = {"first": first, "last": missed.last, "flagged_at": now.isoformat()}
        connection.execute(
            update(t.webhook_endpoints).where(_endpoints.id == row.id).values(settings=dump(settings))
        )
        flagged.append(missed)
    return flagged


def trim_attempts(
    connection: Connection, successes_before: datetime, failures_before: datetime, limit: int
) -> int:
    """Remove up to `limit` attempts: successes and failures have their own ages; return how many.

    An attempt gets its id when it has ended, so the time in the id is never before `started_at`.
    """
    asked = {
        "successes": _oldest_id(successes_before),
        "failures": _oldest_id(failures_before),
        "rows": limit,
    }
    found = connection.execute(_finding[connection.dialect.name], asked).all()
    if found:
        connection.execute(_remove_attempt, [{"endpoint": row.endpoint_id, "gone": row.id} for row in found])
    return len(found)


def _oldest_id(moment: datetime) -> str:
    """Return an id below those of all attempts that ended at a moment or later."""
    return make_id(Prefix.ATTEMPT, new_ulid(max(to_ms(moment), 0), bytes(RANDOMNESS_BYTES)))


def _old_attempts(dialect: str) -> Select[Any]:
    """Return the query of attempts that are too old, endpoint by endpoint, each from the oldest on."""
    # The endpoints that have attempts, also those that are gone, in steps through the primary key.
    # PostgreSQL has no min() of UUIDs.
    first = select(_attempts.endpoint_id).order_by(_attempts.endpoint_id).limit(1)
    seen = select(first.scalar_subquery().label("id")).cte("seen", recursive=True)
    following = first.where(_attempts.endpoint_id > seen.c.id).correlate(seen).scalar_subquery()
    seen = seen.union_all(select(following).where(seen.c.id.is_not(None)))
    rows = bindparam("rows", type_=BigInteger())
    old = and_(
        _attempts.endpoint_id == seen.c.id,
        _attempts.id < bindparam("successes", type_=_attempts.id.type),
        or_(_attempts.outcome == "success", _attempts.id < bindparam("failures", type_=_attempts.id.type)),
    )
    key = select(_attempts.endpoint_id, _attempts.id)
    if dialect == "sqlite":
        return key.select_from(seen.join(t.delivery_attempts, old)).limit(rows)
    # LATERAL keeps the planner from reading the whole table once for all endpoints.
    each = key.where(old).order_by(_attempts.endpoint_id, _attempts.id).limit(rows).lateral("old")
    return select(each).select_from(seen.join(each, true())).limit(rows)


_finding = {name: _old_attempts(name) for name in ("sqlite", "postgresql")}
_remove_attempt = delete(t.delivery_attempts).where(
    _attempts.endpoint_id == bindparam("endpoint"), _attempts.id == bindparam("gone")
)


def trim_past(connection: Connection, ended_before: datetime, limit: int) -> int:
    """Remove up to `limit` of what is kept beside the log about the past, as long as events are kept."""
    tables = (t.past_memberships, t.past_people)
    return sum(
        remove_some(connection, table, table.c.ended_at < ended_before, limit // len(tables))
        for table in tables
    )


def trim_idempotency_keys(connection: Connection, created_before: datetime, limit: int) -> int:
    """Remove up to `limit` stored answers that may no longer be replayed; return how many."""
    return remove_some(
        connection, t.idempotency_keys, t.idempotency_keys.c.created_at < created_before, limit
    )


def remove_some(connection: Connection, table: Table, condition: ColumnElement[bool], limit: int) -> int:
    """Delete up to `limit` rows that meet a condition; return how many."""
    key = list(table.primary_key)
    found = select(*key).where(condition).limit(limit)
    chosen = key[0].in_(found) if len(key) == 1 else tuple_(*key).in_(found)
    return connection.execute(delete(table).where(chosen)).rowcount


@dataclass(frozen=True, slots=True)
class LogFigures:
    """The health of the log over all environments."""

    gap: int
    inbox_rows: int
    inbox_age: timedelta


def log_figures(connection: Connection, now: datetime) -> LogFigures:
    """Count missing positions and what is not sealed yet."""
    gap = sum(log.gap(connection, environment) for environment in logged_environments(connection))
    rows, oldest = connection.execute(select(func.count(), func.min(_inbox.recorded_at))).one()
    age = timedelta(0) if oldest is None else max(now - oldest, timedelta(0))
    return LogFigures(gap, rows, age)
