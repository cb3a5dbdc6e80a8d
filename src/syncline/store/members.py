"""The members of groups as SCIM answers show them: people and nested groups, in id order."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import Connection, Text, bindparam, literal, select

from syncline.core.model import Scope
from syncline.core.scim.resource import MemberView
from syncline.store import tables as t
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


_people_ids = Prepared(
    select(_members.group_id, _members.user_id, literal("").label("label"))
    .where(_members.directory_id == _directory, among(_members.group_id, "groups"))
    .order_by(_members.group_id, _members.user_id)
)
_nested_ids = Prepared(
    select(_edges.group_id, _edges.child_id, literal("").label("label"))
    .where(_edges.directory_id == _directory, among(_edges.group_id, "groups"))
    .order_by(_edges.group_id, _edges.child_id)
)


def members_of(
    connection: Connection, scope: Scope, group_ids: Sequence[str], *, labels: bool = False
) -> dict[str, tuple[MemberView, ...]]:
    """Return the members of each group, people before groups; a group without members has an empty tuple.

    `labels`: whether their names are wanted, which costs a row of its own for each.
    """
    people, nested = (_people, _nested) if labels else (_people_ids, _nested_ids)
    found: dict[str, list[MemberView]] = {group_id: [] for group_id in group_ids}
    asked = {"directory": scope.directory_id, "groups": list(group_ids)}
    for kind, statement in (("User", people), ("Group", nested)):
        for group_id, member_id, label in statement.all(connection, asked):
            found[group_id].append(MemberView(member_id, kind, label))
    return {group_id: tuple(members) for group_id, members in found.items()}
