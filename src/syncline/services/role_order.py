"""Where a role stands among the others: the priorities of environments' and organizations' roles."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from syncline.core.errors import FieldError, ValidationFailed
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


def reordered(known: Sequence[Role], slugs: Sequence[str], *, own: bool) -> dict[str, int]:
    """Return the priorities, by id, that roles get from an order of all that are known.

    With `own` only an organization's own roles move. Raises `ValidationFailed` for anything but all slugs,
    each once, and for an organization's order in which roles of the environment change places.
    """
    by_slug = {role.slug: role for role in known}
    if sorted(slugs) != sorted(by_slug):
        raise _wrong_order("Name every role once.")
    wanted = [by_slug[slug] for slug in slugs]
    shared = [role for role in known if role.organization_id is None]
    if not own:
        # Values stay where they are, so that organizations' own roles keep their places in between.
        values = [role.priority for role in shared]
        return {role.id: value for role, value in zip(wanted, values, strict=True)}
    if [role for role in wanted if role.organization_id is None] != shared:
        raise _wrong_order("The environment's roles are ordered for all organizations at once.")
    return numbered(wanted)


def _wrong_order(message: str) -> ValidationFailed:
    return ValidationFailed([FieldError("slugs", "slugs_invalid")], message)
