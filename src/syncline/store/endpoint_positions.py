"""Where in the log an endpoint goes on: moments and events as positions, and moving its cursor there."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import Connection, delete, func, select, update

from syncline.core.circuit import CircuitState
from syncline.core.ids import Prefix, make_id, new_ulid
from syncline.store import tables as t
from syncline.store.endpoints import MISSED
from syncline.store.jsontext import dump, load
from syncline.store.parked import ParkedState, make_due
from syncline.store.types import among, to_ms

_c, _log, _parked = t.webhook_endpoints.c, t.event_log.c, t.parked_deliveries.c
# How far the clocks of two processes may be apart: one records an event, another one seals it.
_SKEW = timedelta(minutes=10)
_NO_RANDOMNESS = bytes(10)


@dataclass(frozen=True, slots=True)
class Place:
    """Where an endpoint stands: its cursor, and how far retention has cut the log."""

    cursor: int
    trimmed: int


def place_of(connection: Connection, environment_id: str, endpoint_id: str) -> Place:
    """Return where an endpoint stands that the caller has locked."""
    cursor = connection.execute(
        select(_c.cursor).where(_c.environment_id == environment_id, _c.id == endpoint_id)
    ).scalar_one()
    trimmed = connection.execute(
        select(t.log_heads.c.trimmed_position).where(t.log_heads.c.environment_id == environment_id)
    ).scalar_one_or_none()
    return Place(cursor, trimmed or 0)


def first_at(connection: Connection, environment_id: str, moment: datetime) -> int | None:
    """Return the position of the first event that occurred at a moment or later, None if there is none."""
    ms = max(to_ms(moment - _SKEW), 0)
    sealed_from = make_id(Prefix.EVENT, new_ulid(ms, _NO_RANDOMNESS))
    found: int | None = connection.execute(
        select(_log.position)
        .where(
            _log.environment_id == environment_id,
            _log.event_id >= sealed_from,
            _log.recorded_at >= moment,
        )
        .order_by(_log.event_id)
        .limit(1)
    ).scalar_one_or_none()
    return found


def start(connection: Connection, environment_id: str, endpoint_id: str) -> None:
    """Let an endpoint that stood still go on with a clean record; what waits is due at once."""
    make_due(connection, endpoint_id)
    connection.execute(
        update(t.webhook_endpoints)
        .where(_c.environment_id == environment_id, _c.id == endpoint_id)
        .values(
            wake=_c.wake + 1,
            next_due_at=None,
            consecutive_failures=0,
            failed_attempts=0,
            failing_since=None,
            circuit=CircuitState.CLOSED,
            circuit_step=0,
            disabled_reason=None,
        )
    )


def move(
    connection: Connection, environment_id: str, endpoint_id: str, position: int, lease_until: datetime
) -> int:
    """Let an endpoint go on with the event at a position; return how many waiting deliveries that gave up.

    What waits before the position is dead from now on, what waits or is dead at or behind it is sent from
    the log anew. Who holds the endpoint right now loses it, and nobody takes it before `lease_until`, so
    that a request under way has ended by then.
    """
    mine = (_parked.environment_id == environment_id, _parked.endpoint_id == endpoint_id)
    connection.execute(delete(t.parked_deliveries).where(*mine, _parked.position >= position))
    given_up = connection.execute(
        update(t.parked_deliveries)
        .where(*mine, _parked.state == ParkedState.WAITING)
        .values(state=ParkedState.DEAD, next_due_at=None)
    ).rowcount
    here = (_c.environment_id == environment_id, _c.id == endpoint_id)
    row = connection.execute(select(_c.settings, _c.lease_until).where(*here)).one()
    settings = load(row.settings)
    settings.pop(MISSED, None)
    connection.execute(
        update(t.webhook_endpoints)
        .where(*here)
        .values(
            cursor=position - 1,
            fence=_c.fence + 1,
            lease_until=None if row.lease_until is None else min(row.lease_until, lease_until),
            settings=dump(settings),
        )
    )
    return given_up


def retry(connection: Connection, environment_id: str, endpoint_id: str) -> int:
    """Make the waiting deliveries of an endpoint due now and wake it; return how many there are."""
    make_due(connection, endpoint_id)
    connection.execute(
        update(t.webhook_endpoints)
        .where(_c.environment_id == environment_id, _c.id == endpoint_id)
        .values(wake=_c.wake + 1, next_due_at=None)
    )
    waiting = select(func.count()).where(
        _parked.environment_id == environment_id,
        _parked.endpoint_id == endpoint_id,
        _parked.state == ParkedState.WAITING,
    )
    return int(connection.execute(waiting).scalar_one())


def known_directories(connection: Connection, environment_id: str, ids: Sequence[str]) -> set[str]:
    """Return those of the ids that are directories of the environment and not deleted."""
    c = t.directories.c
    statement = select(c.id).where(
        c.environment_id == environment_id, c.deleted_at.is_(None), among(c.id, "ids")
    )
    return set(connection.execute(statement, {"ids": list(ids)}).scalars())


def known_organizations(connection: Connection, environment_id: str, ids: Sequence[str]) -> set[str]:
    """Return those of the ids that are organizations of the environment and not deleted."""
    c = t.organizations.c
    statement = select(c.id).where(
        c.environment_id == environment_id, c.deleted_at.is_(None), among(c.id, "ids")
    )
    return set(connection.execute(statement, {"ids": list(ids)}).scalars())
