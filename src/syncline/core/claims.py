"""Memberships that were parked because nobody had the id, and become real once somebody has it.

Ids of ours are made here, so no provider can name one before it is there. What appears later with an id that
may have been named already comes by an import: a resource that keeps its id, or one that gets an id of
another service (`scim.md` §6, unknown ids).
"""

from __future__ import annotations

from syncline.core.commands import Decision
from syncline.core.import_commands import AnyCommand, ClaimMembers, ImportGroup, ImportUser
from syncline.core.model import ChangeSet
from syncline.core.working_set import Missing, Needs, WorkingSet


def claim_after(command: AnyCommand, changes: ChangeSet, rows: WorkingSet) -> ClaimMembers | None:
    """Return what a command that was carried out lets become real, None if nothing waited for that.

    `rows` shows its changes already. Raises `Missing` when rows must be loaded first.
    """
    found: list[tuple[str, str]] = []
    match command:
        case ImportUser(id=id_) | ImportGroup(id=id_):
            is_new = changes.user is not None or changes.group is not None
            found = [(id_, id_)] if is_new else []
            found += changes.aliases.items()
            found = [(named, resource) for named, resource in found if rows.waiting_for(named)]
        case _ if changes.pending_added:
            found = _known_by_alias(changes, rows)
    return ClaimMembers(tuple(found)) if found else None


def _known_by_alias(changes: ChangeSet, rows: WorkingSet) -> list[tuple[str, str]]:
    """Return parked ids that got a resource while the request that names them was on its way."""
    if not rows.directory.has_aliases and not any(rows.aliases.values()):
        return []
    named = sorted({member_id for _, member_id in changes.pending_added})
    unknown = rows.missing(Needs(aliases=set(named)))
    if unknown:
        raise Missing(unknown)
    return [(one, resource) for one in named if (resource := rows.resource_of(one)) is not None]


def claim(command: ClaimMembers, rows: WorkingSet) -> tuple[Decision, ChangeSet]:
    """Return the memberships that begin, and that they wait no longer; each is there once.

    Who is not there after all goes on to be waited for. Raises `Missing` when rows must be loaded first.
    """
    changes = ChangeSet()
    for named, resource in command.found:
        is_group = rows.is_group(resource)
        if is_group is None:
            continue
        held = rows.parents_of(resource) if is_group else rows.groups_of(resource)
        target = changes.edges_added if is_group else changes.added
        for group_id in sorted(rows.waiting_for(named)):
            changes.pending_removed.append((group_id, named))
            is_counted = (group_id, resource) in target
            if rows.group(group_id) is not None and group_id not in held and not is_counted:
                target.append((group_id, resource))
    return Decision(changed=bool(changes)), changes
