"""Rows of reconciliations: what is compared with what, how far it is, and the findings that came of it."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

import msgspec
from sqlalchemy import Connection, Row, bindparam, delete, func, insert, select, update

from syncline.core.model import Scope
from syncline.core.paging import Span
from syncline.core.reconcile import Drift, Finding
from syncline.core.rosters import RowProblem
from syncline.core.text import index_key
from syncline.store import tables as t
from syncline.store.leases import take, waiting
from syncline.store.prepared import Prepared, insert_columns
from syncline.store.spans import within
from syncline.store.types import among

_c, _rows, _findings = t.reconciliations.c, t.reconciliation_rows.c, t.reconciliation_findings.c
_insert_findings = Prepared(insert(t.reconciliation_findings), insert_columns(t.reconciliation_findings))
_encode = msgspec.json.Encoder().encode
_finding = msgspec.json.Decoder(Finding).decode
_counts = msgspec.json.Decoder(dict[str, int]).decode
_problems = msgspec.json.Decoder(list[RowProblem]).decode


class State(StrEnum):
    """`receiving` until the caller says that all rows are there; `failed` leaves no findings."""

    RECEIVING = "receiving"
    FETCHING = "fetching"
    COMPARING = "comparing"
    COMPLETE = "complete"
    FAILED = "failed"


class Phase(StrEnum):
    """What a job does next, in this order."""

    FETCH = "fetch"
    ROWS = "rows"
    PEOPLE = "people"
    PAST = "past"
    REST = "rest"
    TIDY = "tidy"
    DONE = "done"


@dataclass(frozen=True, slots=True)
class Correction:
    """The events that were asked for one class of findings: how many were emitted, how many not, and why."""

    requested_by: str
    requested_at: datetime
    state: str = "running"
    emitted: int = 0
    skipped: Mapping[str, int] = field(default_factory=dict)
    finished_at: datetime | None = None


_corrections = msgspec.json.Decoder(dict[str, Correction]).decode


@dataclass(frozen=True, slots=True)
class Reconciliation:
    """One comparison. `rows` is how many the roster has, `done` of `total` how much is compared."""

    environment_id: str
    directory_id: str
    id: str
    state: State
    source: str
    phase: Phase
    cause: str
    actor: str | None
    taken_at: datetime
    created_at: datetime
    url: str | None = None
    sealed: str | None = None
    cursor: str = ""
    rows: int = 0
    done: int = 0
    total: int = 0
    counts: Mapping[str, int] = field(default_factory=dict)
    corrections: Mapping[str, Correction] = field(default_factory=dict)
    problems: Sequence[RowProblem] = ()
    error: str | None = None
    attempts: int = 0
    finished_at: datetime | None = None
    next_due_at: datetime | None = None
    fence: int = 0


@dataclass(frozen=True, slots=True)
class Found:
    """A finding as stored. `outcome` is `emitted`, or why there was nothing to emit any more."""

    id: str
    finding: Finding
    outcome: str | None = None
    settled_at: datetime | None = None


def add(connection: Connection, new: Reconciliation) -> None:
    """Insert a reconciliation."""
    connection.execute(insert(t.reconciliations), _columns(new))


def get(
    connection: Connection, scope: Scope, reconciliation_id: str, *, lock: bool = False
) -> Reconciliation | None:
    """Return a reconciliation of a directory; `lock` keeps it as it is until the commit."""
    statement = select(t.reconciliations).where(
        _c.environment_id == scope.environment_id,
        _c.directory_id == scope.directory_id,
        _c.id == reconciliation_id,
    )
    row = connection.execute(statement.with_for_update() if lock else statement).one_or_none()
    return None if row is None else _reconciliation_of(row)


def page(connection: Connection, scope: Scope, span: Span) -> list[Reconciliation]:
    """Return reconciliations of a directory."""
    statement = select(t.reconciliations).where(
        _c.environment_id == scope.environment_id, _c.directory_id == scope.directory_id
    )
    return [_reconciliation_of(row) for row in connection.execute(within(statement, _c.id, span))]


def change(connection: Connection, changed: Reconciliation) -> None:
    """Write everything of a reconciliation that can change; the caller has locked it."""
    connection.execute(update(t.reconciliations).where(_c.id == changed.id).values(_columns(changed)))


def due(connection: Connection, now: datetime, limit: int) -> list[str]:
    """Return the ids of reconciliations that have something left to do and that nobody works on."""
    return list(connection.execute(waiting(t.reconciliations, now, limit, _c.id)).scalars())


def abandoned(connection: Connection, before: datetime, limit: int) -> list[str]:
    """Return the ids of reconciliations made before a moment whose rows were never said to be complete."""
    statement = select(_c.id).where(_c.state == State.RECEIVING, _c.created_at < before).limit(limit)
    return list(connection.execute(statement).scalars())


def claim(
    connection: Connection, reconciliation_id: str, now: datetime, hold: timedelta
) -> Reconciliation | None:
    """Take a reconciliation for a while; None if somebody else has it, or it has nothing left to do."""
    which = _c.id == reconciliation_id
    taken = take(connection, t.reconciliations, which, now, hold, fence=_c.fence + 1)
    return _claimed(connection, reconciliation_id) if taken else None


def hold(
    connection: Connection, reconciliation_id: str, fence: int, until: datetime
) -> Reconciliation | None:
    """Keep a claim and lock the row until the commit; None if the claim is somebody else's by now."""
    kept = connection.execute(
        update(t.reconciliations)
        .where(_c.id == reconciliation_id, _c.fence == fence)
        .values(lease_until=until)
    )
    return _claimed(connection, reconciliation_id) if kept.rowcount else None


