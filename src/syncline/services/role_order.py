"""Where a role stands among the others: the priorities of environments' and organizations' roles."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from syncline.store import roles as store
from syncline.store.database import Connection
from syncline.store.roles import Role


def placed(connection: Connection, made: Role, known: Sequence[Role]) -> Role:
    """Return a new role with its priority, once others have made room."""
    last = known[-1] if known else None
    is_default_last = last is not None and last.organization_id is None and last.slug == store.DEFAULT_SLUG
    if made.organization_id is not None:
        place = len(known) - int(is_default_last)
        numbers = numbered([*known[:place], made, *known[place:]])
        store.move(connection, made.environment_id, numbers)
        return replace(made, priority=numbers[made.id])
    if last is None:
        return replace(made, priority=store.SLOT)
    if not is_default_last:
        return replace(made, priority=last.priority + store.SLOT)
    store.move_down(connection, made.environment_id, last.priority)
    return replace(made, priority=last.priority)


def numbered(roles: Sequence[Role]) -> dict[str, int]:
    """Return priorities for an organization's own roles in a list, between those of the environment's."""
    found: dict[str, int] = {}
    above, place = 0, 0
    for role in roles:
        if role.organization_id is None:
            above, place = role.priority, 0
        else:
            place += 1
            found[role.id] = above + place
    return found
