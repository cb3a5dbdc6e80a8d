"""Endpoints that sleep although the log goes on: there must be none, and the sweep looks for them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import ColumnElement, Connection, and_, bindparam, func, select, update

from syncline.store import tables as t
from syncline.store.endpoints import EndpointState
from syncline.store.leases import is_free
from syncline.store.types import Instant, among

_c = t.webhook_endpoints.c


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
        is_free(_c.lease_until, now),
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
