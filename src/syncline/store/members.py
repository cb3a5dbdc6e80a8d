"""The members of groups as SCIM answers show them: people and nested groups, in id order."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from sqlalchemy import Connection, Text, bindparam, cast, literal, select, union_all

from syncline.core.model import Scope
from syncline.core.scim.resource import MemberIds, MemberView
from syncline.store import tables as t
from syncline.store.aggregates import joined_ids
from syncline.store.prepared import Prepared
from syncline.store.types import among

_users, _groups, _members, _edges = (
    t.directory_users.c,
    t.directory_groups.c,
    t.memberships.c,
    t.group_edges.c,
)
_directory = bindparam("directory", type_=Text())


_people = Prepared(
    select(_members.group_id, _members.user_id.label("member_id"), _users.label)
    .join(
        t.directory_users,
        (_users.directory_id == _members.directory_id) & (_users.id == _members.user_id),
    )
    .where(_members.directory_id == _directory, among(_members.group_id, "groups"))
    .order_by(_members.group_id, _members.user_id)
)
_nested = Prepared(
    select(_edges.group_id, _edges.child_id.label("member_id"), _groups.label)
    .join(
        t.directory_groups,
        (_groups.directory_id == _edges.directory_id) & (_groups.id == _edges.child_id),
    )
    .where(_edges.directory_id == _directory, among(_edges.group_id, "groups"))
    .order_by(_edges.group_id, _edges.child_id)
)


_ids_by_kind = (
    select(literal("User").label("kind"), _members.group_id, joined_ids(_members.user_id).label("ids"))
    .where(_members.directory_id == _directory, among(_members.group_id, "groups"))
    .group_by(_members.group_id),
    select(literal("Group"), _edges.group_id, joined_ids(_edges.child_id))
    .where(_edges.directory_id == _directory, among(_edges.group_id, "groups"))
    .group_by(_edges.group_id),
)
_ids = Prepared(union_all(*_ids_by_kind))
_ids_and_version = Prepared(
    union_all(
        *_ids_by_kind,
        select(literal("version"), _groups.id, cast(_groups.version, Text)).where(
            _groups.directory_id == _directory, among(_groups.id, "groups")
        ),
    )
)


def members_of(
    connection: Connection, scope: Scope, group_ids: Sequence[str], *, labels: bool = False
) -> Mapping[str, Sequence[MemberView]]:
    """Return the members of each group, people before groups; a group without members has an empty tuple.

    `labels`: whether their names are wanted, which costs a row of its own for each.
    """
    asked = {"directory": scope.directory_id, "groups": list(group_ids)}
    if not labels:
        rows = {(kind, group_id): ids for kind, group_id, ids in _ids.all(connection, asked)}
        return {
            group_id: MemberIds(*(_split(rows.get((kind, group_id))) for kind in ("User", "Group")))
            for group_id in group_ids
        }
    found: dict[str, list[MemberView]] = {group_id: [] for group_id in group_ids}
    for kind, statement in (("User", _people), ("Group", _nested)):
        for group_id, member_id, label in statement.all(connection, asked):
            found[group_id].append(MemberView(member_id, kind, label))
    return found


def members_of_version(connection: Connection, scope: Scope, group_id: str) -> tuple[int, MemberIds]:
    """Return the version of a group, 0 if it is gone, and the members it has in that version."""
    asked = {"directory": scope.directory_id, "groups": [group_id]}
    found = {kind: ids for kind, _, ids in _ids_and_version.all(connection, asked)}
    return int(found.get("version", 0)), MemberIds(_split(found.get("User")), _split(found.get("Group")))


def _split(ids: str | None) -> list[str]:
    return sorted(ids.split(",")) if ids else []
