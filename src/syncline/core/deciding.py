"""Rules of deciding that the commands of SCIM clients and those of imports have in common."""

from __future__ import annotations

from collections.abc import Iterable

from syncline.core.model import ChangeSet, Document, UserRecord
from syncline.core.scim import errors
from syncline.core.text import index_key
from syncline.core.working_set import Missing, Needs, WorkingSet, user_name_key


def refuse_taken(rows: WorkingSet, document: Document, before: UserRecord | None) -> None:
    """Raise the uniqueness `ScimError` for a userName that somebody else of the directory has."""
    key = index_key(str(document["userName"]))
    if before is not None and user_name_key(before) == key:
        return
    holder = rows.holder(key)
    if holder is not None and (before is None or holder != before.id):
        raise errors.uniqueness(f"userName is already taken by the user with id {holder}")


def sort_members(
    rows: WorkingSet, group_id: str, add: Iterable[str], remove: Iterable[str], changes: ChangeSet
) -> None:
    """Note the members of a group to add and remove in `changes`, by what they are.

    An id is a person's, that of a group of the directory, or not known yet: then the membership is parked.
    Raises `Missing`, for all ids at once.
    """
    unknown = Needs()
    targets = (
        (add, changes.added, changes.edges_added, changes.pending_added),
        (remove, changes.removed, changes.edges_removed, changes.pending_removed),
    )
    for ids, people, groups, pending in targets:
        for member_id in ids:
            try:
                group = rows.is_group(member_id)
            except Missing as missing:
                unknown.update(missing.needs)
                continue
            target = people if group is False else groups if group else pending
            target.append((group_id, member_id))
    if unknown:
        raise Missing(unknown)


def growth(changes: ChangeSet) -> int:
    """Return by how many members the group of a command grows; parked ones are none."""
    return len(changes.added) + len(changes.edges_added) - len(changes.removed) - len(changes.edges_removed)


def distinct(raw: Document | None, document: Document) -> Document | None:
    """Return the raw body only where it says something else than the document."""
    return None if raw == document else raw
