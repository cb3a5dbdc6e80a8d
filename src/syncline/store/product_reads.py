"""Reads of the product view: directory users and groups as the REST API shows them.

A person is in the view while the row has a directory user id; nothing of a deleted directory is.
Lists are ordered by id, and ids carry the time of creation.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from sqlalchemy import Connection, Row, Select, Text, bindparam, select

from syncline.core.model import Directory, GroupRecord, Membership, Scope, UserRecord
from syncline.core.paging import Span
from syncline.core.text import index_key
from syncline.store import tables as t
from syncline.store.nested_groups import effective_groups_of, groups_around, groups_within
from syncline.store.rows import directory_of, exact_key, group_of, user_of
from syncline.store.spans import within
from syncline.store.types import among

_users, _groups, _members = t.directory_users.c, t.directory_groups.c, t.memberships.c
_directories = t.directories.c

Record = TypeVar("Record")
ShownUser = tuple[UserRecord, Directory]
ShownGroup = tuple[GroupRecord, Directory]


@dataclass(frozen=True, slots=True)
class UserFilter:
    """What a list of people is narrowed to; ids are resolved and belong to the environment."""

    directory: Scope | None = None
    # Where the group is, and its SCIM id.
    group: tuple[Scope, str] | None = None
    # Whether members of groups inside of the group count.
    effective: bool = False
    idp_id: str | None = None
    email: str | None = None


def user(connection: Connection, environment_id: str, directory_user_id: str) -> ShownUser | None:
    """Return a person of the view by the id they have there."""
    return _one(
        connection,
        environment_id,
        _user_rows(environment_id).where(_users.directory_user_id == directory_user_id),
        user_of,
    )


def users(connection: Connection, environment_id: str, wanted: UserFilter, span: Span) -> list[ShownUser]:
    """Return people of the view."""
    # Looking for one person, SQLite must not be led to walk the environment's people in list order.
    one = wanted.idp_id is not None or wanted.email is not None
    statement = _user_rows(environment_id, of=_directories if one else _users)
    if wanted.directory is not None:
        statement = statement.where(_users.directory_id == wanted.directory.directory_id)
    if wanted.idp_id is not None:
        statement = statement.where(_users.idp_id_key == exact_key(wanted.idp_id))
    if wanted.email is not None:
        statement = statement.where(_users.email_key == index_key(wanted.email))
    if wanted.group is not None:
        scope, group_id = wanted.group
        inside = _members.group_id == group_id
        if wanted.effective:
            inside = _members.group_id.in_(groups_within(scope, group_id))
        statement = statement.where(
            _users.directory_id == scope.directory_id,
            _users.id.in_(
                select(_members.user_id).where(_members.directory_id == scope.directory_id, inside)
            ),
        )
    return _many(connection, environment_id, within(statement, _users.directory_user_id, span), user_of)


def users_by_id(connection: Connection, environment_id: str, ids: Collection[str]) -> list[ShownUser]:
    """Return those of some people who are in the view, by the ids they have there."""
    statement = _user_rows(environment_id).where(among(_users.directory_user_id, "chosen"))
    return _many(connection, environment_id, statement, user_of, {"chosen": sorted(ids)})


def groups_by_id(connection: Connection, environment_id: str, ids: Collection[str]) -> list[ShownGroup]:
    """Return those of some groups that are there, by their SCIM ids."""
    statement = _group_rows(environment_id).where(among(_groups.id, "chosen"))
    return _many(connection, environment_id, statement, group_of, {"chosen": sorted(ids)})


def live_directories(connection: Connection, environment_id: str, ids: Collection[str]) -> set[str]:
    """Return those of some ids that are of directories of the environment that are not deleted."""
    asked = {"environment": environment_id, "ids": sorted(ids)}
    return {row.id for row in connection.execute(_directories_by_id, asked)} if ids else set()


def group(connection: Connection, environment_id: str, group_id: str) -> ShownGroup | None:
    """Return a group by its SCIM id."""
    statement = _group_rows(environment_id).where(_groups.id == group_id)
    return _one(connection, environment_id, statement, group_of)


def groups(
    connection: Connection,
    environment_id: str,
    span: Span,
    *,
    directory: Scope | None = None,
    member: tuple[Scope, str] | None = None,
    effective: bool = False,
) -> list[ShownGroup]:
    """Return groups, of one directory and with one person as a member where that is asked.

    `span` bounds SCIM ids; `member` is where the person is, and the SCIM id; `effective`: whether
    memberships through other groups count.
    """
    statement = _group_rows(environment_id)
    if directory is not None:
        statement = statement.where(_groups.directory_id == directory.directory_id)
    if member is not None:
        scope, user_id = member
        held = select(_members.group_id).where(
            _members.directory_id == scope.directory_id, _members.user_id == user_id
        )
        statement = statement.where(
            _groups.directory_id == scope.directory_id,
            _groups.id.in_(groups_around(scope, user_id) if effective else held),
        )
    return _many(connection, environment_id, within(statement, _groups.id, span), group_of)


_groups_of = (
    select(_members.user_id.label("member_id"), t.directory_groups)
    .join(
        t.directory_groups,
        (_groups.directory_id == _members.directory_id) & (_groups.id == _members.group_id),
    )
    .where(
        _members.environment_id == bindparam("environment", type_=Text()),
        among(_members.directory_id, "directories"),
        among(_members.user_id, "users"),
        _groups.deleted_at.is_(None),
    )
    .order_by(_groups.id)
)


def groups_of(
    connection: Connection, environment_id: str, people: Collection[ShownUser]
) -> dict[str, list[GroupRecord]]:
    """Return the groups each person is a member of, oldest first, by the person's SCIM id.

    Their directories decide whether memberships through other groups count.
    """
    found: dict[str, list[GroupRecord]] = {record.id: [] for record, _ in people}
    for membership, statement in (
        (Membership.DIRECT, _groups_of),
        (Membership.EFFECTIVE, effective_groups_of),
    ):
        alike = [shown for shown in people if shown[1].membership is membership]
        if alike:
            asked = {
                "environment": environment_id,
                "directories": sorted({directory.id for _, directory in alike}),
                "users": sorted(record.id for record, _ in alike),
            }
            for row in connection.execute(statement, asked):
                found[row.member_id].append(group_of(row))
    return found


_inactive = (
    select(_users.id)
    .where(
        _users.environment_id == bindparam("environment", type_=Text()),
        _users.directory_id == bindparam("directory", type_=Text()),
        _users.deleted_at.is_(None),
        _users.active.is_(False),
    )
    .order_by(_users.id)
)


def inactive_users(connection: Connection, scope: Scope) -> list[str]:
    """Return the SCIM ids of the directory's people whose provider says they are inactive, ascending."""
    asked = {"environment": scope.environment_id, "directory": scope.directory_id}
    return list(connection.execute(_inactive, asked).scalars())


