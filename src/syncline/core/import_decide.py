"""Decide what an import's command changes, and pass everything else on to `decide`.

An import only ever adds: a person, group or membership that is there stays as it is, whatever the source
says about it, because the provider may have changed it since.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import assert_never

from syncline.core import decide as scim
from syncline.core.claims import claim
from syncline.core.commands import Decision
from syncline.core.decide import Minting
from syncline.core.deciding import distinct, growth, refuse_taken, sort_members
from syncline.core.import_commands import (
    AnyCommand,
    ClaimMembers,
    ImportCommand,
    ImportGroup,
    ImportMembers,
    ImportUser,
)
from syncline.core.model import ChangeSet, GroupChange, GroupRecord, InactiveUsers, UserChange, UserRecord
from syncline.core.scim import errors
from syncline.core.text import index_key
from syncline.core.working_set import Needs, WorkingSet


def first_needs(command: AnyCommand) -> Needs:
    """Return the rows a command will surely ask for, so that a batch loads them together."""
    match command:
        case ImportUser(user_id, _, incoming):
            key = index_key(str(incoming.document["userName"]))
            needs = Needs(users={user_id}, user_groups={user_id}, user_keys={key})
            needs.update(_naming_needs(command))
            return needs
        case ImportGroup(group_id):
            needs = Needs(groups={group_id}, group_parents={group_id})
            needs.update(_naming_needs(command))
            return needs
        case ImportMembers(group_id, members):
            ids = set(members)
            return Needs(groups={group_id}, members=ids, pairs={(group_id, id_) for id_ in ids})
        case ClaimMembers(found):
            # Known once the command before it has been carried out.
            return Needs(waiting={named for named, _ in found})
    return scim.first_needs(command)


def decide(command: AnyCommand, rows: WorkingSet, minting: Minting) -> tuple[Decision, ChangeSet]:
    """Return what the command comes to and what it changes; `rows` is left as it is.

    Raises `ScimError` when the command is refused and `Missing` when rows must be loaded first.
    """
    if isinstance(command, ImportUser | ImportGroup | ImportMembers):
        decision, changes = _decide(command, rows, minting)
        return replace(decision, silent=not command.announced), changes
    if isinstance(command, ClaimMembers):
        # The provider named the member here, so this is news to everybody, also in a silent import.
        return claim(command, rows)
    return scim.decide(command, rows, minting)


def _decide(command: ImportCommand, rows: WorkingSet, minting: Minting) -> tuple[Decision, ChangeSet]:
    match command:
        case ImportUser():
            return _user(command, rows, minting)
        case ImportGroup():
            return _group(command, rows, minting)
        case ImportMembers():
            return _members(command, rows, minting)
    assert_never(command)


def _user(command: ImportUser, rows: WorkingSet, minting: Minting) -> tuple[Decision, ChangeSet]:
    held = rows.user(command.id)
    aliases = _aliases(command, rows)
    if held is not None:
        groups = tuple(sorted(rows.groups_of(held.id)))
        return Decision(user=held, group_ids=groups), ChangeSet(aliases=aliases)
    document = command.incoming.document
    refuse_taken(rows, document, None)
    shown = document.get("active") is not False or rows.directory.inactive_users is InactiveUsers.KEEP
    record = UserRecord(
        id=command.id,
        # Who is not shown now gets a new id when they come back, as everywhere.
        directory_user_id=command.directory_user_id if shown else None,
        document=document,
        raw=distinct(command.incoming.raw, document),
        version=1,
        created_at=command.created_at,
        updated_at=minting.now,
        listed_at=command.created_at if shown else None,
    )
    decision = Decision(user=record, changed=True, quirks=command.incoming.quirks)
    return decision, ChangeSet(user=UserChange(None, record), aliases=aliases)


def _group(command: ImportGroup, rows: WorkingSet, minting: Minting) -> tuple[Decision, ChangeSet]:
    held = rows.group(command.id)
    aliases = _aliases(command, rows)
    if held is not None:
        return Decision(group=held), ChangeSet(aliases=aliases)
    document = command.incoming.document
    record = GroupRecord(
        id=command.id,
        document=document,
        raw=distinct(command.incoming.raw, document),
        member_count=0,
        version=1,
        created_at=command.created_at,
        updated_at=minting.now,
    )
    decision = Decision(group=record, changed=True, quirks=command.incoming.quirks)
    return decision, ChangeSet(group=GroupChange(None, record), aliases=aliases)


def _naming_needs(command: ImportUser | ImportGroup) -> Needs:
    named = {command.id} if command.alias is None else {command.id, command.alias}
    return Needs(waiting=named, aliases=named if command.alias is not None else set())


def _aliases(command: ImportUser | ImportGroup, rows: WorkingSet) -> Mapping[str, str]:
    """Return the id of another service that a resource gets; it keeps the one that it has."""
    if command.alias is None:
        return {}
    holder = rows.resource_of(command.alias)
    if holder is not None and holder != command.id:
        raise errors.uniqueness("another resource has this scim_id")
    return {} if rows.alias_of(command.id) is not None else {command.alias: command.id}


def _members(command: ImportMembers, rows: WorkingSet, minting: Minting) -> tuple[Decision, ChangeSet]:
    before = rows.group(command.group_id)
    if before is None:
        raise errors.not_found("Group", command.group_id)
    changes = ChangeSet()
    present = rows.members_among(before.id, command.members)
    wanted = [id_ for id_ in dict.fromkeys(command.members) if id_ not in present]
    sort_members(rows, before.id, wanted, (), changes)
    parked = len(changes.pending_added)
    if not changes:
        return Decision(group=before), changes
    record = replace(
        before,
        member_count=before.member_count + growth(changes),
        version=before.version + 1,
        updated_at=minting.now,
    )
    changes.group = GroupChange(before, record)
    return Decision(group=record, changed=True, parked=parked), changes