def release(connection: Connection, reconciliation_id: str, fence: int) -> None:
    """Give a claim up, so that whoever looks next may go on."""
    ours = update(t.reconciliations).where(_c.id == reconciliation_id, _c.fence == fence)
    connection.execute(ours.values(lease_until=None))


def remove(connection: Connection, reconciliation_id: str, limit: int) -> bool:
    """Delete a reconciliation with what belongs to it, some rows at a time; False while rows are left."""
    for table, key in ((t.reconciliation_rows, _rows.number), (t.reconciliation_findings, _findings.id)):
        belongs = table.c.reconciliation_id == reconciliation_id
        some = select(key.label("key")).where(belongs).order_by(key).limit(limit).subquery()
        last = connection.execute(select(func.max(some.c.key))).scalar_one()
        if last is not None:
            connection.execute(delete(table).where(belongs, key <= last))
            return False
    connection.execute(delete(t.reconciliations).where(_c.id == reconciliation_id))
    return True


def put_findings(connection: Connection, of: Reconciliation, found: Collection[tuple[str, Finding]]) -> None:
    """Insert findings under their ids."""
    if not found:
        return
    _insert_findings.run(
        connection,
        [
            {
                "environment_id": of.environment_id,
                "directory_id": of.directory_id,
                "reconciliation_id": of.id,
                "id": id_,
                "drift": finding.drift,
                "directory_user_id": finding.directory_user_id,
                "idp_id_key": index_key(finding.idp_id, folded=False) if finding.idp_id else None,
                "email_key": index_key(finding.email) if finding.email else None,
                "body": _encode(finding).decode(),
                "outcome": None,
                "settled_at": None,
            }
            for id_, finding in found
        ],
    )


def findings(
    connection: Connection, reconciliation_id: str, span: Span, drift: Drift | None = None
) -> list[Found]:
    """Return findings, of one class where that is asked."""
    statement = select(t.reconciliation_findings).where(_findings.reconciliation_id == reconciliation_id)
    if drift is not None:
        statement = statement.where(_findings.drift == drift)
    return [_found_of(row) for row in connection.execute(within(statement, _findings.id, span))]


def open_findings(connection: Connection, reconciliation_id: str, drift: Drift, limit: int) -> list[Found]:
    """Return the next findings of a class that nobody has corrected."""
    statement = (
        select(t.reconciliation_findings)
        .where(
            _findings.reconciliation_id == reconciliation_id,
            _findings.drift == drift,
            _findings.settled_at.is_(None),
        )
        .order_by(_findings.id)
        .limit(limit)
    )
    return [_found_of(row) for row in connection.execute(statement)]


def settle(
    connection: Connection, reconciliation_id: str, outcomes: Mapping[str, str], now: datetime
) -> None:
    """Note what came of findings, by their ids."""
    if outcomes:
        statement = update(t.reconciliation_findings).where(
            _findings.reconciliation_id == reconciliation_id, _findings.id == bindparam("key")
        )
        connection.execute(
            statement.values(outcome=bindparam("came"), settled_at=now),
            [{"key": id_, "came": outcome} for id_, outcome in sorted(outcomes.items())],
        )


def told(connection: Connection, reconciliation_id: str, drift: Drift, ids: Collection[str]) -> set[str]:
    """Return which of these people an event of this class was emitted for already."""
    statement = select(_findings.directory_user_id).where(
        _findings.reconciliation_id == reconciliation_id,
        _findings.drift == drift,
        _findings.outcome == "emitted",
        among(_findings.directory_user_id, "ids"),
    )
    return set(connection.execute(statement, {"ids": sorted(ids)}).scalars())


def _claimed(connection: Connection, reconciliation_id: str) -> Reconciliation:
    row = connection.execute(select(t.reconciliations).where(_c.id == reconciliation_id)).one()
    return _reconciliation_of(row)


def _columns(found: Reconciliation) -> dict[str, Any]:
    return {
        "environment_id": found.environment_id,
        "directory_id": found.directory_id,
        "id": found.id,
        "state": found.state,
        "source": found.source,
        "url": found.url,
        "sealed": found.sealed,
        "phase": found.phase,
        "cursor": found.cursor,
        "rows": found.rows,
        "done": found.done,
        "total": found.total,
        "counts": _encode(found.counts).decode(),
        "corrections": _encode(found.corrections).decode(),
        "problems": _encode(found.problems).decode(),
        "error": found.error,
        "attempts": found.attempts,
        "cause": found.cause,
        "actor": found.actor,
        "taken_at": found.taken_at,
        "created_at": found.created_at,
        "finished_at": found.finished_at,
        "next_due_at": found.next_due_at,
        "fence": found.fence,
    }


def _reconciliation_of(row: Row[Any]) -> Reconciliation:
    return Reconciliation(
        environment_id=row.environment_id,
        directory_id=row.directory_id,
        id=row.id,
        state=State(row.state),
        source=row.source,
        url=row.url,
        sealed=row.sealed,
        phase=Phase(row.phase),
        cursor=row.cursor,
        rows=row.rows,
        done=row.done,
        total=row.total,
        counts=_counts(row.counts),
        corrections=_corrections(row.corrections),
        problems=_problems(row.problems),
        error=row.error,
        attempts=row.attempts,
        cause=row.cause,
        actor=row.actor,
        taken_at=row.taken_at,
        created_at=row.created_at,
        finished_at=row.finished_at,
        next_due_at=row.next_due_at,
        fence=row.fence,
    )


def _found_of(row: Row[Any]) -> Found:
    return Found(id=row.id, finding=_finding(row.body), outcome=row.outcome, settled_at=row.settled_at)