def _user_rows(environment_id: str, *, of: Any = _users) -> Select[Any]:
    """Return the query of people in the view; `of` are the columns of the table that says whose they are."""
    return (
        select(t.directory_users)
        .join(t.directories, _directories.id == _users.directory_id)
        .where(
            of.environment_id == environment_id,
            _users.directory_user_id.is_not(None),
            _users.deleted_at.is_(None),
            _directories.deleted_at.is_(None),
        )
    )


def _group_rows(environment_id: str) -> Select[Any]:
    return (
        select(t.directory_groups)
        .join(t.directories, _directories.id == _groups.directory_id)
        .where(
            _groups.environment_id == environment_id,
            _groups.deleted_at.is_(None),
            _directories.deleted_at.is_(None),
        )
    )


_directories_by_id = select(t.directories).where(
    _directories.environment_id == bindparam("environment", type_=Text()),
    among(_directories.id, "ids"),
    _directories.deleted_at.is_(None),
)


def _one(
    connection: Connection,
    environment_id: str,
    statement: Select[Any],
    record_of: Callable[[Row[Any]], Record],
) -> tuple[Record, Directory] | None:
    found = _many(connection, environment_id, statement, record_of)
    return found[0] if found else None


def _many(
    connection: Connection,
    environment_id: str,
    statement: Select[Any],
    record_of: Callable[[Row[Any]], Record],
    given: Mapping[str, Any] | None = None,
) -> list[tuple[Record, Directory]]:
    """Return the rows with their directories, which are few: each is read once and not with every row."""
    while True:
        rows = connection.execute(statement, given or {}).all()
        asked = {"environment": environment_id, "ids": sorted({row.directory_id for row in rows})}
        found = connection.execute(_directories_by_id, asked) if rows else ()
        directories = {directory.id: directory for directory in map(directory_of, found)}
        # A directory deleted between the statements took its rows along: a page without them, but with
        # their places taken, would look like the end of the list.
        if len(directories) == len(asked["ids"]):
            return [(record_of(row), directories[row.directory_id]) for row in rows]
