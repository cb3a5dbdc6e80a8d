"""Load the working set of a batch: one statement for what its commands name, whatever that is."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import fields
from datetime import datetime
from functools import lru_cache
from typing import Any

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Connection,
    Select,
    Table,
    Text,
    bindparam,
    cast,
    func,
    literal_column,
    null,
    or_,
    select,
    union_all,
)
from sqlalchemy.types import TypeEngine

from syncline.core.model import Directory, DirectoryId, GroupRecord, Holders, Pair, UserRecord
from syncline.core.text import index_key
from syncline.core.working_set import Needs, WorkingSet, waiting_key
from syncline.store import tables as t
from syncline.store.prepared import Prepared
from syncline.store.rows import directory_of, group_of, user_of
from syncline.store.types import Instant, among

# Ids we mint have 26 characters; a longer member id cannot name a resource and is never looked up.
_ID_LENGTH = 26

_directory = bindparam("directory", type_=Text())
_users, _groups, _members = t.directory_users.c, t.directory_groups.c, t.memberships.c
_edges, _pending, _tokens = t.group_edges.c, t.pending_memberships.c, t.bearer_tokens.c
_aliases = t.resource_aliases.c

_lock_directories = Prepared(
    select(t.directories)
    .where(among(t.directories.c.id, "ids"), t.directories.c.deleted_at.is_(None))
    .order_by(t.directories.c.id)
    .with_for_update(key_share=True)
)
_USER_FIELDS = frozenset(field.name for field in fields(UserRecord))
_GROUP_FIELDS = frozenset(field.name for field in fields(GroupRecord))
# Every column of a loaded row: whatever it is, it has an id, and some have another one that it belongs to.
_LOADED: Mapping[str, type[TypeEngine[Any]]] = {
    "id": Text,
    "other": Text,
    "directory_user_id": Text,
    "document": Text,
    "raw": Text,
    "mapped": Text,
    "roles": Text,
    "member_count": BigInteger,
    "version": BigInteger,
    "created_at": Instant,
    "updated_at": Instant,
    "listed_at": Instant,
    "deleted_at": Instant,
}


def _loaded(kind: str, table: Table, names: frozenset[str], **given: ColumnElement[Any]) -> Select[Any]:
    """Return a query of one kind of rows with all columns of `_LOADED`.

    A column is what is `given` for it, else the table's own if it is among `names`, else null.
    """
    return select(
        literal_column(f"'{kind}'", Text()).label("kind"),
        *(
            given.get(name, table.c[name] if name in names else cast(null(), type_())).label(name)
            for name, type_ in _LOADED.items()
        ),
    )


_KINDS: Mapping[str, Select[Any]] = {
    "user": _loaded("user", t.directory_users, _USER_FIELDS).where(
        _users.directory_id == _directory, among(_users.id, "users"), _users.deleted_at.is_(None)
    ),
    "group": _loaded("group", t.directory_groups, _GROUP_FIELDS).where(
        _groups.directory_id == _directory, among(_groups.id, "groups"), _groups.deleted_at.is_(None)
    ),
    "held": _loaded("held", t.directory_groups, _GROUP_FIELDS, other=_members.user_id)
    .join_from(
        t.memberships,
        t.directory_groups,
        (_groups.directory_id == _members.directory_id) & (_groups.id == _members.group_id),
    )
    .where(_members.directory_id == _directory, among(_members.user_id, "holding")),
    "holder": _loaded("holder", t.directory_users, frozenset({"id"}), other=_users.user_name_key).where(
        _users.directory_id == _directory, among(_users.user_name_key, "keys"), _users.deleted_at.is_(None)
    ),
    "pair": _loaded("pair", t.memberships, frozenset(), id=_members.user_id, other=_members.group_id).where(
        _members.directory_id == _directory,
        among(_members.group_id, "pair_groups"),
        among(_members.user_id, "pair_members"),
    ),
    # Somebody's manager, by either id.
    "manager": _loaded("manager", t.directory_users, _USER_FIELDS, other=_users.idp_id_key).where(
        _users.directory_id == _directory,
        _users.deleted_at.is_(None),
        or_(among(_users.id, "managers"), among(_users.idp_id_key, "manager_keys")),
    ),
    "edge": _loaded("edge", t.group_edges, frozenset(), id=_edges.child_id, other=_edges.group_id).where(
        _edges.directory_id == _directory, _edges.directory_id == bindparam("graph", type_=Text())
    ),
    # Parked members, by group.
    "waiting": _loaded(
        "waiting", t.pending_memberships, frozenset(), id=_pending.group_id, other=_pending.member_key
    ).where(_pending.directory_id == _directory, among(_pending.member_key, "waiting")),
    # Ids of another service, by either side.
    "alias": _loaded(
        "alias", t.resource_aliases, frozenset(), id=_aliases.resource_id, other=_aliases.alias
    ).where(
        _aliases.directory_id == _directory,
        or_(among(_aliases.alias, "aliases"), among(_aliases.resource_id, "aliased")),
    ),
    "token": _loaded(
        "token", t.bearer_tokens, frozenset(), id=_tokens.digest, listed_at=_tokens.expires_at
    ).where(
        _tokens.directory_id == _directory, among(_tokens.digest, "digests"), _tokens.revoked_at.is_(None)
    ),
}


@lru_cache(maxsize=64)
def _loading(kinds: tuple[str, ...]) -> Prepared:
    """Return the statement that loads rows of several kinds: one round trip, whatever is needed."""
    first, *others = (_KINDS[kind] for kind in kinds)
    return Prepared(union_all(first, *others) if others else first)


_holders = Prepared(
    select(
        select(func.count())
        .select_from(
            select(_users.id)
            .where(
                _users.directory_id == _directory,
                _users.deleted_at.is_(None),
                _users.active,
                # As it stands in the JSON text of the grants.
                _users.roles.contains(bindparam("grant", type_=Text()), escape="\\"),
            )
            .limit(bindparam("most", type_=BigInteger()))
            .subquery()
        )
        .scalar_subquery()
        .label("holders"),
        select(func.count())
        .select_from(t.held_changes)
        .where(
            t.held_changes.c.directory_id == _directory,
            t.held_changes.c.role == bindparam("role", type_=Text()),
            t.held_changes.c.ended_at.is_(None),
        )
        .scalar_subquery()
        .label("held"),
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


def lock_directories(connection: Connection, ids: Iterable[DirectoryId]) -> dict[DirectoryId, Directory]:
    """Lock live directories against other writers, in id order, and return them.

    One writer per directory at a time is what makes a decision over the working set valid.
    """
    rows = _lock_directories.all(connection, {"ids": sorted(ids)})
    return {directory.id: directory for directory in map(directory_of, rows)}


def load_needs(
    connection: Connection, rows: WorkingSet, needs: Needs, digests: Collection[str] = ()
) -> dict[str, datetime | None]:
    """Load what `needs` names and the working set does not hold yet.

    Returns which of the tokens with these digests may still write into the directory, and until when.
    """
    needs = rows.missing(needs)
    live = _load(connection, rows, needs, digests)
    unknown = {id_ for id_ in needs.members if rows.users.get(id_) is None}
    if unknown - rows.groups.keys():
        # Whoever is no person may be a group: rare, so it is asked for only then.
        _load(connection, rows, Needs(groups=unknown - rows.groups.keys()))
    if needs.pairs:
        _load_other_pairs(connection, rows, needs.pairs)
    if needs.managers and rows.directory.has_aliases:
        _load_aliased_managers(connection, rows, needs.managers)
    directory = rows.directory.id
    if needs.group_members:
        _load_all_members(connection, directory, rows, needs.group_members)
    for role in needs.holders:
        _count_holders(connection, rows, role)
    if needs.group_parents:
        rows.parents.update({id_: set() for id_ in needs.group_parents})
        found = _parents.all(connection, {"directory": directory, "children": list(needs.group_parents)})
        for parent, child in found:
            rows.parents[child].add(parent)
    return live


def _load(
    connection: Connection, rows: WorkingSet, needs: Needs, digests: Collection[str] = ()
) -> dict[str, datetime | None]:
    """Load people, groups, memberships by pair, who holds a userName, and tokens, all in one statement."""
    users = (needs.users | needs.members) - rows.users.keys()
    groups = needs.groups - rows.groups.keys()
    rows.users.update(dict.fromkeys(users))
    rows.groups.update(dict.fromkeys(groups))
    rows.user_keys.update(dict.fromkeys(needs.user_keys))
    rows.pairs.update(dict.fromkeys(needs.pairs, False))
    rows.user_groups.update({id_: set() for id_ in needs.user_groups})
    rows.managers.update(dict.fromkeys(needs.managers))
    rows.waiting.update({waiting_key(id_): set() for id_ in needs.waiting})
    for id_ in needs.aliases:
        rows.aliases.setdefault(id_, None)
        rows.known_as.setdefault(id_, None)
    if needs.graph:
        rows.graph = {}
    wanted: dict[str, dict[str, Any]] = {
        "user": {"users": _possible(users)},
        "group": {"groups": _possible(groups)},
        "held": {"holding": list(needs.user_groups)},
        "holder": {"keys": list(needs.user_keys)},
        "pair": {
            "pair_groups": sorted({group for group, _ in needs.pairs}),
            "pair_members": sorted({member for _, member in needs.pairs}),
        },
        "manager": {
            "managers": sorted(needs.managers),
            "manager_keys": sorted(index_key(id_, folded=False) for id_ in needs.managers),
        },
        "edge": {"graph": rows.directory.id if needs.graph else ""},
        "waiting": {"waiting": sorted(waiting_key(id_) for id_ in needs.waiting)},
        "alias": {"aliases": sorted(needs.aliases), "aliased": sorted(needs.aliases)},
        "token": {"digests": list(digests)},
    }
    kinds = tuple(kind for kind, asked in wanted.items() if all(asked.values()))
    if not kinds:
        return {}
    given: dict[str, Any] = {"directory": rows.directory.id}
    for kind in kinds:
        given |= wanted[kind]
    live = {}
    for row in _loading(kinds).all(connection, given):
        if row.kind == "token":
            live[row.id] = row.listed_at
        else:
            _take(rows, row, needs.pairs)
    return live


def _take(rows: WorkingSet, row: Any, pairs: set[Pair]) -> None:
    match row.kind:
        case "user":
            rows.users[row.id] = user_of(row)
        case "group":
            rows.groups[row.id] = group_of(row)
        case "held":
            rows.user_groups[row.other].add(row.id)
            if row.id not in rows.groups:
                rows.groups[row.id] = group_of(row)
        case "holder":
            rows.user_keys[row.other] = row.id
        case "manager":
            rows.put_manager(user_of(row), row.other)
        case "edge":
            assert rows.graph is not None
            rows.graph.setdefault(row.id, set()).add(row.other)
        case "waiting":
            rows.waiting[row.other].add(row.id)
        case "alias":
            # What an earlier command said is not overwritten.
            if rows.aliases.get(row.other) is None:
                rows.aliases[row.other] = row.id
            if rows.known_as.get(row.id) is None:
                rows.known_as[row.id] = row.other
        case "pair":
            # Others of these groups and people are known already, as earlier commands left them.
            if (row.other, row.id) in pairs:
                rows.pairs[row.other, row.id] = True


def _load_aliased_managers(connection: Connection, rows: WorkingSet, named: set[str]) -> None:
    """Find managers who are named by ids of another service: SCIM ids to the provider, so they come first."""
    _load(connection, rows, rows.missing(Needs(aliases=named)))
    people = {alias: id_ for alias in named if (id_ := rows.aliases.get(alias)) is not None}
    _load(connection, rows, rows.missing(Needs(users=set(people.values()))))
    found = {alias: rows.users.get(id_) for alias, id_ in people.items()}
    rows.managers.update({alias: person for alias, person in found.items() if person is not None})


def _possible(ids: set[str]) -> list[str]:
    return [id_ for id_ in ids if len(id_) == _ID_LENGTH]


def _load_other_pairs(connection: Connection, rows: WorkingSet, pairs: set[Pair]) -> None:
    """Look among nested groups and parked members for those that are no people."""
    unknown = sorted({member for _, member in pairs if rows.users.get(member) is None})
    if not unknown:
        return
    asked = {"directory": rows.directory.id, "groups": sorted({group for group, _ in pairs})}
    _mark(rows, pairs, _edge_pairs.all(connection, asked | {"members": unknown}))
    keys = [index_key(id_, folded=False) for id_ in unknown]
    _mark(rows, pairs, _pending_pairs.all(connection, asked | {"members": keys}))


def _mark(rows: WorkingSet, pairs: set[Pair], found: Iterable[Sequence[Any]]) -> None:
    for group, member in found:
        if (group, member) in pairs:
            rows.pairs[group, member] = True


def _count_holders(connection: Connection, rows: WorkingSet, role: str) -> None:
    """Count who holds a role, no further than it matters, and who of them only because a floor keeps it."""
    escaped = role.replace("_", "\\_")
    asked = {"directory": rows.directory.id, "role": role, "grant": f'"role":"{escaped}"'}
    found = _holders.one_or_none(connection, asked | {"most": rows.most_holders})
    rows.holders[role] = Holders(found.holders, found.held)


def _load_all_members(connection: Connection, directory: str, rows: WorkingSet, groups: set[str]) -> None:
    rows.all_members.update({id_: set() for id_ in groups})
    for statement in (_all_members, _all_edges, _all_pending):
        for group, member in statement.all(connection, {"directory": directory, "groups": list(groups)}):
            rows.all_members[group].add(member)
