"""What follows from a change for attributes, roles and effective memberships: pure, over a working set.

`decide` says what a command changes of users, groups and edges. `settle` adds what the directory's
evaluation makes of the people this concerns, and which effective memberships begin and end.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from syncline.core.attribute_map import AttributeMap, address_of, evaluate
from syncline.core.attributes import manager_of, product_attributes, same_mapped
from syncline.core.evaluation import Evaluation
from syncline.core.json import Json
from syncline.core.model import (
    ChangeSet,
    Directory,
    Holders,
    Mapped,
    Membership,
    Pair,
    RoleGrant,
    UserChange,
    UserRecord,
)
from syncline.core.nesting import closure, turned
from syncline.core.roles import HeldGroup, RoleMode, RoleRules, evaluate_roles
from syncline.core.scim.resource import group_label
from syncline.core.text import looks_like_email
from syncline.core.working_set import Missing, Needs, WorkingSet

AT_ONCE = 1_000
"""So many members of a group that is renamed or deleted are evaluated with it; more by the job."""


def settle(changes: ChangeSet, rows: WorkingSet, evaluation: Evaluation | None, now: datetime) -> ChangeSet:
    """Complete the changes of one command in place and return them; `rows` is left as it is.

    Raises `Missing` when rows must be loaded first.
    """
    effective = rows.directory.membership is Membership.EFFECTIVE
    if not changes or (evaluation is None and not effective):
        return changes
    settling = _Settling(changes, rows, evaluation, now)
    if changes.user is not None:
        settling.settle_user(changes.user)
    else:
        settling.settle_members()
    return changes


def settle_needs(needs: Needs, directory: Directory, evaluation: Evaluation | None) -> Needs:
    """Return what `settle` will surely ask for once a command has what it needs itself."""
    effective = directory.membership is Membership.EFFECTIVE
    if evaluation is None and not effective:
        return Needs()
    by_group = evaluation is not None and evaluation.roles is not None and evaluation.roles.needs_groups
    return Needs(
        graph={directory.id} if effective else set(),
        user_groups=set(needs.members) if effective or by_group else set(),
    )


def evaluated(
    record: UserRecord,
    evaluation: Evaluation | None,
    groups: Sequence[HeldGroup],
    manager: UserRecord | None,
    now: datetime,
) -> UserRecord:
    """Return a person with the attributes and roles that an evaluation gives them, floors aside.

    `groups` are the groups that rules look at. The record is returned as it is where nothing is different.
    """
    mapped = None
    if evaluation is not None and evaluation.attributes is not None:
        attributes = evaluation.attributes
        mapped = evaluate(
            attributes,
            record.document,
            record.raw,
            resource_id=record.id,
            manager_email=manager_email(record, manager, attributes) if attributes.needs_manager else None,
        )
    is_mapped = not same_mapped(mapped, record.mapped)
    shown = mapped if is_mapped else record.mapped
    roles = None
    if evaluation is not None and evaluation.roles is not None:
        roles = _roles(evaluation.roles, record, shown, groups, now)
    if same_roles(roles, record.roles):
        return record.evaluated(mapped, record.roles) if is_mapped else record
    return record.evaluated(shown, roles)


def manager_email(record: UserRecord, manager: UserRecord | None, attributes: AttributeMap) -> str | None:
    """Return the address of a person's manager: of the person named, or the name itself if it is one.

    The map says what the manager's address is; what is stored of the manager may come from an earlier one.
    """
    if manager is not None:
        return address_of(attributes, manager.document, manager.raw, resource_id=manager.id)
    named = manager_of(record.document)
    return named.strip() if named is not None and looks_like_email(named.strip()) else None


def same_roles(one: Sequence[RoleGrant] | None, other: Sequence[RoleGrant] | None) -> bool:
    """Tell whether two sets of grants say the same, reasons included."""
    if one is None or other is None:
        return one is other
    return [_reason(grant) for grant in one] == [_reason(grant) for grant in other]


def _reason(grant: RoleGrant) -> tuple[str, str | None, str | None, bool]:
    return grant.role, grant.rule_id, grant.group_id, grant.held


def _roles(
    rules: RoleRules,
    record: UserRecord,
    mapped: Mapped | None,
    groups: Sequence[HeldGroup],
    now: datetime,
) -> tuple[RoleGrant, ...]:
    attributes: Mapping[str, Json] = {}
    if rules.needs_attributes:
        attributes = mapped.custom if mapped is not None else {}
        if not rules.subjects <= attributes.keys():
            attributes = product_attributes(record.document, mapped, record.id)
    return evaluate_roles(rules, groups, attributes, record.roles or (), now)


@dataclass(slots=True)
class _Graphs:
    """The groups that contain each group, before and after the change."""

    before: dict[str, set[str]]
    after: dict[str, set[str]]


class _Settling:
    def __init__(
        self, changes: ChangeSet, rows: WorkingSet, evaluation: Evaluation | None, now: datetime
    ) -> None:
        self._changes = changes
        self._rows = rows
        self._evaluation = evaluation
        self._now = now
        self._effective = rows.directory.membership is Membership.EFFECTIVE
        self._floors = Floors(rows, evaluation)
        gone = changes.group is not None and changes.group.after.deleted_at is not None
        self._gone = changes.group.after.id if changes.group is not None and gone else None
        self._graphs = self._graphs_of() if self._effective else _Graphs({}, {})

    def settle_user(self, change: UserChange) -> None:
        """Evaluate the person whom the command was about."""
        changes, after = self._changes, change.after
        direct = self._rows.groups_of(after.id) if change.before is not None else set()
        held = self._reached(direct)
        if self._effective:
            changes.held = tuple(sorted(held))
            self._load_groups(held)
        if after.deleted_at is None:
            record = evaluated(after, self._evaluation, self._named(held), self._manager(after), self._now)
            changes.user = UserChange(change.before, self._floors.kept(change.before, record, changes))
        elif change.before is not None:
            self._floors.left(change.before, changes)

    def settle_members(self) -> None:
        """Evaluate the people whose memberships the command changed, or whose group it renamed."""
        touched = {user_id for _, user_id in (*self._changes.added, *self._changes.removed)}
        concerned = touched | self._below(self._edge_ends())
        if self._is_group_changed():
            assert self._changes.group is not None
            group_id = self._changes.group.after.id
            if self._effective or self._changes.group.after.member_count <= AT_ONCE:
                concerned |= self._below({group_id})
            else:
                self._changes.reevaluate = True
        self._load_people(concerned)
        joined: list[Pair] = []
        left: list[Pair] = []
        for user_id in sorted(concerned):
            record = self._rows.user(user_id)
            if record is None:
                continue
            before, after = self._groups_around(user_id)
            if self._effective:
                joined += [(group, user_id) for group in after - before]
                left += [(group, user_id) for group in before - after if group != self._gone]
            self._evaluate(record, after)
        if self._effective:
            self._changes.joined, self._changes.left = joined, left
            self._load_groups({group for group, _ in (*joined, *left)})

    def _evaluate(self, record: UserRecord, groups: set[str]) -> None:
        """Evaluate the roles of somebody whose groups changed; attributes do not depend on them."""
        if self._evaluation is None or self._evaluation.roles is None:
            return
        roles = _roles(self._evaluation.roles, record, record.mapped, self._named(groups), self._now)
        if same_roles(roles, record.roles):
            return
        changed = record.evaluated(record.mapped, roles, version=record.version + 1, updated_at=self._now)
        changed = self._floors.kept(record, changed, self._changes)
        if not same_roles(changed.roles, record.roles):
            self._changes.evaluated.append(UserChange(record, changed))

    def _groups_around(self, user_id: str) -> tuple[set[str], set[str]]:
        """Return the groups that count for a person, before and after the command."""
        direct = self._rows.groups_of(user_id)
        joined = {group for group, member in self._changes.added if member == user_id}
        parted = {group for group, member in self._changes.removed if member == user_id}
        after = (direct | joined) - parted - {self._gone or ""}
        if not self._effective:
            return direct, after
        return closure(direct, self._graphs.before), closure(after, self._graphs.after)

    def _reached(self, direct: Iterable[str]) -> set[str]:
        return closure(direct, self._graphs.after) if self._effective else set(direct)

    def _graphs_of(self) -> _Graphs:
        before = self._rows.containing()
        changes = self._changes
        if not (changes.edges_added or changes.edges_removed or self._gone):
            return _Graphs(before, before)
        after = {group: set(parents) for group, parents in before.items() if group != self._gone}
        for parent, child in changes.edges_removed:
            after.get(child, set()).discard(parent)
        for parent, child in changes.edges_added:
            after.setdefault(child, set()).add(parent)
        for parents in after.values():
            parents.discard(self._gone or "")
        return _Graphs(before, after)

    def _edge_ends(self) -> set[str]:
        if not self._effective:
            return set()
        return {child for _, child in (*self._changes.edges_added, *self._changes.edges_removed)}

    def _is_group_changed(self) -> bool:
        """Tell whether a group changed in a way that concerns its members who are not named."""
        change = self._changes.group
        if change is None or change.before is None:
            return False
        roles = self._evaluation.roles if self._evaluation is not None else None
        by_group = roles is not None and roles.needs_groups
        if change.after.deleted_at is not None:
            return by_group or self._effective
        return by_group and group_label(change.before.document) != group_label(change.after.document)

    def _below(self, groups: set[str]) -> set[str]:
        """Return the ids of the people in groups and, where that counts, in the groups inside of them."""
        if not groups:
            return set()
        inside = closure(groups, turned(self._graphs.before)) if self._effective else groups
        unknown = {group for group in inside if group not in self._rows.all_members}
        if unknown:
            raise Missing(Needs(group_members=unknown))
        members: set[str] = set().union(*(self._rows.members_of(group) for group in inside))
        return members

    def _load_people(self, ids: set[str]) -> None:
        needs = self._rows.missing(Needs(users=ids, user_groups=ids))
        if needs:
            raise Missing(needs)

    def _load_groups(self, ids: Iterable[str]) -> None:
        unknown = {id_ for id_ in ids if id_ not in self._rows.groups}
        if unknown and self._changes.group is not None:
            # A group that the command makes or changes is known as it will be.
            unknown.discard(self._changes.group.after.id)
        if unknown:
            raise Missing(Needs(groups=unknown))

    def _named(self, ids: set[str]) -> list[HeldGroup]:
        roles = self._evaluation.roles if self._evaluation is not None else None
        looked_at = roles.looked_at(ids) if roles is not None else ()
        if not looked_at:
            return []
        self._load_groups(looked_at)
        changed = self._changes.group
        found = []
        for group_id in sorted(looked_at):
            is_changed = changed is not None and changed.after.id == group_id
            record = changed.after if changed is not None and is_changed else self._rows.group(group_id)
            if record is not None and record.deleted_at is None:
                found.append(HeldGroup(group_id, group_label(record.document)))
        return found

    def _manager(self, record: UserRecord) -> UserRecord | None:
        attributes = self._evaluation.attributes if self._evaluation is not None else None
        if attributes is None or not attributes.needs_manager:
            return None
        named = manager_of(record.document)
        return self._rows.manager(named) if named is not None else None


class Floors:
    """Keeps roles that too few people would hold otherwise; counts along within one command."""

    def __init__(self, rows: WorkingSet, evaluation: Evaluation | None) -> None:
        self._rows = rows
        roles = evaluation.roles if evaluation is not None else None
        self._is_single = roles is not None and roles.mode is RoleMode.SINGLE
        self._minima = {floor.role: floor.minimum for floor in roles.floors} if roles is not None else {}
        self._counts: dict[str, Holders] = {}

    @property
    def highest(self) -> int:
        """The largest number of people that a floor asks for."""
        return max(self._minima.values(), default=0)

    def kept(self, before: UserRecord | None, after: UserRecord, changes: ChangeSet) -> UserRecord:
        """Return a person with the roles that a floor does not let go; notes what is held and released."""
        if not (self._concerns(before) or self._concerns(after)):
            return after
        held_before = {grant.role: grant for grant in (before.roles if before else None) or ()}
        counted = before is not None and before.active
        given = {grant.role for grant in after.roles or ()}
        kept: list[RoleGrant] = []
        for role in sorted(self._minima.keys() & (held_before.keys() | given)):
            had = role in held_before
            would_lose = after.active and had and counted and role not in given
            if would_lose and self._count(role).count <= self._minima[role]:
                kept.append(replace(held_before[role], held=True))
                if not held_before[role].held:
                    changes.held_back.append((after.id, role))
                continue
            if had and held_before[role].held:
                # Given back, let go, or lost with access: nobody has to decide any more.
                changes.released.append((after.id, role))
            is_held = after.active and role in given
            self._move(role, int(is_held) - int(had and counted), changes)
        if not kept:
            return after
        # Where a person has one role, it is the one that is kept.
        others = () if self._is_single else after.roles or ()
        return after.evaluated(after.mapped, (*kept, *others))

    def losses(self, pairs: Iterable[tuple[UserRecord, UserRecord]]) -> int:
        """Return how often somebody would lose a role that a floor keeps, over all roles, floors aside."""
        lost = 0
        for before, after in pairs:
            if after is not before and self._concerns(before):
                given = {grant.role for grant in after.roles or ()}
                lost += sum(
                    grant.role in self._minima and grant.role not in given for grant in before.roles or ()
                )
        return lost

    def _concerns(self, record: UserRecord | None) -> bool:
        minima = self._minima
        if record is None or not record.roles or not minima:
            return False
        return any(grant.role in minima for grant in record.roles)

    def left(self, before: UserRecord, changes: ChangeSet) -> None:
        """Count somebody out who is gone: nobody is kept from leaving."""
        for grant in before.roles or ():
            if grant.role in self._minima and before.active:
                if grant.held:
                    changes.released.append((before.id, grant.role))
                self._move(grant.role, -1, changes)

    def _count(self, role: str) -> Holders:
        if role not in self._counts:
            self._counts[role] = self._rows.holders_of(role)
        return self._counts[role]

    def _move(self, role: str, by: int, changes: ChangeSet) -> None:
        if by == 0:
            return
        known = self._count(role)
        self._counts[role] = replace(known, count=known.count + by)
        if by > 0 and known.held:
            # Somebody else holds the role now, so that it may be let go where only the floor keeps it.
            changes.reevaluate = True
        changes.holders = dict(self._counts)
