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
    Integer,
    Text,
    and_,
    bindparam,
    case,
    exists,
    func,
    null,
    or_,
    select,
    update,
)

from syncline.core.circuit import Circuit, CircuitState
from syncline.core.endpoint_options import EndpointOptions, read_options
from syncline.store import parked as parked_rows
from syncline.store import replays
from syncline.store import tables as t
from syncline.store.endpoints import EndpointState, event_types
from syncline.store.leases import is_free
from syncline.store.parked import Attempt, Parked, ParkedState
from syncline.store.prepared import Prepared
from syncline.store.replays import Replay
from syncline.store.types import Instant, among

_c = t.webhook_endpoints.c
# An endpoint that was just woken goes behind those that have been waiting for longer than this.
_HEAD_START = timedelta(seconds=1)


class LeaseLost(Exception):
    """The claim does not hold any more: given up, taken over, or the endpoint was deleted.

    Nothing was written.
    """


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
    options: EndpointOptions
    cursor: int
    wake: int
    fence: int
    circuit: Circuit
    failing_since: datetime | None
    failed_attempts: int
    last_success_at: datetime | None
    updated_at: datetime
    claimed_at: datetime
    # Whether there is anything beside the log: parked deliveries to try, ranges to send again.
    has_parked: bool
    has_replays: bool


@dataclass(frozen=True, slots=True)
class Progress:
    """What was settled since the last save: the endpoint's figures, and the rows that came or went.

    `recovered`: what waits is due at once.
    """

    cursor: int
    circuit: Circuit
    failing_since: datetime | None
    failed_attempts: int
    last_success_at: datetime | None
    delivered: Sequence[int] = ()
    parked: Sequence[Parked] = ()
    attempts: Sequence[Attempt] = ()
    replays: Sequence[Replay] = ()
    recovered: bool = False


class Ending(StrEnum):
    """What becomes of the claim with a save.

    `IDLE` gives it up if nothing was sealed since; `RELEASE`, `GONE` and `DISABLED` give it up in any case.
    """

    KEEP = "keep"
    IDLE = "idle"
    RELEASE = "release"
    GONE = "gone"
    DISABLED = "disabled"


@dataclass(frozen=True, slots=True)
class Saved:
    """The endpoint after a save: its wake counter, and whether somebody stopped or changed it meanwhile."""

    wake: int
    state: str
    updated_at: datetime
    # As before this save.
    has_parked: bool
    has_replays: bool


