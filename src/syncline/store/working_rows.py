"""What a batch leaves to be written, and the handful of set statements that write it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import (
    BigInteger,
    Connection,
    Text,
    bindparam,
    delete,
    exists,
    func,
    insert,
    literal,
    select,
    update,
)

from syncline.core.departures import PastPerson
from syncline.core.model import (
    Cause,
    ChangeSet,
    Directory,
    GroupRecord,
    Membership,
    Pair,
    Scope,
    UserRecord,
)
from syncline.core.text import index_key
from syncline.core.working_set import WorkingSet
from syncline.store import tables as t
from syncline.store.nested_groups import groups_within
from syncline.store.past import keep_people
from syncline.store.prepared import Prepared, insert_columns
from syncline.store.rows import group_row, user_row
from syncline.store.types import Instant, among

_directory = bindparam("directory", type_=Text())
_users, _members = t.directory_users.c, t.memberships.c
_edges, _pending = t.group_edges.c, t.pending_memberships.c


@dataclass(slots=True)
class Dirty:
    """Everything the decisions of one directory's batch left to be written."""

    new_users: set[str] = field(default_factory=set)
    users: dict[str, UserRecord] = field(default_factory=dict)
    new_groups: set[str] = field(default_factory=set)
    groups: dict[str, GroupRecord] = field(default_factory=dict)
    touched_users: set[str] = field(default_factory=set)
    touched_groups: set[str] = field(default_factory=set)
    deleted_groups: set[str] = field(default_factory=set)
    memberships: dict[Pair, bool] = field(default_factory=dict)
    edges: dict[Pair, bool] = field(default_factory=dict)
    pending: dict[Pair, bool] = field(default_factory=dict)
    # Ids of another service, with the resources that have them now.
    aliases: dict[str, str] = field(default_factory=dict)
    past_people: list[PastPerson] = field(default_factory=list)
    # (user id, role) and the cause of the change that a floor held back.
    held_back: dict[Pair, str] = field(default_factory=dict)
    released: set[Pair] = field(default_factory=set)
    # The cause for which everybody is to be evaluated by a job.
    reevaluate: set[Cause] = field(default_factory=set)

    def add(self, changes: ChangeSet, touched: Iterable[str], cause: Cause) -> None:
        """Remember one command's changes and the users it touched; later commands overwrite earlier ones."""
        self.touched_users.update(touched)
        self.users.update((change.after.id, change.after) for change in changes.evaluated)
        for pair in changes.released:
            self.held_back.pop(pair, None)
            self.released.add(pair)
        for pair in changes.held_back:
            self.held_back[pair] = cause.id
        self.aliases.update(changes.aliases)
        if changes.reevaluate:
            self.reevaluate.add(cause)
        if changes.user is not None:
            if changes.user.before is None:
                self.new_users.add(changes.user.after.id)
            self.users[changes.user.after.id] = changes.user.after
        if changes.group is not None:
            after = changes.group.after
            if changes.group.before is None:
                self.new_groups.add(after.id)
            self.groups[after.id] = after
            if after.deleted_at is not None:
                self.deleted_groups.add(after.id)
        for pairs, target, present in (
            (changes.removed, self.memberships, False),
            (changes.added, self.memberships, True),
            (changes.edges_removed, self.edges, False),
            (changes.edges_added, self.edges, True),
            (changes.pending_removed, self.pending, False),
            (changes.pending_added, self.pending, True),
        ):
            for pair in pairs:
                target[pair] = present
        self.touched_groups.update(group for group, _ in (*changes.added, *changes.removed))
        self.touched_groups.update(group for group, _ in (*changes.edges_added, *changes.edges_removed))

    def settled_users(self, rows: WorkingSet) -> list[UserRecord]:
        """Return the users to write as the last command left them, in id order."""
        # A later command of the batch may have touched the row again.
        return [rows.users.get(id_) or self.users[id_] for id_ in sorted(self.users)]

    def settled_groups(self, rows: WorkingSet) -> list[GroupRecord]:
        """Return the groups to write as the last command left them, in id order."""
        found = {
            id_: current
            for id_ in self.touched_groups | self.groups.keys()
            if (current := rows.groups.get(id_) or self.groups.get(id_)) is not None
        }
        return [found[id_] for id_ in sorted(found)]

    def touched_versions(self, rows: WorkingSet) -> list[tuple[str, int]]:
        """Return (id, version) of users of whom nothing else is written, as the last command left them.

        The version is what answers have shown: a batch may touch a person more than once.
        """
        found = ((id_, rows.users.get(id_)) for id_ in sorted(self.touched_users - self.users.keys()))
        return [(id_, user.version) for id_, user in found if user is not None]

    def __bool__(self) -> bool:
        return any(getattr(self, name) for name in self.__slots__)


