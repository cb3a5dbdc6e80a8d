"""What retention removes besides the log, which endpoints it leaves behind, and the figures of the log."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import Connection, Table, delete, func, select, tuple_, update
from sqlalchemy.sql.elements import ColumnElement

from syncline.store import log, sinks
from syncline.store import tables as t
from syncline.store.jsontext import dump, load

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
    """Remove up to `limit` attempts: successes and failures have their own ages; return how many."""
    old = (_attempts.started_at < failures_before) | (
        (_attempts.outcome == "success") & (_attempts.started_at < successes_before)
    )
    return remove_some(connection, t.delivery_attempts, old, limit)


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
