"""Decide what a SCIM command changes: pure, over a working set, one command at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Set
from dataclasses import dataclass, replace
from datetime import datetime
from typing import assert_never

from syncline.core.commands import (
    Command,
    CreateGroup,
    CreateUser,
    Decision,
    DeleteGroup,
    DeleteUser,
    ETags,
    PatchGroup,
    PatchUser,
    ReplaceGroup,
    ReplaceUser,
)
from syncline.core.deciding import distinct, growth, refuse_taken, sort_members
from syncline.core.model import (
    ChangeSet,
    Document,
    GroupChange,
    GroupRecord,
    InactiveUsers,
    UserChange,
    UserRecord,
)
from syncline.core.scim import errors
from syncline.core.scim.members import (
    MemberStep,
    RemoveMatching,
    ReplaceMembers,
    named_ids,
    needs_all,
    resolve,
)
from syncline.core.scim.patch import patch_group, patch_user
from syncline.core.scim.resource import etag, replace_group, replace_user, same
from syncline.core.text import index_key
from syncline.core.working_set import Missing, Needs, WorkingSet

_MEMBERS_LOADED_AHEAD = 100


@dataclass(frozen=True, slots=True)
class Minting:
    """Where new ids and the time come from: fixed for one command."""

    now: datetime
    new_id: Callable[[], str]


def first_needs(command: Command) -> Needs:
    """Return the rows a command will surely ask for, so that a batch loads them together."""
    match command:
        case CreateUser(incoming):
            return Needs(user_keys={index_key(str(incoming.document["userName"]))})
        case ReplaceUser(user_id, incoming):
            key = index_key(str(incoming.document["userName"]))
            return Needs(users={user_id}, user_groups={user_id}, user_keys={key})
        case PatchUser(user_id) | DeleteUser(user_id):
            return Needs(users={user_id}, user_groups={user_id})
        case CreateGroup(incoming):
            return Needs(members=set(incoming.members or ()))
        case ReplaceGroup(group_id, incoming):
            # Of a large group only the members that differ are looked up, once they are known.
            named = incoming.members or ()
            members = set(named) if len(named) <= _MEMBERS_LOADED_AHEAD else set()
            return Needs(groups={group_id}, group_members={group_id}, members=members)
        case PatchGroup(group_id, request):
            ids = set(named_ids(request.member_steps))
            if needs_all(request.member_steps):
                return Needs(groups={group_id}, members=ids, group_members={group_id})
            return Needs(groups={group_id}, members=ids, pairs={(group_id, id_) for id_ in ids})
        case DeleteGroup(group_id):
            return Needs(groups={group_id}, group_parents={group_id})
    assert_never(command)


def decide(command: Command, rows: WorkingSet, minting: Minting) -> tuple[Decision, ChangeSet]:
    """Return what the command comes to and what it changes; `rows` is left as it is.

    Raises `ScimError` when the command is refused and `Missing` when rows must be loaded first.
    """
    match command:
        case CreateUser():
            return _create_user(command, rows, minting)
        case ReplaceUser():
            return _replace_user(command, rows, minting)
        case PatchUser():
            return _patch_user(command, rows, minting)
        case DeleteUser():
            return _delete_user(command, rows, minting)
        case CreateGroup():
            return _create_group(command, rows, minting)
        case ReplaceGroup():
            return _replace_group(command, rows, minting)
        case PatchGroup():
            return _patch_group(command, rows, minting)
        case DeleteGroup():
            return _delete_group(command, rows, minting)
    assert_never(command)


def shown(
    record: UserRecord, before: UserRecord | None, policy: InactiveUsers, minting: Minting
) -> UserRecord:
    """Return the record with its place in the product view settled.

    Where inactive people are deleted from that view, leaving it drops the directory user id and coming
    back makes a new one; the SCIM id never changes.
    """
    visible = record.active or policy is InactiveUsers.KEEP
    if not visible:
        return replace(record, directory_user_id=None, listed_at=None)
    if before is not None and before.directory_user_id is not None:
        return replace(record, directory_user_id=before.directory_user_id, listed_at=before.listed_at)
    # The first appearance shares its ULID with the SCIM resource, a return gets a fresh one.
    ulid = record.id if before is None else minting.new_id()
    return replace(record, directory_user_id=f"directory_user_{ulid}", listed_at=minting.now)


def _create_user(command: CreateUser, rows: WorkingSet, minting: Minting) -> tuple[Decision, ChangeSet]:
    document = command.incoming.document
    refuse_taken(rows, document, None)
    record = UserRecord(
        id=minting.new_id(),
        directory_user_id=None,
        document=document,
        raw=distinct(command.incoming.raw, document),
        version=1,
        created_at=minting.now,
        updated_at=minting.now,
    )
    record = shown(record, None, rows.directory.inactive_users, minting)
    changes = ChangeSet(user=UserChange(None, record))
    return Decision(user=record, changed=True, quirks=command.incoming.quirks), changes


def _replace_user(command: ReplaceUser, rows: WorkingSet, minting: Minting) -> tuple[Decision, ChangeSet]:
    before = _existing_user(rows, command.id, command.if_match)
    document = replace_user(before.document, command.incoming)
    return _update_user(rows, before, document, command.incoming.raw, command.incoming.quirks, minting)


def _patch_user(command: PatchUser, rows: WorkingSet, minting: Minting) -> tuple[Decision, ChangeSet]:
    before = _existing_user(rows, command.id, command.if_match)
    patched = patch_user(before.document, before.raw, command.request, user_id=before.id)
    return _update_user(rows, before, patched.document, patched.raw, patched.quirks, minting)


def _update_user(
    rows: WorkingSet,
    before: UserRecord,
    document: Document,
    raw: Document | None,
    quirks: frozenset[str],
    minting: Minting,
) -> tuple[Decision, ChangeSet]:
    held = rows.groups_of(before.id)
    group_ids = tuple(sorted(held))
    _loaded_groups(rows, held)
    if same(before.document, document):
        return Decision(user=before, group_ids=group_ids, quirks=quirks), ChangeSet()
    refuse_taken(rows, document, before)
    record = replace(
        before,
        document=document,
        raw=distinct(raw, document),
        version=before.version + 1,
        updated_at=minting.now,
    )
    record = shown(record, before, rows.directory.inactive_users, minting)
    changes = ChangeSet(user=UserChange(before, record))
    return Decision(user=record, group_ids=group_ids, changed=True, quirks=quirks), changes


def _delete_user(command: DeleteUser, rows: WorkingSet, minting: Minting) -> tuple[Decision, ChangeSet]:
    before = _existing_user(rows, command.id, command.if_match)
    held = sorted(rows.groups_of(before.id))
    _loaded_groups(rows, held)
    gone = replace(
        before,
        directory_user_id=None,
        version=before.version + 1,
        updated_at=minting.now,
        deleted_at=minting.now,
    )
    removed = [(group_id, before.id) for group_id in held]
    return Decision(changed=True), ChangeSet(user=UserChange(before, gone), removed=removed)


def _create_group(command: CreateGroup, rows: WorkingSet, minting: Minting) -> tuple[Decision, ChangeSet]:
    changes = ChangeSet()
    record = GroupRecord(
        id=minting.new_id(),
        document=command.incoming.document,
        raw=distinct(command.incoming.raw, command.incoming.document),
        member_count=0,
        version=1,
        created_at=minting.now,
        updated_at=minting.now,
    )
    sort_members(rows, record.id, command.incoming.members or (), (), changes)
    record = replace(record, member_count=growth(changes))
    changes.group = GroupChange(None, record)
    decision = Decision(
        group=record, changed=True, parked=len(changes.pending_added), quirks=command.incoming.quirks
    )
    return decision, changes


def _replace_group(command: ReplaceGroup, rows: WorkingSet, minting: Minting) -> tuple[Decision, ChangeSet]:
    before = _existing_group(rows, command.id, command.if_match)
    document = replace_group(before.document, command.incoming)
    # Rule of the RFC and of K-03: a PUT without members empties the group.
    steps: tuple[MemberStep, ...] = (ReplaceMembers(command.incoming.members or ()),)
    return _update_group(
        rows, before, document, command.incoming.raw, steps, command.incoming.quirks, minting
    )


def _patch_group(command: PatchGroup, rows: WorkingSet, minting: Minting) -> tuple[Decision, ChangeSet]:
    before = _existing_group(rows, command.id, command.if_match)
    patched = patch_group(before.id, before.document, before.raw, command.request)
    return _update_group(
        rows, before, patched.document, patched.raw, patched.member_steps, patched.quirks, minting
    )


def _update_group(
    rows: WorkingSet,
    before: GroupRecord,
    document: Document,
    raw: Document | None,
    steps: tuple[MemberStep, ...],
    quirks: frozenset[str],
    minting: Minting,
) -> tuple[Decision, ChangeSet]:
    changes = ChangeSet()
    if steps:
        _change_members(rows, before.id, steps, changes)
    parked = len(changes.pending_added)
    if not changes and same(before.document, document):
        return Decision(group=before, quirks=quirks), ChangeSet()
    kept = same(before.document, document)
    record = replace(
        before,
        document=before.document if kept else document,
        raw=before.raw if kept else distinct(raw, document),
        member_count=before.member_count + growth(changes),
        version=before.version + 1,
        updated_at=minting.now,
    )
    changes.group = GroupChange(before, record)
    return Decision(group=record, changed=True, parked=parked, quirks=quirks), changes


def _delete_group(command: DeleteGroup, rows: WorkingSet, minting: Minting) -> tuple[Decision, ChangeSet]:
    before = _existing_group(rows, command.id, command.if_match)
    parents = sorted(rows.parents_of(before.id))
    _loaded_groups(rows, parents)
    gone = replace(before, version=before.version + 1, updated_at=minting.now, deleted_at=minting.now)
    edges = [(parent, before.id) for parent in parents]
    return Decision(changed=True), ChangeSet(group=GroupChange(before, gone), edges_removed=edges)


def _change_members(
    rows: WorkingSet, group_id: str, steps: tuple[MemberStep, ...], changes: ChangeSet
) -> None:
    """Work out the difference that the steps make, touching only the pairs they name where possible."""
    if needs_all(steps):
        present: Set[str] = rows.members_of(group_id)
    else:
        present = rows.members_among(group_id, named_ids(steps))
    if any(isinstance(step, RemoveMatching) for step in steps):
        _loaded_members(rows, present | named_ids(steps))
    delta = resolve(steps, present, lambda member_id: _member_entry(rows, member_id))
    sort_members(rows, group_id, delta.add, delta.remove, changes)


def _member_entry(rows: WorkingSet, member_id: str) -> Document:
    """Return a member as `members[…]` filters see it."""
    group = rows.is_group(member_id)
    if group is None:
        return {"value": member_id}
    record = rows.group(member_id) if group else rows.user(member_id)
    assert record is not None
    name = record.document.get("displayName") or record.document.get("userName")
    return {"value": member_id, "type": "Group" if group else "User", "display": name}


def _existing_user(rows: WorkingSet, user_id: str, if_match: ETags | None) -> UserRecord:
    record = rows.user(user_id)
    if record is None:
        raise errors.not_found("User", user_id)
    _refuse_stale(record.version, if_match)
    return record


def _existing_group(rows: WorkingSet, group_id: str, if_match: ETags | None) -> GroupRecord:
    record = rows.group(group_id)
    if record is None:
        raise errors.not_found("Group", group_id)
    _refuse_stale(record.version, if_match)
    return record


def _refuse_stale(version: int, if_match: ETags | None) -> None:
    if if_match is not None and "*" not in if_match and etag(version) not in if_match:
        raise errors.precondition_failed("the resource has changed since the given version was read")


def _loaded_groups(rows: WorkingSet, group_ids: Iterable[str]) -> None:
    absent = {group_id for group_id in group_ids if group_id not in rows.groups}
    if absent:
        raise Missing(Needs(groups=absent))


def _loaded_members(rows: WorkingSet, ids: Iterable[str]) -> None:
    """Ask for everything a filter of members may look at, at once instead of one by one."""
    unknown = Needs()
    for id_ in ids:
        try:
            rows.is_group(id_)
        except Missing as missing:
            unknown.update(missing.needs)
    if unknown:
        raise Missing(unknown)
