"""The delivery state of webhook endpoints: claim with a lease and a fence, save progress, find sleepers.

`wake` counts the seals since the endpoint was last found drained: the sealer adds to it, and only the holder
of the lease puts it back to 0, provided that it still is what was read before the log was. So an event that
is sealed at any moment leaves the endpoint awake.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Connection,
    and_,
    bindparam,
    case,
    func,
    null,
    or_,
    select,
    update,
)

from syncline.store import parked as parked_rows
from syncline.store import tables as t
from syncline.store.endpoints import EndpointState, event_types
from syncline.store.parked import Attempt, Parked
from syncline.store.prepared import Prepared
from syncline.store.types import Instant, among

_c = t.webhook_endpoints.c
# An endpoint that was just woken goes behind those that have been waiting for longer than this.
_HEAD_START = timedelta(seconds=1)


class LeaseLost(Exception):
    """Another process has taken the endpoint over, or it was deleted; nothing was written."""


@dataclass(frozen=True, slots=True)
class Due:
    """An endpoint that has something to do and that nobody holds."""

    id: str
    environment_id: str
    endpoint_url: str


@dataclass(frozen=True, slots=True)
class Claim:
    """An endpoint that this process holds: `fence` proves it, `wake` is as read before any event."""

    id: str
    environment_id: str
    endpoint_url: str
    events: tuple[str, ...]
    cursor: int
    wake: int
    fence: int
    consecutive_failures: int
    failing_since: datetime | None
    updated_at: datetime
    claimed_at: datetime


@dataclass(frozen=True, slots=True)
class Progress:
    """What was settled since the last save: the endpoint's figures, and the rows that came or went."""

    cursor: int
    consecutive_failures: int
    failing_since: datetime | None
    delivered: Sequence[int] = ()
    parked: Sequence[Parked] = ()
    attempts: Sequence[Attempt] = ()


class Ending(StrEnum):
    """What becomes of the claim with a save."""

    KEEP = "keep"
    IDLE = "idle"
    RELEASE = "release"
    GONE = "gone"


@dataclass(frozen=True, slots=True)
class Saved:
    """The endpoint after a save: its wake counter, and whether somebody stopped or changed it meanwhile."""

    wake: int
    state: str
    updated_at: datetime


def _claimable() -> ColumnElement[bool]:
    now = bindparam("now", type_=Instant())
    return and_(
        _c.state == EndpointState.ACTIVE,
        or_(_c.wake > 0, _c.next_due_at <= now),
        or_(_c.lease_until.is_(None), _c.lease_until <= now),
    )


_waiting = (
    select(_c.id, _c.environment_id, _c.endpoint_url)
    .where(_claimable())
    .order_by(func.coalesce(_c.next_due_at, bindparam("head_start", type_=Instant())), _c.id)
    .limit(bindparam("rows", type_=BigInteger()))
    .offset(bindparam("skipped", type_=BigInteger()))
)
_due = Prepared(_waiting)
_due_in = Prepared(_waiting.where(among(_c.environment_id, "environments")))
_changed_at = Prepared(select(_c.id, _c.updated_at).where(among(_c.id, "endpoints")))
_claim = (
    select(t.webhook_endpoints)
    .where(among(_c.id, "ids"), _claimable())
    .order_by(_c.id)
    .with_for_update(skip_locked=True)
)


def due(
    connection: Connection,
    now: datetime,
    environments: Collection[str] | None,
    *,
    limit: int,
    skip: int = 0,
) -> list[Due]:
    """Return endpoints that wait to be claimed, those that waited longest first; all environments if None."""
    parameters: dict[str, Any] = {
        "now": now,
        "head_start": now - _HEAD_START,
        "rows": limit,
        "skipped": skip,
    }
    if environments is None:
        rows = _due.all(connection, parameters)
    else:
        rows = _due_in.all(connection, parameters | {"environments": sorted(environments)})
    return [Due(row.id, row.environment_id, row.endpoint_url) for row in rows]


def changed_at(connection: Connection, endpoint_ids: Sequence[str]) -> dict[str, datetime]:
    """Return when owners last changed their endpoints, without those that are gone."""
    rows = _changed_at.all(connection, {"endpoints": list(endpoint_ids)})
    return {row.id: row.updated_at for row in rows}


