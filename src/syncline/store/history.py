"""Reads of the log by one person or group: the events they are in, and whose change brought these about."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import Connection, Select, Table, select

from syncline.core.ids import Prefix
from syncline.core.paging import Span
from syncline.store import tables as t
from syncline.store.types import among

_log, _inbox = t.event_log.c, t.event_inbox.c


class Told(NamedTuple):
    """An event as it is stored."""

    type: str
    user_id: str | None
    group_id: str | None
    cause: str
    actor: str | None
    body: str
    recorded_at: datetime


@dataclass(frozen=True, slots=True)
class About:
    """A person or a group: its id, the column that names it, and the types of events its history is of."""

    id: str
    column: str
    types: tuple[str, ...]


class Entry(NamedTuple):
    """A sealed event with its id."""

    event_id: str
    told: Told


def entries(connection: Connection, environment_id: str, about: About, span: Span, limit: int) -> list[Entry]:
    """Return sealed events that a person or a group is in, of a span of event ids, in its order."""
    statement = about_one(about.id, about.column, _log.event_id, _log.position).where(
        among(_log.type, "types")
    )
    # Ids of events sort like positions, and a cursor may be of an event that retention has removed.
    if span.above is not None:
        first = _position(connection, environment_id, _log.event_id > span.above)
        if first is None:
            return []
        statement = statement.where(_log.position >= first)
    if span.below is not None:
        end = _position(connection, environment_id, _log.event_id >= span.below)
        if end is not None:
            statement = statement.where(_log.position < end)
    order = _log.position.desc() if span.descending else _log.position
    found = of_environment(statement.order_by(order).limit(limit), environment_id)
    at = found.selected_columns.position
    rows = connection.execute(
        found.order_by(at.desc() if span.descending else at), {"types": list(about.types)}
    )
    return [Entry(row.event_id, told_of(row)) for row in rows]


def is_told(connection: Connection, environment_id: str, about: About) -> bool:
    """Tell whether any event of the log or the inbox is about a person or a group."""
    sealed = of_environment(
        select(_log.environment_id).where(_log[about.column] == about.id).limit(1), environment_id
    )
    waiting = (
        select(_inbox.seq)
        .where(_inbox.environment_id == environment_id, _inbox[about.column] == about.id)
        .limit(1)
    )
    return any(connection.execute(one).first() is not None for one in (sealed, waiting))


def rule_causes(connection: Connection, environment_id: str, causes: Collection[str]) -> dict[str, str]:
    """Return which of some causes changed role rules or an attribute map, each with which of the two."""
    found: dict[str, str] = {}
    changing = (
        ("attribute_map", t.definition_versions),
        ("attribute_map", t.attribute_maps),
        ("role_rules", t.role_rules),
    )
    for kind, table in changing:
        rows = connection.execute(
            select(table.c.cause).where(
                table.c.environment_id == environment_id, among(table.c.cause, "causes")
            ),
            {"causes": sorted(causes)},
        )
        found |= dict.fromkeys(rows.scalars(), kind)
    return found


def about_one(id_: str, column: str, *more: Any) -> Select[Any]:
    """Return the query of everything in the log that happened to a person or a group, in any environment.

    Corrections repeat for an app what it has missed; nothing happened to anybody then.
    """
    columns = (_log.environment_id, *more, *(_log[name] for name in Told._fields))
    return select(*columns).where(_log[column] == id_, ~is_correction(t.event_log))


def of_environment(statement: Select[Any], environment_id: str) -> Select[Any]:
    """Return what a query with a limit finds in one environment.

    A person and a group belong to one, so nothing is lost. Beside the ids the environment would tempt the
    planner to walk through its whole log, the newest first, until enough is found.
    """
    found = statement.subquery("found")
    return select(found).where(found.c.environment_id == environment_id)


def told_of(row: Any) -> Told:
    """Return the event of a row that has its columns."""
    return Told(*(getattr(row, name) for name in Told._fields))


def is_correction(table: Table) -> Any:
    """Return the condition that an event only repeats what an app has missed."""
    return table.c.cause.startswith(f"{Prefix.RECONCILIATION.value}_", autoescape=True)


def _position(connection: Connection, environment_id: str, which: Any) -> int | None:
    """Return the position of the first event whose id meets a bound from below."""
    found: int | None = connection.execute(
        select(_log.position)
        .where(_log.environment_id == environment_id, which)
        .order_by(_log.event_id)
        .limit(1)
    ).scalar_one_or_none()
    return found
