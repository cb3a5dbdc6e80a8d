"""Deliveries that wait for another attempt or were given up, and the log of attempts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import (
    BigInteger,
    BindParameter,
    ColumnElement,
    Connection,
    FromClause,
    Row,
    bindparam,
    delete,
    func,
    select,
    update,
)
from sqlalchemy.dialects import postgresql, sqlite

from syncline.store import tables as t
from syncline.store.prepared import Prepared, insert_columns
from syncline.store.types import Array, among

_c, _log, _attempts = t.parked_deliveries.c, t.event_log.c, t.delivery_attempts.c


class ParkedState(StrEnum):
    """`waiting` deliveries will be tried again; `dead` ones only when somebody asks for it."""

    WAITING = "waiting"
    DEAD = "dead"


@dataclass(frozen=True, slots=True)
class Parked:
    """One event that one endpoint did not take yet. Only the head of a lane has been tried.

    A waiting row without `next_due_at` is due as soon as it is the head of its lane.
    """

    position: int
    lane: str
    state: ParkedState = ParkedState.WAITING
    attempts: int = 0
    first_attempt_at: datetime | None = None
    next_due_at: datetime | None = None
    last_error: str | None = None


@dataclass(frozen=True, slots=True)
class Attempt:
    """One request to an endpoint and how it ended; `next_due_at` is None if no other follows by itself."""

    id: str
    position: int
    event_id: str
    event_type: str
    attempt: int
    started_at: datetime
    duration_ms: int
    outcome: str
    status: int | None
    error: str | None
    response: str | None
    next_due_at: datetime | None


def attempt_lists() -> list[BindParameter[Any]]:
    """Return the parameters of PostgreSQL's statements that take attempts: a list for each column."""
    return [bindparam(name, type_=Array(_attempts[name].type)) for name in _NAMES]


def attempt_values(rows: Sequence[Attempt]) -> dict[str, list[Any]]:
    """Return what `attempt_lists` takes."""
    return {name: [getattr(row, name) for row in rows] for name in _NAMES}


def recording(endpoint_id: ColumnElement[Any], given: FromClause, source: FromClause) -> postgresql.Insert:
    """Return the statement that records the attempts `given`, which is in `source`, for an endpoint.

    What is there already makes it fail with `UniqueViolation`.
    """
    rows = select(endpoint_id, *(given.c[name] for name in _NAMES)).select_from(source)
    return postgresql.insert(t.delivery_attempts).from_select(["endpoint_id", *_NAMES], rows)


_NAMES = Attempt.__slots__
MINE = bindparam("mine", type_=_attempts.endpoint_id.type)
GIVEN = func.unnest(*attempt_lists()).table_valued(*_NAMES, name="given").render_derived()
_KEY = ("endpoint_id", "id")
_record_each = Prepared(
    sqlite.insert(t.delivery_attempts).on_conflict_do_nothing(index_elements=_KEY),
    insert_columns(t.delivery_attempts),
)
# One statement for any number of rows: on PostgreSQL each is a round trip. ON CONFLICT has each row confirmed
# by 48 bytes more of write-ahead log, so usual saves do without.
_record_all = Prepared(recording(MINE, GIVEN, GIVEN).on_conflict_do_nothing(index_elements=_KEY))


def waiting(connection: Connection, endpoint_id: str) -> list[Parked]:
    """Return the deliveries of an endpoint that wait for an attempt, in log order."""
    rows = connection.execute(
        select(t.parked_deliveries)
        .where(_c.endpoint_id == endpoint_id, _c.state == ParkedState.WAITING)
        .order_by(_c.position)
    )
    return [parked_of(row) for row in rows]


def parked_of(row: Row[Any]) -> Parked:
    """Return the delivery in a row of the table."""
    return Parked(
        position=row.position,
        lane=row.lane,
        state=ParkedState(row.state),
        attempts=row.attempts,
        first_attempt_at=row.first_attempt_at,
        next_due_at=row.next_due_at,
        last_error=row.last_error,
    )


def make_due(connection: Connection, endpoint_id: str) -> None:
    """Make everything that waits at an endpoint due at once, each when it is the head of its lane."""
    connection.execute(
        update(t.parked_deliveries)
        .where(_c.endpoint_id == endpoint_id, _c.state == ParkedState.WAITING, _c.next_due_at.is_not(None))
        .values(next_due_at=None)
    )


def events_at(connection: Connection, environment_id: str, positions: Sequence[int]) -> dict[int, Any]:
    """Return the log rows at these positions; what retention removed is missing."""
    statement = select(t.event_log).where(
        _log.environment_id == environment_id, among(_log.position, "positions", BigInteger())
    )
    rows = connection.execute(statement, {"positions": list(positions)})
    return {row.position: row for row in rows}


def put(connection: Connection, environment_id: str, endpoint_id: str, rows: Sequence[Parked]) -> None:
    """Insert parked deliveries, or replace those of the same position."""
    if not rows:
        return
    dialect = postgresql if connection.dialect.name == "postgresql" else sqlite
    statement = dialect.insert(t.parked_deliveries)
    changing = ("lane", "state", "attempts", "first_attempt_at", "next_due_at", "last_error")
    connection.execute(
        statement.on_conflict_do_update(
            index_elements=["endpoint_id", "position"],
            set_={name: statement.excluded[name] for name in changing},
        ),
        [asdict(row) | {"environment_id": environment_id, "endpoint_id": endpoint_id} for row in rows],
    )


def remove(connection: Connection, endpoint_id: str, positions: Sequence[int]) -> None:
    """Remove parked deliveries that arrived."""
    if positions:
        connection.execute(
            delete(t.parked_deliveries).where(
                _c.endpoint_id == endpoint_id, among(_c.position, "positions", BigInteger())
            ),
            {"positions": list(positions)},
        )


def record(connection: Connection, endpoint_id: str, rows: Sequence[Attempt]) -> None:
    """Add attempts to the log of attempts; those that are there already stay as they are."""
    if not rows:
        return
    if connection.dialect.name == "postgresql":
        _record_all.run(connection, {**attempt_values(rows), "mine": endpoint_id})
    else:
        mine = {"endpoint_id": endpoint_id}
        _record_each.run(connection, [{name: getattr(row, name) for name in _NAMES} | mine for row in rows])


def count_waiting(connection: Connection) -> int:
    """Return how many deliveries wait for another attempt, over all environments."""
    statement = select(func.count()).where(_c.state == ParkedState.WAITING)
    return int(connection.execute(statement).scalar_one())
