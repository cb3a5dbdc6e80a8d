"""Nested groups: who is in a group through another one, and the edges that say so.

Cycles are legal: the recursive queries add what is new and end when nothing is.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from typing import Any

from sqlalchemy import Connection, Row, Select, Text, bindparam, select, update

from syncline.core.model import Directory, GroupRecord, Scope, UserRecord
from syncline.store import tables as t
from syncline.store.aggregates import joined_ids
from syncline.store.prepared import Prepared
from syncline.store.rows import group_of, user_of
from syncline.store.types import Instant, among

_users, _groups = t.directory_users.c, t.directory_groups.c
_members, _edges = t.memberships.c, t.group_edges.c
_directory = bindparam("directory", type_=Text())


def groups_within(scope: Scope, group_id: str) -> Select[Any]:
    """Return the query of a group's id and the ids of every group below it."""
    below = (
        select(_groups.id)
        .where(_groups.directory_id == scope.directory_id, _groups.id == group_id)
        .cte("below", recursive=True)
    )
    below = below.union(
        select(_edges.child_id)
        .join(below, _edges.group_id == below.c.id)
        .where(_edges.directory_id == scope.directory_id)
    )
    return select(below.c.id)


def groups_around(scope: Scope, user_id: str) -> Select[Any]:
    """Return the query of the ids of every group that somebody is in, directly or through another group."""
    above = (
        select(_members.group_id.label("id"))
        .where(_members.directory_id == scope.directory_id, _members.user_id == user_id)
        .cte("above", recursive=True)
    )
    above = above.union(
        select(_edges.group_id)
        .join(above, _edges.child_id == above.c.id)
        .where(_edges.directory_id == scope.directory_id)
    )
    return select(above.c.id)


def _held() -> Select[Any]:
    held = (
        select(_members.directory_id, _members.user_id.label("member_id"), _members.group_id)
        .where(
            _members.environment_id == bindparam("environment", type_=Text()),
            among(_members.directory_id, "directories"),
            among(_members.user_id, "users"),
        )
        .cte("held", recursive=True)
    )
    held = held.union(
        select(held.c.directory_id, held.c.member_id, _edges.group_id).join(
            t.group_edges,
            (_edges.directory_id == held.c.directory_id) & (_edges.child_id == held.c.group_id),
        )
    )
    return (
        select(held.c.member_id, t.directory_groups)
        .join(
            t.directory_groups,
            (_groups.directory_id == held.c.directory_id) & (_groups.id == held.c.group_id),
        )
        .where(_groups.deleted_at.is_(None))
        .order_by(_groups.id)
    )


effective_groups_of = _held()
"""The groups that people (`environment`, `directories`, `users`) are in, each with its `member_id`."""

_all_edges = Prepared(select(_edges.child_id, _edges.group_id).where(_edges.directory_id == _directory))
# Without bounds SQLite reads every membership of the directory.
_direct = Prepared(
    select(_members.user_id, joined_ids(_members.group_id).label("group_ids"))
    .where(
        _members.directory_id == _directory,
        _members.user_id >= bindparam("first", type_=Text()),
        _members.user_id <= bindparam("last", type_=Text()),
        among(_members.user_id, "users"),
    )
    .group_by(_members.user_id)
)
_nested_people = (
    select(_members.user_id)
    .distinct()
    .where(
        _members.directory_id == _directory,
        _members.user_id > bindparam("after", type_=Text()),
        _members.group_id.in_(select(_edges.child_id).where(_edges.directory_id == _directory)),
    )
    .order_by(_members.user_id)
    .limit(bindparam("limit"))
)
_live_groups = select(t.directory_groups).where(
    _groups.directory_id == _directory, among(_groups.id, "groups"), _groups.deleted_at.is_(None)
)
_people = select(t.directory_users).where(
    _users.directory_id == _directory, among(_users.id, "users"), _users.deleted_at.is_(None)
)
_touch = (
    update(t.directory_users)
    .where(_users.directory_id == _directory, among(_users.id, "users"), _users.deleted_at.is_(None))
    .values(version=_users.version + 1, updated_at=bindparam("at", type_=Instant()))
)


def edges(connection: Connection, scope: Scope) -> dict[str, set[str]]:
    """Return every group of a directory that others contain, with those that do."""
    return _graph(_all_edges.all(connection, {"directory": scope.directory_id}))


def edges_around(connection: Connection, scope: Scope, user_id: str) -> dict[str, set[str]]:
    """Return the groups that somebody is in and that others contain, with those that do."""
    statement = select(_edges.child_id, _edges.group_id).where(
        _edges.directory_id == scope.directory_id, _edges.child_id.in_(groups_around(scope, user_id))
    )
    return _graph(connection.execute(statement))


def _graph(rows: Iterable[Row[Any]]) -> dict[str, set[str]]:
    found: dict[str, set[str]] = {}
    for row in rows:
        found.setdefault(row.child_id, set()).add(row.group_id)
    return found


def direct_groups(connection: Connection, scope: Scope, user_ids: Collection[str]) -> dict[str, set[str]]:
    """Return the ids of the groups that people are direct members of, by the person's id."""
    found: dict[str, set[str]] = {id_: set() for id_ in user_ids}
    if not found:
        return found
    asked = {"directory": scope.directory_id, "users": list(found), "first": min(found), "last": max(found)}
    for user, groups in _direct.all(connection, asked):
        found[user] = set(groups.split(","))
    return found


def people_below(connection: Connection, scope: Scope, after: str, limit: int) -> list[str]:
    """Return the ids of people in groups that other groups contain, ascending, from after an id."""
    asked = {"directory": scope.directory_id, "after": after, "limit": limit}
    return list(connection.execute(_nested_people, asked).scalars())


def live_groups(connection: Connection, scope: Scope, group_ids: Collection[str]) -> dict[str, GroupRecord]:
    """Return groups that are there, by id."""
    asked = {"directory": scope.directory_id, "groups": sorted(group_ids)}
    found = connection.execute(_live_groups, asked) if group_ids else ()
    return {group.id: group for group in map(group_of, found)}


def touch_people(
    connection: Connection, directory: Directory, user_ids: Sequence[str]
) -> dict[str, UserRecord]:
    """Give people whose memberships changed a new version, of the directory's `updated_at`; return them."""
    asked = {"directory": directory.id, "users": list(user_ids)}
    if not user_ids:
        return {}
    connection.execute(_touch, asked | {"at": directory.updated_at})
    return {user.id: user for user in map(user_of, connection.execute(_people, asked))}
