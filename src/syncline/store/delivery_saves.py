"""Usual saves of several endpoints as one statement of PostgreSQL: each writes if its own claim holds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import (
    BigInteger,
    Connection,
    Integer,
    Text,
    and_,
    bindparam,
    case,
    func,
    null,
    select,
    update,
)
from sqlalchemy.types import TypeEngine

from syncline.store import tables as t
from syncline.store.deliveries import Claim, Ending, Progress, Saved, has_parked, has_replays, save_parameters
from syncline.store.parked import Attempt, attempt_lists, attempt_values, recording
from syncline.store.prepared import Prepared
from syncline.store.types import Array, to_ms

_c = t.webhook_endpoints.c
_NUMBER = Integer()
_LONG = BigInteger()
_TEXT = Text()
# What `save_parameters` gives, and how it goes into a list.
_PARAMETERS: dict[str, TypeEngine[Any]] = {
    "endpoint": _TEXT,
    "held": _LONG,
    "to_cursor": _LONG,
    "to_circuit": _TEXT,
    "to_step": _NUMBER,
    "to_failures": _NUMBER,
    "to_failing_since": _LONG,
    "to_failed_attempts": _LONG,
    "to_success": _LONG,
    "idle_wake": _LONG,
    "to_lease": _LONG,
    "kept": _NUMBER,
    "to_due": _LONG,
}
_MOMENTS = ("to_failing_since", "to_success", "to_lease", "to_due")


@dataclass(frozen=True, slots=True)
class Save:
    """What one turn wants to be saved, and how its claim goes on."""

    claim: Claim
    progress: Progress
    ending: Ending
    lease_until: datetime
    next_due_at: datetime | None


_given = (
    func.unnest(*(bindparam(f"all_{name}", type_=Array(kind)) for name, kind in _PARAMETERS.items()))
    .table_valued(*_PARAMETERS, name="given")
    .render_derived()
)
_g = _given.c
_holds = and_(_c.id == _g.endpoint, _c.fence == _g.held, _c.lease_until.is_not(None))
# Who is sealing, or an owner who is changing something, holds rows of other endpoints too: nobody waits here.
_free = (
    select(_c.id)
    .select_from(t.webhook_endpoints.join(_given, _holds))
    .order_by(_c.id)
    .with_for_update(skip_locked=True, of=t.webhook_endpoints)
    .cte("free")
)
_asleep = _c.wake == _g.idle_wake
_saved = (
    update(t.webhook_endpoints)
    .where(_holds, _c.id == _free.c.id)
    .values(
        cursor=_g.to_cursor,
        circuit=_g.to_circuit,
        circuit_step=_g.to_step,
        consecutive_failures=_g.to_failures,
        failing_since=_g.to_failing_since,
        failed_attempts=_g.to_failed_attempts,
        last_success_at=_g.to_success,
        wake=case((_asleep, 0), else_=_c.wake),
        lease_until=case((_asleep, null()), else_=_g.to_lease),
        next_due_at=case((_g.kept == 1, _c.next_due_at), else_=_g.to_due),
    )
    .returning(
        _c.id,
        _c.wake,
        _c.state,
        _c.updated_at,
        has_parked.label("has_parked"),
        has_replays.label("has_replays"),
    )
    .cte("saved")
)
_endpoint = t.delivery_attempts.c.endpoint_id
# Whose each attempt is, as saves name it and as attempts do.
_made_by = (bindparam("made_by", type_=Array(Text())), bindparam("made_at", type_=Array(_endpoint.type)))
_made = (
    func.unnest(*_made_by, *attempt_lists())
    .table_valued("made_by", "made_at", *Attempt.__slots__, name="made")
    .render_derived()
)
_recorded = recording(_made.c.made_at, _made, _saved.join(_made, _saved.c.id == _made.c.made_by)).cte(
    "recorded"
)
_save_all = Prepared(select(_saved).add_cte(_recorded))


def save_all_at_once(connection: Connection, saves: Sequence[Save]) -> dict[str, Saved]:
    """Do what `deliveries.save` does for usual saves of different endpoints, in one statement.

    It commits itself: only for `Database.at_once`. Returns what was saved, by endpoint. What is missing was
    not written: its claim is lost, or somebody held its row. To learn which, save it alone. The database
    raises `UniqueViolation`, with nothing written, if one of these saves was committed before.
    """
    each = [
        save_parameters(one.claim, one.progress, one.ending, one.lease_until, one.next_due_at)
        for one in saves
    ]
    parameters: dict[str, Any] = {f"all_{name}": [row[name] for row in each] for name in _PARAMETERS}
    for name in _MOMENTS:
        moments = parameters[f"all_{name}"]
        parameters[f"all_{name}"] = [None if moment is None else to_ms(moment) for moment in moments]
    attempts = [(one.claim.id, attempt) for one in saves for attempt in one.progress.attempts]
    parameters["made_by"] = parameters["made_at"] = [endpoint_id for endpoint_id, _ in attempts]
    parameters |= attempt_values([attempt for _, attempt in attempts])
    return {
        row.id: Saved(row.wake, row.state, row.updated_at, bool(row.has_parked), bool(row.has_replays))
        for row in _save_all.all(connection, parameters)
    }
