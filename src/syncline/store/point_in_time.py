"""Reads of the log by a moment: what happened to people and groups after it, and just before it.

What was committed and not sealed yet is part of the past as well, so every question is asked of the log and
then of the inbox, whose events come after those of the log. Callers read in one snapshot. The log is read
by person, by group, or by type from the moment on, never from end to end.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import BigInteger, Connection, Select, Table, func, select

from syncline.core.history import (
    GROUP_DELETED,
    LEFT,
    OF_GROUPS,
    OF_MEMBERSHIPS,
    OF_PEOPLE,
    USER_DELETED,
    USER_UPDATED,
)
from syncline.core.ids import Prefix, make_id, new_ulid
from syncline.core.paging import Span
from syncline.store import tables as t
from syncline.store.history import Told, about_one, is_correction, of_environment, told_of
from syncline.store.spans import within
from syncline.store.types import among, to_ms

_log, _inbox = t.event_log.c, t.event_inbox.c
# How far the clocks of processes may be apart: an event is sealed after it was recorded, by its own clock.
_SKEW = timedelta(minutes=1)


@dataclass(frozen=True, slots=True)
class Cut:
    """A moment in an environment's log. `first` is a position with everything recorded later behind it.

    With a directory only its events count.
    """

    environment_id: str
    at: datetime
    first: int
    directory_id: str | None = None


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


def people_who_left(connection: Connection, where: Cut, span: Span) -> list[str]:
    """Return the ids of people who left the product view after the cut, of a span, in its order."""
    return _named(connection, where, span, "user_id", (USER_DELETED,))


def people_who_changed(connection: Connection, where: Cut, span: Span) -> list[str]:
    """Return the ids of people who changed or left after the cut, of a span, in its order."""
    return _named(connection, where, span, "user_id", (USER_UPDATED, USER_DELETED))


def members_who_left(connection: Connection, where: Cut, span: Span, group_id: str) -> list[str]:
    """Return the ids of people who ceased to be members of a group after the cut, of a span, in its order."""
    return _named(connection, where, span, "user_id", (LEFT,), group_id)


def groups_deleted(connection: Connection, where: Cut, span: Span) -> list[str]:
    """Return the ids of groups that were deleted after the cut, of a span, in its order."""
    return _named(connection, where, span, "group_id", (GROUP_DELETED,))


def first_of_people(connection: Connection, where: Cut, ids: Collection[str]) -> dict[str, Told]:
    """Return the first event after the cut that made, changed or deleted each person, if there is one."""
    found = _firsts(connection, where, ("user_id",), OF_PEOPLE, "user_id", ids)
    return {key[0]: told for key, told in found.items()}


def first_of_groups(connection: Connection, where: Cut, ids: Collection[str]) -> dict[str, Told]:
    """Return the first event after the cut that made, changed or deleted each group, if there is one."""
    found = _firsts(connection, where, ("group_id",), OF_GROUPS, "group_id", ids)
    return {key[0]: told for key, told in found.items()}


def first_moves(connection: Connection, where: Cut, user_ids: Collection[str]) -> dict[tuple[str, str], str]:
    """Return the type of the first event after the cut about each membership, by person and group."""
    found = _firsts(connection, where, ("user_id", "group_id"), OF_MEMBERSHIPS, "user_id", user_ids)
    return {(key[0], key[1]): told.type for key, told in found.items()}


def last_about_people(connection: Connection, where: Cut, ids: Collection[str]) -> dict[str, Told]:
    """Return the last event up to the cut that people are in, for those who have one in the log."""
    return _lasts(connection, where, "user_id", ids)


def last_about_groups(connection: Connection, where: Cut, ids: Collection[str]) -> dict[str, Told]:
    """Return the last event up to the cut that groups are in, for those that have one in the log."""
    return _lasts(connection, where, "group_id", ids)


def _key(table: Table) -> Any:
    return table.c.position if table is t.event_log else table.c.seq


def _later(table: Table, where: Cut) -> list[Any]:
    """Return the conditions of what happened after the cut, whoever it happened to."""
    conditions = [table.c.recorded_at > where.at, ~is_correction(table)]
    if table is t.event_log:
        conditions.append(_log.position >= where.first)
    return conditions


def _named(
    connection: Connection,
    where: Cut,
    span: Span,
    column: str,
    types: Sequence[str],
    group_id: str | None = None,
) -> list[str]:
    """Return whom events of some types after the cut name, of one group if it is given."""
    found: set[str] = set()
    for table in (t.event_log, t.event_inbox):
        for type_ in types:
            statement = _naming(table, where, column, type_, group_id)
            found.update(connection.execute(within(statement, statement.selected_columns.id, span)).scalars())
    return sorted(found, reverse=span.descending)[: span.limit]


def _naming(table: Table, where: Cut, column: str, type_: str, group_id: str | None) -> Select[Any]:
    c = table.c
    # As in `of_environment`: a group says more than its environment.
    narrow = c.environment_id == where.environment_id if group_id is None else c.group_id == group_id
    later = select(c.environment_id, c.directory_id, c[column].label("id")).where(
        narrow, c.type == type_, *_later(table, where)
    )
    # Asked for in the order of ids, the planner might walk through everybody who is in the log.
    events = later.cte("events").prefix_with("MATERIALIZED", dialect="postgresql")
    names = select(events.c.id).where(events.c.environment_id == where.environment_id).group_by(events.c.id)
    if where.directory_id is not None:
        names = names.where(events.c.directory_id == where.directory_id)
    return names


def _firsts(
    connection: Connection,
    where: Cut,
    names: Sequence[str],
    types: Sequence[str],
    column: str,
    ids: Collection[str],
) -> dict[tuple[str, ...], Told]:
    """Return the first event after the cut for each value of the columns that are named."""
    found: dict[tuple[str, ...], Told] = {}
    for table in (t.event_log, t.event_inbox) if ids else ():
        columns = [table.c[name] for name in names]
        firsts = (
            select(*columns, func.min(_key(table)).label("key"))
            .where(*_later(table, where), among(table.c[column], "ids"), among(table.c.type, "types"))
            .group_by(*columns)
        )
        if where.directory_id is not None:
            firsts = firsts.where(table.c.directory_id == where.directory_id)
        rows = connection.execute(firsts, {"types": list(types), "ids": sorted(ids)})
        keys = {row.key: tuple(row[:-1]) for row in rows}
        for key, told in _at(connection, table, where.environment_id, list(keys)):
            # The same position is in every environment's log.
            if keys[key] == tuple(getattr(told, name) for name in names):
                found.setdefault(keys[key], told)
    return found


def _at(
    connection: Connection, table: Table, environment_id: str, keys: Sequence[int]
) -> list[tuple[int, Told]]:
    if not keys:
        return []
    key = _key(table)
    statement = (
        select(key.label("key"), *(table.c[name] for name in Told._fields))
        .where(table.c.environment_id == environment_id, among(key, "keys", BigInteger()))
        .order_by(key)
    )
    rows = connection.execute(statement, {"keys": sorted(keys)})
    return [(row.key, told_of(row)) for row in rows]


def _lasts(connection: Connection, where: Cut, column: str, ids: Collection[str]) -> dict[str, Told]:
    found: dict[str, Told] = {}
    for id_ in sorted(ids):
        for statement in (_last_waiting(where, column, id_), _last_sealed(where, column, id_)):
            row = connection.execute(statement).one_or_none()
            if row is not None:
                found[id_] = told_of(row)
                break
    return found


def _last_waiting(where: Cut, column: str, id_: str) -> Select[Any]:
    return (
        select(*(_inbox[name] for name in Told._fields))
        .where(
            _inbox.environment_id == where.environment_id,
            _inbox[column] == id_,
            _inbox.recorded_at <= where.at,
            ~is_correction(t.event_inbox),
        )
        .order_by(_inbox.seq.desc())
        .limit(1)
    )


def _last_sealed(where: Cut, column: str, id_: str) -> Select[Any]:
    last = about_one(id_, column).where(_log.recorded_at <= where.at)
    return of_environment(last.order_by(_log.position.desc()).limit(1), where.environment_id)
