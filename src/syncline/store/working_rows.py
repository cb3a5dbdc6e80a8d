"""Load and flush the working set of a batch: a handful of set statements, whatever the batch holds."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, fields
from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, Connection, Text, bindparam, delete, insert, select, update

from syncline.core.model import (
    ChangeSet,
    Directory,
    DirectoryId,
    GroupRecord,
    Pair,
    Scope,
    UserRecord,
)
from syncline.core.text import index_key
from syncline.core.working_set import Needs, WorkingSet
from syncline.store import tables as t
from syncline.store.prepared import Prepared, insert_columns
from syncline.store.rows import directory_of, group_of, group_row, user_of, user_row
from syncline.store.types import Instant, among

# Ids we mint have 26 characters; a longer member id cannot name a resource and is never looked up.
_ID_LENGTH = 26

_directory = bindparam("directory", type_=Text())
_users, _groups, _members = t.directory_users.c, t.directory_groups.c, t.memberships.c
_edges, _pending = t.group_edges.c, t.pending_memberships.c

_lock_directories = Prepared(
    select(t.directories)
    .where(among(t.directories.c.id, "ids"), t.directories.c.deleted_at.is_(None))
    .order_by(t.directories.c.id)
    .with_for_update(key_share=True)
)
_USER_COLUMNS = tuple(_users[field.name] for field in fields(UserRecord))
_GROUP_COLUMNS = tuple(_groups[field.name] for field in fields(GroupRecord))
_users_by_id = Prepared(
    select(*_USER_COLUMNS).where(
        _users.directory_id == _directory, among(_users.id, "ids"), _users.deleted_at.is_(None)
    )
)
_holders = Prepared(
    select(_users.user_name_key, _users.id).where(
        _users.directory_id == _directory, among(_users.user_name_key, "keys"), _users.deleted_at.is_(None)
    )
)
_groups_by_id = Prepared(
    select(*_GROUP_COLUMNS).where(
        _groups.directory_id == _directory, among(_groups.id, "ids"), _groups.deleted_at.is_(None)
    )
)
_pairs = Prepared(
    select(_members.group_id, _members.user_id).where(
        _members.directory_id == _directory,
        among(_members.group_id, "groups"),
        among(_members.user_id, "members"),
    )
)
_edge_pairs = Prepared(
    select(_edges.group_id, _edges.child_id).where(
        _edges.directory_id == _directory, among(_edges.group_id, "groups"), among(_edges.child_id, "members")
    )
)
_pending_pairs = Prepared(
    select(_pending.group_id, _pending.member_id).where(
        _pending.directory_id == _directory,
        among(_pending.group_id, "groups"),
        among(_pending.member_key, "members"),
    )
)
_all_members = Prepared(
    select(_members.group_id, _members.user_id).where(
        _members.directory_id == _directory, among(_members.group_id, "groups")
    )
)
_all_edges = Prepared(
    select(_edges.group_id, _edges.child_id).where(
        _edges.directory_id == _directory, among(_edges.group_id, "groups")
    )
)
_all_pending = Prepared(
    select(_pending.group_id, _pending.member_id).where(
        _pending.directory_id == _directory, among(_pending.group_id, "groups")
    )
)
_parents = Prepared(
    select(_edges.group_id, _edges.child_id).where(
        _edges.directory_id == _directory, among(_edges.child_id, "children")
    )
)
_groups_of_users = Prepared(
    select(_members.user_id.label("member_id"), *_GROUP_COLUMNS)
    .join(
        t.directory_groups,
        (_groups.directory_id == _members.directory_id) & (_groups.id == _members.group_id),
    )
    .where(_members.directory_id == _directory, among(_members.user_id, "users"))
)


def lock_directories(connection: Connection, ids: Iterable[DirectoryId]) -> dict[DirectoryId, Directory]:
    """Lock live directories against other writers, in id order, and return them.

    One writer per directory at a time is what makes a decision over the working set valid.
    """
    rows = _lock_directories.all(connection, {"ids": sorted(ids)})
    return {directory.id: directory for directory in map(directory_of, rows)}


def load_needs(connection: Connection, rows: WorkingSet, needs: Needs) -> None:
    """Load what `needs` names and the working set does not hold yet."""
    needs = rows.missing(needs)
    directory = rows.directory.id
    _load_groups_of(connection, directory, rows, needs.user_groups)
    _load_users(connection, directory, rows, (needs.users | needs.members) - rows.users.keys())
    others = {id_ for id_ in needs.members if rows.users.get(id_) is None}
    _load_groups(connection, directory, rows, (needs.groups | others) - rows.groups.keys())
    if needs.user_keys:
        found = _holders.all(connection, {"directory": directory, "keys": list(needs.user_keys)})
        rows.user_keys.update(dict.fromkeys(needs.user_keys))
        rows.user_keys.update({row.user_name_key: row.id for row in found})
    if needs.pairs:
        _load_pairs(connection, directory, rows, needs.pairs)
    if needs.group_members:
        _load_all_members(connection, directory, rows, needs.group_members)
    if needs.group_parents:
        rows.parents.update({id_: set() for id_ in needs.group_parents})
        found = _parents.all(connection, {"directory": directory, "children": list(needs.group_parents)})
        for parent, child in found:
            rows.parents[child].add(parent)


def _load_users(connection: Connection, directory: str, rows: WorkingSet, ids: set[str]) -> None:
    possible = [id_ for id_ in ids if len(id_) == _ID_LENGTH]
    rows.users.update(dict.fromkeys(ids))
    if possible:
        found = _users_by_id.all(connection, {"directory": directory, "ids": possible})
        rows.users.update({row.id: user_of(row) for row in found})


def _load_groups(connection: Connection, directory: str, rows: WorkingSet, ids: set[str]) -> None:
    possible = [id_ for id_ in ids if len(id_) == _ID_LENGTH]
    rows.groups.update(dict.fromkeys(ids))
    if possible:
        found = _groups_by_id.all(connection, {"directory": directory, "ids": possible})
        rows.groups.update({row.id: group_of(row) for row in found})


def _load_groups_of(connection: Connection, directory: str, rows: WorkingSet, users: set[str]) -> None:
    if not users:
        return
    rows.user_groups.update({id_: set() for id_ in users})
    for row in _groups_of_users.all(connection, {"directory": directory, "users": list(users)}):
        rows.user_groups[row.member_id].add(row.id)
        if row.id not in rows.groups:
            rows.groups[row.id] = group_of(row)


def _load_pairs(connection: Connection, directory: str, rows: WorkingSet, pairs: set[Pair]) -> None:
    groups = sorted({group for group, _ in pairs})
    members = sorted({member for _, member in pairs})
    rows.pairs.update(dict.fromkeys(pairs, False))
    asked = {"directory": directory, "groups": groups}
    unknown = [id_ for id_ in members if rows.users.get(id_) is None]
    if len(unknown) < len(members):
        _mark(rows, pairs, _pairs.all(connection, asked | {"members": members}))
    if unknown:
        _mark(rows, pairs, _edge_pairs.all(connection, asked | {"members": unknown}))
        keys = [index_key(id_, folded=False) for id_ in unknown]
        _mark(rows, pairs, _pending_pairs.all(connection, asked | {"members": keys}))


def _mark(rows: WorkingSet, pairs: set[Pair], found: Iterable[Sequence[Any]]) -> None:
    for group, member in found:
        if (group, member) in pairs:
            rows.pairs[group, member] = True


def _load_all_members(connection: Connection, directory: str, rows: WorkingSet, groups: set[str]) -> None:
    rows.all_members.update({id_: set() for id_ in groups})
    for statement in (_all_members, _all_edges, _all_pending):
        for group, member in statement.all(connection, {"directory": directory, "groups": list(groups)}):
            rows.all_members[group].add(member)


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

    def add(self, changes: ChangeSet, touched: Iterable[str]) -> None:
        """Remember one command's changes and the users it touched; later commands overwrite earlier ones."""
        self.touched_users.update(touched)
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
        _drop_memberships_of(connection, scope, dirty.deleted_groups, at)
    users, groups = dirty.settled_users(rows), dirty.settled_groups(rows)
    if dirty and connection.dialect.name == "postgresql":
        _raise_revision.run(connection, {"directory": scope.directory_id})
    _write(connection, t.directory_users, dirty.new_users, [user_row(scope, record) for record in users])
    _touch_users(connection, scope, dirty.touched_versions(rows), at)
    _write(connection, t.directory_groups, dirty.new_groups, [group_row(scope, record) for record in groups])
    live = {pair for pair in dirty.memberships if pair[0] not in dirty.deleted_groups}
    _write_pairs(connection, scope, t.memberships, "user_id", {p: dirty.memberships[p] for p in live}, at)
    _write_pairs(connection, scope, t.group_edges, "child_id", dirty.edges, at)
    _write_pending(connection, scope, dirty.pending, at)


# On SQLite nobody else can be writing (`at_once.py` says what the revision is for).
_raise_revision = Prepared(
    update(t.directories)
    .where(t.directories.c.id == _directory)
    .values(revision=t.directories.c.revision + 1)
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


def _drop_memberships_of(connection: Connection, scope: Scope, groups: set[str], at: datetime) -> None:
    """Remove everything that hangs on deleted groups, with set statements."""
    asked = {"directory": scope.directory_id, "groups": sorted(groups)}
    here = _members.directory_id == _directory, among(_members.group_id, "groups")
    connection.execute(
        update(t.directory_users)
        .where(_users.directory_id == _directory, _users.id.in_(select(_members.user_id).where(*here)))
        .values(version=_users.version + 1, updated_at=bindparam("at", type_=Instant())),
        asked | {"at": at},
    )
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
