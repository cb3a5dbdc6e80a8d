"""Claims and usual saves as one statement on PostgreSQL, where a transaction takes four round trips."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from sqlalchemy import Connection, select, true

from syncline.store import tables as t
from syncline.store.deliveries import (
    Claim,
    Ending,
    LeaseLost,
    Progress,
    Saved,
    claim_of,
    finding,
    save_parameters,
    saving,
    taking,
)
from syncline.store.parked import GIVEN, MINE, attempt_values, recording
from syncline.store.prepared import Prepared

_found = finding.cte("found")
_endpoint = t.webhook_endpoints.c.id
_taken = taking.where(_endpoint == _found.c.id).returning(_endpoint).cte("taken")
_claim_at_once = Prepared(select(_found).join_from(_found, _taken, _taken.c.id == _found.c.id))
_saved = saving.cte("saved")
# What is not saved, because the claim is lost, is not recorded either.
_recorded = recording(MINE, GIVEN, _saved.join(GIVEN, true())).cte("recorded")
_save_at_once = Prepared(select(_saved).add_cte(_recorded))


def claim_at_once(connection: Connection, ids: Sequence[str], now: datetime, lease: timedelta) -> list[Claim]:
    """Do what `deliveries.claim` does, in one statement that commits itself; only for `Database.at_once`."""
    rows = _claim_at_once.all(connection, {"ids": list(ids), "now": now, "lease": now + lease})
    return [claim_of(row, now) for row in rows]


def is_usual(progress: Progress, ending: Ending) -> bool:
    """Tell whether a save is of the cursor, the figures and attempts alone, and stops nothing."""
    is_rare = progress.recovered or progress.delivered or progress.parked or progress.replays
    return not is_rare and ending in (Ending.KEEP, Ending.IDLE, Ending.RELEASE)


def save_at_once(
    connection: Connection,
    claim: Claim,
    progress: Progress,
    ending: Ending,
    *,
    lease_until: datetime,
    next_due_at: datetime | None,
) -> Saved:
    """Do what `deliveries.save` does for a usual save, in one statement that commits itself.

    Only for `Database.at_once` on PostgreSQL. Raises `LeaseLost`, and the database `UniqueViolation` if this
    save was committed before: that is for `deliveries.save` to find out.
    """
    parameters = save_parameters(claim, progress, ending, lease_until, next_due_at)
    row = _save_at_once.one_or_none(
        connection, parameters | attempt_values(progress.attempts) | {"mine": claim.id}
    )
    if row is None:
        raise LeaseLost
    return Saved(row.wake, row.state, row.updated_at, bool(row.has_parked), bool(row.has_replays))