def _claimable() -> ColumnElement[bool]:
    now = bindparam("now", type_=Instant())
    # While the circuit is not closed, new events change nothing about when the next probe is due.
    flows = or_(_c.circuit == CircuitState.CLOSED, _c.next_due_at.is_(None))
    return and_(
        _c.state == EndpointState.ACTIVE,
        or_(and_(_c.wake > 0, flows), _c.next_due_at <= now),
        is_free(_c.lease_until, now),
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
has_parked = exists().where(
    t.parked_deliveries.c.endpoint_id == _c.id,
    or_(
        t.parked_deliveries.c.state == ParkedState.WAITING,
        t.parked_deliveries.c.next_due_at.is_not(None),
    ),
)
has_replays = exists().where(t.replays.c.endpoint_id == _c.id)
finding = (
    select(t.webhook_endpoints, has_parked.label("has_parked"), has_replays.label("has_replays"))
    .where(among(_c.id, "ids"), _claimable())
    .order_by(_c.id)
    .with_for_update(skip_locked=True, of=t.webhook_endpoints)
)
taking = update(t.webhook_endpoints).values(
    fence=_c.fence + 1,
    lease_until=bindparam("lease", type_=Instant()),
    circuit=case((_c.circuit == CircuitState.CLOSED, _c.circuit), else_=CircuitState.PROBING),
)
_find = Prepared(finding)
_take = Prepared(taking.where(among(_c.id, "claimed")))
# -1 for an ending other than `IDLE`, and no counter is ever that.
_asleep = _c.wake == bindparam("idle_wake", type_=BigInteger())
saving = (
    update(t.webhook_endpoints)
    .where(
        _c.id == bindparam("endpoint"),
        _c.fence == bindparam("held", type_=BigInteger()),
        # Repeating a save that gave the claim up must not take it up again.
        _c.lease_until.is_not(None),
    )
    .values(
        cursor=bindparam("to_cursor", type_=BigInteger()),
        circuit=bindparam("to_circuit", type_=Text()),
        circuit_step=bindparam("to_step", type_=Integer()),
        consecutive_failures=bindparam("to_failures", type_=Integer()),
        failing_since=bindparam("to_failing_since", type_=Instant()),
        failed_attempts=bindparam("to_failed_attempts", type_=BigInteger()),
        last_success_at=bindparam("to_success", type_=Instant()),
        wake=case((_asleep, 0), else_=_c.wake),
        lease_until=case((_asleep, null()), else_=bindparam("to_lease", type_=Instant())),
        next_due_at=case(
            (bindparam("kept", type_=Integer()) == 1, _c.next_due_at),
            else_=bindparam("to_due", type_=Instant()),
        ),
    )
    .returning(
        _c.wake,
        _c.state,
        _c.updated_at,
        has_parked.label("has_parked"),
        has_replays.label("has_replays"),
    )
)
_save = Prepared(saving)


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
    rows = _find.all(connection, {"ids": list(ids), "now": now})
    if rows:
        _take.run(connection, {"claimed": [row.id for row in rows], "lease": now + lease})
    return [claim_of(row, now) for row in rows]


def claim_of(row: Any, now: datetime) -> Claim:
    """Return the claim of an endpoint that was found in this row and then taken."""
    return Claim(
        id=row.id,
        environment_id=row.environment_id,
        endpoint_url=row.endpoint_url,
        events=event_types(row.events),
        options=read_options(row.settings),
        cursor=row.cursor,
        wake=row.wake,
        fence=row.fence + 1,
        circuit=Circuit(CircuitState(row.circuit), row.circuit_step, row.consecutive_failures),
        failing_since=row.failing_since,
        failed_attempts=row.failed_attempts,
        last_success_at=row.last_success_at,
        updated_at=row.updated_at,
        claimed_at=now,
        has_parked=bool(row.has_parked),
        has_replays=bool(row.has_replays),
    )


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

    If the first of two such saves gave the claim up, the second one finds it lost. With `Ending.IDLE` the
    claim is given up only if `wake` is still what the claim says; otherwise it is kept, and the answer has
    the new `wake`. Raises `LeaseLost`.
    """
    row = _save.one_or_none(connection, save_parameters(claim, progress, ending, lease_until, next_due_at))
    if row is None:
        raise LeaseLost
    if progress.recovered:
        parked_rows.make_due(connection, claim.id)
    parked_rows.remove(connection, claim.id, progress.delivered)
    parked_rows.put(connection, claim.environment_id, claim.id, progress.parked)
    parked_rows.record(connection, claim.id, progress.attempts)
    for replay in progress.replays:
        replays.save(connection, replay)
    state = row.state
    if ending is Ending.GONE:
        _stop(connection, claim.id, EndpointState.GONE, None)
        state = EndpointState.GONE
    return Saved(row.wake, state, row.updated_at, bool(row.has_parked), bool(row.has_replays))


def save_parameters(
    claim: Claim, progress: Progress, ending: Ending, lease_until: datetime, next_due_at: datetime | None
) -> dict[str, Any]:
    """Return the parameters of `saving`."""
    return {
        "endpoint": claim.id,
        "held": claim.fence,
        "to_cursor": progress.cursor,
        "to_circuit": progress.circuit.state,
        "to_step": progress.circuit.step,
        "to_failures": progress.circuit.failures,
        "to_failing_since": progress.failing_since,
        "to_failed_attempts": progress.failed_attempts,
        "to_success": progress.last_success_at,
        "idle_wake": claim.wake if ending is Ending.IDLE else -1,
        "to_lease": lease_until if ending in (Ending.KEEP, Ending.IDLE) else None,
        "kept": int(ending is Ending.KEEP),
        "to_due": next_due_at,
    }


def disable(connection: Connection, claim: Claim, reason: str) -> bool:
    """Disable an endpoint that is active, and tell whether it was; its circuit starts anew with it."""
    return _stop(connection, claim.id, EndpointState.DISABLED, reason)


def _stop(connection: Connection, endpoint_id: str, state: EndpointState, reason: str | None) -> bool:
    mine = [_c.id == endpoint_id]
    if state is EndpointState.DISABLED:
        # Whoever paused it meanwhile knows better; and a save that is repeated disables once.
        mine.append(_c.state == EndpointState.ACTIVE)
    changed = connection.execute(
        update(t.webhook_endpoints)
        .where(*mine)
        .values(
            state=state,
            disabled_reason=reason,
            next_due_at=None,
            circuit=CircuitState.CLOSED,
            circuit_step=0,
        )
    )
    return bool(changed.rowcount)


def hold(connection: Connection, claim: Claim, until: datetime) -> None:
    """Keep an endpoint from being claimed for a while, after an error that is not its own."""
    connection.execute(
        update(t.webhook_endpoints)
        .where(_c.id == claim.id, _c.fence == claim.fence)
        .values(lease_until=until)
    )
