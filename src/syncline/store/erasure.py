"""Rows of erasures: what was asked for, how far it is, and what it has removed, by ids and numbers only."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

import msgspec
from sqlalchemy import Connection, Row, insert, or_, select, update

from syncline.store import tables as t
from syncline.store.leases import is_free, waiting

_c = t.erasures.c
_encode = msgspec.json.Encoder().encode
_decode_ids = msgspec.json.Decoder(frozenset[str]).decode
_decode_counts = msgspec.json.Decoder(dict[str, int]).decode


class ErasureState(StrEnum):
    """`running` until everything is removed and the files are rewritten."""

    RUNNING = "running"
    COMPLETE = "complete"


@dataclass(frozen=True, slots=True)
class Erasure:
    """One erasure; `counts` says how much of what it has removed, `deletes` whether it may delete first."""

    environment_id: str
    id: str
    directory_id: str
    directory_user_id: str
    deletes: bool
    cause: str
    created_at: datetime
    state: ErasureState = ErasureState.RUNNING
    finished_at: datetime | None = None
    user_ids: frozenset[str] = frozenset()
    counts: dict[str, int] = field(default_factory=dict)


def add(connection: Connection, erasure: Erasure) -> None:
    """Insert an erasure that is to be carried out at once."""
    connection.execute(
        insert(t.erasures),
        {
            "environment_id": erasure.environment_id,
            "id": erasure.id,
            "directory_id": erasure.directory_id,
            "directory_user_id": erasure.directory_user_id,
            "user_ids": _text(sorted(erasure.user_ids)),
            "counts": _text({}),
            "deletes": erasure.deletes,
            "cause": erasure.cause,
            "state": erasure.state,
            "created_at": erasure.created_at,
            "next_due_at": erasure.created_at,
        },
    )


def get(connection: Connection, erasure_id: str, *, lock: bool = False) -> Erasure:
    """Return an erasure that exists; `lock` keeps it as it is until the commit."""
    statement = select(t.erasures).where(_c.id == erasure_id)
    return _erasure_of(connection.execute(statement.with_for_update() if lock else statement).one())


def latest(connection: Connection, environment_id: str, directory_user_id: str) -> Erasure | None:
    """Return the newest erasure of a person by any id that they had."""
    # Ids are of one form, so one that is found in the list is an element of it.
    row = connection.execute(
        select(t.erasures)
        .where(_c.environment_id == environment_id)
        .where(or_(_c.directory_user_id == directory_user_id, _c.user_ids.contains(f'"{directory_user_id}"')))
        .order_by(_c.id.desc())
        .limit(1)
    ).one_or_none()
    return None if row is None else _erasure_of(row)


def due(connection: Connection, now: datetime, limit: int) -> list[str]:
    """Return the ids of erasures that have something left to do and that nobody works on."""
    return list(connection.execute(waiting(t.erasures, now, limit, _c.id)).scalars())


def claim(connection: Connection, erasure_id: str, now: datetime, hold: timedelta) -> bool:
    """Take an erasure for a while; False if somebody else has it."""
    taken = connection.execute(
        update(t.erasures)
        .where(_c.id == erasure_id, is_free(_c.lease_until, now))
        .values(lease_until=now + hold)
    )
    return bool(taken.rowcount)


def note(
    connection: Connection,
    erasure_id: str,
    counts: dict[str, int],
    lease_until: datetime,
    user_ids: Collection[str] = (),
) -> None:
    """Add to what was removed, in the transaction that removed it, and keep the claim."""
    current = get(connection, erasure_id, lock=True)
    summed = {name: current.counts.get(name, 0) + counts.get(name, 0) for name in (current.counts | counts)}
    connection.execute(
        update(t.erasures)
        .where(_c.id == erasure_id)
        .values(
            counts=_text(summed),
            user_ids=_text(sorted(current.user_ids | set(user_ids))),
            lease_until=lease_until,
        )
    )


def settle(
    connection: Connection, erasure_id: str, finished_at: datetime | None, next_due_at: datetime | None
) -> None:
    """Give the claim up: complete since `finished_at` or not yet, and with something left to do or not."""
    values: dict[str, Any] = {"lease_until": None, "next_due_at": next_due_at}
    if finished_at is not None:
        values |= {"state": ErasureState.COMPLETE, "finished_at": finished_at}
    connection.execute(update(t.erasures).where(_c.id == erasure_id).values(values))


def _erasure_of(row: Row[Any]) -> Erasure:
    return Erasure(
        environment_id=row.environment_id,
        id=row.id,
        directory_id=row.directory_id,
        directory_user_id=row.directory_user_id,
        deletes=row.deletes,
        cause=row.cause,
        created_at=row.created_at,
        state=ErasureState(row.state),
        finished_at=row.finished_at,
        user_ids=_decode_ids(row.user_ids),
        counts=_decode_counts(row.counts),
    )


def _text(value: object) -> str:
    return _encode(value).decode()
