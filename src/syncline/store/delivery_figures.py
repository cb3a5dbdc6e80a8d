"""Figures about webhook delivery over all environments, for the metrics."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import Connection, and_, func, select

from syncline.core.circuit import CircuitState
from syncline.store import tables as t
from syncline.store.endpoints import EndpointState
from syncline.store.parked import ParkedState

_c, _log, _heads, _parked = t.webhook_endpoints.c, t.event_log.c, t.log_heads.c, t.parked_deliveries.c
_NONE = timedelta(0)


@dataclass(frozen=True, slots=True)
class Figures:
    """The worst of all active endpoints, and how many are how.

    `lag_positions` and `lag_seconds` are how far an endpoint is behind the head of its log.
    """

    waiting: int
    by_state: dict[tuple[str, str], int]
    lag_positions: int
    lag: timedelta
    parked_age: timedelta


def figures(connection: Connection, now: datetime) -> Figures:
    """Count and measure the endpoints."""
    waiting, oldest_parked = connection.execute(
        select(func.count(), func.min(_parked.first_attempt_at)).where(_parked.state == ParkedState.WAITING)
    ).one()
    positions, oldest = connection.execute(
        select(func.max(_heads.position - _c.cursor), func.min(_log.recorded_at))
        .select_from(t.webhook_endpoints)
        .join(t.log_heads, _heads.environment_id == _c.environment_id)
        .outerjoin(
            t.event_log, and_(_log.environment_id == _c.environment_id, _log.position == _c.cursor + 1)
        )
        .where(_c.state == EndpointState.ACTIVE)
    ).one()
    return Figures(
        waiting=waiting,
        by_state=_by_state(connection),
        lag_positions=max(positions or 0, 0),
        lag=_age(oldest, now),
        parked_age=_age(oldest_parked, now),
    )


def _by_state(connection: Connection) -> dict[tuple[str, str], int]:
    rows = connection.execute(select(_c.state, _c.circuit, func.count()).group_by(_c.state, _c.circuit))
    found: dict[tuple[str, str], int] = {}
    for state, circuit, count in rows:
        key = (state, circuit if state == EndpointState.ACTIVE else CircuitState.CLOSED.value)
        found[key] = found.get(key, 0) + count
    return found


def _age(moment: datetime | None, now: datetime) -> timedelta:
    return _NONE if moment is None else max(now - moment, _NONE)