def flush(connection: Connection, rows: WorkingSet, dirty: Dirty, at: datetime) -> None:
    """Write a batch's changes of one directory: users, then groups, then memberships."""
    scope = rows.directory.scope
    if dirty.deleted_groups:
        _drop_memberships_of(connection, rows, dirty.deleted_groups, at)
    users, groups = dirty.settled_users(rows), dirty.settled_groups(rows)
    if dirty:
        raise_revision(connection, scope)
    _write(connection, t.directory_users, dirty.new_users, [user_row(scope, record) for record in users])
    _touch_users(connection, scope, dirty.touched_versions(rows), at)
    _write(connection, t.directory_groups, dirty.new_groups, [group_row(scope, record) for record in groups])
    # A group that is gone has no members, whatever a command before said.
    memberships, edges, pending = (
        {pair: present for pair, present in pairs.items() if pair[0] not in dirty.deleted_groups}
        for pairs in (dirty.memberships, dirty.edges, dirty.pending)
    )
    _write_pairs(connection, scope, t.memberships, "user_id", memberships, at)
    _write_pairs(connection, scope, t.group_edges, "child_id", edges, at)
    _write_pending(connection, scope, pending, at)
    keep_people(connection, scope, dirty.past_people, at)


_raised = (
    update(t.directories)
    .where(t.directories.c.id == _directory)
    .values(revision=t.directories.c.revision + 1)
)
_raise_revision = Prepared(_raised)
# On SQLite nobody decides while somebody else may be writing, except the job that evaluates people ahead.
_evaluating = t.reevaluations.c.directory_id == _directory, t.reevaluations.c.next_due_at.is_not(None)
_raise_revision_for_job = Prepared(_raised.where(exists().where(*_evaluating)))


def raise_revision(connection: Connection, scope: Scope) -> None:
    """Let whoever has decided on rows of a directory without a lock notice that some have changed.

    `at_once.py` and `services.reevaluation` look at the revision.
    """
    always = connection.dialect.name == "postgresql"
    (_raise_revision if always else _raise_revision_for_job).run(
        connection, {"directory": scope.directory_id}
    )


_touch = Prepared(
    update(t.directory_users)
    .where(_users.directory_id == _directory, _users.id == bindparam("user"))
    .values(version=bindparam("to", type_=BigInteger()), updated_at=bindparam("at", type_=Instant()))
)


def _touch_users(
    connection: Connection, scope: Scope, versions: Sequence[tuple[str, int]], at: datetime
) -> None:
    _touch.run(
        connection,
        [
            {"directory": scope.directory_id, "user": id_, "to": version, "at": at}
            for id_, version in versions
        ],
    )


def _write(connection: Connection, table: Any, new: set[str], rows: list[dict[str, Any]]) -> None:
    created = [row for row in rows if row["id"] in new]
    changed = [{f"new_{key}": value for key, value in row.items()} for row in rows if row["id"] not in new]
    if created:
        _inserts[table.name].run(connection, created)
    if changed:
        _updates[table.name].run(connection, changed)


def _full_update(table: Any) -> Prepared:
    keys = ("environment_id", "directory_id", "id", "created_at")
    return Prepared(
        update(table)
        .where(table.c.directory_id == bindparam("new_directory_id"), table.c.id == bindparam("new_id"))
        .values({c.name: bindparam(f"new_{c.name}", type_=c.type) for c in table.c if c.name not in keys})
    )


_inserts = {
    table.name: Prepared(insert(table), insert_columns(table))
    for table in (t.directory_users, t.directory_groups)
}
_updates = {table.name: _full_update(table) for table in (t.directory_users, t.directory_groups)}


