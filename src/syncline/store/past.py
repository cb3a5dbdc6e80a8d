"""What is kept beside the log because no event tells it: memberships that ended with their group, what people
were like who changed as they left, and since when people and groups have been in a group without a break.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, func, insert, select

from syncline.core.departures import PastPerson
from syncline.core.model import Scope
from syncline.store import tables as t
from syncline.store.nested_groups import groups_around
from syncline.store.point_in_time import Cut
from syncline.store.prepared import Prepared, insert_columns
from syncline.store.types import among

_members, _people = t.past_memberships.c, t.past_people.c
_insert_people = Prepared(insert(t.past_people), insert_columns(t.past_people))


def keep_people(connection: Connection, scope: Scope, people: Sequence[PastPerson], at: datetime) -> None:
    """Write down what people were like before they left at a moment."""
    if people:
        _insert_people.run(
            connection,
            [
                {
                    "environment_id": scope.environment_id,
                    "directory_id": scope.directory_id,
                    "user_id": person.user_id,
                    "body": person.body,
                    "ended_at": at,
                }
                for person in people
            ],
        )


def people_before(
    connection: Connection, where: Cut, directory_ids: Collection[str], user_ids: Collection[str]
) -> dict[str, str]:
    """Return what people showed until they left after the cut, of those who changed as they did."""
    rows = connection.execute(
        select(_people.user_id, _people.body).where(
            *_theirs(_people, where),
            _people.ended_at > where.at,
        ),
        _asked(directory_ids, user_ids),
    )
    return {row.user_id: row.body for row in rows}


def past_groups(
    connection: Connection, where: Cut, directory_ids: Collection[str], user_ids: Collection[str]
) -> list[tuple[str, str]]:
    """Return (person, group) of memberships that ended after the cut because the group was deleted."""
    rows = connection.execute(
        select(_members.user_id, _members.group_id).where(
            *_theirs(_members, where),
            _members.ended_at > where.at,
        ),
        _asked(directory_ids, user_ids),
    )
    return [(row.user_id, row.group_id) for row in rows]


def past_members(connection: Connection, where: Cut, directory_id: str, group_id: str) -> list[str]:
    """Return the people who were members of a group that was deleted after the cut, when that happened.

    `group_id` is the SCIM id.
    """
    rows = connection.execute(
        select(_members.user_id).where(
            _members.directory_id == directory_id,
            _members.group_id == group_id,
            _members.environment_id == where.environment_id,
            _members.ended_at > where.at,
        )
    )
    return list(rows.scalars())


def last_ends(
    connection: Connection, where: Cut, directory_ids: Collection[str], user_ids: Collection[str]
) -> dict[str, datetime]:
    """Return when people last lost a membership with its group, before the cut."""
    rows = connection.execute(
        select(_members.user_id, func.max(_members.ended_at).label("ended_at"))
        .where(
            *_theirs(_members, where),
            _members.ended_at <= where.at,
        )
        .group_by(_members.user_id),
        _asked(directory_ids, user_ids),
    )
    return {row.user_id: row.ended_at for row in rows}


def direct_since(connection: Connection, scope: Scope, user_id: str, at: datetime) -> set[str]:
    """Return the groups (SCIM ids) that somebody has been a direct member of since before a moment."""
    c = t.memberships.c
    rows = connection.execute(
        select(c.group_id).where(
            c.directory_id == scope.directory_id, c.user_id == user_id, c.created_at <= at
        )
    )
    return set(rows.scalars())


def nested_since(connection: Connection, scope: Scope, user_id: str, at: datetime) -> dict[str, set[str]]:
    """Return groups that somebody is in and that others have contained since before a moment, with those."""
    c = t.group_edges.c
    rows = connection.execute(
        select(c.child_id, c.group_id).where(
            c.directory_id == scope.directory_id,
            c.child_id.in_(groups_around(scope, user_id)),
            c.created_at <= at,
        )
    )
    found: dict[str, set[str]] = {}
    for row in rows:
        found.setdefault(row.child_id, set()).add(row.group_id)
    return found


def _theirs(c: Any, where: Cut) -> list[ColumnElement[bool]]:
    """Return the conditions of rows about people, of whom `_asked` says who they are."""
    return [
        among(c.directory_id, "directories"),
        among(c.user_id, "users"),
        c.environment_id == where.environment_id,
    ]


def _asked(directory_ids: Collection[str], user_ids: Collection[str]) -> dict[str, list[str]]:
    return {"directories": sorted(directory_ids), "users": sorted(user_ids)}
