"""The groups that count for people: direct ones, or those through other groups, as the directory says."""

from __future__ import annotations

from collections.abc import Sequence

from syncline.core.model import Directory, Membership
from syncline.core.nesting import closure
from syncline.core.roles import HeldGroup
from syncline.store import nested_groups, reevaluations
from syncline.store.database import Connection


def held_groups(
    connection: Connection, directory: Directory, user_ids: Sequence[str]
) -> dict[str, list[HeldGroup]]:
    """Return the groups that role rules look at, by the SCIM id of the person; who has none is left out."""
    held = nested_groups.direct_groups(connection, directory.scope, user_ids)
    if directory.membership is Membership.EFFECTIVE:
        graph = nested_groups.edges(connection, directory.scope)
        held = {user_id: closure(groups, graph) for user_id, groups in held.items()}
    names = reevaluations.names_of(connection, directory.scope, set().union(*held.values()))
    named = {group: HeldGroup(group, name) for group, name in names.items()}
    return {
        user_id: [named[group] for group in sorted(groups) if group in named]
        for user_id, groups in held.items()
    }
