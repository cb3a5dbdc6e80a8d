"""Leases: the right to work on a row until a time."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Connection, Select, Table, or_, select, update


def is_free(lease_until: Any, now: datetime | ColumnElement[Any]) -> ColumnElement[bool]:
    """Return the condition that nobody works on a row: its lease was given up, or has run out."""
    return or_(lease_until.is_(None), lease_until <= now)


def waiting(table: Table, now: datetime, limit: int, *columns: Any) -> Select[Any]:
    """Return the query of columns of rows that have something left to do and that nobody works on."""
    c = table.c
    free = select(*columns).where(c.next_due_at <= now, is_free(c.lease_until, now))
    return free.order_by(c.next_due_at).limit(limit)


def take(
    connection: Connection,
    table: Table,
    which: ColumnElement[bool],
    now: datetime,
    hold: timedelta,
    **more: Any,
) -> bool:
    """Take a row for a while and write more of it; False if somebody has it, or nothing is left to do."""
    c = table.c
    taken = connection.execute(
        update(table)
        .where(which, c.next_due_at.is_not(None), is_free(c.lease_until, now))
        .values(lease_until=now + hold, **more)
    )
    return bool(taken.rowcount)
