"""Reads of the log by the people and groups in it: what happened to them after a moment, and before it.

What was committed and not sealed yet is part of the past as well, so every question is asked of the log and
then of the inbox, whose events come after those of the log. Callers read in one snapshot.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from sqlalchemy import BigInteger, Connection, Table, func, select

from syncline.core.history import OF_GROUPS, OF_MEMBERSHIPS, OF_PEOPLE
from syncline.core.ids import Prefix, make_id, new_ulid
from syncline.core.paging import Span
from syncline.store import tables as t
from syncline.store.spans import within
from syncline.store.types import among, to_ms

_log, _past = t.event_log.c, t.past_memberships.c
# How far the clocks of processes may be apart: an event is sealed after it was recorded, by its own clock.
_SKEW = timedelta(minutes=1)
_FIRST_WINDOW = 2_000
_WIDER = 4


@dataclass(frozen=True, slots=True)
class Cut:
    """A moment in an environment's log. `first` is a position with everything recorded later behind it.

    With a directory only its events count.
    """

    environment_id: str
    at: datetime
    first: int
    directory_id: str | None = None


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


def cut(connection: Connection, environment_id: str, at: datetime, directory_id: str | None = None) -> Cut:
    """Return where a moment, after 1970, is in the log."""
    lowest = make_id(Prefix.EVENT, new_ulid(max(to_ms(at - _SKEW), 0), bytes(10)))
    found = connection.execute(
        select(_log.position)
        .where(_log.environment_id == environment_id, _log.event_id >= lowest)
        .order_by(_log.event_id)
        .limit(1)
    ).scalar_one_or_none()
    if found is None:
        newest = connection.execute(
            select(t.log_heads.c.position).where(t.log_heads.c.environment_id == environment_id)
        ).scalar_one_or_none()
        found = (newest or 0) + 1
    return Cut(environment_id, at, int(found), directory_id)


def changed_people(connection: Connection, where: Cut, span: Span) -> list[str]:
    """Return the ids of people whom an event after the cut is about, of a span, in its order."""
    return _changed(connection, where, span, "user_id", (*OF_PEOPLE, *OF_MEMBERSHIPS))


def changed_groups(connection: Connection, where: Cut, span: Span) -> list[str]:
    """Return the ids of groups that were made, changed or deleted after the cut, of a span, in its order."""
    return _changed(connection, where, span, "group_id", OF_GROUPS)


def first_of_people(connection: Connection, where: Cut, ids: Collection[str]) -> dict[str, Told]:
    """Return the first event after the cut that made, changed or deleted each person, if there is one."""
    return _firsts(connection, where, "user_id", OF_PEOPLE, ids)


def first_about_people(connection: Connection, where: Cut, ids: Collection[str]) -> dict[str, Told]:
    """Return the first event after the cut that people are in, memberships included."""
    return _firsts(connection, where, "user_id", (*OF_PEOPLE, *OF_MEMBERSHIPS), ids)


def first_of_groups(connection: Connection, where: Cut, ids: Collection[str]) -> dict[str, Told]:
    """Return the first event after the cut that made, changed or deleted each group, if there is one."""
    return _firsts(connection, where, "group_id", OF_GROUPS, ids)


def first_moves(connection: Connection, where: Cut, user_ids: Collection[str]) -> dict[tuple[str, str], str]:
    """Return the type of the first event after the cut about each membership, by person and group."""
    found: dict[tuple[str, str], str] = {}
    for table in (t.event_log, t.event_inbox) if user_ids else ():
        c, key = table.c, _key(table)
        later = _later(table, where, OF_MEMBERSHIPS)
        firsts = (
            select(func.min(key).label("key"))
            .where(*later.conditions, among(c.user_id, "ids"))
            .group_by(c.user_id, c.group_id)
        )
        rows = connection.execute(firsts, {**later.given, "ids": sorted(user_ids)}).scalars().all()
        for row in _at(connection, table, where.environment_id, rows, c.user_id, c.group_id, c.type):
            found.setdefault((row.user_id, row.group_id), row.type)
    return found


def past_groups(
    connection: Connection, where: Cut, directory_ids: Collection[str], user_ids: Collection[str]
) -> list[tuple[str, str]]:
    """Return (person, group) of memberships that ended after the cut because the group was deleted."""
    rows = connection.execute(
        select(_past.user_id, _past.group_id).where(
            among(_past.directory_id, "directories"),
            among(_past.user_id, "users"),
            _past.environment_id == where.environment_id,
            _past.ended_at > where.at,
        ),
        {"directories": sorted(directory_ids), "users": sorted(user_ids)},
    )
    return [(row.user_id, row.group_id) for row in rows]


def past_members(connection: Connection, where: Cut, directory_id: str, group_id: str) -> list[str]:
    """Return the people who were members of a group that was deleted after the cut, when that happened.

    `group_id` is the SCIM id.
    """
    rows = connection.execute(
        select(_past.user_id).where(
            _past.directory_id == directory_id,
            _past.group_id == group_id,
            _past.environment_id == where.environment_id,
            _past.ended_at > where.at,
        )
    )
    return list(rows.scalars())


def last_ends(
    connection: Connection, where: Cut, directory_ids: Collection[str], user_ids: Collection[str]
) -> dict[str, datetime]:
    """Return when people last lost a membership with its group, before the cut."""
    rows = connection.execute(
        select(_past.user_id, func.max(_past.ended_at).label("ended_at"))
        .where(
            among(_past.directory_id, "directories"),
            among(_past.user_id, "users"),
            _past.environment_id == where.environment_id,
            _past.ended_at <= where.at,
        )
        .group_by(_past.user_id),
        {"directories": sorted(directory_ids), "users": sorted(user_ids)},
    )
    return {row.user_id: row.ended_at for row in rows}


def last_about_people(connection: Connection, where: Cut, ids: Collection[str]) -> dict[str, Told]:
    """Return the last event up to the cut that people are in, for those who have one in the log."""
    return _lasts(connection, where, "user_id", ids)


def last_about_groups(connection: Connection, where: Cut, ids: Collection[str]) -> dict[str, Told]:
    """Return the last event up to the cut that groups are in, for those that have one in the log."""
    return _lasts(connection, where, "group_id", ids)


@dataclass(frozen=True, slots=True)
class _Later:
    conditions: list[Any]
    given: dict[str, Any]


def _later(table: Table, where: Cut, types: Sequence[str]) -> _Later:
    c = table.c
    conditions = [
        c.environment_id == where.environment_id,
        c.recorded_at > where.at,
        among(c.type, "types"),
        ~_is_correction(table),
    ]
    if table is t.event_log:
        conditions.append(_log.position >= where.first)
    if where.directory_id is not None:
        conditions.append(c.directory_id == where.directory_id)
    return _Later(conditions, {"types": list(types)})


def _is_correction(table: Table) -> Any:
    """Return whether an event repeats for an app what it has missed; nothing happened to anybody then."""
    return table.c.cause.startswith(f"{Prefix.RECONCILIATION.value}_", autoescape=True)


def _key(table: Table) -> Any:
    return table.c.position if table is t.event_log else table.c.seq


def _changed(connection: Connection, where: Cut, span: Span, column: str, types: Sequence[str]) -> list[str]:
    found: set[str] = set()
    for table in (t.event_log, t.event_inbox):
        id_ = table.c[column]
        later = _later(table, where, types)
        statement = select(id_).where(*later.conditions, id_.is_not(None)).group_by(id_)
        found.update(connection.execute(within(statement, id_, span), later.given).scalars())
    return sorted(found, reverse=span.descending)[: span.limit]


def _firsts(
    connection: Connection, where: Cut, column: str, types: Sequence[str], ids: Collection[str]
) -> dict[str, Told]:
    found: dict[str, Told] = {}
    for table in (t.event_log, t.event_inbox) if ids else ():
        id_ = table.c[column]
        later = _later(table, where, types)
        firsts = select(func.min(_key(table))).where(*later.conditions, among(id_, "ids")).group_by(id_)
        keys = connection.execute(firsts, {**later.given, "ids": sorted(ids)}).scalars().all()
        for event in _told(connection, table, where.environment_id, keys):
            found.setdefault(str(getattr(event, column)), event)
    return found


def _lasts(connection: Connection, where: Cut, column: str, ids: Collection[str]) -> dict[str, Told]:
    """Look for the last events in the inbox, behind the cut, and then before it, further and further back."""
    missing = set(ids)
    found: dict[str, Told] = {}

    def look(table: Table, *bounds: Any) -> None:
        c = table.c
        newest = (
            select(func.max(_key(table)))
            .where(
                c.environment_id == where.environment_id,
                among(c[column], "ids"),
                c.recorded_at <= where.at,
                ~_is_correction(table),
                *bounds,
            )
            .group_by(c[column])
        )
        keys = connection.execute(newest, {"ids": sorted(missing)}).scalars().all()
        for event in _told(connection, table, where.environment_id, keys):
            found[str(getattr(event, column))] = event
        missing.difference_update(found)

    if missing:
        look(t.event_inbox)
    if missing:
        look(t.event_log, _log.position >= where.first)
    high, width = where.first, _FIRST_WINDOW
    while missing and high > 1:
        look(t.event_log, _log.position < high, _log.position >= high - width)
        high, width = high - width, width * _WIDER
    return found


def _told(connection: Connection, table: Table, environment_id: str, keys: Sequence[int]) -> list[Told]:
    columns = [table.c[name] for name in Told._fields]
    return [Told(*row) for row in _at(connection, table, environment_id, keys, *columns)]


def _at(
    connection: Connection, table: Table, environment_id: str, keys: Sequence[int], *columns: Any
) -> Iterable[Any]:
    if not keys:
        return ()
    key = _key(table)
    statement = (
        select(*columns)
        .where(table.c.environment_id == environment_id, among(key, "keys", BigInteger()))
        .order_by(key)
    )
    return connection.execute(statement, {"keys": list(keys)}).all()


def entries(connection: Connection, environment_id: str, about: About, span: Span, limit: int) -> list[Entry]:
    """Return sealed events that a person or a group is in, of a span of event ids, in its order."""
    statement = select(_log.event_id, *(_log[name] for name in Told._fields)).where(
        _log.environment_id == environment_id,
        _log[about.column] == about.id,
        among(_log.type, "types"),
        ~_is_correction(t.event_log),
    )
    # Ids of events sort like positions, and a cursor may be of an event that retention has removed.
    statement = within(statement, _log.event_id, replace(span, limit=limit))
    rows = connection.execute(statement, {"types": list(about.types)})
    return [Entry(row[0], Told(*row[1:])) for row in rows]


def is_told(connection: Connection, environment_id: str, about: About) -> bool:
    """Tell whether any event of the log or the inbox is about a person or a group."""
    for table in (t.event_log, t.event_inbox):
        c = table.c
        found = connection.execute(
            select(_key(table))
            .where(c.environment_id == environment_id, c[about.column] == about.id)
            .limit(1)
        ).first()
        if found is not None:
            return True
    return False


def rule_causes(connection: Connection, environment_id: str, causes: Collection[str]) -> dict[str, str]:
    """Return which of some causes changed role rules or an attribute map, each with which of the two."""
    found: dict[str, str] = {}
    for kind, table in (("attribute_map", t.attribute_maps), ("role_rules", t.role_rules)):
        rows = connection.execute(
            select(table.c.cause).where(
                table.c.environment_id == environment_id, among(table.c.cause, "causes")
            ),
            {"causes": sorted(causes)},
        )
        found |= dict.fromkeys(rows.scalars(), kind)
    return found
