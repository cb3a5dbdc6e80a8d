"""Claims and usual saves as one statement on PostgreSQL, where a transaction takes four round trips."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from sqlalchemy import Connection, Text, bindparam, func, select, true
from sqlalchemy.dialects.postgresql import insert

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
from syncline.store.parked import Attempt, attempt_lists, attempt_values
from syncline.store.prepared import Prepared

_found = finding.cte("found")
_endpoint = t.webhook_endpoints.c.id
_taken = taking.where(_endpoint == _found.c.id).returning(_endpoint).cte("taken")
_claim_at_once = Prepared(select(_found).join_from(_found, _taken, _taken.c.id == _found.c.id))
_saved = saving.cte("saved")
_names = Attempt.__slots__
_given = func.unnest(*attempt_lists()).table_valued(*_names, name="given").render_derived()
# What is not saved, because the claim is lost, is not recorded either.
_recorded = (
    insert(t.delivery_attempts)
    .from_select(
        ["environment_id", "endpoint_id", *_names],
        select(
            bindparam("environment", type_=Text()),
            bindparam("mine", type_=Text()),
            *(_given.c[name] for name in _names),
        ).select_from(_saved.join(_given, true())),
    )
    .on_conflict_do_nothing(index_elements=["endpoint_id", "id"])
    .cte("recorded")
)
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

    Only for `Database.at_once` on PostgreSQL. Raises `LeaseLost`.
    """
    mine = {"environment": claim.environment_id, "mine": claim.id}
    parameters = save_parameters(claim, progress, ending, lease_until, next_due_at)
    row = _save_at_once.one_or_none(connection, parameters | attempt_values(progress.attempts) | mine)
    if row is None:
        raise LeaseLost
    return Saved(row.wake, row.state, row.updated_at, bool(row.has_parked), bool(row.has_replays))
