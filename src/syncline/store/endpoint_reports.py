"""What is read about deliveries: attempts and waiting deliveries as pages, figures of one endpoint."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, exists, func, select

from syncline.core.ids import Prefix, is_id
from syncline.core.paging import Span
from syncline.store import tables as t
from syncline.store.endpoints import MISSED
from syncline.store.jsontext import load
from syncline.store.parked import ParkedState
from syncline.store.spans import within

_c, _log = t.webhook_endpoints.c, t.event_log.c
_parked, _attempts = t.parked_deliveries.c, t.delivery_attempts.c

OUTSIDE_THE_LOG = 0
"""The position of an attempt of a test: no event of the log has it."""


@dataclass(frozen=True, slots=True)
class AttemptFilter:
    """Which attempts are wanted; None wants all."""

    outcome: str | None = None
    event_id: str | None = None


def attempts(
    connection: Connection, environment_id: str, endpoint_id: str, wanted: AttemptFilter, span: Span
) -> list[Row[Any]]:
    """Return up to `span.limit` rows of attempts, ordered by id."""
    statement = select(t.delivery_attempts).where(*_of(environment_id, endpoint_id))
    if wanted.outcome is not None:
        statement = statement.where(_attempts.outcome == wanted.outcome)
    if wanted.event_id is not None:
        if not is_id(Prefix.EVENT, wanted.event_id):
            return []
        statement = statement.where(_attempts.event_id == wanted.event_id)
    return list(connection.execute(within(statement, _attempts.id, span)))


def _of(environment_id: str, endpoint_id: str) -> tuple[ColumnElement[bool], ...]:
    """Return what makes an attempt one of an endpoint of this environment, which only the endpoint tells."""
    owned = exists().where(_c.environment_id == environment_id, _c.id == endpoint_id)
    return _attempts.endpoint_id == endpoint_id, owned


def deliveries(
    connection: Connection, environment_id: str, endpoint_id: str, state: str | None, span: Span
) -> list[Row[Any]]:
    """Return up to `span.limit` deliveries that wait or are dead, with their events, ordered by event id.

    Those whose event retention has removed are missing: they cannot be sent again.
    """
    statement = (
        select(
            t.parked_deliveries,
            _log.event_id,
            _log.type,
            _log.directory_id,
            _log.organization_id,
        )
        .join(
            t.event_log,
            (_log.environment_id == _parked.environment_id) & (_log.position == _parked.position),
        )
        .where(_parked.environment_id == environment_id, _parked.endpoint_id == endpoint_id)
    )
    if state is not None:
        statement = statement.where(_parked.state == state)
    return list(connection.execute(within(statement, _log.event_id, span)))


@dataclass(frozen=True, slots=True)
class Figures:
    """The delivery state of one endpoint; moments are None where there is none."""

    lag: int
    lagging_since: datetime | None
    waiting: int
    dead: int
    waiting_since: datetime | None
    circuit: str
    failing_since: datetime | None
    consecutive_failures: int
    last_success_at: datetime | None
    disabled_reason: str | None
    missed: dict[str, Any] | None


def figures(connection: Connection, environment_id: str, endpoint_id: str) -> Figures:
    """Return the figures of an endpoint that is there."""
    row = connection.execute(
        select(t.webhook_endpoints).where(_c.environment_id == environment_id, _c.id == endpoint_id)
    ).one()
    head = connection.execute(
        select(t.log_heads.c.position).where(t.log_heads.c.environment_id == environment_id)
    ).scalar_one_or_none()
    mine = (_parked.environment_id == environment_id, _parked.endpoint_id == endpoint_id)
    counts = {
        found.state: found
        for found in connection.execute(
            select(
                _parked.state,
                func.count().label("number"),
                func.min(_parked.position).label("first"),
            )
            .where(*mine)
            .group_by(_parked.state)
        )
    }
    waiting, dead = counts.get(ParkedState.WAITING), counts.get(ParkedState.DEAD)
    missed = load(row.settings).get(MISSED)
    waiting_since = None
    if waiting is not None:
        waiting_since = _sealed_from(connection, environment_id, waiting.first)
    return Figures(
        lag=max((head or 0) - row.cursor, 0),
        lagging_since=_sealed_from(connection, environment_id, row.cursor + 1),
        waiting=waiting.number if waiting is not None else 0,
        dead=dead.number if dead is not None else 0,
        waiting_since=waiting_since,
        circuit=row.circuit,
        failing_since=row.failing_since,
        consecutive_failures=row.consecutive_failures,
        last_success_at=row.last_success_at,
        disabled_reason=row.disabled_reason,
        missed=missed if isinstance(missed, dict) else None,
    )


def _sealed_from(connection: Connection, environment_id: str, position: int) -> datetime | None:
    """Return when the first event at a position or behind it was sealed, None if there is none."""
    found: datetime | None = connection.execute(
        select(_log.sealed_at)
        .where(_log.environment_id == environment_id, _log.position >= position)
        .order_by(_log.position)
        .limit(1)
    ).scalar_one_or_none()
    return found


def recent(
    connection: Connection, environment_id: str, endpoint_id: str, limit: int
) -> list[tuple[str, int]]:
    """Return outcome and milliseconds of the last attempts, without those of tests."""
    rows = connection.execute(
        select(_attempts.outcome, _attempts.duration_ms)
        .where(*_of(environment_id, endpoint_id), _attempts.position != OUTSIDE_THE_LOG)
        .order_by(_attempts.id.desc())
        .limit(limit)
    )
    return [(row.outcome, row.duration_ms) for row in rows]
