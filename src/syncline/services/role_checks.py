"""What calls about roles refuse: organizations and roles that are not there, and roles that are in use."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from syncline.core.errors import Conflict, NotFound
from syncline.core.ids import Prefix, is_id
from syncline.store import directories as directory_store
from syncline.store import organizations as organization_store
from syncline.store import role_rules
from syncline.store import roles as store
from syncline.store.database import Connection
from syncline.store.roles import Role

KIND = "Role"


def check_organization(
    connection: Connection, environment_id: str, organization_id: str | None, *, hold: bool = False
) -> None:
    """Raise `NotFound` for an organization that is not there; `hold` keeps it from being deleted."""
    if organization_id is None:
        return
    known = is_id(Prefix.ORGANIZATION, organization_id)
    if known and hold:
        known = directory_store.hold_organization(connection, environment_id, organization_id)
    elif known:
        known = organization_store.get(connection, environment_id, organization_id) is not None
    if not known:
        raise NotFound("Organization", organization_id)


def required_role(
    connection: Connection, environment_id: str, slug: str, organization_id: str | None
) -> Role:
    """Return a role of the environment, or of an organization's own. Raises `NotFound`."""
    found = store.get(connection, environment_id, slug, organization_id) if "\0" not in slug else None
    if found is None:
        raise NotFound(KIND, slug)
    return found


def refuse_if_used(connection: Connection, role: Role) -> None:
    """Raise `Conflict` for a role that cannot be deleted: `role_is_default` for one of the environment,
    `role_has_group_role_mappings` or `role_has_assignments` for an organization's own.
    """
    environment_id, slug = role.environment_id, role.slug
    if role.organization_id is None:
        used = role_rules.in_force(connection, environment_id)
        if any(body["default_role"] == slug for body in used.values()):
            raise Conflict("The role is the default role of a directory.", code="role_is_default")
        return
    directories = store.directories_of(connection, environment_id, role.organization_id)
    used = role_rules.in_force(connection, environment_id, directories)
    if any(slug in roles_named(body) for body in used.values()):
        raise Conflict("Role rules of a directory name the role.", code="role_has_group_role_mappings")
    if store.is_held(connection, environment_id, directories, slug):
        raise Conflict("Somebody holds the role.", code="role_has_assignments")


def roles_named(body: Mapping[str, Any]) -> set[str]:
    """Return the slugs that the rules of a directory name, the default role and floors included."""
    return {body["default_role"], *(one["role"] for one in (*body["rules"], *body["floors"]))}
