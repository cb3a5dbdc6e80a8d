"""The rows a batch of commands works on, in memory: loaded before, changed by decisions, flushed after.

A question about a row that was not loaded raises `Missing`, which names it; the caller loads it and
decides the command again. Deciding is pure, so that is safe.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import datetime

from syncline.core.model import ChangeSet, Directory, GroupRecord, Holders, Pair, UserRecord
from syncline.core.text import index_key


@dataclass(slots=True)
class Needs:
    """Keys of rows to load, all of one directory."""

    users: set[str] = field(default_factory=set)
    user_keys: set[str] = field(default_factory=set)
    groups: set[str] = field(default_factory=set)
    members: set[str] = field(default_factory=set)
    pairs: set[Pair] = field(default_factory=set)
    group_members: set[str] = field(default_factory=set)
    group_parents: set[str] = field(default_factory=set)
    user_groups: set[str] = field(default_factory=set)
    # Ids that name somebody's manager, SCIM ids or the provider's own.
    managers: set[str] = field(default_factory=set)
    # Slugs of roles of which the holders are counted.
    holders: set[str] = field(default_factory=set)
    # Member ids of which the parked memberships are needed.
    waiting: set[str] = field(default_factory=set)
    # Ids of another service, or of resources that may have one.
    aliases: set[str] = field(default_factory=set)
    # The id of the directory, where every edge between its groups is needed.
    graph: set[str] = field(default_factory=set)

    def update(self, other: Needs) -> None:
        """Add what `other` needs."""
        for name in self.__slots__:
            getattr(self, name).update(getattr(other, name))

    def __bool__(self) -> bool:
        return any(getattr(self, name) for name in self.__slots__)


class Missing(Exception):
    """A decision asked for rows that are not loaded."""

    def __init__(self, needs: Needs) -> None:
        super().__init__("rows missing from the working set")
        self.needs = needs


class WorkingSet:
    """Rows of one directory, with every effect of the commands decided so far."""

    def __init__(self, directory: Directory) -> None:
        self.directory = directory
        self.users: dict[str, UserRecord | None] = {}
        self.groups: dict[str, GroupRecord | None] = {}
        self.user_keys: dict[str, str | None] = {}
        self.pairs: dict[Pair, bool] = {}
        self.all_members: dict[str, set[str]] = {}
        self.parents: dict[str, set[str]] = {}
        self.user_groups: dict[str, set[str]] = {}
        self.managers: dict[str, UserRecord | None] = {}
        self.holders: dict[str, Holders] = {}
        # Counting goes on up to here: no more can lose a role before it is counted again.
        self.most_holders = 1 << 40
        # Groups in which a member id is parked, by the key of the id.
        self.waiting: dict[str, set[str]] = {}
        # Resources by ids of another service, and which resources have one.
        self.aliases: dict[str, str | None] = {}
        self.known_as: dict[str, str | None] = {}
        # Groups with those that contain them; None until loaded.
        self.graph: dict[str, set[str]] | None = None

    def missing(self, needs: Needs) -> Needs:
        """Return the part of `needs` that is not loaded yet."""
        return Needs(
            users=needs.users - self.users.keys(),
            user_keys=needs.user_keys - self.user_keys.keys(),
            groups=needs.groups - self.groups.keys(),
            members={id_ for id_ in needs.members if not self._member_known(id_)},
            pairs={pair for pair in needs.pairs if not self._pair_known(pair)},
            group_members=needs.group_members - self.all_members.keys(),
            group_parents=needs.group_parents - self.parents.keys(),
            user_groups=needs.user_groups - self.user_groups.keys(),
            managers=needs.managers - self.managers.keys(),
            holders=needs.holders - self.holders.keys(),
            waiting={id_ for id_ in needs.waiting if waiting_key(id_) not in self.waiting},
            aliases=needs.aliases - (self.aliases.keys() & self.known_as.keys()),
            graph=needs.graph if self.graph is None else set(),
        )

    def user(self, user_id: str) -> UserRecord | None:
        """Return a live user."""
        if user_id not in self.users:
            raise Missing(Needs(users={user_id}))
        return self.users[user_id]

    def group(self, group_id: str) -> GroupRecord | None:
        """Return a live group."""
        if group_id not in self.groups:
            raise Missing(Needs(groups={group_id}))
        return self.groups[group_id]

    def holder(self, user_name_key: str) -> str | None:
        """Return the id of the live user who holds a folded userName."""
        if user_name_key not in self.user_keys:
            raise Missing(Needs(user_keys={user_name_key}))
        return self.user_keys[user_name_key]

    def is_group(self, member_id: str) -> bool | None:
        """Tell whether a member id is a group (True), a user (False) or unknown (None)."""
        if self.users.get(member_id) is not None:
            return False
        if self.groups.get(member_id) is not None:
            return True
        if not self._member_known(member_id):
            raise Missing(Needs(members={member_id}))
        return None

    def members_among(self, group_id: str, ids: Iterable[str]) -> set[str]:
        """Return which of `ids` are members of a group (people, groups or parked)."""
        if group_id in self.all_members:
            return self.all_members[group_id].intersection(ids)
        asked = {(group_id, id_) for id_ in ids}
        unknown = {pair for pair in asked if pair not in self.pairs}
        if unknown:
            raise Missing(Needs(pairs=unknown, members={id_ for _, id_ in asked}))
        return {id_ for group, id_ in asked if self.pairs[group, id_]}

    def members_of(self, group_id: str) -> set[str]:
        """Return every member id of a group (people, groups and parked)."""
        if group_id not in self.all_members:
            raise Missing(Needs(group_members={group_id}))
        return self.all_members[group_id]

    def parents_of(self, group_id: str) -> set[str]:
        """Return the groups that have this group as a member."""
        if group_id not in self.parents:
            raise Missing(Needs(group_parents={group_id}))
        return self.parents[group_id]

    def groups_of(self, user_id: str) -> set[str]:
        """Return the ids of the groups a user is a direct member of."""
        if user_id not in self.user_groups:
            raise Missing(Needs(user_groups={user_id}))
        return self.user_groups[user_id]

    def waiting_for(self, member_id: str) -> set[str]:
        """Return the groups in which an id is parked."""
        key = waiting_key(member_id)
        if key not in self.waiting:
            raise Missing(Needs(waiting={member_id}))
        return self.waiting[key]

    def resource_of(self, alias: str) -> str | None:
        """Return the resource that has this id of another service."""
        if alias not in self.aliases:
            raise Missing(Needs(aliases={alias}))
        return self.aliases[alias]

    def alias_of(self, resource_id: str) -> str | None:
        """Return the id of another service that a resource has."""
        if resource_id not in self.known_as:
            raise Missing(Needs(aliases={resource_id}))
        return self.known_as[resource_id]

    def manager(self, named: str) -> UserRecord | None:
        """Return the live user whom a manager's id names, a SCIM id before one of the provider's own."""
        aliased = self.aliases.get(named)
        person = self.user(aliased) if aliased is not None else None
        if person is not None:
            return person
        if named not in self.managers:
            raise Missing(Needs(managers={named}))
        found = self.managers[named]
        # Whoever was loaded as a manager may have been changed by a command since.
        return self.users.get(found.id, found) if found is not None else None

    def put_manager(self, record: UserRecord, idp_id_key: str) -> None:
        """Take in a user who was looked for as a manager, by one id or the other."""
        for named in self.managers:
            is_other = self.managers[named] is None and index_key(named, folded=False) == idp_id_key
            if named == record.id or is_other:
                self.managers[named] = record

    def containing(self) -> dict[str, set[str]]:
        """Return every group that is part of others, with those."""
        if self.graph is None:
            raise Missing(Needs(graph={self.directory.id}))
        return self.graph

    def holders_of(self, role: str) -> Holders:
        """Return how many active people of the directory hold a role."""
        if role not in self.holders:
            raise Missing(Needs(holders={role}))
        return self.holders[role]

    def apply(self, changes: ChangeSet, at: datetime) -> set[str]:
        """Make the changes visible to the commands that follow; touched rows get a new version.

        Returns the users that were touched: what is shown of them has changed, because of a membership.
        """
        if changes.user is not None:
            self._put_user(changes.user.before, changes.user.after)
        left: set[str] = set()
        if changes.group is not None:
            left = self._put_group(changes.group.after)
        changed_group = changes.group.after.id if changes.group is not None else None
        changed_user = changes.user.after.id if changes.user is not None else None
        for pair in changes.pending_removed:
            self._set_waiting(pair, False)
        for pairs, present in (
            (changes.removed, False),
            (changes.edges_removed, False),
            (changes.added, True),
            (changes.edges_added, True),
        ):
            for pair in pairs:
                self._set_pair(pair, present)
        for pair in changes.pending_added:
            self._set_waiting(pair, True)
        for alias, resource_id in changes.aliases.items():
            self.aliases[alias], self.known_as[resource_id] = resource_id, alias
        shown = (*(changes.joined or ()), *(changes.left or ()))
        touched = left | {user_id for _, user_id in (*changes.added, *changes.removed, *shown)}
        touched.discard(changed_user or "")
        touched.update(change.after.id for change in changes.evaluated)
        for user_id in touched:
            user = self.users.get(user_id)
            if user is not None:
                self.users[user_id] = replace(user, version=user.version + 1, updated_at=at)
        for change in changes.evaluated:
            # The same version as above: whoever is touched twice by a command is changed once.
            self.users[change.after.id] = change.after
        self.holders.update(changes.holders)
        self._move_edges(changes)
        counts: dict[str, int] = {}
        for pairs, step in (
            (changes.added, 1),
            (changes.edges_added, 1),
            (changes.removed, -1),
            (changes.edges_removed, -1),
        ):
            for group_id, _ in pairs:
                counts[group_id] = counts.get(group_id, 0) + step
        for group_id, step in counts.items():
            group = self.groups.get(group_id)
            if group is not None and group_id != changed_group:
                self.groups[group_id] = replace(
                    group, member_count=group.member_count + step, version=group.version + 1, updated_at=at
                )
        return touched

    def _move_edges(self, changes: ChangeSet) -> None:
        if self.graph is None:
            return
        for parent, child in changes.edges_removed:
            self.graph.get(child, set()).discard(parent)
        for parent, child in changes.edges_added:
            self.graph.setdefault(child, set()).add(parent)
        if changes.group is not None and changes.group.after.deleted_at is not None:
            self.graph.pop(changes.group.after.id, None)
            for parents in self.graph.values():
                parents.discard(changes.group.after.id)

    def _put_user(self, before: UserRecord | None, after: UserRecord) -> None:
        if before is not None:
            self.user_keys[user_name_key(before)] = None
        if after.deleted_at is not None:
            self.users[after.id] = None
            self.user_groups[after.id] = set()
            return
        self.users[after.id] = after
        self.user_keys[user_name_key(after)] = after.id
        if before is None:
            self.user_groups[after.id] = set()

    def _put_group(self, after: GroupRecord) -> set[str]:
        """Put a group in its place and return the users who leave it because it is gone."""
        if after.deleted_at is None:
            if after.id not in self.groups:
                self.all_members[after.id] = set()
                self.parents[after.id] = set()
            self.groups[after.id] = after
            return set()
        self.groups[after.id] = None
        self.all_members[after.id] = set()
        self.parents[after.id] = set()
        left = {user_id for user_id, held in self.user_groups.items() if after.id in held}
        for user_id in left:
            self.user_groups[user_id].discard(after.id)
        for parents in self.parents.values():
            parents.discard(after.id)
        return left

    def _set_pair(self, pair: Pair, present: bool) -> None:
        group_id, member_id = pair
        self.pairs[pair] = present
        held = self.user_groups.get(member_id)
        everyone = self.all_members.get(group_id)
        parents = self.parents.get(member_id)
        for collection, item in ((held, group_id), (everyone, member_id), (parents, group_id)):
            if collection is not None:
                (collection.add if present else collection.discard)(item)

    def _set_waiting(self, pair: Pair, present: bool) -> None:
        """Park a member of a group, or do so no longer: it is named there, and nobody is in it."""
        group_id, member_id = pair
        self.pairs[pair] = present
        everyone = self.all_members.get(group_id)
        waiting = self.waiting.get(waiting_key(member_id))
        for collection, item in ((everyone, member_id), (waiting, group_id)):
            if collection is not None:
                (collection.add if present else collection.discard)(item)

    def _member_known(self, member_id: str) -> bool:
        return (
            self.users.get(member_id) is not None
            or self.groups.get(member_id) is not None
            or (member_id in self.users and member_id in self.groups)
        )

    def _pair_known(self, pair: Pair) -> bool:
        return pair in self.pairs or pair[0] in self.all_members


def waiting_key(member_id: str) -> str:
    """Return the key under which a member id is parked."""
    return index_key(member_id, folded=False)


def user_name_key(record: UserRecord) -> str:
    """Return the uniqueness key of a user's userName."""
    return index_key(str(record.document["userName"]))