def claim(connection: Connection, ids: Sequence[str], now: datetime, lease: timedelta) -> list[Claim]:
    """Take the endpoints that are still free, skipping those another process is taking right now."""
    rows = connection.execute(_claim, {"ids": list(ids), "now": now}).all()
    if not rows:
        return []
    connection.execute(
        update(t.webhook_endpoints)
        .where(among(_c.id, "claimed"))
        .values(fence=_c.fence + 1, lease_until=now + lease),
        {"claimed": [row.id for row in rows]},
    )
    return [
        Claim(
            id=row.id,
            environment_id=row.environment_id,
            endpoint_url=row.endpoint_url,
            events=event_types(row.events),
            cursor=row.cursor,
            wake=row.wake,
            fence=row.fence + 1,
            consecutive_failures=row.consecutive_failures,
            failing_since=row.failing_since,
            updated_at=row.updated_at,
            claimed_at=now,
        )
        for row in rows
    ]


def save(
    connection: Connection,
    claim: Claim,
    progress: Progress,
    ending: Ending,
    *,
    lease_until: datetime,
    next_due_at: datetime | None,
) -> Saved:
    """Write what was settled, if the claim still holds; may be repeated after an unknown outcome.

    With `Ending.IDLE` the claim is given up only if `wake` is still what the claim says; otherwise it is
    kept, and the answer has the new `wake`. Raises `LeaseLost`.
    """
    values: dict[str, Any] = {
        "cursor": progress.cursor,
        "consecutive_failures": progress.consecutive_failures,
        "failing_since": progress.failing_since,
    } | _ending_values(claim, ending, lease_until, next_due_at)
    row = connection.execute(
        update(t.webhook_endpoints)
        .where(_c.id == claim.id, _c.fence == claim.fence)
        .values(values)
        .returning(_c.wake, _c.state, _c.updated_at)
    ).one_or_none()
    if row is None:
        raise LeaseLost
    parked_rows.remove(connection, claim.id, progress.delivered)
    parked_rows.put(connection, claim.environment_id, claim.id, progress.parked)
    parked_rows.record(connection, claim.environment_id, claim.id, progress.attempts)
    return Saved(row.wake, row.state, row.updated_at)


def _ending_values(
    claim: Claim, ending: Ending, lease_until: datetime, next_due_at: datetime | None
) -> dict[str, Any]:
    if ending is Ending.KEEP:
        return {"lease_until": lease_until}
    if ending is Ending.RELEASE:
        return {"lease_until": None, "next_due_at": next_due_at}
    if ending is Ending.GONE:
        return {"lease_until": None, "next_due_at": None, "state": EndpointState.GONE}
    asleep = _c.wake == claim.wake
    return {
        "wake": case((asleep, 0), else_=_c.wake),
        "lease_until": case((asleep, null()), else_=bindparam(None, lease_until, type_=Instant())),
        "next_due_at": next_due_at,
    }


def hold(connection: Connection, claim: Claim, until: datetime) -> None:
    """Keep an endpoint from being claimed for a while, after an error that is not its own."""
    connection.execute(
        update(t.webhook_endpoints)
        .where(_c.id == claim.id, _c.fence == claim.fence)
        .values(lease_until=until)
    )


def _sleepers() -> ColumnElement[bool]:
    head = (
        select(t.log_heads.c.position)
        .where(t.log_heads.c.environment_id == _c.environment_id)
        .correlate(t.webhook_endpoints)
        .scalar_subquery()
    )
    now = bindparam("now", type_=Instant())
    return and_(
        _c.state == EndpointState.ACTIVE,
        _c.wake == 0,
        _c.next_due_at.is_(None),
        or_(_c.lease_until.is_(None), _c.lease_until <= now),
        _c.cursor < func.coalesce(head, 0),
    )


_asleep_behind = select(_c.id).where(_sleepers())


def asleep_behind(connection: Connection, now: datetime) -> list[str]:
    """Return endpoints that sleep although the log goes on behind their cursor; there must be none."""
    return list(connection.execute(_asleep_behind, {"now": now}).scalars())


def wake(connection: Connection, ids: Sequence[str], now: datetime) -> int:
    """Wake those of the endpoints that still sleep behind the head; return how many that were."""
    statement = update(t.webhook_endpoints).where(among(_c.id, "ids"), _sleepers()).values(wake=1)
    return connection.execute(statement, {"ids": list(ids), "now": now}).rowcount


def count_by_state(connection: Connection) -> dict[str, int]:
    """Return how many endpoints are in which state, over all environments."""
    rows = connection.execute(select(_c.state, func.count()).group_by(_c.state))
    return {row[0]: row[1] for row in rows}
