"""Ranges of the log, and given-up deliveries, that an owner wants sent to an endpoint again."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import BigInteger, Connection, bindparam, delete, func, insert, select, update

from syncline.core.ids import Prefix, make_id, new_ulid
from syncline.store import tables as t
from syncline.store.parked import Parked, ParkedState, parked_of
from syncline.store.prepared import Prepared
from syncline.store.types import to_ms

_c, _parked, _log = t.replays.c, t.parked_deliveries.c, t.event_log.c
_endpoints = t.webhook_endpoints.c
_SKEW = timedelta(minutes=10)
_MOST = b"\xff" * 10
_pending = Prepared(
    select(_c.id, _c.next_position, _c.last_position)
    .where(_c.endpoint_id == bindparam("endpoint"))
    .order_by(_c.id)
)
_advance = Prepared(
    update(t.replays)
    .where(_c.id == bindparam("replay"), _c.next_position < bindparam("to", type_=BigInteger()))
    .values(next_position=bindparam("to", type_=BigInteger()))
)
_finish = Prepared(delete(t.replays).where(_c.id == bindparam("replay")))


@dataclass(frozen=True, slots=True)
class Replay:
    """What is left of a range: `next_position` is the first position that is not settled yet."""

    id: str
    next_position: int
    last_position: int


def add(
    connection: Connection, environment_id: str, endpoint_id: str, replay: Replay, created_at: datetime
) -> None:
    """Insert a range; the caller has seen to it that the endpoint is of this environment."""
    connection.execute(
        insert(t.replays),
        {
            "environment_id": environment_id,
            "endpoint_id": endpoint_id,
            "id": replay.id,
            "next_position": replay.next_position,
            "last_position": replay.last_position,
            "created_at": created_at,
        },
    )


def pending(connection: Connection, endpoint_id: str) -> list[Replay]:
    """Return the ranges of an endpoint that are not done, oldest first."""
    return [
        Replay(row.id, row.next_position, row.last_position)
        for row in _pending.all(connection, {"endpoint": endpoint_id})
    ]


def save(connection: Connection, replay: Replay) -> None:
    """Write how far a range was sent; one that came to its end is removed."""
    if replay.next_position > replay.last_position:
        _finish.run(connection, {"replay": replay.id})
    else:
        _advance.run(connection, {"replay": replay.id, "to": replay.next_position})


def wake(connection: Connection, environment_id: str, endpoint_id: str) -> None:
    """Tell an endpoint of this environment that it has something to do."""
    connection.execute(
        update(t.webhook_endpoints)
        .where(_endpoints.environment_id == environment_id, _endpoints.id == endpoint_id)
        .values(wake=_endpoints.wake + 1)
    )


def ask_for_dead(
    connection: Connection, environment_id: str, endpoint_id: str, trimmed: int, now: datetime
) -> int:
    """Mark the dead deliveries of an endpoint whose events are left, and return how many those are.

    A dead row with a time is one that somebody wants sent again; asking twice changes nothing.
    """
    return connection.execute(
        update(t.parked_deliveries)
        .where(
            _parked.environment_id == environment_id,
            _parked.endpoint_id == endpoint_id,
            _parked.state == ParkedState.DEAD,
            _parked.position > trimmed,
        )
        .values(next_due_at=now)
    ).rowcount


def count_lost(connection: Connection, environment_id: str, endpoint_id: str, trimmed: int) -> int:
    """Return how many dead deliveries cannot be sent again, because retention removed their events."""
    return int(
        connection.execute(
            select(func.count()).where(
                _parked.environment_id == environment_id,
                _parked.endpoint_id == endpoint_id,
                _parked.state == ParkedState.DEAD,
                _parked.position <= trimmed,
            )
        ).scalar_one()
    )


def asked_for(connection: Connection, endpoint_id: str, limit: int) -> list[Parked]:
    """Return dead deliveries that somebody wants sent again, in log order and as if never tried."""
    rows = connection.execute(
        select(t.parked_deliveries)
        .where(
            _parked.endpoint_id == endpoint_id,
            _parked.state == ParkedState.DEAD,
            _parked.next_due_at.is_not(None),
        )
        .order_by(_parked.position)
        .limit(limit)
    )
    return [Parked(parked_of(row).position, row.lane) for row in rows]


def last_before(connection: Connection, environment_id: str, moment: datetime) -> int | None:
    """Return the position of the last event recorded before a moment, None if there is none."""
    # Ids sort like positions and have an index; the clocks of two processes may be apart by so much.
    sealed_until = make_id(Prefix.EVENT, new_ulid(max(to_ms(moment + _SKEW), 0), _MOST))
    found: int | None = connection.execute(
        select(_log.position)
        .where(
            _log.environment_id == environment_id,
            _log.event_id <= sealed_until,
            _log.recorded_at < moment,
        )
        .order_by(_log.event_id.desc())
        .limit(1)
    ).scalar_one_or_none()
    return found