def _write_pairs(
    connection: Connection, scope: Scope, table: Any, member: str, pairs: dict[Pair, bool], at: datetime
) -> None:
    added = sorted(pair for pair, present in pairs.items() if present)
    removed = sorted(pair for pair, present in pairs.items() if not present)
    if removed:
        _pair_deletes[table.name].run(
            connection,
            [{"directory": scope.directory_id, "group": group, "member": id_} for group, id_ in removed],
        )
    if added:
        values = [
            {
                "environment_id": scope.environment_id,
                "directory_id": scope.directory_id,
                "group_id": group,
                member: id_,
                "created_at": at,
            }
            for group, id_ in added
        ]
        _pair_inserts[table.name].run(connection, values)


def _write_pending(connection: Connection, scope: Scope, pairs: dict[Pair, bool], at: datetime) -> None:
    removed = [pair for pair, present in pairs.items() if not present]
    added = [pair for pair, present in pairs.items() if present]
    if removed:
        _pair_deletes["pending_memberships"].run(
            connection,
            [
                {"directory": scope.directory_id, "group": group, "member": index_key(id_, folded=False)}
                for group, id_ in removed
            ],
        )
    if added:
        _pair_inserts["pending_memberships"].run(
            connection,
            [
                {
                    "environment_id": scope.environment_id,
                    "directory_id": scope.directory_id,
                    "group_id": group,
                    "member_key": index_key(id_, folded=False),
                    "member_id": id_,
                    "created_at": at,
                }
                for group, id_ in added
            ],
        )


def _pair_delete(table: Any, member: str) -> Prepared:
    return Prepared(
        delete(table).where(
            table.c.directory_id == bindparam("directory"),
            table.c.group_id == bindparam("group"),
            table.c[member] == bindparam("member"),
        )
    )


_pair_tables = (
    (t.memberships, "user_id"),
    (t.group_edges, "child_id"),
    (t.pending_memberships, "member_key"),
)
_pair_deletes = {table.name: _pair_delete(table, member) for table, member in _pair_tables}
_pair_inserts = {
    table.name: Prepared(insert(table).prefix_with("OR IGNORE", dialect="sqlite"), insert_columns(table))
    for table, _ in _pair_tables
}


def _keep_past(connection: Connection, directory: Directory, group_id: str, at: datetime) -> None:
    """Write down whom the product view showed as members of a group that goes: no event says so.

    People are named by their ids of that view, which may be others by the time somebody asks.
    """
    inside: Any = _members.group_id == group_id
    if directory.membership is Membership.EFFECTIVE:
        inside = _members.group_id.in_(groups_within(directory.scope, group_id))
    connection.execute(
        insert(t.past_memberships).from_select(
            ["environment_id", "directory_id", "group_id", "user_id", "created_at", "ended_at"],
            select(
                _members.environment_id,
                _members.directory_id,
                literal(group_id),
                _users.directory_user_id,
                func.min(_members.created_at),
                literal(at, Instant()),
            )
            .join(
                t.directory_users,
                (_users.directory_id == _members.directory_id) & (_users.id == _members.user_id),
            )
            .where(_members.directory_id == directory.id, inside, _users.directory_user_id.is_not(None))
            .group_by(_members.environment_id, _members.directory_id, _users.directory_user_id),
        )
    )


def _drop_memberships_of(connection: Connection, rows: WorkingSet, groups: set[str], at: datetime) -> None:
    """Remove everything that hangs on deleted groups, with set statements."""
    scope = rows.directory.scope
    asked = {"directory": scope.directory_id, "groups": sorted(groups)}
    here = _members.directory_id == _directory, among(_members.group_id, "groups")
    connection.execute(
        update(t.directory_users)
        .where(_users.directory_id == _directory, _users.id.in_(select(_members.user_id).where(*here)))
        .values(version=_users.version + 1, updated_at=bindparam("at", type_=Instant())),
        asked | {"at": at},
    )
    for group_id in sorted(groups):
        _keep_past(connection, rows.directory, group_id, at)
    connection.execute(delete(t.memberships).where(*here), asked)
    connection.execute(
        delete(t.group_edges).where(_edges.directory_id == _directory, among(_edges.group_id, "groups")),
        asked,
    )
    connection.execute(
        delete(t.pending_memberships).where(
            _pending.directory_id == _directory, among(_pending.group_id, "groups")
        ),
        asked,
    )
