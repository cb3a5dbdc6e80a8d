"""Directories of people and groups put straight into the tables, and what SCIM must show of them."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Table, insert

from syncline.core.ids import Prefix, bare
from syncline.core.json import Json
from syncline.core.model import DirectoryId, EnvironmentId, GroupRecord, Scope, UserRecord
from syncline.core.scim.normalize import normalize_group, normalize_user
from syncline.core.scim.resource import (
    GroupRef,
    GroupView,
    MemberView,
    UserView,
    group_label,
    render_group,
    render_user,
    user_label,
)
from syncline.core.scim.schema import ResourceKind
from syncline.services.kernel import Kernel
from syncline.store import tables as t
from syncline.store.rows import group_row, user_row

Body = dict[str, Json]
Link = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Contents:
    """What to put into a directory: bodies with their times, and links (group, member) by number."""

    users: Sequence[tuple[Body, datetime]] = ()
    groups: Sequence[tuple[Body, datetime]] = ()
    people: Collection[Link] = ()
    nested: Collection[Link] = ()


@dataclass(frozen=True, slots=True)
class Stored:
    """A directory in the database; users and groups in the order of their creation."""

    scope: Scope
    base_url: str
    users: list[UserView]
    groups: list[GroupView]

    def rendered(self, kind: ResourceKind) -> list[Body]:
        """Return the whole resources of a kind."""
        if kind is ResourceKind.USER:
            return [render_user(view, self.base_url) for view in self.users]
        return [render_group(view, self.base_url) for view in self.groups]


async def store(within: Kernel, contents: Contents, *, environment_id: str | None = None) -> Stored:
    """Insert a directory's resources under a scope of its own; resource number n has version n + 1."""
    new = within.ids.new
    environment = EnvironmentId(environment_id or new(Prefix.ENVIRONMENT))
    scope = Scope(environment, DirectoryId(new(Prefix.DIRECTORY)))
    users = [_user(within, number, *given) for number, given in enumerate(contents.users)]
    groups = [_group(within, number, *given) for number, given in enumerate(contents.groups)]
    people = [(groups[group], users[user]) for group, user in sorted(contents.people)]
    nested = [(groups[group], groups[child]) for group, child in sorted(contents.nested)]

    def work(connection: Connection) -> None:
        _insert(connection, t.directory_users, [user_row(scope, record) for record in users])
        _insert(connection, t.directory_groups, [group_row(scope, record) for record in groups])
        _insert(connection, t.memberships, [_link(scope, *pair, "user_id") for pair in people])
        _insert(connection, t.group_edges, [_link(scope, *pair, "child_id") for pair in nested])

    await within.database.write(work)
    return Stored(
        scope,
        f"{within.base_url}/scim/v2/{bare(scope.directory_id)}",
        [_user_view(record, people) for record in users],
        [_group_view(record, people, nested) for record in groups],
    )


def _user(within: Kernel, number: int, body: Body, at: datetime) -> UserRecord:
    return UserRecord(
        id=within.ids.ulid(),
        directory_user_id=None,
        document=normalize_user(body).document,
        raw=None,
        version=number + 1,
        created_at=at,
        updated_at=at,
    )


def _group(within: Kernel, number: int, body: Body, at: datetime) -> GroupRecord:
    return GroupRecord(
        id=within.ids.ulid(),
        document=normalize_group(body).document,
        raw=None,
        member_count=0,
        version=number + 1,
        created_at=at,
        updated_at=at,
    )


def _user_view(record: UserRecord, people: Sequence[tuple[GroupRecord, UserRecord]]) -> UserView:
    groups = [GroupRef(group.id, group_label(group.document)) for group, user in people if user is record]
    return UserView(
        id=record.id,
        document=record.document,
        active=record.active,
        version=record.version,
        created_at=record.created_at,
        updated_at=record.updated_at,
        groups=tuple(groups),
    )


def _group_view(
    record: GroupRecord,
    people: Sequence[tuple[GroupRecord, UserRecord]],
    nested: Sequence[tuple[GroupRecord, GroupRecord]],
) -> GroupView:
    view = GroupView(record.id, record.document, record.version, record.created_at, record.updated_at)
    members = [MemberView(user.id, "User", user_label(user.document)) for g, user in people if g is record]
    members += [
        MemberView(child.id, "Group", group_label(child.document)) for g, child in nested if g is record
    ]
    return replace(view, members=tuple(members))


def _link(scope: Scope, group: GroupRecord, member: UserRecord | GroupRecord, column: str) -> dict[str, Any]:
    return {
        "environment_id": scope.environment_id,
        "directory_id": scope.directory_id,
        "group_id": group.id,
        column: member.id,
        "created_at": group.created_at,
    }


def _insert(connection: Connection, table: Table, rows: list[dict[str, Any]]) -> None:
    if rows:
        connection.execute(insert(table), rows)
